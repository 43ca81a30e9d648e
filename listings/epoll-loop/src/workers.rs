//! Several processes, each with a loop of its own, that wait for the same listener or for one
//! each.
//!
//! The pool is the one of the preforked server. Only what a worker does is another thing: it
//! does not sleep in accept, where the kernel wakes one process for one connection, but in
//! epoll_wait(2), where it wakes everybody who waits for the listener, unless it is told that
//! one is enough.

use std::os::fd::OwnedFd;

use flags::ServerFlags;
use iterative::signals;
use iterative::start::{self, Offer};
use nix::sys::signal::Signal;
use preforked::{Listeners, Pool};
use rustix::io::ioctl_fionbio;
use select_loop::start::room_for_clients;
use select_loop::{Door, House, Stop, StoreLink};
use store::embedded::Embedded;

use crate::{EpollLoop, FilesBy, Trigger};

/// How many clients a worker accepts before the others have the chance.
const AT_ONCE: usize = 1;

/// How the work is divided.
#[derive(Clone, Copy, Debug)]
pub struct Workers {
    /// How many processes there are.
    pub size: usize,
    /// Each has a listener of its own.
    pub reuseport: bool,
    /// The kernel need not wake all of those who wait for a listener that they share.
    pub exclusive: bool,
}

/// Runs a pool of loops until SIGTERM or SIGINT.
///
/// # Errors
/// One line: what failed, why, and what to do.
pub fn run_workers(
    flags: &ServerFlags,
    offer: Offer,
    trigger: Trigger,
    files_by: FilesBy,
    workers: Workers,
) -> Result<(), String> {
    let room = room_for_clients(u64::MAX)
        .map_err(|error| format!("cannot set the limit on open files: {error}"))?;
    let listeners = open_listeners(flags, workers)?;
    signals::watch_for(&[Signal::SIGCHLD])
        .map_err(|error| format!("cannot catch signals: {error}"))?;
    let files = start::open_files(flags, offer)?;
    let (store, address) = start::start_store(flags)?;
    start::announce(listeners.of(0))?;
    let settings = start::settings(flags, offer);
    // ANCHOR: work
    let mut work = |listener: OwnedFd| {
        let link = StoreLink::new(address, flags.store_timeout);
        let mut house = House::new(files.clone(), link, settings, flags.grace);
        files_by.set_up(&mut house)?; // threads: after the fork, which copies only one
        let door = Door::new(listener, room).at_once(AT_ONCE);
        let exclusive = workers.exclusive && !workers.reuseport;
        let mut one = EpollLoop::new(house, door, Stop::new()?, trigger, exclusive)?;
        // The signal may have come between fork and here.
        if signals::stopped_at().is_some() {
            one.stop();
        }
        one.run()
    };
    // ANCHOR_END: work
    let store = store.as_ref().map(Embedded::id);
    Pool::new(listeners, workers.size, flags.grace, store).run(&mut work);
    Ok(())
}

fn open_listeners(flags: &ServerFlags, workers: Workers) -> Result<Listeners, String> {
    let listeners = if workers.reuseport {
        Listeners::one_each(workers.size, flags.listen, flags.backlog)
            .map_err(|error| start::cannot_listen(flags, error))?
    } else {
        Listeners::shared(start::open_listener(flags)?)
    };
    for listener in listeners.all() {
        ioctl_fionbio(listener, true)
            .map_err(|error| format!("cannot make the listener non-blocking: {error}"))?;
    }
    Ok(listeners)
}
