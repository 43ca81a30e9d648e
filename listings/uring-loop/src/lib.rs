//! One interface for files and sockets: the io_uring server.
//!
//! One thread submits operations and takes completions. It accepts, receives, sends, opens
//! and reads files, talks to the store and waits for the time in the same call, and makes
//! hardly any other.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `lib.rs` | [`UringLoop`]: accept, arm, wait, drain, retire |
//! | `op.rs` | [`Op`]: what the kernel can be asked to do, and what it owns meanwhile |
//! | `ring.rs`, `ring/` | [`Ring`]: the two queues, and the promise that nothing is freed too early |
//! | `client.rs` | [`Client`]: what a completion means, and what is next; no calls |
//! | `house.rs` | [`House`]: what all clients share |
//! | `files.rs` | [`Files`]: opening below the root, and the cache of what is open |
//! | `store_link.rs` | [`StoreLink`]: one connection to the store for everybody |
//! | `door.rs` | [`Door`]: accepting, and when not to |
//! | `alarm.rs` | [`Alarm`]: one timer for all deadlines |
//! | `setup.rs` | [`Setup`]: what the kernel offers, and what is done without it |
//! | `start.rs` | what happens before the first wait |
//!
//! Slots, deadlines and signals are those of `select-loop`.
#![cfg(target_os = "linux")]

mod alarm;
mod client;
mod door;
mod files;
mod house;
mod op;
mod ring;
mod setup;
pub mod start;
mod store_link;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::AsFd;

use select_loop::Stop;

pub use alarm::Alarm;
pub use client::Client;
pub use door::Door;
pub use files::{Files, meta};
pub use house::{House, Wish};
pub use op::{Fd, Op, Part, Room, ToClose, Token};
pub use ring::{Answer, Done, Filled, Received, Ring};
pub use rustix::io::Errno;
pub use rustix::net::SendFlags;
pub use setup::{Features, Setup, Work, refused};
pub use store_link::StoreLink;

const STOP: Token = Token { slot: house::STOP, part: Part::Receive };
const TIMER: Token = Token { slot: house::TIMER, part: Part::Work };

/// After so many completions the kernel hears what is next for them, also in the middle of a
/// round: whoever came first does not wait for all the others, and what belongs to a client is
/// still in the processor's caches when its response is sent.
const HAND_OVER: usize = 128;

/// A server that waits in io_uring_enter(2).
// ANCHOR: loop
#[derive(Debug)]
pub struct UringLoop {
    house: House,
    door: Door,
    signals: Stop,
    /// The descriptor of `signals`.
    watched: Fd,
    is_watching: bool,
    alarm: Alarm,
    ring: Ring,
}
// ANCHOR_END: loop

impl UringLoop {
    /// A server without clients.
    ///
    /// # Errors
    /// What fcntl(2) answers, asked for another descriptor of `signals`.
    pub fn new(house: House, door: Door, signals: Stop, ring: Ring) -> io::Result<Self> {
        let watched = signals.as_fd().try_clone_to_owned()?;
        let watched = house.to_close.hold(watched);
        let alarm = Alarm::new(TIMER);
        Ok(Self { house, door, signals, watched, is_watching: false, alarm, ring })
    }

    /// Serves until SIGTERM or SIGINT, and then those who were there.
    ///
    /// # Errors
    /// What io_uring_enter(2) answers, if it is our mistake.
    // ANCHOR: run
    pub fn run(mut self) -> io::Result<()> {
        while !self.is_done() {
            self.arm();
            let ending = self.house.take_those_to_drain();
            self.ring.wait(usize::from(ending.is_empty()))?;
            self.house.wake();
            self.door.expired(self.house.now());
            // Nobody is late, or hung up on, who has spoken before that moment.
            if !ending.is_empty() || self.house.is_due() {
                self.ring.take_all()?;
            }
            for n in 1..=self.ring.ready() {
                let Some(done) = self.ring.next() else { break };
                self.drain(done);
                if n % HAND_OVER == 0 {
                    self.arm();
                    self.ring.wait(0)?;
                }
            }
            ending.into_iter().for_each(|slot| self.house.drain(slot));
            self.house.round();
            self.retire();
        }
        Ok(())
    }
    // ANCHOR_END: run

    // ANCHOR: accept
    fn accept(&mut self, done: Done) {
        let now = self.house.now();
        if self.door.completed(&done, &mut self.house.features, now) {
            self.house.files.release();
        }
        if let Some(socket) = done.descriptor {
            let socket = self.house.to_close.hold(socket);
            self.house.admit(socket);
        }
    }
    // ANCHOR_END: accept

    /// Hands over what clients, the store and the door have asked for. The kernel hears of it
    /// in the call in which we wait.
    // ANCHOR: arm
    fn arm(&mut self) {
        let mut wishes = self.house.take_wishes();
        self.door.go_on(self.house.features, &mut wishes);
        if !self.is_watching {
            self.is_watching = true;
            let descriptor = self.watched.clone();
            wishes.push(Wish::Begin(STOP, Op::Watch { descriptor }));
        }
        wishes.extend(self.alarm.set(self.house.due(self.door.opens_at())));
        for wish in wishes {
            match wish {
                Wish::Begin(token, op) => self.ring.begin(token, op),
                Wish::Cancel(token) => self.ring.cancel(token),
            }
        }
        while let Some(descriptor) = self.house.to_close.take() {
            self.ring.close(descriptor);
        }
    }
    // ANCHOR_END: arm

    // ANCHOR: drain
    fn drain(&mut self, mut done: Done) {
        match done.token.slot {
            house::DOOR => self.accept(done),
            house::STOP => {
                self.is_watching = false;
                if self.signals.has_come() {
                    self.house.stop();
                    self.door.last_round();
                }
            }
            house::TIMER => self.alarm.is_over(),
            _ => {
                let received = std::mem::take(&mut done.received);
                self.house.completed(done, self.ring.bytes(&received));
                self.ring.give_back(received);
            }
        }
    }
    // ANCHOR_END: drain

    // ANCHOR: retire
    fn retire(&mut self) {
        self.door.have_left(self.house.have_left());
    }
    // ANCHOR_END: retire

    /// All that was begun is finished, or there is no time left for it.
    fn is_done(&self) -> bool {
        self.house.is_stopping()
            && (self.house.is_out_of_grace()
                || self.door.is_closed() && self.house.is_empty())
    }
}
