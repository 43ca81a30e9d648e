//! What all clients share. It collects what is to be submitted, and makes no call that waits.

use std::time::{Duration, Instant};

use guestbook::{Guest, Now, Settings};
use rustix::net::{self, Shutdown};
use select_loop::{Clients, Timers};

use crate::op::ToClose;
use crate::{Client, Done, Fd, Features, Files, Op, Part, StoreLink, Token};

/// The slots before those of the clients.
pub(crate) const DOOR: usize = 0;
pub(crate) const STOP: usize = 1;
pub(crate) const TIMER: usize = 2;
pub(crate) const STORE: usize = 3;
pub(crate) const CLIENTS: usize = 4;

/// What is to be told to the ring.
#[derive(Debug)]
pub enum Wish {
    /// To begin this.
    Begin(Token, Op),
    /// To give that up.
    Cancel(Token),
}

/// Clients, their deadlines, the files, the store.
#[derive(Debug)]
pub struct House {
    pub(crate) clients: Clients<Client>,
    timers: Timers,
    pub(crate) now: Now,
    pub(crate) files: Files,
    pub(crate) store: StoreLink,
    pub(crate) settings: Settings,
    pub(crate) features: Features,
    pub(crate) to_close: ToClose,
    wishes: Vec<Wish>,
    /// Who is to be looked at once what had arrived has been read: the server stops.
    to_drain: Vec<usize>,
    grace: Duration,
    stops_at: Option<Instant>,
    /// How many have left since this was asked last.
    left: usize,
}

impl House {
    /// An empty house. After SIGTERM what was begun may take `grace`.
    pub fn new(
        files: Files,
        store: StoreLink,
        settings: Settings,
        features: Features,
        to_close: ToClose,
        grace: Duration,
    ) -> Self {
        let now = Now::read();
        Self {
            clients: Clients::default(),
            timers: Timers::new(now.mono),
            now,
            files,
            store,
            settings,
            features,
            to_close,
            wishes: Vec::new(),
            to_drain: Vec::new(),
            grace,
            stops_at: None,
            left: 0,
        }
    }

    /// The time of this round.
    pub fn now(&self) -> Instant {
        self.now.mono
    }

    /// The loop is awake: reads the clock.
    pub fn wake(&mut self) {
        self.now = Now::read();
        self.files.expire(self.now.mono);
    }

    /// A client comes in.
    // ANCHOR: admit
    pub fn admit(&mut self, socket: Fd) {
        let guest = Guest::new(self.settings, self.store.timeout(), self.now);
        let slot = self.clients.insert(Client::new(socket, guest));
        if self.is_stopping() {
            self.to_drain.push(slot);
        }
        self.go_on(slot);
    }
    // ANCHOR_END: admit

    /// An operation of a client or of the store has completed.
    // ANCHOR: completed
    pub fn completed(&mut self, done: Done, bytes: &[u8]) {
        if done.token.slot == STORE {
            return self.store.completed(done, bytes, self.now.mono);
        }
        let slot = done.token.slot - CLIENTS;
        if let Some(mut client) = self.clients.take(slot) {
            client.completed(done, bytes, slot, self);
            self.clients.put_back(slot, client);
            self.go_on(slot);
        }
    }
    // ANCHOR_END: completed

    /// Lets a client ask for what is next.
    pub(crate) fn go_on(&mut self, slot: usize) {
        let Some(mut client) = self.clients.take(slot) else { return };
        if client.go_on(slot, self) {
            self.timers.set(slot, None);
            self.clients.release(slot);
            self.left += 1;
        } else {
            self.timers.set(slot, client.deadline());
            self.clients.put_back(slot, client);
        }
    }

    /// What is due although nothing has completed: replies of the store, and those who are late.
    // ANCHOR: round
    pub fn round(&mut self) {
        self.hand_out();
        self.store.expired(self.now.mono);
        while let Some(slot) = self.timers.late(self.now.mono) {
            if let Some(client) = self.clients.get_mut(slot) {
                client.guest().expired(self.now);
                self.go_on(slot);
            }
        }
        self.hand_out();
        self.store.go_on(&mut self.wishes);
        self.hand_out(); // a connection may not even begin
    }
    // ANCHOR_END: round

    /// Hands out what came of calls to the store.
    fn hand_out(&mut self) {
        while let Some((name, result)) = self.store.next_done() {
            if let Some(client) = self.clients.who_made(name) {
                client.guest().stored(result, self.now);
                self.go_on(name.slot);
            }
        }
    }

    /// When something is due, if nothing completes before.
    pub fn due(&self, door: Option<Instant>) -> Option<Instant> {
        let end = self.stops_at.map(|at| at + self.grace);
        let due =
            [self.timers.next(), self.store.deadline(), self.files.expires_at(), door, end];
        due.into_iter().flatten().min()
    }

    /// Whether something is due now.
    pub fn is_due(&self) -> bool {
        self.due(None).is_some_and(|at| at <= self.now.mono)
    }

    /// Something for the ring to do, for a client.
    pub(crate) fn begin(&mut self, slot: usize, part: Part, op: Op) {
        self.wishes.push(Wish::Begin(Token { slot: CLIENTS + slot, part }, op));
    }

    /// Something for the ring to give up.
    pub(crate) fn cancel(&mut self, slot: usize, part: Part) {
        self.wishes.push(Wish::Cancel(Token { slot: CLIENTS + slot, part }));
    }

    /// Ends our side of a connection, and says whether that is an operation: before Linux 5.11
    /// it is a call, which does not wait either.
    pub(crate) fn shut(&mut self, socket: &Fd, slot: usize) -> bool {
        if self.features.shutdown {
            self.begin(slot, Part::Shut, Op::Shut { socket: socket.clone() });
        } else {
            // Of a connection that is gone nothing is left to shut down.
            let _ = net::shutdown(socket, Shutdown::Write);
        }
        self.features.shutdown
    }

    /// What is to be submitted, in this order.
    pub fn take_wishes(&mut self) -> Vec<Wish> {
        std::mem::take(&mut self.wishes)
    }

    /// How many clients have left since this was asked last.
    pub fn have_left(&mut self) -> usize {
        std::mem::take(&mut self.left)
    }

    /// Whether nobody is in.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// The server is to stop: what was begun is finished, and no more.
    pub fn stop(&mut self) {
        if self.stops_at.is_none() {
            self.stops_at = Some(self.now.mono);
            self.to_drain.extend(self.clients.slots());
        }
    }

    /// Those whose connections are to end once the kernel has been asked again: what has
    /// arrived for them is read before that.
    pub fn take_those_to_drain(&mut self) -> Vec<usize> {
        let slots = std::mem::take(&mut self.to_drain);
        for slot in &slots {
            if let Some(client) = self.clients.get_mut(*slot) {
                client.is_ending = true;
            }
        }
        slots
    }

    /// This client is to be looked at in one more round: what it has said was not received.
    pub(crate) fn drain_later(&mut self, slot: usize) {
        self.to_drain.push(slot);
    }

    /// This client's response is the last. (If it has left meanwhile, somebody else may have
    /// its slot, whose turn is later.)
    pub fn drain(&mut self, slot: usize) {
        if let Some(client) = self.clients.get_mut(slot)
            && std::mem::take(&mut client.is_ending)
        {
            client.guest().drain();
            self.go_on(slot);
        }
    }

    /// Whether the server is to stop.
    pub fn is_stopping(&self) -> bool {
        self.stops_at.is_some()
    }

    /// Whether the time that was left for stopping is over.
    pub fn is_out_of_grace(&self) -> bool {
        self.stops_at.is_some_and(|at| self.now.mono >= at + self.grace)
    }
}
