//! What happens before the first wait.

use flags::ServerFlags;
use iterative::Complaints;
use iterative::start::{Offer, announce, open_listener, settings, start_store};
use select_loop::Stop;
use select_loop::start::room_for_clients;
use store::embedded::Embedded;

use crate::op::ToClose;
use crate::{Door, Files, House, Ring, Setup, StoreLink, UringLoop, refused};

/// A server that is ready, and the store that it needs.
#[derive(Debug)]
pub struct Ready {
    /// The server.
    pub server: UringLoop,
    /// The embedded store, running until this is dropped.
    pub store: Option<Embedded>,
}

/// What was in the way: one line, and whether it is the kernel that refuses.
#[derive(Debug)]
pub enum Failure {
    /// Something that may be mended.
    Failed(String),
    /// The kernel does not let us have a ring.
    Refused(String),
}

impl From<String> for Failure {
    fn from(line: String) -> Self {
        Self::Failed(line)
    }
}

/// Sets the ring up, listens, opens the root, starts the store, and says where it listens.
///
/// # Errors
/// One line: what failed, why, and what to do.
pub fn get_ready(
    flags: &ServerFlags,
    offer: Offer,
    setup: &Setup,
) -> Result<Ready, Failure> {
    let ring = Ring::new(setup).map_err(|error| Failure::Refused(refused(&error)))?;
    if let Some(error) = ring.no_buffers() {
        Complaints::default().say(format_args!(
            "clients cannot share buffers: {error}; each has its own, which is slower (they \
             count as locked memory: raise the limit, ulimit -l)"
        ));
    }
    let room = room_for_clients(u64::MAX)
        .map_err(|error| format!("cannot set the limit on open files: {error}"))?;
    let signals = Stop::new().map_err(|error| format!("cannot catch signals: {error}"))?;
    let to_close = ToClose::default();
    let listener = open_listener(flags)?;
    let root = flags.root.display();
    let files = Files::new(&flags.root, offer.file_cache, &to_close).map_err(|error| {
        format!("cannot serve {root}: {error}; name an existing folder with --root")
    })?;
    let (store, address) = start_store(flags)?;
    announce(&listener)?;
    let door = Door::new(to_close.hold(listener), room);
    let link = StoreLink::new(address, flags.store_timeout, to_close.clone());
    let settings = settings(flags, offer);
    let house = House::new(files, link, settings, ring.features(), to_close, flags.grace);
    let server = UringLoop::new(house, door, signals, ring)
        .map_err(|error| format!("cannot catch signals: {error}"))?;
    Ok(Ready { server, store })
}
