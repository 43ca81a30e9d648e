//! One thread, many descriptors: the poll server.
//!
//! The loop of the select server, with one difference: what is waited for stands in an array
//! that the kernel reads and does not overwrite, so it is kept from call to call, and changed
//! where something has changed.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `lib.rs` | [`PollLoop`]: accept, arm, wait, drain, retire |
//! | `poll.rs` | poll(2), and what its bits mean |
//!
//! Clients, deadlines, the store and the door are those of `select-loop`.
#![cfg(target_os = "linux")]

mod poll;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use libc::pollfd;
use select_loop::{After, Door, House, Interest, Ready, Stop};

pub use poll::{NOBODY, entry, events, poll, take};

/// The first places of the array; the clients follow, in the order of their slots.
const LISTENER: usize = 0;
const STOP: usize = 1;
const STORE: usize = 2;
const CLIENTS: usize = 3;

/// A server that waits in poll(2).
// ANCHOR: loop
#[derive(Debug)]
pub struct PollLoop {
    house: House,
    door: Door,
    stop: Stop,
    /// Whom to wait for, and for what. Kept from one call to the next.
    entries: Vec<pollfd>,
}
// ANCHOR_END: loop

impl PollLoop {
    /// A server without clients.
    pub fn new(house: House, door: Door, stop: Stop) -> Self {
        Self { house, door, stop, entries: vec![NOBODY; CLIENTS] }
    }

    /// Serves until SIGTERM or SIGINT, and then those who were there.
    ///
    /// # Errors
    /// What poll(2) answers, if it is our mistake.
    // ANCHOR: run
    pub fn run(mut self) -> io::Result<()> {
        self.entries[STOP] = entry(self.stop.as_fd(), Interest::READ);
        while !self.is_done() {
            let ready = self.wait()?;
            self.house.wake();
            self.door.expired(self.house.now());
            if take(&mut self.entries[STOP]).read && self.stop.has_come() {
                self.house.stop();
                self.door.last_round();
            }
            self.house.store_is_ready(take(&mut self.entries[STORE]));
            self.drain(ready);
            if take(&mut self.entries[LISTENER]).read || self.house.is_stopping() {
                self.accept();
            }
            for slot in self.house.round() {
                self.serve(slot, Ready::NOTHING);
            }
        }
        Ok(())
    }
    // ANCHOR_END: run

    // ANCHOR: accept
    fn accept(&mut self) {
        for socket in self.door.accept(self.house.now()) {
            self.house.admit(socket);
        }
        if self.door.opens_at().is_some() {
            self.house.release_files();
        }
        self.door.close_if_last();
    }
    // ANCHOR_END: accept

    // ANCHOR: wait
    fn wait(&mut self) -> io::Result<usize> {
        self.entries[LISTENER] = of(self.door.listener().map(|fd| (fd, Interest::READ)));
        self.entries[STORE] = of(self.house.store().waits_for());
        let time = self.house.time_left(self.door.opens_at());
        poll(&mut self.entries, time)
    }
    // ANCHOR_END: wait

    /// Looks through the array for those who are ready. The kernel has said how many there
    /// are, and not where.
    // ANCHOR: drain
    fn drain(&mut self, mut ready: usize) {
        let mut place = CLIENTS;
        while ready > 0 && place < self.entries.len() {
            let news = take(&mut self.entries[place]);
            if news != Ready::NOTHING {
                ready -= 1;
                self.serve(place - CLIENTS, news);
            }
            place += 1;
        }
    }
    // ANCHOR_END: drain

    // ANCHOR: arm
    fn serve(&mut self, slot: usize, news: Ready) {
        let place = CLIENTS + slot;
        match self.house.serve(slot, news) {
            After::Arm(interest) => {
                if let Some(client) = self.house.clients().get(slot) {
                    let places = self.entries.len().max(place + 1);
                    self.entries.resize(places, NOBODY);
                    self.entries[place] = entry(client.as_fd(), interest);
                }
            }
            After::Retire(socket) => self.retire(place, socket),
            After::Nothing => {}
        }
    }
    // ANCHOR_END: arm

    /// Whoever has gone leaves a place that poll passes over. At the end of the array it goes,
    /// too: poll takes no more entries than there may be descriptors.
    // ANCHOR: retire
    fn retire(&mut self, place: usize, socket: OwnedFd) {
        if let Some(entry) = self.entries.get_mut(place) {
            *entry = NOBODY;
        }
        while self.entries.len() > CLIENTS && self.entries.last() == Some(&NOBODY) {
            self.entries.pop();
        }
        drop(socket);
        self.door.somebody_left();
    }
    // ANCHOR_END: retire

    /// All that was begun is finished, or there is no time left for it.
    fn is_done(&self) -> bool {
        self.house.is_stopping()
            && (self.house.is_out_of_grace()
                || self.door.is_closed() && self.house.clients().is_empty())
    }
}

/// The entry of a descriptor that may not be there.
fn of(descriptor: Option<(BorrowedFd<'_>, Interest)>) -> pollfd {
    descriptor.map_or(NOBODY, |(fd, interest)| entry(fd, interest))
}
