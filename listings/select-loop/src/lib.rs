//! One thread, many descriptors: the select server.
//!
//! One thread serves all clients. It waits in one place only, in `select`, for all of them
//! at once; whatever it calls otherwise does what can be done now, and returns. What a client
//! has begun and not finished stands in memory instead of on a stack.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `lib.rs` | [`SelectLoop`]: accept, arm, wait, drain, retire |
//! | `client.rs` | [`Client`]: one client's turn, without waiting |
//! | `house.rs` | [`House`]: what all clients share; who is next, who is late |
//! | `clients.rs` | [`Clients`]: the slots |
//! | `disk.rs` | [`Disk`]: a pool of threads for files, which the epoll server has |
//! | `timers.rs` | [`Timers`]: many deadlines, of which the next one matters |
//! | `store_link.rs` | [`StoreLink`]: one connection to the store for everybody |
//! | `door.rs` | [`Door`]: accept, and when not to |
//! | `stop.rs` | [`Stop`]: signals as a descriptor |
//! | `start.rs` | what every loop does before it waits for the first time |
//!
//! The loops of the next two chapters, over poll and epoll, share everything but this file.
#![cfg(target_os = "linux")]

mod client;
mod clients;
mod disk;
mod door;
mod house;
mod ready;
pub mod start;
mod stop;
mod store_link;
mod timers;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::select::{FdSet, select};
use nix::sys::time::TimeVal;

pub use client::{Client, Next};
pub use clients::{Clients, Name};
pub use disk::{Disk, Visit};
pub use door::Door;
pub use house::{After, House};
pub use ready::{Interest, Ready};
pub use stop::Stop;
pub use store_link::StoreLink;
pub use timers::Timers;

/// How many descriptors the C library's sets have room for: 0 to 1023.
pub const FD_SETSIZE: u64 = nix::sys::select::FD_SETSIZE as u64;

/// A server that waits in select(2).
// ANCHOR: loop
#[derive(Debug)]
pub struct SelectLoop {
    house: House,
    door: Door,
    stop: Stop,
    /// For what the client in each slot waits.
    armed: Vec<Interest>,
}
// ANCHOR_END: loop

/// What select said: about the listener, the signals, the store, and the clients by slot.
#[derive(Debug, Default)]
struct News {
    listener: bool,
    stop: bool,
    store: Ready,
    clients: Vec<(usize, Ready)>,
}

impl SelectLoop {
    /// A server without clients.
    pub fn new(house: House, door: Door, stop: Stop) -> Self {
        Self { house, door, stop, armed: Vec::new() }
    }

    /// Serves until SIGTERM or SIGINT, and then those who were there.
    ///
    /// # Errors
    /// What select(2) answers, if it is our mistake.
    // ANCHOR: run
    pub fn run(mut self) -> io::Result<()> {
        while !self.is_done() {
            let news = self.wait()?;
            self.house.wake();
            self.door.expired(self.house.now());
            if news.stop && self.stop.has_come() {
                self.house.stop();
                self.door.last_round();
            }
            self.house.store_is_ready(news.store);
            for (slot, ready) in news.clients {
                self.drain(slot, ready);
            }
            if news.listener || self.house.is_stopping() {
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
            if self.house.admit(socket) == self.armed.len() {
                self.armed.push(Interest::NONE);
            }
        }
        if self.door.opens_at().is_some() {
            self.house.release_files();
        }
        self.door.close_if_last();
    }
    // ANCHOR_END: accept

    /// Fills the sets anew, since the last call has overwritten them.
    // ANCHOR: arm
    fn arm(&self) -> (FdSet<'_>, FdSet<'_>) {
        let (mut read, mut write) = (FdSet::new(), FdSet::new());
        let mut add = |fd, interest: Interest| {
            if interest.read {
                read.insert(fd);
            }
            if interest.write {
                write.insert(fd);
            }
        };
        add(self.stop.as_fd(), Interest::READ);
        self.door.listener().into_iter().for_each(|fd| add(fd, Interest::READ));
        self.house
            .store()
            .waits_for()
            .into_iter()
            .for_each(|(fd, for_what)| add(fd, for_what));
        for (slot, fd) in self.clients() {
            add(fd, self.armed[slot]);
        }
        (read, write)
    }
    // ANCHOR_END: arm

    // ANCHOR: wait
    fn wait(&self) -> io::Result<News> {
        let (mut read, mut write) = self.arm();
        let mut left = self.house.time_left(self.door.opens_at()).map(time_value);
        match select(None, &mut read, &mut write, None, left.as_mut()) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(News::default()),
            Err(error) => return Err(error.into()),
        }
        let ready = |fd: BorrowedFd<'_>| Ready {
            read: read.contains(fd),
            write: write.contains(fd),
            gone: false,
        };
        // Nobody says which are ready. We have to ask for each.
        Ok(News {
            listener: self.door.listener().is_some_and(|fd| ready(fd).read),
            stop: ready(self.stop.as_fd()).read,
            store: self
                .house
                .store()
                .waits_for()
                .map_or(Ready::NOTHING, |(fd, _)| ready(fd)),
            clients: self
                .clients()
                .map(|(slot, fd)| (slot, ready(fd)))
                .filter(|(_, ready)| *ready != Ready::NOTHING)
                .collect(),
        })
    }
    // ANCHOR_END: wait

    // ANCHOR: drain
    fn drain(&mut self, slot: usize, ready: Ready) {
        match self.house.serve(slot, ready) {
            After::Arm(interest) => self.armed[slot] = interest,
            // ANCHOR: retire
            After::Retire(socket) => {
                drop(socket);
                self.door.somebody_left();
            }
            // ANCHOR_END: retire
            After::Nothing => {}
        }
    }
    // ANCHOR_END: drain

    /// Everybody with a slot, and the socket.
    fn clients(&self) -> impl Iterator<Item = (usize, BorrowedFd<'_>)> {
        let clients = self.house.clients();
        clients.slots().filter_map(|slot| Some((slot, clients.get(slot)?.as_fd())))
    }

    /// All that was begun is finished, or there is no time left for it.
    fn is_done(&self) -> bool {
        self.house.is_stopping()
            && (self.house.is_out_of_grace()
                || self.door.is_closed() && self.house.clients().is_empty())
    }
}

/// Rounded up, so that nobody is woken before there is something to do.
fn time_value(time: Duration) -> TimeVal {
    let microseconds = time.as_nanos().div_ceil(1000);
    TimeVal::new((microseconds / 1_000_000) as _, (microseconds % 1_000_000) as _)
}
