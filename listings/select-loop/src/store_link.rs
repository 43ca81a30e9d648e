//! The loop's connection to the store: one for all clients, and nobody waits for it.
//!
//! Calls go out one behind the other (a pipeline), and replies come back in the same order,
//! so that a [`StorePipe`] can tell whose is whose. What can go wrong here goes wrong for all
//! callers at once: a store that is not there, that says nothing, or that talks nonsense. Then
//! each of them is told so at once, and after a pause the next call tries again.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use guestbook::{Reply, StoreCall, StoreError, StorePipe};
use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt,
};

use crate::{Interest, Name, Ready};

/// The pause after the first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// What is known about the connection.
#[derive(Debug)]
enum State {
    /// There is none, and before this time none is tried.
    Away {
        not_before: Option<Instant>,
    },
    /// connect(2) has begun.
    Connecting(OwnedFd),
    Open(OwnedFd),
}

/// One connection to the store, shared by the clients of a loop.
#[derive(Debug)]
pub struct StoreLink {
    address: SocketAddr,
    timeout: Duration,
    state: State,
    connections: u64,
    may_write: bool,
    pipe: StorePipe<Name>,
    /// When each call in the pipe was made.
    made: VecDeque<Instant>,
    pause: Duration,
    /// This connection has given a reply.
    has_replied: bool,
    /// Since when the store owes us a reply and has given none.
    silent_since: Option<Instant>,
    /// What came of calls, for the loop to collect.
    done: VecDeque<(Name, Result<Reply, StoreError>)>,
}

impl StoreLink {
    /// A link to the store at `address`, which may be silent for `timeout` while it owes a
    /// reply. Connects at the first call.
    pub fn new(address: SocketAddr, timeout: Duration) -> Self {
        Self {
            address,
            timeout,
            state: State::Away { not_before: None },
            connections: 0,
            may_write: false,
            pipe: StorePipe::new(),
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
    /// The store cannot be reached, and it is too early to try again; or it is behind, with calls
    /// for which nobody waits any more.
    // ANCHOR: submit
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
            let socket = begin_to_connect(self.address).map_err(|_| self.away(now))?;
            self.state = State::Connecting(socket);
            self.connections += 1;
            self.has_replied = false;
            self.may_write = false;
        }
        self.pipe.submit(who, call);
        self.made.push_back(now);
        self.silent_since.get_or_insert(now);
        self.send(now);
        Ok(())
    }
    // ANCHOR_END: submit

    /// The socket, and for what it waits; none while there is no connection.
    pub fn waits_for(&self) -> Option<(BorrowedFd<'_>, Interest)> {
        match &self.state {
            State::Away { .. } => None,
            // A connection that is established, or refused, shows as room for writing.
            State::Connecting(socket) => {
                Some((socket.as_fd(), Interest { read: false, write: true }))
            }
            State::Open(socket) => {
                Some((socket.as_fd(), Interest { read: true, write: !self.may_write }))
            }
        }
    }

    /// The kernel says something about the socket.
    // ANCHOR: is-ready
    pub fn is_ready(&mut self, ready: Ready, now: Instant) {
        if let State::Connecting(socket) = &self.state {
            if !ready.write && !ready.gone {
                return;
            }
            // How connect(2) ended stands in SO_ERROR.
            match sockopt::socket_error(socket) {
                Ok(Ok(())) => self.connected(),
                Ok(Err(_)) | Err(_) => return self.lost(now),
            }
        }
        self.may_write |= ready.write;
        if ready.read || ready.gone {
            self.receive(now);
        }
        self.send(now);
    }
    // ANCHOR_END: is-ready

    /// When [`StoreLink::expired`] is to be called, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        self.silent_since.map(|since| since + self.timeout)
    }

    /// Tells that time has passed. A store that owes a reply and has given none for so long is
    /// given up, and its connection with it: what it says later would be too late for
    /// everybody.
    pub fn expired(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.give_up();
        }
    }

    /// Whether something came of a call.
    pub fn has_done(&self) -> bool {
        !self.done.is_empty()
    }

    /// Which connection this is: the first, the second, … A loop has to tell them apart,
    /// although their descriptors may have the same number.
    pub fn connection(&self) -> u64 {
        self.connections
    }

    /// The connection is of no further use. Nobody is asked twice: a remark that was sent may
    /// have been added.
    pub fn give_up(&mut self) {
        let callers = self.pipe.broken().into_iter();
        self.done.extend(callers.map(|who| (who, Err(StoreError::Gone))));
        self.made.clear();
        self.silent_since = None;
        self.state = State::Away { not_before: None };
    }

    /// What came of a call, and whose it was.
    pub fn next_done(&mut self) -> Option<(Name, Result<Reply, StoreError>)> {
        self.done.pop_front()
    }

    /// Sends what the kernel has room for.
    // ANCHOR: send
    fn send(&mut self, now: Instant) {
        while self.may_write
            && let State::Open(socket) = &self.state
            && let Some(out) = self.pipe.take_output()
        {
            match net::send(socket, &out, SendFlags::NOSIGNAL) {
                Ok(n) => {
                    self.may_write = n == out.len();
                    self.pipe.sent(out, n);
                }
                Err(Errno::AGAIN | Errno::INTR) => {
                    self.may_write = false;
                    self.pipe.sent(out, 0);
                }
                Err(_) => return self.lost(now),
            }
        }
    }
    // ANCHOR_END: send

    /// Reads once, and finds the replies in it. If there is more, the kernel will say so.
    fn receive(&mut self, now: Instant) {
        let State::Open(socket) = &self.state else { return };
        let mut buffer = [0; 16 * 1024];
        match net::recv(socket, &mut buffer, RecvFlags::empty()) {
            Ok((1.., n)) => self.pipe.received(&buffer[..n]),
            Err(Errno::AGAIN | Errno::INTR) => return,
            Ok(_) | Err(_) => return self.lost(now),
        }
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

    fn connected(&mut self) {
        let before = std::mem::replace(&mut self.state, State::Away { not_before: None });
        self.state = match before {
            State::Connecting(socket) => State::Open(socket),
            other => other,
        };
    }

    /// The connection has failed. One that has never given a reply is not worth another at
    /// once.
    fn lost(&mut self, now: Instant) {
        let was_good = self.has_replied;
        self.give_up();
        if !was_good {
            self.away(now);
        }
    }

    /// Waits longer each time before the next try.
    fn away(&mut self, now: Instant) -> StoreError {
        self.state = State::Away { not_before: Some(now + self.pause) };
        self.pause = (self.pause * 2).min(LAST_PAUSE);
        StoreError::Gone
    }
}

/// Begins to connect, and does not wait for the end of it.
// ANCHOR: connect
fn begin_to_connect(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    match net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}
// ANCHOR_END: connect
