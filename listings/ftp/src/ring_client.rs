//! One client over io_uring: what the kernel has of it, and what a completion means.

use std::ffi::CString;
use std::io;
use std::net::{IpAddr, SocketAddr};

use http1::Kind;
use io_uring::types::OpenHow;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{self, Shutdown};
use uring_loop::{Answer, Done as Completed, Fd, Op, Part, Received, Room, SendFlags};

use crate::path::Place;
use crate::pool::{Found, What};
use crate::ring::House;
use crate::root::{NEW, for_writing, refused, which_links, with_care};
use crate::session::{Done, Job, Piece, Session};
use crate::start::{ends_in_a_reset, listen_for_data};

/// Room for what is received on a control connection, in bytes.
const ROOM: usize = 512;

/// Where an operation is that there may be one of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flight {
    #[default]
    Landed,
    Flying,
    /// We have asked for its end.
    Recalled,
}

/// A connected client.
// ANCHOR: client
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) session: Session,
    local: SocketAddr,
    peer: IpAddr,
    control: Fd,
    listener: Option<Fd>,
    data: Option<Fd>,
    file: Option<Fd>,
    receive: Flight,
    send: Flight,
    /// Its job: an operation, or two, one after the other.
    work: Flight,
    /// What the file is opened for: to look at it, and no more.
    only_looks: bool,
    /// The job is with the thread, and no operation.
    in_pool: bool,
    shut: Flight,
    is_shut: bool,
}
// ANCHOR_END: client

impl Client {
    pub(crate) fn new(
        control: Fd,
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
            receive: Flight::Landed,
            send: Flight::Landed,
            work: Flight::Landed,
            only_looks: false,
            in_pool: false,
            shut: Flight::Landed,
            is_shut: false,
        }
    }

    /// Asks for what can be done next, and says whether this client is over: nothing of it is
    /// in flight.
    // ANCHOR: go-on
    pub(crate) fn go_on(&mut self, slot: usize, house: &mut House) -> bool {
        loop {
            if self.session.is_over() {
                return self.leave(slot, house);
            }
            self.speak(slot, house);
            self.hear(slot, house);
            if self.session.gives_up() && self.work == Flight::Flying {
                self.work = Flight::Recalled;
                house.cancel(slot, Part::Work);
            }
            if self.work != Flight::Landed || self.in_pool {
                return false;
            }
            let Some(job) = self.session.take_job() else { return self.session.is_over() };
            if let Some(done) = self.begin(job, slot, house) {
                self.session.done(done, house.now);
            }
        }
    }
    // ANCHOR_END: go-on

    fn speak(&mut self, slot: usize, house: &mut House) {
        if self.session.has_said_goodbye() && !self.is_shut {
            self.is_shut = true;
            if house.features.shutdown {
                self.shut = Flight::Flying;
                house.begin(slot, Part::Shut, Op::Shut { socket: self.control.clone() });
            } else {
                // Of a connection that is gone nothing is left to shut down.
                let _ = net::shutdown(&self.control, Shutdown::Write);
            }
        }
        if self.send == Flight::Landed
            && let Some(bytes) = self.session.take_output()
        {
            self.send = Flight::Flying;
            let socket = self.control.clone();
            house.begin(
                slot,
                Part::Send,
                Op::Send { socket, bytes, flags: SendFlags::empty() },
            );
        }
    }

    fn hear(&mut self, slot: usize, house: &mut House) {
        if self.receive == Flight::Landed && self.session.room() >= ROOM {
            self.receive = Flight::Flying;
            let into = Room::Own(Vec::with_capacity(ROOM));
            house.begin(
                slot,
                Part::Receive,
                Op::Receive { socket: self.control.clone(), into },
            );
        }
    }

    /// Begins with a job; what is done at once has a result at once.
    // ANCHOR: begin
    fn begin(&mut self, job: Job, slot: usize, house: &mut House) -> Option<Done> {
        let op = match (job, &self.data, &self.file) {
            (Job::Listen, ..) => return Some(self.listen(house)),
            (Job::End { reset }, ..) => return Some(self.end(reset)),
            (Job::List(place), ..) => {
                self.in_pool = true;
                house.hand_over(slot, What::List(place));
                return None;
            }
            (Job::Accept, ..) => match self.listener.clone() {
                Some(listener) => Op::Accept { listener, many: false },
                None => return Some(Done::GivenUp),
            },
            (Job::Look(place), ..) => {
                self.only_looks = true;
                open(house, &place, OFlags::PATH, Mode::empty())
            }
            (Job::Open(place), ..) => open(house, &place, OFlags::RDONLY, Mode::empty()),
            (Job::Create { place, truncate }, ..) => {
                open(house, &place, for_writing(truncate), NEW)
            }
            (Job::Read { at, into }, _, Some(file)) => {
                Op::Read { file: file.clone(), at, len: into.capacity(), into }
            }
            (Job::Write { at, piece }, _, Some(file)) => {
                Op::Write { file: file.clone(), at, bytes: rest(piece) }
            }
            (Job::Send(piece), Some(data), _) => Op::Send {
                socket: data.clone(),
                bytes: rest(piece),
                flags: SendFlags::empty(),
            },
            (Job::Receive { into }, Some(data), _) => {
                Op::Receive { socket: data.clone(), into: Room::Own(into) }
            }
            _ => return Some(Done::GivenUp),
        };
        self.work = Flight::Flying;
        house.begin(slot, Part::Work, op);
        None
    }
    // ANCHOR_END: begin

    /// An operation of this client has completed.
    // ANCHOR: completed
    pub(crate) fn completed(
        &mut self,
        done: Completed,
        bytes: &[u8],
        slot: usize,
        house: &mut House,
    ) {
        match done.token.part {
            Part::Shut => self.shut = Flight::Landed,
            Part::Receive => {
                self.receive = Flight::Landed;
                match done.result {
                    Ok(0) => self.session.eof(house.now),
                    Ok(_) => self.session.received(bytes, house.now),
                    Err(Errno::CANCELED | Errno::INTR | Errno::AGAIN) => {}
                    Err(_) => self.session.fail(),
                }
            }
            Part::Send => {
                self.send = Flight::Landed;
                let Some(Op::Send { bytes, .. }) = done.op else { return };
                let n = done.result.unwrap_or(0) as usize;
                self.session.sent(bytes, n, house.now);
                if !matches!(
                    done.result,
                    Ok(_) | Err(Errno::CANCELED | Errno::INTR | Errno::AGAIN)
                ) {
                    self.session.fail();
                }
            }
            Part::Work => {
                self.work = Flight::Landed;
                if let Some(done) = self.worked(done, slot, house) {
                    self.session.done(done, house.now);
                }
            }
        }
    }
    // ANCHOR_END: completed

    /// What came of its job; nothing yet, if that was its first half.
    fn worked(&mut self, done: Completed, slot: usize, house: &mut House) -> Option<Done> {
        if done.result == Err(Errno::CANCELED) {
            self.only_looks = false;
            return Some(Done::GivenUp);
        }
        let n = done.result.map(|n| n as usize).map_err(io::Error::from);
        Some(match done.op? {
            Op::Accept { .. } => {
                let socket = done.descriptor.map(|socket| house.hold(socket));
                Done::Connected(n.and_then(|_| self.comes_in(socket)))
            }
            Op::Open { .. } => match (done.result, done.descriptor) {
                (Ok(_), Some(file)) => {
                    let look = Op::Look { file: house.hold(file), answer: Answer::new() };
                    self.work = Flight::Flying;
                    house.begin(slot, Part::Work, look);
                    return None;
                }
                (Err(error), _) if std::mem::take(&mut self.only_looks) => {
                    Done::Looked(Err(refused(error)))
                }
                (Err(error), _) => Done::Opened(Err(refused(error))),
                (Ok(_), None) => Done::GivenUp,
            },
            // ANCHOR: worked
            Op::Look { file, answer } => {
                let meta = n.map(|_| uring_loop::meta(answer.get()));
                if std::mem::take(&mut self.only_looks) {
                    Done::Looked(meta)
                } else {
                    let is_file = meta.as_ref().is_ok_and(|meta| meta.kind == Kind::File);
                    self.file = is_file.then_some(file);
                    Done::Opened(meta)
                }
            }
            Op::Read { into, .. } => Done::Read(n.map(|_| into)),
            Op::Receive { .. } => Done::Received(n.map(|_| own(done.received))),
            Op::Send { bytes, .. } => Done::Sent(Piece { bytes, from: 0 }, n),
            Op::Write { bytes, .. } => Done::Wrote(Piece { bytes, from: 0 }, n),
            // ANCHOR_END: worked
            _ => Done::GivenUp,
        })
    }

    /// Its folder is read.
    pub(crate) fn found(&mut self, found: Found, house: &House) {
        self.in_pool = false;
        if let Found::Done(done) = found {
            self.session.done(done, house.now);
        }
    }

    /// Nobody but the client itself may come in here.
    fn comes_in(&mut self, socket: Option<Fd>) -> io::Result<()> {
        let socket = socket.ok_or(io::ErrorKind::Interrupted)?;
        // One that is gone already has no name, and was not necessarily the client.
        let from = net::getpeername(&socket).ok().flatten();
        let from = from.and_then(|from| SocketAddr::try_from(from).ok());
        if from.map(|from| from.ip()) != Some(self.peer) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        ends_in_a_reset(&socket, true);
        self.data = Some(socket);
        self.listener = None; // one connection, one transfer
        Ok(())
    }

    fn listen(&mut self, house: &House) -> Done {
        Done::Listening(listen_for_data(self.local).map(|(listener, address)| {
            self.listener = Some(house.hold(listener));
            address
        }))
    }

    fn end(&mut self, reset: bool) -> Done {
        if let Some(data) = self.data.take()
            && !reset
        {
            ends_in_a_reset(&data, false);
        }
        self.listener = None;
        self.file = None;
        Done::Ended
    }

    /// What is in flight is recalled. Over is a client of which nothing is.
    fn leave(&mut self, slot: usize, house: &mut House) -> bool {
        let all = [
            (&mut self.receive, Part::Receive),
            (&mut self.send, Part::Send),
            (&mut self.work, Part::Work),
        ];
        for (flight, part) in all {
            if *flight == Flight::Flying {
                *flight = Flight::Recalled;
                house.cancel(slot, part);
            }
        }
        let all = [self.receive, self.send, self.work, self.shut];
        !self.in_pool && all.iter().all(|flight| *flight == Flight::Landed)
    }
}

/// The operation that opens what is there.
// ANCHOR: open
fn open(house: &House, place: &Place, flags: OFlags, mode: Mode) -> Op {
    let how = OpenHow::new()
        .flags(with_care(flags).bits().into())
        .mode(mode.bits().into())
        .resolve(which_links(flags).bits());
    let path = CString::new(place.as_path()).expect("no place has a NUL in its name");
    Op::Open { root: house.root(), path, how: Box::new(how) }
}
// ANCHOR_END: open

/// What is still to go, from the start of its buffer: an operation takes all of it.
fn rest(mut piece: Piece) -> Vec<u8> {
    piece.bytes.drain(..piece.from);
    piece.bytes
}

fn own(received: Received) -> Vec<u8> {
    match received {
        Received::Own(bytes) => bytes,
        _ => Vec::new(),
    }
}
