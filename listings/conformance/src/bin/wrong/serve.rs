//! One connection, and a thread for each.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flags::ServerFlags;
use guestbook::{Finish, Guest, Job, Now, Out, Settings};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::event_loop;
use crate::fault::{By, Fault};
use crate::files::Files;
use crate::input::Input;
use crate::processes;
use crate::shop::Shop;
use crate::stop::Stop;

static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
/// How often a process looks whether it is to stop.
pub const TICK: Duration = Duration::from_millis(1);
/// How long a client has for its first request while others wait.
const FIRST: Duration = Duration::from_secs(1);

/// What all connections share.
pub struct House {
    pub files: Files,
    pub shop: Shop,
    pub settings: Settings,
    pub fault: Option<Fault>,
    pub stop: Stop,
    pub listener: TcpListener,
    pub grace: Duration,
    by: By,
}

/// What accepting came to.
pub enum Next {
    Client(TcpStream),
    /// Nobody, for a moment.
    Nobody,
    /// We are to stop, and nobody waits.
    End,
}

/// The whole server. Returns when it was told to stop and everybody has been served.
pub fn run(flags: &ServerFlags, fault: Option<Fault>, by: By) -> Result<(), String> {
    let listener = TcpListener::bind(flags.listen)
        .map_err(|error| format!("{}: {error}", flags.listen))?;
    let house = House {
        files: Files::new(&flags.root, fault)
            .map_err(|error| format!("{}: {error}", flags.root.display()))?,
        stop: Stop::new().map_err(|error| format!("signals: {error}"))?,
        shop: Shop::open(flags, fault)?,
        settings: Settings {
            header_timeout: flags.header_timeout,
            body_timeout: flags.body_timeout,
            send_timeout: flags.send_timeout,
            ..Settings::default()
        },
        fault,
        listener,
        grace: flags.grace,
        by,
    };
    let listener = &house.listener;
    let address = listener
        .local_addr()
        .and_then(|address| listener.set_nonblocking(true).map(|()| address));
    println!(
        "listening on http://{}",
        address.map_err(|error| format!("the listener: {error}"))?
    );
    match by {
        By::Thread => threads(house).map_err(|error| format!("accept: {error}")),
        By::Process => processes::one_each(&house).map_err(|error| error.to_string()),
        By::Pool => processes::pool(&house).map_err(|error| error.to_string()),
        By::Loop => event_loop::run(&house).map_err(|error| error.to_string()),
    }
}

fn threads(house: House) -> io::Result<()> {
    let house = Arc::new(house);
    loop {
        match house.next()? {
            Next::Client(stream) => {
                let house = Arc::clone(&house);
                CONNECTIONS.fetch_add(1, Ordering::SeqCst);
                let fault = house.fault;
                let started = thread::Builder::new().spawn(move || {
                    house.serve(stream);
                    CONNECTIONS.fetch_sub(1, Ordering::SeqCst);
                });
                // The connection went with the thread that does not exist.
                if let Err(error) = started {
                    CONNECTIONS.fetch_sub(1, Ordering::SeqCst);
                    if fault == Some(Fault::DiesOfClone) {
                        return Err(error);
                    }
                }
            }
            Next::Nobody => {}
            Next::End => break,
        }
    }
    let until = Instant::now() + house.grace;
    while CONNECTIONS.load(Ordering::SeqCst) > 0 && Instant::now() < until {
        thread::sleep(TICK);
    }
    Ok(())
}

impl House {
    /// Accepts, or waits for a moment.
    pub fn next(&self) -> io::Result<Next> {
        let is_to_stop = self.stop.came();
        match self.fault {
            Some(Fault::EndsAtOnce) if is_to_stop => std::process::exit(0),
            Some(Fault::LeavesQueue) if is_to_stop => return Ok(Next::End),
            _ => {}
        }
        match self.listener.accept() {
            Ok((stream, _)) => return Ok(Next::Client(stream)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if self.stop.is_over() {
                    return Ok(Next::End);
                }
                match self.by {
                    // After the signal nothing wakes it.
                    By::Thread if !is_to_stop => self.wait_for_somebody(),
                    _ => thread::sleep(TICK),
                }
            }
            Err(error) if self.fault == Some(Fault::GivesUp) => return Err(error),
            Err(error) if self.fault == Some(Fault::Spins) => eprintln!("accept: {error}"),
            Err(_) => thread::sleep(100 * TICK),
        }
        Ok(Next::Nobody)
    }

    /// Waits for a client or a signal.
    fn wait_for_somebody(&self) {
        let mut both = [
            PollFd::new(&self.listener, PollFlags::IN),
            PollFd::from_borrowed_fd(self.stop.as_fd(), PollFlags::IN),
        ];
        // Where it fails, the next look tells.
        let _ = poll(&mut both, None);
    }

    /// Whether somebody waits in the queue.
    fn somebody_waits(&self) -> bool {
        let mut listener = [PollFd::new(&self.listener, PollFlags::IN)];
        poll(&mut listener, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Serves one connection to its end.
    pub fn serve(&self, mut stream: TcpStream) {
        let mut last_byte = Instant::now();
        let mut guest = Guest::new(self.settings, self.shop_timeout(), Now::read());
        let mut input = Input::new(self.fault);
        let mut kept = Vec::new();
        let finish = loop {
            if let Some(finish) = guest.finished() {
                break finish;
            } else if let Some(job) = guest.take_job() {
                self.work(job, &mut guest);
            } else if self.fault == Some(Fault::KeepsEverything)
                && keep(&mut guest, &mut kept)
            {
                // Nothing is sent before everything is read.
            } else if let Some(out) = guest.take_output() {
                self.send(&mut stream, out, &mut guest);
            } else {
                self.receive(
                    &mut stream,
                    &mut guest,
                    &mut input,
                    &mut kept,
                    &mut last_byte,
                );
            }
        };
        // What was kept is sent in the end; who has left by then gets nothing.
        let _ = stream.write_all(&kept);
        self.close(stream, finish);
    }

    fn shop_timeout(&self) -> Duration {
        // The core has a deadline of its own, but nobody asks it while a thread waits for
        // the store.
        self.settings.body_timeout
    }

    fn work(&self, job: Job, guest: &mut Guest<Arc<File>>) {
        match job {
            Job::Open(path) => {
                let opened = self.files.open(path.as_str());
                guest.opened(opened, Now::read());
            }
            Job::Store(call) => {
                let reply = self.shop.call(&call);
                guest.stored(reply, Now::read());
            }
        }
    }

    fn receive(
        &self,
        stream: &mut TcpStream,
        guest: &mut Guest<Arc<File>>,
        input: &mut Input,
        kept: &mut Vec<u8>,
        last_byte: &mut Instant,
    ) {
        if self.fault == Some(Fault::LateUnseen) {
            guest.expired(Now::read());
            if guest.room() == 0 {
                return;
            }
        }
        let mut buffer = [0; 16 * 1024];
        let room = guest.room().min(buffer.len());
        // A wait that is mostly over when a signal comes is hardly ever interrupted.
        let patient = self.fault == Some(Fault::InterruptedIsGone);
        let read = stream
            .set_read_timeout(Some(if patient { 1000 * TICK } else { TICK }))
            .and_then(|()| stream.read(&mut buffer[..room]));
        match read {
            Ok(0) => guest.eof(Now::read()),
            Ok(n) => {
                *last_byte = Instant::now();
                guest.received(&input.pass(&buffer[..n]), Now::read());
                if self.fault == Some(Fault::OneRead) {
                    guest.eof(Now::read());
                }
                if self.fault == Some(Fault::EofIsGone) && is_at_end(stream) {
                    guest.fail();
                }
            }
            Err(error)
                if error.kind() == ErrorKind::Interrupted
                    && self.fault != Some(Fault::InterruptedIsGone) => {}
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
            {
                if !kept.is_empty() && stream.write_all(&std::mem::take(kept)).is_err() {
                    guest.fail();
                }
                let lately = last_byte.elapsed() < self.settings.header_timeout;
                let again = lately && self.fault == Some(Fault::StartsAgain);
                if !again && !is_readable(stream) {
                    guest.expired(Now::read());
                }
                let stops = match self.by {
                    By::Thread => self.stop.is_known(),
                    _ => self.stop.came(),
                };
                if stops && self.fault == Some(Fault::LeavesClient) {
                    guest.fail();
                }
                // Who has connected may not have come to ask yet.
                let comes = guest.is_new() && last_byte.elapsed() < FIRST;
                let idle_for_others = self.by == By::Pool
                    && self.fault != Some(Fault::KeepsIdle)
                    && guest.is_idle()
                    && !comes
                    && self.somebody_waits();
                let over = self.stop.is_over() && self.fault != Some(Fault::WaitsForIdle);
                if (over || idle_for_others) && !is_readable(stream) {
                    guest.drain();
                }
            }
            Err(_) => guest.fail(),
        }
    }

    fn send(
        &self,
        stream: &mut TcpStream,
        out: Out<Arc<File>>,
        guest: &mut Guest<Arc<File>>,
    ) {
        let left = guest
            .deadline()
            .map(|by| by.saturating_duration_since(Instant::now()).max(TICK));
        let left = left.filter(|_| self.fault != Some(Fault::PatientSender));
        let sent = stream.set_write_timeout(left).and_then(|()| match &out {
            Out::Bytes(bytes) => stream.write(bytes),
            Out::File { file, at, len } => {
                // A long piece is sent in part when a signal comes; a short one is mostly
                // sent whole, and its deadline is met or not.
                let most = match self.fault {
                    Some(Fault::SendsWhole) => 1 << 18,
                    _ => 1 << 14,
                };
                let mut piece =
                    vec![0; usize::try_from(*len).map_or(most, |len| len.min(most))];
                let n = file.read_at(&mut piece, *at)?;
                let sent = stream.write(&piece[..n])?;
                Ok(if self.fault == Some(Fault::SendsWhole) { n } else { sent })
            }
        });
        match sent {
            Ok(0) => guest.fail(),
            Ok(n) => guest.sent(out, n as u64, Now::read()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                guest.sent(out, 0, Now::read());
            }
            Err(error) => match (self.fault, error.kind()) {
                (_, ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    guest.sent(out, 0, Now::read());
                    guest.expired(Now::read());
                }
                (Some(Fault::DiesOfReset), _) => std::process::exit(1),
                (Some(Fault::Leaks), _) => {
                    std::mem::forget(stream.try_clone());
                    guest.fail();
                }
                _ => guest.fail(),
            },
        }
    }

    fn close(&self, mut stream: TcpStream, finish: Finish) {
        match finish {
            Finish::Linger if self.fault != Some(Fault::ClosesHastily) => {
                let until = Instant::now() + self.settings.linger;
                let mut open = stream
                    .shutdown(Shutdown::Write)
                    .and(stream.set_read_timeout(Some(TICK)))
                    .is_ok();
                while open && Instant::now() < until {
                    open = match stream.read(&mut [0; 16 * 1024]) {
                        Ok(n) => n > 0,
                        Err(error) => matches!(
                            error.kind(),
                            ErrorKind::WouldBlock | ErrorKind::TimedOut
                        ),
                    };
                }
            }
            Finish::Reset => {
                // As above: when the client is gone, there is nobody to tell.
                let _ =
                    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
            }
            Finish::Linger | Finish::Close => {}
        }
    }
}

/// Moves output, whole files included, to `kept`. `false` when there is none, or 64 MiB of
/// it.
fn keep(guest: &mut Guest<Arc<File>>, kept: &mut Vec<u8>) -> bool {
    if kept.len() > 64 * 1024 * 1024 {
        return false;
    }
    let Some(out) = guest.take_output() else { return false };
    let taken = match &out {
        Out::Bytes(bytes) => {
            kept.extend_from_slice(bytes);
            bytes.len() as u64
        }
        Out::File { file, at, len } => {
            let from = kept.len();
            kept.resize(from + usize::try_from(*len).unwrap_or(0), 0);
            file.read_at(&mut kept[from..], *at).map_or(0, |n| n as u64)
        }
    };
    guest.sent(out, taken, Now::read());
    true
}

/// Whether there is something to read.
fn is_readable(stream: &TcpStream) -> bool {
    let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
    // As it was; a failure shows in the next call.
    let _ = stream.set_nonblocking(false);
    peeked.is_ok()
}

/// Whether the client's FIN is the next thing to be read; it has 20 ms to come.
fn is_at_end(stream: &TcpStream) -> bool {
    let waited = stream.set_read_timeout(Some(20 * TICK));
    waited.and_then(|()| stream.peek(&mut [0])).is_ok_and(|n| n == 0)
}
