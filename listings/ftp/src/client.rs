//! One client over epoll: its descriptors, and what can be done with them now.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use file_pool::{Now as AtOnce, read_now};
use rustix::io::Errno;
use rustix::net::{self, RecvFlags, Shutdown, SocketFlags};

use crate::epoll::House;
use crate::pool::{Found, What};
use crate::session::{Done, Job, Piece, Session};
use crate::start::{QUIETLY, ends_in_a_reset, listen_for_data};

/// How many steps a client may go in one turn.
const STEPS: usize = 16;

/// A descriptor in the epoll instance, and what is known about it. The kernel tells us when
/// something is new (edge-triggered), and we remember it until a call says EAGAIN.
// ANCHOR: wire
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) fd: OwnedFd,
    pub(crate) may_read: bool,
    pub(crate) may_write: bool,
}
// ANCHOR_END: wire

impl Wire {
    /// A descriptor with which everything may be tried.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { fd, may_read: true, may_write: true }
    }
}

/// Which of a client's descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Control,
    Listener,
    Data,
}

/// What is next for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It waits for the kernel, or for the pool.
    Wait,
    /// It can go on, and others are to have their turn first.
    Again,
    /// It is over.
    Over,
}

/// A connected client.
// ANCHOR: client
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) session: Session,
    local: SocketAddr,
    peer: IpAddr,
    control: Wire,
    listener: Option<Wire>,
    data: Option<Wire>,
    file: Option<Arc<OwnedFd>>,
    /// What could not be done yet.
    job: Option<Job>,
    /// The pool has its job.
    in_pool: bool,
    /// A piece of the file was not in memory: the next one is not looked for there.
    is_cold: bool,
    is_shut: bool,
    pub(crate) is_queued: bool,
}
// ANCHOR_END: client

impl Client {
    pub(crate) fn new(
        control: Wire,
        (local, peer): (SocketAddr, IpAddr),
        session: Session,
    ) -> Self {
        Self {
            session,
            local,
            peer,
            control,
            listener: None,
            data: None,
            file: None,
            job: None,
            in_pool: false,
            is_cold: false,
            is_shut: false,
            is_queued: false,
        }
    }

    /// Has the kernel tell us about its control connection.
    pub(crate) fn watch_control(&self, slot: usize, house: &House) -> io::Result<()> {
        house.watch(&self.control.fd, slot, Lane::Control)
    }

    pub(crate) fn wire(&mut self, lane: Lane) -> Option<&mut Wire> {
        match lane {
            Lane::Control => Some(&mut self.control),
            Lane::Listener => self.listener.as_mut(),
            Lane::Data => self.data.as_mut(),
        }
    }

    /// Does what can be done without waiting.
    // ANCHOR: turn
    pub(crate) fn turn(&mut self, slot: usize, house: &mut House) -> Turn {
        for _ in 0..STEPS {
            let spoke = self.speak(house);
            let heard = self.hear(house);
            let worked = self.work(slot, house);
            if self.session.is_over() {
                // The pool may be writing to the file: nobody else may, until it is done.
                return if self.in_pool { Turn::Wait } else { Turn::Over };
            }
            if !(spoke || heard || worked) {
                return Turn::Wait;
            }
        }
        Turn::Again
    }
    // ANCHOR_END: turn

    fn speak(&mut self, house: &House) -> bool {
        if self.session.has_said_goodbye() && !self.is_shut {
            self.is_shut = true;
            // Of a connection that is gone nothing is left to shut down.
            let _ = net::shutdown(&self.control.fd, Shutdown::Write);
        }
        if !self.control.may_write {
            return false;
        }
        let Some(out) = self.session.take_output() else { return false };
        let result = net::send(&self.control.fd, &out, QUIETLY);
        let whole = result.is_ok_and(|n| n == out.len());
        self.control.may_write = whole || result == Err(Errno::INTR);
        let broken = !matches!(result, Ok(_) | Err(Errno::AGAIN | Errno::INTR));
        self.session.sent(out, result.unwrap_or(0), house.now);
        if broken {
            self.session.fail();
        }
        true
    }

    fn hear(&mut self, house: &mut House) -> bool {
        let room = self.session.room().min(house.buffer.len());
        if room == 0 || !self.control.may_read {
            return false;
        }
        let flags = RecvFlags::empty();
        match net::recv(&self.control.fd, &mut house.buffer[..room], flags) {
            Ok((_, 0)) => self.session.eof(house.now),
            Ok((_, n)) => self.session.received(&house.buffer[..n], house.now),
            Err(Errno::AGAIN) => self.control.may_read = false,
            Err(Errno::INTR) => {}
            Err(_) => self.session.fail(),
        }
        true
    }

    /// Goes on with its job. A job that would wait is kept for later, or goes to the pool.
    // ANCHOR: work
    fn work(&mut self, slot: usize, house: &mut House) -> bool {
        if self.in_pool || self.session.is_over() {
            return false;
        }
        let Some(job) = self.job.take().or_else(|| self.session.take_job()) else {
            return false;
        };
        if self.session.gives_up() {
            self.session.done(Done::GivenUp, house.now);
            return true;
        }
        let done = match job {
            Job::Listen => Ok(self.listen(slot, house)),
            Job::Accept => self.accept(slot, house),
            Job::Send(piece) => self.send(piece),
            Job::Receive { into } => self.receive(into),
            Job::Read { at, into } => self.read(at, into),
            Job::End { reset } => Ok(self.end(reset)),
            for_the_disk => Err(for_the_disk),
        };
        match done {
            Ok(done) => self.session.done(done, house.now),
            Err(job) => return self.put_off(job, slot, house),
        }
        true
    }
    // ANCHOR_END: work

    /// What waits for the disk goes to the pool, and what waits for the client stays here.
    // ANCHOR: put-off
    fn put_off(&mut self, job: Job, slot: usize, house: &mut House) -> bool {
        let what = match (job, &self.file) {
            (Job::Look(place), _) => What::Look(place),
            (Job::List(place), _) => What::List(place),
            (Job::Open(place), _) => What::Open(place),
            (Job::Create { place, truncate }, _) => What::Create(place, truncate),
            (Job::Read { at, into }, Some(file)) => {
                self.is_cold = true;
                What::Read(Arc::clone(file), at, into)
            }
            (Job::Write { at, piece }, Some(file)) => {
                What::Write(Arc::clone(file), at, piece)
            }
            (job, _) => {
                self.job = Some(job);
                return false;
            }
        };
        self.in_pool = true;
        house.hand_over(slot, what);
        true
    }
    // ANCHOR_END: put-off

    /// The pool has done its job.
    pub(crate) fn found(&mut self, found: Found, house: &House) {
        self.in_pool = false;
        let done = match found {
            Found::Opened(Ok((file, meta))) => {
                self.file = Some(Arc::new(file));
                self.is_cold = false;
                Done::Opened(Ok(meta))
            }
            Found::Opened(Err(error)) => Done::Opened(Err(error)),
            Found::Done(done) => done,
        };
        self.session.done(done, house.now);
    }

    fn listen(&mut self, slot: usize, house: &House) -> Done {
        let listening = listen_for_data(self.local).and_then(|(listener, address)| {
            rustix::io::ioctl_fionbio(&listener, true)?;
            house.watch(&listener, slot, Lane::Listener)?;
            self.listener = Some(Wire::new(listener));
            Ok(address)
        });
        Done::Listening(listening)
    }

    /// Nobody but the client itself may come in here: whoever guesses the port could read, or
    /// write, in its place (RFC 2577).
    // ANCHOR: accept-data
    fn accept(&mut self, slot: usize, house: &House) -> Result<Done, Job> {
        let Some(listener) = self.listener.as_mut().filter(|wire| wire.may_read) else {
            return Err(Job::Accept);
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let connected = match net::acceptfrom_with(&listener.fd, flags) {
            Ok((socket, from)) => {
                let from = from.and_then(|from| SocketAddr::try_from(from).ok());
                if from.map(|from| from.ip()) != Some(self.peer) {
                    return Ok(Done::Connected(Err(io::ErrorKind::Interrupted.into())));
                }
                ends_in_a_reset(&socket, true);
                let watched = house.watch(&socket, slot, Lane::Data);
                self.listener = None; // one connection, one transfer
                watched.map(|()| self.data = Some(Wire::new(socket)))
            }
            Err(Errno::AGAIN) => {
                listener.may_read = false;
                return Err(Job::Accept);
            }
            Err(error) => Err(error.into()),
        };
        Ok(Done::Connected(connected))
    }
    // ANCHOR_END: accept-data

    // ANCHOR: send
    fn send(&mut self, piece: Piece) -> Result<Done, Job> {
        let Some(data) = self.data.as_mut().filter(|wire| wire.may_write) else {
            return Err(Job::Send(piece));
        };
        match net::send(&data.fd, piece.rest(), QUIETLY) {
            Err(Errno::AGAIN) => {
                data.may_write = false;
                Err(Job::Send(piece))
            }
            sent => Ok(Done::Sent(piece, sent.map_err(Into::into))),
        }
    }
    // ANCHOR_END: send

    fn receive(&mut self, mut into: Vec<u8>) -> Result<Done, Job> {
        let Some(data) = self.data.as_mut().filter(|wire| wire.may_read) else {
            return Err(Job::Receive { into });
        };
        into.resize(into.capacity(), 0);
        match net::recv(&data.fd, &mut into[..], RecvFlags::empty()) {
            Err(Errno::AGAIN) => {
                data.may_read = false;
                into.clear();
                Err(Job::Receive { into })
            }
            received => {
                into.truncate(received.map_or(0, |(_, n)| n));
                Ok(Done::Received(received.map(|_| into).map_err(Into::into)))
            }
        }
    }

    /// From memory, if it is there, and all before it was.
    fn read(&mut self, at: u64, mut into: Vec<u8>) -> Result<Done, Job> {
        let Some(file) = self.file.as_ref().filter(|_| !self.is_cold) else {
            return Err(Job::Read { at, into });
        };
        into.resize(into.capacity(), 0);
        match read_now(file.as_fd(), &mut into, at) {
            AtOnce::Read(n) => {
                into.truncate(n);
                Ok(Done::Read(Ok(into)))
            }
            AtOnce::WouldWait => {
                into.clear();
                Err(Job::Read { at, into })
            }
        }
    }

    fn end(&mut self, reset: bool) -> Done {
        if let Some(data) = self.data.take()
            && !reset
        {
            ends_in_a_reset(&data.fd, false);
        }
        self.listener = None;
        self.file = None;
        Done::Ended
    }
}
