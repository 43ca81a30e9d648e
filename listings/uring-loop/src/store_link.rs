//! The loop's connection to the store: one for all clients, on the same ring.
//!
//! The counterpart of the other loops' `StoreLink`, in completions. Connecting, sending and
//! receiving are operations, one of each at a time. A connection that is given up has them
//! still in flight: they are recalled, and the next connection begins when they are back.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use guestbook::{Reply, StoreCall, StoreError, StorePipe};
use nix::sys::socket::SockaddrStorage;
use rustix::net::{self, AddressFamily, SendFlags, SocketFlags, SocketType, sockopt};
use select_loop::Name;

use crate::house::STORE;
use crate::op::ToClose;
use crate::{Done, Fd, Op, Part, Room, Token, Wish};

/// The pause after the first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// Room for a receive, in bytes.
const ROOM: usize = 16 * 1024;

/// What is known about the connection.
#[derive(Debug)]
enum State {
    /// There is none, and before this time none is tried.
    Away {
        not_before: Option<Instant>,
    },
    /// It is wanted, and is begun as soon as nothing of the last one is in flight.
    Wanted,
    Connecting(Fd),
    Open(Fd),
}

/// Where one of its operations is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flight {
    Landed,
    Flying,
    /// Of a connection that was given up.
    GivenUp,
    /// The kernel was asked to give it up, too.
    Recalled,
}

/// One connection to the store, shared by the clients of a loop.
#[derive(Debug)]
pub struct StoreLink {
    address: SocketAddr,
    timeout: Duration,
    to_close: ToClose,
    state: State,
    pipe: StorePipe<Name>,
    /// By part.
    flying: [Flight; 3],
    /// When each call in the pipe was made.
    made: VecDeque<Instant>,
    pause: Duration,
    has_replied: bool,
    silent_since: Option<Instant>,
    done: VecDeque<(Name, Result<Reply, StoreError>)>,
}

impl StoreLink {
    /// A link to the store at `address`, which may be silent for `timeout` while it owes a
    /// reply. Connects at the first call.
    pub fn new(address: SocketAddr, timeout: Duration, to_close: ToClose) -> Self {
        Self {
            address,
            timeout,
            to_close,
            state: State::Away { not_before: None },
            pipe: StorePipe::new(),
            flying: [Flight::Landed; 3],
            made: VecDeque::new(),
            pause: FIRST_PAUSE,
            has_replied: false,
            silent_since: None,
            done: VecDeque::new(),
        }
    }

    /// How long a reply may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Asks the store, for `who`. What comes of it is found by [`StoreLink::next_done`].
    ///
    /// # Errors
    /// The store cannot be reached, and it is too early to try again; or it is behind, with
    /// calls for which nobody waits any more.
    pub fn submit(
        &mut self,
        who: Name,
        call: &StoreCall,
        now: Instant,
    ) -> Result<(), StoreError> {
        let is_late =
            |made: Option<&Instant>| made.is_some_and(|at| now - *at >= self.timeout);
        if is_late(self.made.back()) {
            self.give_up(); // nobody waits for anything in there
        } else if is_late(self.made.front()) {
            return Err(StoreError::Late);
        }
        if let State::Away { not_before } = self.state {
            if not_before.is_some_and(|time| now < time) {
                return Err(StoreError::Gone);
            }
            self.state = State::Wanted;
            self.has_replied = false;
        }
        self.pipe.submit(who, call);
        self.made.push_back(now);
        self.silent_since.get_or_insert(now);
        Ok(())
    }

    /// Asks for what is next: to connect, to receive, to send.
    // ANCHOR: go-on
    pub fn go_on(&mut self, wishes: &mut Vec<Wish>) {
        for part in [Part::Receive, Part::Send, Part::Work] {
            let flight = &mut self.flying[part as usize];
            if *flight == Flight::GivenUp {
                *flight = Flight::Recalled; // once is enough
                wishes.push(Wish::Cancel(Token { slot: STORE, part }));
            }
        }
        let mut begin = |flying: &mut [Flight; 3], part: Part, op| {
            flying[part as usize] = Flight::Flying;
            wishes.push(Wish::Begin(Token { slot: STORE, part }, op));
        };
        if matches!(self.state, State::Wanted) && self.flying == [Flight::Landed; 3] {
            match new_socket(self.address) {
                Ok(socket) => {
                    let socket = self.to_close.hold(socket);
                    let address = Box::new(SockaddrStorage::from(self.address));
                    let op = Op::Connect { socket: socket.clone(), address };
                    begin(&mut self.flying, Part::Work, op);
                    self.state = State::Connecting(socket);
                }
                Err(_) => self.lost(Instant::now()),
            }
        }
        let State::Open(socket) = &self.state else { return };
        if self.flying[Part::Receive as usize] == Flight::Landed {
            let into = Room::Own(Vec::with_capacity(ROOM));
            let op = Op::Receive { socket: socket.clone(), into };
            begin(&mut self.flying, Part::Receive, op);
        }
        if self.flying[Part::Send as usize] == Flight::Landed
            && let Some(bytes) = self.pipe.take_output()
        {
            let op = Op::Send { socket: socket.clone(), bytes, flags: SendFlags::empty() };
            begin(&mut self.flying, Part::Send, op);
        }
    }
    // ANCHOR_END: go-on

    /// An operation has completed.
    // ANCHOR: completed
    pub fn completed(&mut self, done: Done, bytes: &[u8], now: Instant) {
        let flight = &mut self.flying[done.token.part as usize];
        if std::mem::replace(flight, Flight::Landed) != Flight::Flying {
            return;
        }
        match (done.token.part, done.result, done.op) {
            (Part::Work, Ok(_), _) => {
                if let State::Connecting(socket) = &self.state {
                    self.state = State::Open(socket.clone());
                }
            }
            (Part::Receive, Ok(1..), _) => self.received(bytes, now),
            (Part::Send, Ok(n), Some(Op::Send { bytes, .. })) => {
                self.pipe.sent(bytes, n as usize);
            }
            (Part::Send, Err(error), Some(Op::Send { bytes, .. })) if is_passing(error) => {
                self.pipe.sent(bytes, 0);
            }
            (Part::Receive, Err(error), _) if is_passing(error) => {}
            _ => self.lost(now),
        }
    }
    // ANCHOR_END: completed

    fn received(&mut self, bytes: &[u8], now: Instant) {
        self.pipe.received(bytes);
        loop {
            match self.pipe.next_reply() {
                Ok(Some((who, reply))) => {
                    self.done.push_back((who, Ok(reply)));
                    self.made.pop_front();
                    self.silent_since = Some(now);
                    self.has_replied = true;
                    self.pause = FIRST_PAUSE;
                }
                Ok(None) => break,
                Err(_) => return self.lost(now),
            }
        }
        self.silent_since.take_if(|_| self.pipe.depth() == 0);
    }

    /// When [`StoreLink::expired`] is to be called, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        self.silent_since.map(|since| since + self.timeout)
    }

    /// A store that owes a reply and has given none for so long is given up.
    pub fn expired(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.give_up();
        }
    }

    /// What came of a call, and whose it was.
    pub fn next_done(&mut self) -> Option<(Name, Result<Reply, StoreError>)> {
        self.done.pop_front()
    }

    /// The connection is of no further use. Nobody is asked twice: a remark that was sent may
    /// have been added.
    fn give_up(&mut self) {
        let callers = self.pipe.broken().into_iter();
        self.done.extend(callers.map(|who| (who, Err(StoreError::Gone))));
        self.made.clear();
        self.silent_since = None;
        for flight in self.flying.iter_mut().filter(|flight| **flight == Flight::Flying) {
            *flight = Flight::GivenUp;
        }
        self.state = State::Away { not_before: None };
    }

    /// The connection has failed. One that has never given a reply is not worth another at
    /// once: each time we wait longer before the next try.
    fn lost(&mut self, now: Instant) {
        let was_good = self.has_replied;
        self.give_up();
        if !was_good {
            self.state = State::Away { not_before: Some(now + self.pause) };
            self.pause = (self.pause * 2).min(LAST_PAUSE);
        }
    }
}

/// The operation has not failed: it is begun again.
fn is_passing(error: rustix::io::Errno) -> bool {
    matches!(error, rustix::io::Errno::AGAIN | rustix::io::Errno::INTR)
}

/// A socket that blocks: io_uring waits for it all the same, and before Linux 5.13 or so it
/// would answer EAGAIN for one that does not.
fn new_socket(address: SocketAddr) -> rustix::io::Result<std::os::fd::OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    Ok(socket)
}
