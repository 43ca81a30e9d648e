//! One thread, many descriptors: the epoll server.
//!
//! The loop of the poll server, with one difference: what is waited for stands in the kernel.
//! It is told of changes only, and it answers with those who are ready and nobody else.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `lib.rs` | [`EpollLoop`]: accept, arm, wait, drain, retire |
//! | `interests.rs` | [`Interests`]: epoll_ctl, and when it is called: level, edge, one-shot |
//! | `files_by.rs` | [`FilesBy`]: who waits for the disk: a pool of threads, or the loop |
//! | `workers.rs` | several processes that wait for one listener, or one each |
//!
//! Clients, deadlines, the store and the door are those of `select-loop`. Files are opened and
//! read by a pool of threads (part 6), unless the house was given none.
#![cfg(target_os = "linux")]

mod files_by;
mod interests;
mod workers;

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventFlags};
use rustix::io::Errno;
use select_loop::{After, Door, House, Interest, Ready, Stop};

pub use files_by::FilesBy;
pub use interests::{Interests, Trigger};
pub use workers::{Workers, run_workers};

/// What stands in an event's data: who it is about. The clients follow, by slot.
const LISTENER: u64 = 0;
const STOP: u64 = 1;
const STORE: u64 = 2;
const CLIENTS: u64 = 3;
/// The files that others read. No slot is as high.
const DISK: u64 = u64::MAX;

/// How many events one call may bring.
const EVENTS: usize = 256;

/// A server that waits in epoll_wait(2).
// ANCHOR: loop
#[derive(Debug)]
pub struct EpollLoop {
    house: House,
    door: Door,
    stop: Stop,
    interests: Interests,
}
// ANCHOR_END: loop

impl EpollLoop {
    /// A server without clients. `exclusive`: others wait for the same listener.
    ///
    /// # Errors
    /// What epoll_create1(2) and epoll_ctl(2) answer.
    pub fn new(
        mut house: House,
        door: Door,
        stop: Stop,
        trigger: Trigger,
        exclusive: bool,
    ) -> io::Result<Self> {
        if trigger == Trigger::Edge {
            house.read_until_eagain();
        }
        let interests = Interests::new(trigger, exclusive)?;
        interests.add(STOP, &stop)?;
        if let Some(told) = house.disk() {
            interests.add(DISK, told)?;
        }
        Ok(Self { house, door, stop, interests })
    }

    /// Lets in those who wait at this moment, and nobody else.
    pub fn stop(&mut self) {
        self.house.stop();
        self.door.last_round();
    }

    /// Serves until SIGTERM or SIGINT, and then those who were there.
    ///
    /// # Errors
    /// What epoll_wait(2) answers, if it is our mistake.
    // ANCHOR: run
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        while !self.is_done() {
            self.wait(&mut events)?;
            self.house.wake();
            self.door.expired(self.house.now());
            let mut somebody_comes = false;
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => somebody_comes = true,
                    STOP if self.stop.has_come() => self.stop(),
                    STOP => {}
                    STORE => self.house.store_is_ready(ready(event.flags)),
                    DISK => self.house.disk_is_ready(),
                    client => self.drain((client - CLIENTS) as usize, ready(event.flags)),
                }
            }
            // Not before, or somebody new might have the slot of one whose event is to come.
            if somebody_comes || self.house.is_stopping() {
                self.accept();
            }
            for slot in self.house.round() {
                self.drain(slot, Ready::NOTHING);
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
        if self.door.listener().is_none()
            && let Some(listener) = self.door.socket()
        {
            self.interests.remove_listener(listener);
        }
        self.door.close_if_last();
    }
    // ANCHOR_END: accept

    // ANCHOR: wait
    fn wait(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        if let Some(listener) = self.door.listener()
            && let Err(error) = self.interests.add_listener(listener)
        {
            self.door.pause(error, self.house.now());
        }
        let store = self.house.store();
        if self.interests.arm_store(store.connection(), store.waits_for()).is_err() {
            self.house.give_up_store();
        }
        loop {
            let time = self.house.time_left(self.door.opens_at()).map(timespec);
            match epoll::wait(&self.interests, spare_capacity(events), time.as_ref()) {
                Ok(_) => return Ok(()),
                // We were stopped and go on (signal(7)). That says nothing about anybody.
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    // ANCHOR_END: wait

    // ANCHOR: drain
    fn drain(&mut self, slot: usize, news: Ready) {
        let retired = match self.house.serve(slot, news) {
            After::Arm(interest) => self.arm(slot, interest).err(),
            After::Retire(socket) => Some(socket),
            After::Nothing => None,
        };
        // ANCHOR: retire
        if let Some(socket) = retired {
            self.interests.forget(slot);
            drop(socket);
            self.door.somebody_left();
        }
        // ANCHOR_END: retire
    }
    // ANCHOR_END: drain

    /// Tells the kernel for what this client waits. Where it has no memory for that (ENOMEM,
    /// ENOSPC) the client has to go: nobody would ever look at it again.
    // ANCHOR: arm
    fn arm(&mut self, slot: usize, interest: Interest) -> Result<(), OwnedFd> {
        let Some(client) = self.house.clients().get(slot) else { return Ok(()) };
        match self.interests.arm(slot, client, interest) {
            Ok(()) => Ok(()),
            Err(_) => self.house.dismiss(slot).map_or(Ok(()), Err),
        }
    }
    // ANCHOR_END: arm

    /// All that was begun is finished, or there is no time left for it.
    fn is_done(&self) -> bool {
        self.house.is_stopping()
            && (self.house.is_out_of_grace()
                || self.door.is_closed() && self.house.clients().is_empty())
    }
}

/// What the bits of an event say.
fn ready(flags: EventFlags) -> Ready {
    Ready {
        read: flags.contains(EventFlags::IN),
        write: flags.contains(EventFlags::OUT),
        gone: flags.intersects(EventFlags::HUP | EventFlags::ERR),
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}
