//! What every loop does before it waits for the first time.

use std::io;

use flags::ServerFlags;
use iterative::start::{Offer, announce, open_files, open_listener, settings, start_store};
use rustix::io::ioctl_fionbio;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use store::embedded::Embedded;

use crate::{Door, House, Stop, StoreLink};

/// Descriptors that clients may not have: the listener, the store's connection, the signals,
/// the root, and a few for files.
const RESERVE: u64 = 32;

/// Everything that a loop needs.
#[derive(Debug)]
pub struct Ready {
    /// What clients share.
    pub house: House,
    /// Where they come in.
    pub door: Door,
    /// How the server is told to stop.
    pub stop: Stop,
    /// The embedded store, running until this is dropped.
    pub store: Option<Embedded>,
}

/// Listens, opens the root, starts the store, and says where it listens. Up to
/// `descriptors` may be open at a time.
///
/// # Errors
/// One line: what failed, why, and what to do.
pub fn get_ready(
    flags: &ServerFlags,
    offer: Offer,
    descriptors: u64,
) -> Result<Ready, String> {
    let room = room_for_clients(descriptors)
        .map_err(|error| format!("cannot set the limit on open files: {error}"))?;
    let stop = Stop::new().map_err(|error| format!("cannot catch signals: {error}"))?;
    let listener = open_listener(flags)?;
    ioctl_fionbio(&listener, true)
        .map_err(|error| format!("cannot make the listener non-blocking: {error}"))?;
    let files = open_files(flags, offer)?;
    let (store, address) = start_store(flags)?;
    announce(&listener)?;
    let link = StoreLink::new(address, flags.store_timeout);
    let house = House::new(files, link, settings(flags, offer), flags.grace);
    Ok(Ready { house, door: Door::new(listener, room), stop, store })
}

/// Raises the limit on open descriptors as far as we may and want (or lowers it: select
/// cannot use more), and says for how many clients that is enough.
///
/// # Errors
/// What setrlimit(2) answers.
// ANCHOR: room
pub fn room_for_clients(wanted: u64) -> io::Result<usize> {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum.map_or(wanted, |hard| hard.min(wanted));
    setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..limit })?;
    Ok(usize::try_from(current.saturating_sub(RESERVE)).unwrap_or(usize::MAX).max(1))
}
// ANCHOR_END: room
