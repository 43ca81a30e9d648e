//! The clients' connections over epoll(7), edge-triggered: what is read is read to its end.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, connect, recv, send, sockopt};

use crate::crew::{Crew, Failure, Order};
use crate::socket;
use crate::target::Target;

const EVENTS: usize = 512;
const ROOM: usize = 64 * 1024;

const WANTED: epoll::EventFlags = epoll::EventFlags::IN
    .union(epoll::EventFlags::OUT)
    .union(epoll::EventFlags::RDHUP)
    .union(epoll::EventFlags::ET);
/// The peer has ended its side, or all is over.
const ENDED: epoll::EventFlags =
    epoll::EventFlags::RDHUP.union(epoll::EventFlags::HUP).union(epoll::EventFlags::ERR);

#[derive(Debug)]
struct Line {
    socket: OwnedFd,
    connecting: bool,
    /// How much of the request has been sent. None: there is none.
    sent: Option<usize>,
}

/// One epoll instance, and a line for each client.
#[derive(Debug)]
struct Switchboard<'a> {
    target: &'a Target,
    epoll: OwnedFd,
    lines: Vec<Option<Line>>,
    /// How many lines each client has had: an event of an old one says nothing.
    generations: Vec<u32>,
    room: Vec<u8>,
}

/// Has the crew ask until it is over.
///
/// # Errors
/// What epoll_create1(2) or epoll_wait(2) answers.
pub fn run(crew: &mut Crew, clients: usize, target: &Target) -> io::Result<Instant> {
    let mut board = Switchboard {
        target,
        epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        lines: std::iter::repeat_with(|| None).take(clients).collect(),
        generations: vec![0; clients],
        room: vec![0; ROOM],
    };
    let mut events = Vec::with_capacity(EVENTS);
    // ANCHOR: loop
    loop {
        let now = Instant::now();
        crew.look(now);
        board.carry_out(crew, now);
        if crew.is_over(now) {
            return Ok(now);
        }
        let left = crew.due(now).saturating_duration_since(now);
        let left = Timespec {
            tv_sec: left.as_secs().cast_signed(),
            tv_nsec: left.subsec_nanos().into(),
        };
        events.clear();
        match epoll::wait(&board.epoll, spare_capacity(&mut events), Some(&left)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            board.happened(crew, event.data.u64(), event.flags);
        }
    }
    // ANCHOR_END: loop
}

impl Switchboard<'_> {
    fn carry_out(&mut self, crew: &mut Crew, now: Instant) {
        while let Some(order) = crew.next_order(now) {
            match order {
                Order::Connect(slot) => {
                    if self.connect(slot).is_err() {
                        crew.failed(slot, Failure::Connect, now);
                    }
                }
                Order::Ask(slot) => {
                    if let Some(line) = &mut self.lines[slot] {
                        line.sent = Some(0);
                    }
                    self.send(crew, slot, now);
                }
                Order::HangUp(slot) => self.lines[slot] = None,
            }
        }
    }

    fn connect(&mut self, slot: usize) -> io::Result<()> {
        let socket = socket::new(self.target, slot)?;
        match connect(&socket, &self.target.address(slot)) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        self.generations[slot] = self.generations[slot].wrapping_add(1);
        let name = u64::from(self.generations[slot]) << 32 | slot as u64;
        epoll::add(&self.epoll, &socket, epoll::EventData::new_u64(name), WANTED)?;
        self.lines[slot] = Some(Line { socket, connecting: true, sent: None });
        Ok(())
    }

    fn happened(&mut self, crew: &mut Crew, name: u64, flags: epoll::EventFlags) {
        let slot = (name & 0xffff_ffff) as usize;
        if u64::from(self.generations[slot]) != name >> 32 {
            return;
        }
        let now = Instant::now();
        let Some(line) = &mut self.lines[slot] else { return };
        if line.connecting {
            line.connecting = false;
            match sockopt::socket_error(&line.socket) {
                Ok(Ok(())) => crew.connected(slot),
                _ => crew.failed(slot, Failure::Connect, now),
            }
            return self.carry_out(crew, now);
        }
        if flags.contains(epoll::EventFlags::OUT) {
            self.send(crew, slot, now);
        }
        if flags.intersects(ENDED.union(epoll::EventFlags::IN)) {
            self.receive(crew, slot, flags.intersects(ENDED), now);
        }
        self.carry_out(crew, now);
    }

    fn send(&mut self, crew: &mut Crew, slot: usize, now: Instant) {
        let Some(line) = &mut self.lines[slot] else { return };
        let Some(sent) = line.sent else { return };
        let rest = &self.target.request()[sent..];
        match send(&line.socket, rest, SendFlags::NOSIGNAL) {
            Ok(n) if n == rest.len() => line.sent = None,
            Ok(n) => line.sent = Some(sent + n),
            Err(Errno::AGAIN) => {}
            Err(_) => crew.failed(slot, Failure::Send, now),
        }
    }

    fn receive(&mut self, crew: &mut Crew, slot: usize, ended: bool, now: Instant) {
        let generation = self.generations[slot];
        // Until the line is another, or there is none.
        while let Some(line) =
            self.lines[slot].as_ref().filter(|_| self.generations[slot] == generation)
        {
            match recv(&line.socket, &mut self.room[..], RecvFlags::empty()) {
                Ok((0, _)) => crew.failed(slot, Failure::Ended, now),
                Ok((n, _)) => {
                    crew.received(slot, &self.room[..n], now);
                    // What comes later is an edge of its own; an end that is there is not.
                    if n < ROOM && !ended {
                        return;
                    }
                }
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => continue,
                Err(_) => crew.failed(slot, Failure::Receive, now),
            }
            self.carry_out(crew, now);
        }
    }
}
