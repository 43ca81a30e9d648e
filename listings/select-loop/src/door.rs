//! The listener, and when not to look at it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use iterative::{Complaints, how_many_wait, no_accept};
use rustix::io::Errno;
use rustix::net::{self, SocketFlags};

/// How long accept is left alone when it has failed for want of something.
const PAUSE: Duration = Duration::from_millis(100);
/// How many clients may come in before those who are in have their turn.
const AT_ONCE: usize = 64;

/// A listener. While there is no descriptor for another client it stays out of the set: it
/// would be ready all the time, and the loop would spin.
#[derive(Debug)]
pub struct Door {
    /// None when it is closed for good.
    listener: Option<OwnedFd>,
    shut_until: Option<Instant>,
    /// For how many there is room.
    room: usize,
    /// How many are still let in, once the server is to stop.
    left: Option<u64>,
    at_once: usize,
    complaints: Complaints,
}

impl Door {
    /// A door that is open, into a house with room for so many. The listener does not block.
    pub fn new(listener: OwnedFd, room: usize) -> Self {
        Self {
            listener: Some(listener),
            shut_until: None,
            room,
            left: None,
            at_once: AT_ONCE,
            complaints: Complaints::default(),
        }
    }

    /// Lets no more than this many in before others who listen have had the chance.
    #[must_use]
    pub fn at_once(self, at_once: usize) -> Self {
        Self { at_once, ..self }
    }

    /// The listener, if it is to be looked at.
    pub fn listener(&self) -> Option<BorrowedFd<'_>> {
        let open = self.room > 0 && self.shut_until.is_none() && self.left != Some(0);
        self.socket().filter(|_| open)
    }

    /// The listener, whether it is to be looked at or not.
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.listener.as_ref().map(AsFd::as_fd)
    }

    /// Accepts those who wait, some of them at a time. None of the sockets blocks.
    // ANCHOR: accept
    pub fn accept(&mut self, now: Instant) -> Vec<OwnedFd> {
        let mut clients = Vec::new();
        while let Some(listener) = &self.listener
            && clients.len() < self.at_once
            && self.room > 0
            && self.left != Some(0)
        {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match net::accept_with(listener, flags) {
                Ok(client) => {
                    clients.push(client);
                    self.room -= 1;
                    self.left = self.left.map(|left| left - 1);
                }
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::AGAIN) => {
                    // Nobody waits any more.
                    self.left = self.left.map(|_| 0);
                    break;
                }
                // Whoever shares the listener has shut it down.
                Err(Errno::INVAL) if self.left.is_some() => self.left = Some(0),
                Err(error) => {
                    self.pause(error, now);
                    break;
                }
            }
        }
        clients
    }
    // ANCHOR_END: accept

    /// Leaves accept alone for a while: it has failed for want of something.
    pub fn pause(&mut self, error: Errno, now: Instant) {
        self.complaints.say(no_accept(error));
        self.shut_until = Some(now + PAUSE);
    }

    /// Somebody has left: there is room for another, and a descriptor.
    pub fn somebody_left(&mut self) {
        self.room += 1;
        self.shut_until = None;
    }

    /// When to look at it again, if nobody leaves before.
    pub fn opens_at(&self) -> Option<Instant> {
        self.shut_until.filter(|_| self.listener.is_some())
    }

    /// Tells that time has passed.
    pub fn expired(&mut self, now: Instant) {
        self.shut_until = self.shut_until.filter(|until| now < *until);
    }

    /// From now on only those are let in who wait at this moment.
    pub fn last_round(&mut self) {
        if self.left.is_none()
            && let Some(listener) = &self.listener
        {
            self.left = how_many_wait(listener).or(Some(u64::MAX));
        }
    }

    /// Closes the listener when the last round is over: whoever comes now is refused.
    pub fn close_if_last(&mut self) {
        if self.left == Some(0) {
            self.listener = None;
        }
    }

    /// Whether nobody comes in any more.
    pub fn is_closed(&self) -> bool {
        self.listener.is_none()
    }
}
