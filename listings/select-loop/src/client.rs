//! One client of a loop: the counterpart of the blocking worker's `serve`, which never waits.
//!
//! The worker does one thing after another, and each may take as long as it likes. A client
//! of a loop does what can be done *now*, remembers what would have blocked, and says what it
//! waits for. The loop, not the client, does the waiting.

mod pieces;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use guestbook::{Finish, Guest, Job, Out};
use iterative::File;
use rustix::fs::sendfile;
use rustix::io::{Errno, pread};
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{self, RecvFlags, SendFlags, Shutdown};

use crate::{House, Interest, Ready};

/// How many steps a client may make before it is the next one's turn.
const TURN: usize = 16;
/// A file of no more than this many bytes goes out together with its head.
pub(crate) const SMALL: u64 = 16 * 1024;
/// How much of a large file goes out in one turn, in bytes.
const AT_ONCE: u64 = 256 * 1024;

/// What a client is to do after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To wait for this.
    Wait(Interest),
    /// To go on, when the others have had their turn.
    Again,
    /// Nothing: it is to be closed.
    Over,
}

/// A connected client, and what is known about its socket.
#[derive(Debug)]
pub struct Client {
    socket: OwnedFd,
    guest: Guest<File>,
    /// No read has said EAGAIN since the kernel said that there is something.
    may_read: bool,
    /// The same for writing.
    may_write: bool,
    /// The client has ended its side, and all that it sent was read.
    has_ended: bool,
    is_draining: bool,
    /// It is among those who have a turn in the next round.
    pub(crate) is_queued: bool,
    /// All is said; what the client still sends is thrown away, until then at most.
    lingers_until: Option<Instant>,
    /// Which visitor of the house it is.
    pub(crate) visit: u64,
    /// The piece of a file that is being read for us, and what is to go out with it: in the
    /// order in which they are given back.
    awaited: Vec<Out<File>>,
    /// What was read, and where in the file: for the piece that is next.
    in_memory: Option<(u64, Vec<u8>)>,
    /// A piece of what it is being sent was not in memory: the next one is not looked for
    /// there.
    is_cold: bool,
}

impl Client {
    /// A client that was accepted just now. Its first bytes may be there.
    pub fn new(socket: OwnedFd, guest: Guest<File>) -> Self {
        Self {
            socket,
            guest,
            may_read: true,
            may_write: true,
            has_ended: false,
            is_draining: false,
            is_queued: false,
            lingers_until: None,
            visit: 0,
            awaited: Vec::new(),
            in_memory: None,
            is_cold: false,
        }
    }

    /// The application's side of it.
    pub fn guest(&mut self) -> &mut Guest<File> {
        &mut self.guest
    }

    /// Its socket, when it is over.
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// When it is to be looked at, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        self.lingers_until.or_else(|| self.guest.deadline())
    }

    /// Takes note of what the kernel says.
    pub fn is_ready(&mut self, ready: Ready) {
        self.may_read |= ready.read;
        self.may_write |= ready.write;
        if ready.gone && self.lingers_until.is_none() {
            self.guest.fail();
        }
    }

    /// Does what can be done without waiting.
    // ANCHOR: go-on
    pub fn go_on(&mut self, slot: usize, house: &mut House) -> Next {
        for _ in 0..TURN {
            if let Some(until) = self.lingers_until {
                return self.discard(until, house);
            } else if let Some(finish) = self.guest.finished() {
                if self.close(finish, house) {
                    return Next::Over;
                }
            } else if self.may_write
                && let Some(out) = self.guest.take_output()
            {
                let is_large = matches!(&out, Out::File { len, .. } if *len > SMALL);
                self.send(out, slot, house);
                if is_large && self.may_write && self.awaited.is_empty() {
                    return Next::Again;
                }
            } else if let Some(job) = self.guest.take_job() {
                self.work(job, slot, house);
            } else if self.may_read && self.guest.room() > 0 {
                self.receive(house);
            } else if house.is_stopping() && !self.is_draining {
                self.is_draining = true;
                self.guest.drain();
            } else {
                return Next::Wait(self.interest());
            }
        }
        Next::Again
    }
    // ANCHOR_END: go-on

    /// Room is waited for only while there is something to send that did not fit.
    // ANCHOR: interest
    fn interest(&self) -> Interest {
        Interest { read: self.guest.room() > 0, write: !self.may_write }
    }
    // ANCHOR_END: interest

    /// Receives what is there.
    // ANCHOR: receive
    fn receive(&mut self, house: &mut House) {
        let room = self.guest.room().min(house.buffer.len());
        match net::recv(&self.socket, &mut house.buffer[..room], RecvFlags::empty()) {
            Ok((0, _)) => {
                self.has_ended = true;
                self.guest.eof(house.now);
            }
            Ok((n, _)) => {
                self.guest.received(&house.buffer[..n], house.now);
                // Fewer than there was room for: that was all.
                self.may_read = n == room || house.reads_until_eagain;
            }
            Err(Errno::AGAIN) => self.may_read = false,
            Err(Errno::INTR) => {}
            Err(_) => self.guest.fail(),
        }
    }
    // ANCHOR_END: receive

    /// Sends as much of a piece as the kernel has room for.
    // ANCHOR: send
    fn send(&mut self, out: Out<File>, slot: usize, house: &mut House) {
        if matches!(out, Out::Bytes(_))
            && let Some(file) = self.guest.take_small_file(SMALL)
        {
            return self.send_together(out, file, slot, house);
        }
        if house.disk.is_some() && matches!(out, Out::File { .. }) {
            return self.send_from_memory(out, slot, house);
        }
        let (sent, whole) = match &out {
            Out::Bytes(bytes) => {
                let more = match self.guest.has_more_output() {
                    true => SendFlags::MORE,
                    false => SendFlags::empty(),
                };
                (net::send(&self.socket, bytes, more | NO_SIGNAL), bytes.len())
            }
            Out::File { file, at, len } => {
                let (mut at, len) = (*at, (*len).min(AT_ONCE) as usize);
                let sent = sendfile(&self.socket, file, Some(&mut at), len);
                // Few may be all that the file still has. Only EAGAIN says that there is no
                // room.
                (sent, sent.unwrap_or(len))
            }
        };
        match sent {
            // The file is shorter than it was: the length that we promised cannot be kept.
            Ok(0) => self.guest.fail(),
            Ok(n) => {
                self.may_write = n == whole;
                self.guest.sent(out, n as u64, house.now);
            }
            Err(error) => {
                self.guest.sent(out, 0, house.now);
                self.not_sent(error);
            }
        }
    }
    // ANCHOR_END: send

    /// Sends a head and the small file behind it in one call.
    fn send_together(
        &mut self,
        head: Out<File>,
        file: Out<File>,
        slot: usize,
        house: &mut House,
    ) {
        let (Out::Bytes(bytes), Out::File { file: handle, at, len }) = (&head, &file)
        else {
            return self.guest.fail();
        };
        let page = &mut house.page;
        page.clear();
        page.extend_from_slice(bytes);
        page.resize(bytes.len() + *len as usize, 0);
        let place = &mut page[bytes.len()..];
        let read = match &mut house.disk {
            None => pread(handle, place, *at),
            Some(disk) => match self.take_piece(handle, *at, place, slot, disk) {
                Some(n) => Ok(n),
                None => {
                    self.awaited = vec![file, head];
                    return;
                }
            },
        };
        match read {
            // The file is shorter than it was.
            Ok(0) => return self.guest.fail(),
            Ok(n) => page.truncate(bytes.len() + n),
            Err(error) => {
                self.guest.sent(file, 0, house.now);
                self.guest.sent(head, 0, house.now);
                return self.not_sent(error);
            }
        }
        match net::send(&self.socket, page, NO_SIGNAL) {
            Ok(n) => {
                self.may_write = n == page.len();
                let of_file = n.saturating_sub(bytes.len()) as u64;
                self.guest.sent(file, of_file, house.now);
                self.guest.sent(head, n as u64, house.now);
            }
            Err(error) => {
                self.guest.sent(file, 0, house.now);
                self.guest.sent(head, 0, house.now);
                self.not_sent(error);
            }
        }
    }

    fn not_sent(&mut self, error: Errno) {
        match error {
            Errno::AGAIN => self.may_write = false,
            Errno::INTR => {}
            _ => self.guest.fail(),
        }
    }

    /// Opens the file, here and now: that is a debt, and part 6 collects it, where somebody
    /// else does it for the loop. The store is asked, and not waited for.
    // ANCHOR: work
    fn work(&mut self, job: Job, slot: usize, house: &mut House) {
        match job {
            Job::Open(path) => {
                self.is_cold = false;
                if let Some(opened) = house.open(path, self.visit(slot)) {
                    self.guest.opened(opened, house.now);
                }
            }
            Job::Store(call) => {
                let name = house.clients.new_call(slot);
                if let Err(error) = house.store.submit(name, &call, house.now.mono) {
                    self.guest.stored(Err(error), house.now);
                }
            }
        }
    }
    // ANCHOR_END: work

    /// Closes in the way that the connection asks for; says whether that was all.
    // ANCHOR: close
    fn close(&mut self, finish: Finish, house: &House) -> bool {
        match finish {
            // Bytes that we have not read would make close reset the connection.
            Finish::Close if self.has_ended || !self.is_readable() => true,
            Finish::Reset => {
                // On a socket that is gone it fails, and then there is nothing to reset.
                let _ = set_socket_linger(&self.socket, Some(Duration::ZERO));
                true
            }
            Finish::Close | Finish::Linger => {
                self.lingers_until = Some(house.now.mono + house.settings.linger);
                self.may_read = true;
                net::shutdown(&self.socket, Shutdown::Write).is_err()
            }
        }
    }
    // ANCHOR_END: close

    /// Reads what the client still sends, for nothing.
    fn discard(&mut self, until: Instant, house: &mut House) -> Next {
        if house.now.mono >= until {
            return Next::Over;
        }
        match net::recv(&self.socket, &mut house.buffer[..], RecvFlags::empty()) {
            Ok((1.., _)) | Err(Errno::INTR) => Next::Again,
            Err(Errno::AGAIN) => {
                self.may_read = false;
                Next::Wait(Interest::READ)
            }
            Ok((0, _)) | Err(_) => Next::Over,
        }
    }

    fn is_readable(&self) -> bool {
        let peeked = net::recv(&self.socket, &mut [0; 1], RecvFlags::PEEK);
        peeked.is_ok_and(|(n, _)| n > 0)
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whoever sends to a peer that is gone wants EPIPE, not SIGPIPE.
const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;
