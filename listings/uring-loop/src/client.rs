//! One client: what it wants done next, and what a completion means to it.
//!
//! It is told what came of the operations that it asked for, and asks for others, so it can be
//! tested without a kernel: with every error and every short count. The one call that it makes
//! has a connection end with a reset.

use std::io;
use std::time::{Duration, Instant};

use guestbook::{Finish, Guest, Job, Out, RelPath};
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::net::sockopt::set_socket_linger;

use crate::files::meta;
use crate::{Done, Fd, House, Op, Part, Room};

/// A file of no more than this many bytes goes out together with its head.
const SMALL: u64 = 16 * 1024;
/// How much of a large file is read and sent in one go, in bytes.
const PIECE: u64 = 64 * 1024;
/// How long a client who has ended its side, and takes nothing, is left alone.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// And then, twice as long each time, no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_millis(800);
/// In this time everybody has had a buffer who was in want of one.
const HEARD: Duration = Duration::from_secs(1);
/// How often a file is tried to be opened again.
const TRIES: u32 = 8;
/// Room for a receive, where clients cannot share buffers, in bytes.
const OWN_ROOM: usize = 4096;

/// Where an operation is that there may be one of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flight {
    /// With us: there is none.
    #[default]
    Landed,
    /// With the kernel.
    Flying,
    /// With the kernel, which was asked to give it up.
    Recalled,
}

/// What is left to do for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// All is said. What still comes is thrown away, until then at most.
    Lingering(Instant),
    /// It is to be closed, when nothing is in flight any more.
    Leaving,
}

/// Where the end of what is being sent comes from.
#[derive(Debug)]
struct FromFile {
    file: Fd,
    /// Offset of the first byte.
    at: u64,
    /// How many bytes stand before it.
    head: usize,
    /// How much of the file is to be sent in all, from `at` on.
    left: u64,
}

/// A connected client, and what it has in flight.
#[derive(Debug)]
pub struct Client {
    socket: Fd,
    guest: Guest<Fd>,
    phase: Phase,
    /// The client has ended its side.
    has_ended: bool,
    receive: Flight,
    send: Flight,
    work: Flight,
    shut: Flight,
    /// It was given time to end.
    has_lingered: bool,
    /// There was no room for a client who has ended its side: when we look again.
    sends_at: Option<Instant>,
    pause: Duration,
    /// A part of a file is being read, or sent.
    part: Option<FromFile>,
    /// The file that is being opened, and how often that was tried before.
    opening: Option<(RelPath, u32)>,
    /// There was no buffer for it. If it has spoken, it is heard by then, and not late before.
    heard_by: Option<Instant>,
    /// The server stops, and the kernel is asked once more what has come.
    pub(crate) is_ending: bool,
}

impl Client {
    /// A client that was accepted just now.
    pub fn new(socket: Fd, guest: Guest<Fd>) -> Self {
        Self {
            socket,
            guest,
            phase: Phase::Serving,
            has_ended: false,
            receive: Flight::Landed,
            send: Flight::Landed,
            work: Flight::Landed,
            shut: Flight::Landed,
            has_lingered: false,
            sends_at: None,
            pause: FIRST_PAUSE,
            part: None,
            opening: None,
            heard_by: None,
            is_ending: false,
        }
    }

    /// Its connection.
    #[cfg(test)]
    pub(crate) fn socket(&self) -> Fd {
        self.socket.clone()
    }

    /// The application's side of it.
    pub fn guest(&mut self) -> &mut Guest<Fd> {
        &mut self.guest
    }

    /// When it is to be looked at, if nothing completes before.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Serving => {
                let heard = |at: Instant| self.heard_by.map_or(at, |by| at.max(by));
                let due = [self.guest.deadline().map(heard), self.sends_at];
                due.into_iter().flatten().min()
            }
            Phase::Lingering(until) => Some(until),
            Phase::Leaving => None,
        }
    }

    /// Asks for what can be done next, and says whether this client is over: nothing of it is
    /// in flight, and nobody will come back to it.
    // ANCHOR: go-on
    pub fn go_on(&mut self, slot: usize, house: &mut House) -> bool {
        loop {
            match self.phase {
                Phase::Leaving => return self.leave(slot, house),
                Phase::Lingering(until) if self.has_ended || house.now() >= until => {
                    self.phase = Phase::Leaving;
                }
                Phase::Lingering(_) => {
                    self.receive(slot, house);
                    return false;
                }
                Phase::Serving => {
                    if let Some(finish) = self.guest.finished() {
                        self.finish(finish, slot, house);
                    } else if self.send == Flight::Landed
                        && self.sends_at.is_none_or(|at| house.now() >= at)
                        && let Some(out) = self.guest.take_output()
                    {
                        self.send(out, slot, house);
                    } else if self.work == Flight::Landed
                        && let Some(job) = self.guest.take_job()
                    {
                        self.work(job, slot, house);
                    } else {
                        self.receive(slot, house);
                        return false;
                    }
                }
            }
        }
    }
    // ANCHOR_END: go-on

    /// Has bytes received while there is room for them, and not otherwise.
    // ANCHOR: receive
    fn receive(&mut self, slot: usize, house: &mut House) {
        // Of who is answered for the last time all is taken, and thrown away.
        let is_last = self.guest.is_closing() || self.phase != Phase::Serving;
        let room = self.guest.room() > 0 || is_last;
        match self.receive {
            Flight::Landed if room && !self.has_ended => {
                self.receive = Flight::Flying;
                let into = match house.features.multishot_receive {
                    true => Room::Shared,
                    false => Room::Own(Vec::with_capacity(OWN_ROOM)),
                };
                let socket = self.socket.clone();
                house.begin(slot, Part::Receive, Op::Receive { socket, into });
            }
            // What has come meanwhile is still taken.
            Flight::Flying if !room => {
                self.receive = Flight::Recalled;
                house.cancel(slot, Part::Receive);
            }
            _ => {}
        }
    }
    // ANCHOR_END: receive

    /// Bytes have come, or none will.
    // ANCHOR: received
    fn received(&mut self, done: &Done, bytes: &[u8], slot: usize, house: &mut House) {
        if done.op.is_some() {
            self.receive = Flight::Landed;
        }
        match done.result {
            Err(Errno::NOBUFS) => {
                self.heard_by.get_or_insert(house.now() + HEARD);
            }
            _ => self.heard_by = None,
        }
        let is_shared = matches!(done.op, Some(Op::Receive { into: Room::Shared, .. }));
        if let Some(Op::Peek { .. }) = done.op {
            if matches!(done.result, Ok(1..)) {
                self.linger(slot, house);
            }
            return;
        }
        match (done.result, self.phase) {
            (Ok(0), _) => {
                self.has_ended = true;
                self.guest.eof(house.now);
                // If there is no room for it, it is sent again, in another way.
                if self.send == Flight::Flying {
                    self.send = Flight::Recalled;
                    house.cancel(slot, Part::Send);
                }
            }
            (Ok(_), Phase::Serving) => self.guest.received(bytes, house.now),
            // Closing now would be a reset, for bytes that nobody has read.
            (Ok(_) | Err(Errno::NOBUFS), Phase::Leaving) if self.may_linger() => {
                self.linger(slot, house);
            }
            // It was recalled. What had come in the meantime was not necessarily received.
            (Err(Errno::CANCELED), Phase::Leaving) if self.may_linger() => {
                self.receive = Flight::Recalled; // it waits for nothing
                let (socket, byte) = (self.socket.clone(), Box::default());
                house.begin(slot, Part::Receive, Op::Peek { socket, byte });
            }
            (Ok(_), _) => {}
            // No buffer was free, or we have recalled it: it is begun again when there is room.
            // Whoever was to be heard for the last time has not been.
            (Err(Errno::NOBUFS | Errno::CANCELED | Errno::INTR | Errno::AGAIN), _) => {
                if std::mem::take(&mut self.is_ending) {
                    house.drain_later(slot);
                }
            }
            // This kernel knows the operation, and not in this form.
            (Err(Errno::INVAL), _) if is_shared => {
                house.features.multishot_receive = false;
            }
            (Err(_), _) => {
                self.has_ended = true;
                self.guest.fail();
            }
        }
    }
    // ANCHOR_END: received

    /// Whether it is given time to end, once: who goes on sending is closed all the same, and reset.
    fn may_linger(&self) -> bool {
        !self.has_lingered && self.guest.finished() == Some(Finish::Close)
    }

    /// Has bytes sent. A part of a file, or a head and the small file behind it, is read before.
    // ANCHOR: send
    fn send(&mut self, out: Out<Fd>, slot: usize, house: &mut House) {
        self.sends_at = None;
        let (mut bytes, file) = match out {
            Out::Bytes(bytes) => (bytes, self.guest.take_small_file(SMALL)),
            file => (Vec::new(), Some(file)),
        };
        if let Some(Out::File { file, at, len: left }) = file {
            let (head, len) = (bytes.len(), left.min(PIECE) as usize);
            bytes.reserve_exact(len);
            self.part = Some(FromFile { file: file.clone(), at, head, left });
            self.send = Flight::Flying;
            let read = Op::Read { file, at, len, into: bytes };
            return house.begin(slot, Part::Send, read);
        }
        self.send_now(bytes, slot, house);
    }

    fn send_now(&mut self, bytes: Vec<u8>, slot: usize, house: &mut House) {
        let of_file = self.part.as_ref().map_or(0, |part| part.head as u64 + part.left);
        let more = self.guest.has_more_output() || (bytes.len() as u64) < of_file;
        let mut flags = SendFlags::empty();
        flags.set(SendFlags::MORE, more);
        // It would wait in a thread of the kernel's.
        flags.set(SendFlags::DONTWAIT, self.has_ended);
        self.send = Flight::Flying;
        let socket = self.socket.clone();
        house.begin(slot, Part::Send, Op::Send { socket, bytes, flags });
    }
    // ANCHOR_END: send

    /// Bytes have been sent, or some of them, or none; or what is to be sent has been read.
    // ANCHOR: sent
    fn sent(&mut self, done: Done, slot: usize, house: &mut House) {
        self.send = Flight::Landed;
        if self.has_ended && done.result == Err(Errno::AGAIN) {
            self.sends_at = Some(house.now() + self.pause);
            self.pause = LONGEST_PAUSE.min(self.pause * 2);
        }
        let (bytes, n) = match (done.op, done.result) {
            (Some(Op::Read { into, .. }), Ok(1..)) if self.phase == Phase::Serving => {
                return self.send_now(into, slot, house);
            }
            (Some(Op::Read { into, .. }), result) => {
                // The file is shorter than it was: what we have promised cannot be kept.
                if result == Ok(0) {
                    self.guest.fail();
                }
                (into, 0)
            }
            (Some(Op::Send { bytes, .. }), Ok(n)) => {
                self.pause = FIRST_PAUSE;
                (bytes, n)
            }
            (Some(Op::Send { bytes, .. }), Err(_)) => (bytes, 0),
            _ => return,
        };
        match done.result {
            Ok(_) | Err(Errno::AGAIN | Errno::INTR | Errno::CANCELED) => {}
            Err(_) => self.guest.fail(),
        }
        self.give_back(bytes, n.into(), house);
    }
    // ANCHOR_END: sent

    /// Gives the guest back what it gave out, of which `n` bytes were sent.
    fn give_back(&mut self, mut bytes: Vec<u8>, n: u64, house: &mut House) {
        if let Some(FromFile { file, at, head, left }) = self.part.take() {
            let of_file = n.saturating_sub(head as u64);
            self.guest.sent(Out::File { file, at, len: left }, of_file, house.now);
            bytes.truncate(head);
        }
        if !bytes.is_empty() {
            self.guest.sent(Out::Bytes(bytes), n, house.now);
        }
    }

    /// Has a job done: the file opened, unless it is open; the store asked.
    // ANCHOR: work
    fn work(&mut self, job: Job, slot: usize, house: &mut House) {
        match job {
            Job::Open(path) => match house.files.get(path.as_str(), house.now()) {
                Some(known) => self.guest.opened(Ok(known), house.now),
                None => self.open(path, 0, slot, house),
            },
            Job::Store(call) => {
                let name = house.clients.new_call(slot);
                if let Err(error) = house.store.submit(name, &call, house.now.mono) {
                    self.guest.stored(Err(error), house.now);
                }
            }
        }
    }

    fn open(&mut self, path: RelPath, tries: u32, slot: usize, house: &mut House) {
        match house.files.open(path.as_str()) {
            Ok(op) => {
                self.opening = Some((path, tries));
                self.work = Flight::Flying;
                house.begin(slot, Part::Work, op);
            }
            Err(error) => self.guest.opened(Err(error), house.now),
        }
    }
    // ANCHOR_END: work

    /// A file is open, or it is known what it is, or neither.
    // ANCHOR: opened
    fn worked(&mut self, done: Done, slot: usize, house: &mut House) {
        self.work = Flight::Landed;
        let Some((path, tries)) = self.opening.take() else { return };
        let known = match (done.result, done.op, done.descriptor) {
            (Ok(_), Some(Op::Open { .. }), Some(file)) => {
                let look = house.files.look(house.to_close.hold(file));
                self.opening = Some((path, tries));
                self.work = Flight::Flying;
                return house.begin(slot, Part::Work, look);
            }
            (Ok(_), Some(Op::Look { file, answer }), _) => {
                let meta = meta(answer.get());
                house.files.keep(path.as_str(), &file, meta, house.now());
                Ok((file, meta))
            }
            // Without a descriptor for it, those go that are only kept for later.
            (Err(Errno::MFILE | Errno::NFILE), _, _) if tries == 0 => {
                house.files.release();
                return self.open(path, 1, slot, house);
            }
            // Somebody else may hold a lease on it, for much longer than this.
            (Err(Errno::INTR | Errno::AGAIN), _, _) if tries < TRIES => {
                return self.open(path, tries + 1, slot, house);
            }
            // Out of the root, a loop of links, a socket: for the client they do not exist.
            (Err(Errno::XDEV | Errno::LOOP | Errno::NXIO | Errno::NODEV), _, _) => {
                Err(io::ErrorKind::NotFound.into())
            }
            (Err(error), _, _) => Err(error.into()),
            (Ok(_), _, _) => Err(io::ErrorKind::Other.into()),
        };
        self.guest.opened(known, house.now);
    }
    // ANCHOR_END: opened

    /// An operation of this client has completed.
    // ANCHOR: completed
    pub fn completed(&mut self, done: Done, bytes: &[u8], slot: usize, house: &mut House) {
        match done.token.part {
            Part::Receive => self.received(&done, bytes, slot, house),
            Part::Send => self.sent(done, slot, house),
            Part::Work => self.worked(done, slot, house),
            Part::Shut => self.shut = Flight::Landed,
        }
    }
    // ANCHOR_END: completed

    /// Nothing more is to be said. How the connection ends depends on what may still come.
    // ANCHOR: finish
    fn finish(&mut self, finish: Finish, slot: usize, house: &mut House) {
        match finish {
            // While a receive is in flight, what has come is given to us; what is not, is looked
            // for when it was recalled.
            Finish::Close if self.has_ended || self.receive == Flight::Flying => {
                self.phase = Phase::Leaving;
            }
            Finish::Reset => {
                // On a socket that is gone it fails, and then there is nothing to reset.
                let _ = set_socket_linger(&self.socket, Some(Duration::ZERO));
                self.phase = Phase::Leaving;
            }
            Finish::Close | Finish::Linger => self.linger(slot, house),
        }
    }

    fn linger(&mut self, slot: usize, house: &mut House) {
        self.has_lingered = true;
        self.phase = Phase::Lingering(house.now() + house.settings.linger);
        house.shut(&self.socket, slot).then(|| self.shut = Flight::Flying);
    }

    /// Closing a descriptor ends nothing that is in flight: it holds the connection. So
    /// everything is recalled first. The last one that holds the socket closes it.
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
        [self.receive, self.send, self.work, self.shut].iter().all(|f| *f == Flight::Landed)
    }
    // ANCHOR_END: finish
}
