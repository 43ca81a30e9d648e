//! The listener: one operation that accepts one client after another, and when there is none.

use std::time::{Duration, Instant};

use iterative::{Complaints, how_many_wait, no_accept, somebody_waits};
use rustix::io::Errno;

use crate::house::DOOR;
use crate::{Done, Fd, Features, Op, Part, Token, Wish};

/// How long nobody is accepted when accepting has failed for want of something.
const PAUSE: Duration = Duration::from_millis(100);
const ACCEPT: Token = Token { slot: DOOR, part: Part::Receive };

/// A listener, and whether the kernel has the operation that accepts from it.
#[derive(Debug)]
pub struct Door {
    /// None when it is closed for good.
    listener: Option<Fd>,
    is_accepting: bool,
    is_recalled: bool,
    /// For how many there is room.
    room: usize,
    shut_until: Option<Instant>,
    is_stopping: bool,
    /// How many are still let in, once the server is to stop.
    left: Option<u64>,
    complaints: Complaints,
}

impl Door {
    /// The slot of its operations.
    pub const SLOT: usize = DOOR;

    /// A door that is open, into a house with room for so many. The listener blocks.
    pub fn new(listener: Fd, room: usize) -> Self {
        Self {
            listener: Some(listener),
            is_accepting: false,
            is_recalled: false,
            room,
            shut_until: None,
            is_stopping: false,
            left: None,
            complaints: Complaints::default(),
        }
    }

    /// Has clients accepted, or no longer.
    // ANCHOR: go-on
    pub fn go_on(&mut self, features: Features, wishes: &mut Vec<Wish>) {
        let is_shut = self.room == 0 || self.shut_until.is_some();
        if self.is_accepting {
            if !self.is_recalled && (is_shut || self.is_stopping && self.left.is_none()) {
                self.is_recalled = true;
                wishes.push(Wish::Cancel(ACCEPT));
            }
            return;
        }
        let Some(listener) = &self.listener else { return };
        if self.is_stopping {
            // Those who wait at this moment, and nobody else.
            let left =
                self.left.get_or_insert_with(|| how_many_wait(listener).unwrap_or(0));
            if *left == 0 || !somebody_waits(listener) {
                self.left = Some(0);
                self.listener = None;
                return;
            }
        }
        if !is_shut {
            self.is_accepting = true;
            let many = features.multishot_accept && !self.is_stopping;
            let op = Op::Accept { listener: listener.clone(), many };
            wishes.push(Wish::Begin(ACCEPT, op));
        }
    }
    // ANCHOR_END: go-on

    /// Somebody has come, or nobody can. Says whether descriptors are short.
    // ANCHOR: completed
    pub fn completed(
        &mut self,
        done: &Done,
        features: &mut Features,
        now: Instant,
    ) -> bool {
        if done.op.is_some() {
            (self.is_accepting, self.is_recalled) = (false, false);
        }
        match done.result {
            Ok(_) => {
                self.room = self.room.saturating_sub(1);
                self.left = self.left.map(|left| left.saturating_sub(1));
            }
            Err(Errno::CANCELED | Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => {}
            // This kernel knows the operation, and not in this form.
            Err(Errno::INVAL) if features.multishot_accept => {
                features.multishot_accept = false;
            }
            Err(error) => {
                self.complaints.say(no_accept(error));
                self.shut_until = Some(now + PAUSE);
                return true;
            }
        }
        false
    }
    // ANCHOR_END: completed

    /// So many have left: there is room for others, and descriptors.
    pub fn have_left(&mut self, clients: usize) {
        if clients > 0 {
            self.room += clients;
            self.shut_until = None;
        }
    }

    /// When to accept again, if nobody leaves before.
    pub fn opens_at(&self) -> Option<Instant> {
        self.shut_until.filter(|_| self.listener.is_some())
    }

    /// Tells that time has passed.
    pub fn expired(&mut self, now: Instant) {
        self.shut_until = self.shut_until.filter(|until| now < *until);
    }

    /// From now on only those are let in who wait.
    pub fn last_round(&mut self) {
        self.is_stopping = true;
    }

    /// Whether nobody comes in any more.
    pub fn is_closed(&self) -> bool {
        self.listener.is_none() && !self.is_accepting
    }
}
