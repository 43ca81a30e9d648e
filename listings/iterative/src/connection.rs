//! One connection, served by a process that blocks: the part that all blocking models
//! share.
//!
//! They differ in who calls `accept` and where this runs. Here is the same for all of them:
//! as long as the connection is not finished there is a job to do, or output to send, or
//! bytes to receive, and each of the three may block.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use guestbook::{Finish, Guest, Job, Now, Out, Settings};
use http1::SEND_QUOTA;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, pread};
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{self, RecvFlags, SendFlags, Shutdown};

use crate::files::{File, Files};
use crate::signals;
use crate::store_client::StoreClient;

/// How often a worker of a pool looks whether others queue, while it waits for a client's next
/// request.
const LOOK_UP: Duration = Duration::from_millis(100);
/// The same for a client that has not asked yet: its first bytes may be on their way.
const LOOK_UP_FIRST: Duration = Duration::from_secs(1);

/// What a worker has: its files, its connection to the store, a buffer, and the rules of
/// the house.
#[derive(Debug)]
pub struct Worker {
    files: Files,
    store: StoreClient,
    settings: Settings,
    /// How long a request may still take after SIGTERM.
    grace: Duration,
    buffer: Vec<u8>,
}

impl Worker {
    /// A worker of its own process or thread.
    pub fn new(
        files: Files,
        store: StoreClient,
        settings: Settings,
        grace: Duration,
    ) -> Self {
        Self { files, store, settings, grace, buffer: vec![0; SEND_QUOTA] }
    }

    /// A worker for another thread of this process. It knows the same open files, and has a
    /// connection to the store of its own.
    pub fn another(&self) -> Self {
        let store = self.store.another();
        Self::new(self.files.clone(), store, self.settings, self.grace)
    }

    /// How long a request may still take after SIGTERM.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// Closes the files that are only kept for later.
    pub fn release_files(&self) {
        self.files.release();
    }

    /// The files that it serves, and all others like it.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Answers a request that nobody has made, without any I/O. For a process that is about
    /// to fork: what is found out once (which instructions the processor has, the first time
    /// that a byte is searched for) its children then know, and need not find out each for
    /// itself.
    pub fn rehearse(&self) {
        let mut guest =
            Guest::<File>::new(self.settings, self.store.timeout(), Now::read());
        guest.received(b"GET / HTTP/1.1\r\nHost: rehearsal\r\n\r\n", Now::read());
        guest.opened(Err(std::io::ErrorKind::NotFound.into()), Now::read());
    }

    /// Serves one connection to its end. `others_wait` tells whether somebody queues who
    /// could be served instead of a client that says nothing.
    // ANCHOR: serve
    pub fn serve(&mut self, client: &OwnedFd, others_wait: &dyn Fn() -> bool) {
        let mut guest = Guest::new(self.settings, self.store.timeout(), Now::read());
        let finish = loop {
            if let Some(finish) = guest.finished() {
                break finish;
            } else if let Some(out) = guest.take_output() {
                self.send(client, out, &mut guest);
            } else if let Some(job) = guest.take_job() {
                // With a queue behind it no client is served twice in a row.
                if self.settings.keep_alive && others_wait() {
                    guest.make_last();
                }
                self.work(job, &mut guest);
            } else {
                self.receive(client, &mut guest, others_wait);
            }
        };
        self.close(client, finish);
    }
    // ANCHOR_END: serve

    /// Does the job, and waits for it: in open(2), or for the store.
    // ANCHOR: work
    fn work(&mut self, job: Job, guest: &mut Guest<File>) {
        match job {
            Job::Open(path) => {
                let opened = self.files.open(path.as_str());
                guest.opened(opened, Now::read());
            }
            Job::Store(call) => {
                let (deadline, grace) = (guest.deadline(), self.grace);
                let reply = self.store.call(&call, &|| signals::no_later(deadline, grace));
                guest.stored(reply, Now::read());
            }
        }
    }
    // ANCHOR_END: work

    /// Waits for bytes of the client, but no longer than until its deadline. In a pool it
    /// looks up now and then: a client that asks for nothing has to go when others queue.
    // ANCHOR: receive
    fn receive(
        &mut self,
        client: &OwnedFd,
        guest: &mut Guest<File>,
        others_wait: &dyn Fn() -> bool,
    ) {
        if signals::stopped_at().is_some() && !is_readable(client) {
            guest.drain();
            if guest.finished().is_some() {
                return;
            }
        }
        // ANCHOR: look-up
        let idle = self.settings.keep_alive && guest.is_idle();
        let pause = if guest.is_new() { LOOK_UP_FIRST } else { LOOK_UP };
        let look_up = idle.then(|| Instant::now() + pause);
        let until = [self.until(guest), look_up].into_iter().flatten().min();
        let room = guest.room().min(self.buffer.len());
        match receive_some(client, &mut self.buffer[..room], until) {
            Ok(0) => guest.eof(Now::read()),
            Ok(n) => guest.received(&self.buffer[..n], Now::read()),
            Err(Errno::AGAIN) if idle && others_wait() => guest.drain(),
            Err(error) => self.blocked(error, guest),
        }
        // ANCHOR_END: look-up
    }
    // ANCHOR_END: receive

    /// Sends a piece, or as much of it as the kernel takes before the deadline.
    // ANCHOR: send
    fn send(&mut self, client: &OwnedFd, out: Out<File>, guest: &mut Guest<File>) {
        let until = self.until(guest);
        let sent = match &out {
            Out::Bytes(bytes) => send_some(client, bytes, guest.has_more_output(), until),
            Out::File { file, at, len } => {
                let room =
                    self.buffer.len().min(usize::try_from(*len).unwrap_or(usize::MAX));
                pread(file, &mut self.buffer[..room], *at).and_then(|n| {
                    send_some(client, &self.buffer[..n], (n as u64) < *len, until)
                })
            }
        };
        match sent {
            // The file is shorter than it was: the length that we promised cannot be kept.
            Ok(0) => guest.fail(),
            Ok(n) => guest.sent(out, n as u64, Now::read()),
            Err(error) => {
                guest.sent(out, 0, Now::read());
                self.blocked(error, guest);
            }
        }
    }
    // ANCHOR_END: send

    /// A call on the client's socket failed: because a signal came, because time was up, or
    /// because the client is gone.
    // ANCHOR: blocked
    fn blocked(&self, error: Errno, guest: &mut Guest<File>) {
        match error {
            Errno::INTR => {}
            Errno::AGAIN => {
                guest.expired(Now::read());
                let grace_ends = signals::no_later(None, self.grace);
                if grace_ends.is_some_and(|end| Instant::now() >= end) {
                    guest.fail();
                }
            }
            _ => guest.fail(),
        }
    }
    // ANCHOR_END: blocked

    /// Until when a call for this guest may block: its own deadline, or the end of our grace
    /// if we are to stop.
    fn until(&self, guest: &Guest<File>) -> Option<Instant> {
        signals::no_later(guest.deadline(), self.grace)
    }

    /// Closes in the way that the connection asks for; the descriptor itself is closed by
    /// its owner.
    // ANCHOR: close
    fn close(&mut self, client: &OwnedFd, finish: Finish) {
        match finish {
            // Bytes that we have not read would make close reset the connection.
            Finish::Close if !is_readable(client) => {}
            Finish::Reset => drop(sockopt::set_socket_linger(client, Some(Duration::ZERO))),
            Finish::Close | Finish::Linger => {
                let until = Some(Instant::now() + self.settings.linger);
                let until = signals::no_later(until, self.grace);
                let mut open = net::shutdown(client, Shutdown::Write).is_ok();
                while open && until.is_none_or(|until| Instant::now() < until) {
                    let received = receive_some(client, &mut self.buffer, until);
                    open = matches!(received, Ok(1..) | Err(Errno::INTR));
                }
            }
        }
    }
    // ANCHOR_END: close
}

/// Lets the next blocking call in this direction wait for the time that remains, and no
/// longer. A timeout that is set once starts again with every call: a client that sends a
/// byte now and then would never be late. Says whether any time remains.
// ANCHOR: remaining
fn may_wait(
    client: &OwnedFd,
    direction: Timeout,
    until: Option<Instant>,
) -> Result<bool, Errno> {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    if left == Some(Duration::ZERO) {
        return Ok(false);
    }
    sockopt::set_socket_timeout(client, direction, left)?;
    Ok(true)
}

/// Receives what is there, waiting until something is, or until it is late.
fn receive_some(
    client: &OwnedFd,
    buffer: &mut [u8],
    until: Option<Instant>,
) -> Result<usize, Errno> {
    let flags = match may_wait(client, Timeout::Recv, until)? {
        true => RecvFlags::empty(),
        // What has come in time is there, even if it is we who are late.
        false => RecvFlags::DONTWAIT,
    };
    net::recv(client, buffer, flags).map(|(n, _)| n)
}
// ANCHOR_END: remaining

/// Sends what the kernel has room for, waiting until it has room for some. Of nothing it
/// sends nothing.
// ANCHOR: send-some
fn send_some(
    client: &OwnedFd,
    bytes: &[u8],
    more: bool,
    until: Option<Instant>,
) -> Result<usize, Errno> {
    if bytes.is_empty() {
        return Ok(0);
    }
    let is_late = !may_wait(client, Timeout::Send, until)?;
    if is_late && !has_room(client) {
        return Err(Errno::AGAIN);
    }
    let mut flags = SendFlags::NOSIGNAL;
    flags.set(SendFlags::DONTWAIT, is_late);
    flags.set(SendFlags::MORE, more);
    net::send(client, bytes, flags)
}
// ANCHOR_END: send-some

/// Whether the client has taken a good part of what we have sent: a third, by tcp(7)'s
/// measure of room. The last bytes of a buffer are no sign of a client that reads.
fn has_room(client: &OwnedFd) -> bool {
    let mut client = [PollFd::new(client, PollFlags::OUT)];
    poll(&mut client, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// Whether bytes are there that we have not read.
fn is_readable(client: &OwnedFd) -> bool {
    let peeked = net::recv(client, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
    peeked.is_ok_and(|(n, _)| n > 0)
}
