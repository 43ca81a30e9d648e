//! The clients' connections over an io_uring: the ring of the io_uring server, used from the
//! other end.

use std::io;
use std::time::Instant;

use nix::sys::socket::SockaddrStorage;
use rustix::net::{Shutdown, shutdown};
use uring_loop::{
    Alarm, Done, Errno, Fd, Op, Part, Ring, Room, SendFlags, Setup, ToClose, Token, Wish,
    Work,
};

use crate::crew::{Crew, Failure, Order};
use crate::socket;
use crate::target::Target;

const ENTRIES: u32 = 4096;

/// A ring, if this machine has one that can do what is needed.
///
/// # Errors
/// One line, if it has none.
pub fn ring() -> Result<Ring, String> {
    let setup = Setup { entries: ENTRIES, as_of: None, work: Work::WhenWeEnter };
    match Ring::new(&setup) {
        Ok(ring) if ring.features().multishot_receive => Ok(ring),
        Ok(_) => Err("multishot receives into shared buffers need Linux 6.0".into()),
        Err(error) => Err(uring_loop::refused(&error)),
    }
}

/// What a client has on the ring.
#[derive(Debug, Default)]
struct Line {
    socket: Option<Fd>,
    /// By part, whether it is in flight.
    flying: [bool; 3],
    /// The request, while the kernel does not have it.
    request: Option<Vec<u8>>,
    /// It is to be sent as soon as it is back.
    asks: bool,
    /// The connection is over, and its operations are not.
    leaves: bool,
    /// After that, another.
    returns: bool,
}

struct Switchboard<'a> {
    target: &'a Target,
    ring: Ring,
    lines: Vec<Line>,
    to_close: ToClose,
    alarm: Alarm,
    /// The slot after all clients.
    timer: usize,
}

/// Has the crew ask until it is over.
///
/// # Errors
/// What io_uring_enter(2) answers.
pub fn run(
    ring: Ring,
    crew: &mut Crew,
    clients: usize,
    target: &Target,
) -> io::Result<Instant> {
    let line = || Line { request: Some(target.request().to_vec()), ..Line::default() };
    let mut board = Switchboard {
        target,
        ring,
        lines: std::iter::repeat_with(line).take(clients).collect(),
        to_close: ToClose::default(),
        alarm: Alarm::new(Token { slot: clients, part: Part::Work }),
        timer: clients,
    };
    // ANCHOR: loop
    loop {
        let now = Instant::now();
        crew.look(now);
        board.carry_out(crew, now);
        if crew.is_over(now) {
            return Ok(now);
        }
        match board.alarm.set(Some(crew.due(now))) {
            Some(Wish::Begin(token, op)) => board.ring.begin(token, op),
            Some(Wish::Cancel(token)) => board.ring.cancel(token),
            None => {}
        }
        while let Some(descriptor) = board.to_close.take() {
            board.ring.close(descriptor);
        }
        board.ring.wait(1)?;
        while let Some(done) = board.ring.next() {
            board.completed(crew, done);
        }
    }
    // ANCHOR_END: loop
}

impl Switchboard<'_> {
    fn carry_out(&mut self, crew: &mut Crew, now: Instant) {
        while let Some(order) = crew.next_order(now) {
            match order {
                Order::Connect(slot) if self.lines[slot].socket.is_some() => {
                    self.lines[slot].returns = true;
                }
                Order::Connect(slot) => {
                    if self.connect(slot).is_err() {
                        crew.failed(slot, Failure::Connect, now);
                    }
                }
                Order::Ask(slot) => {
                    self.lines[slot].asks = true;
                    self.send(slot);
                }
                Order::HangUp(slot) => self.hang_up(slot),
            }
        }
    }

    fn begin(&mut self, slot: usize, part: Part, op: Op) {
        self.lines[slot].flying[part as usize] = true;
        self.ring.begin(Token { slot, part }, op);
    }

    fn connect(&mut self, slot: usize) -> io::Result<()> {
        let socket = self.to_close.hold(socket::new(self.target, slot)?);
        self.lines[slot].socket = Some(socket.clone());
        let address = Box::new(SockaddrStorage::from(self.target.address(slot)));
        self.begin(slot, Part::Work, Op::Connect { socket, address });
        Ok(())
    }

    fn receive(&mut self, slot: usize) {
        if let Some(socket) = self.lines[slot].socket.clone() {
            self.begin(slot, Part::Receive, Op::Receive { socket, into: Room::Shared });
        }
    }

    fn send(&mut self, slot: usize) {
        let line = &mut self.lines[slot];
        let (true, Some(socket)) = (line.asks, &line.socket) else { return };
        let socket = socket.clone();
        let Some(bytes) = line.request.take() else { return };
        line.asks = false;
        self.begin(slot, Part::Send, Op::Send { socket, bytes, flags: SendFlags::empty() });
    }

    /// Ends the connection. Its descriptor is closed when its operations have completed, which
    /// shutting it down has them do.
    fn hang_up(&mut self, slot: usize) {
        let line = &mut self.lines[slot];
        let Some(socket) = &line.socket else { return };
        line.leaves = true;
        line.asks = false;
        if line.flying[Part::Work as usize] {
            self.ring.cancel(Token { slot, part: Part::Work });
        } else if line.flying != [false; 3] {
            // A connection that is over already cannot be ended.
            let _ = shutdown(socket, Shutdown::Both);
        }
        self.left(slot);
    }

    /// When nothing of the last connection is in flight, the next may begin.
    fn left(&mut self, slot: usize) {
        let line = &mut self.lines[slot];
        if line.leaves && line.flying == [false; 3] {
            line.leaves = false;
            line.socket = None;
        }
    }

    fn completed(&mut self, crew: &mut Crew, mut done: Done) {
        let Token { slot, part } = done.token;
        if slot == self.timer {
            return self.alarm.is_over();
        }
        let now = Instant::now();
        let has_ended = done.op.is_some();
        let line = &mut self.lines[slot];
        line.flying[part as usize] &= !has_ended;
        if let Some(Op::Send { bytes, .. }) = done.op.take() {
            line.request = Some(bytes);
        }
        if line.leaves {
            self.ring.give_back(done.received);
            self.left(slot);
            let line = &mut self.lines[slot];
            let returns = line.socket.is_none() && std::mem::take(&mut line.returns);
            if returns && self.connect(slot).is_err() {
                crew.failed(slot, Failure::Connect, now);
            }
            return self.carry_out(crew, now);
        }
        match (part, done.result) {
            (Part::Work, Ok(_)) => {
                crew.connected(slot);
                self.receive(slot);
            }
            (Part::Work, Err(_)) => crew.failed(slot, Failure::Connect, now),
            (Part::Send, Ok(n)) if n as usize == self.target.request().len() => {
                self.send(slot);
            }
            // A request is short; what does not fit into a socket's buffer is given up.
            (Part::Send, _) => crew.failed(slot, Failure::Send, now),
            (Part::Receive, Ok(0)) => crew.failed(slot, Failure::Ended, now),
            (Part::Receive, Ok(_)) => {
                crew.received(slot, self.ring.bytes(&done.received), now);
            }
            (Part::Shut, _) => {}
            // There was no buffer; it is begun again.
            (_, Err(Errno::NOBUFS)) => {}
            (_, Err(_)) => crew.failed(slot, Failure::Receive, now),
        }
        self.ring.give_back(done.received);
        self.carry_out(crew, now);
        // It may be on the way to another connection by now.
        let line = &self.lines[slot];
        let [receives, _, connects] = line.flying;
        let is_open = line.socket.is_some() && !line.leaves && !connects;
        if part == Part::Receive && has_ended && is_open && !receives {
            self.receive(slot);
        }
    }
}
