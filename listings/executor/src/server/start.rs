//! What happens before the first wait.

use std::io;

use flags::ServerFlags;
use iterative::start::{Offer, announce, open_files, open_listener, settings, start_store};
use rustix::io::ioctl_fionbio;
use select_loop::Stop;
use select_loop::start::room_for_clients;
use uring_loop::{Files, Ring, Setup, Work, refused};

use super::{Disk, House, Net, OverEpoll, OverRing, Store, keep_door, watch_signals};
use crate::{Completions, Epoll, Executor};

/// Whom the thread asks for news.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Over {
    /// Who is ready. Files by threads, where the task would have to wait for them.
    #[default]
    Epoll,
    /// The same, with all files by threads.
    EpollWithPool,
    /// What is done.
    IoUring,
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

/// Serves until SIGTERM or SIGINT, and then those who were there.
///
/// # Errors
/// One line: what failed, why, and what to do.
pub fn run(flags: &ServerFlags, offer: Offer, over: Over) -> Result<(), Failure> {
    match over {
        Over::Epoll | Over::EpollWithPool => {
            let epoll =
                Epoll::new().map_err(|error| format!("cannot use epoll: {error}"))?;
            let files = open_files(flags, offer)?;
            serve(flags, offer, true, || {
                let disk = Disk::new(file_pool::THREADS)
                    .map_err(|error| format!("cannot start threads for files: {error}"))?;
                Ok(OverEpoll::new(epoll, files, disk, over == Over::Epoll))
            })
        }
        Over::IoUring => {
            let setup = Setup { entries: 1024, as_of: None, work: Work::default() };
            let ring =
                Ring::new(&setup).map_err(|error| Failure::Refused(refused(&error)))?;
            let ring = Completions::new(ring);
            let root = flags.root.display();
            let files = Files::new(&flags.root, offer.file_cache, ring.to_close());
            let files = files.map_err(|error| {
                format!("cannot serve {root}: {error}; name an existing folder with --root")
            })?;
            serve(flags, offer, false, || Ok(OverRing::new(ring, files)))
        }
    }
}

/// The same for both: three kinds of tasks, and a thread that polls them.
// ANCHOR: serve
fn serve<N: Net>(
    flags: &ServerFlags,
    offer: Offer,
    is_nonblocking: bool,
    net: impl FnOnce() -> Result<N, String>,
) -> Result<(), Failure> {
    let room = room_for_clients(u64::MAX)
        .map_err(|error| format!("cannot set the limit on open files: {error}"))?;
    let signals = Stop::new().map_err(|error| format!("cannot catch signals: {error}"))?;
    let listener = open_listener(flags)?;
    ioctl_fionbio(&listener, is_nonblocking)
        .map_err(|error| format!("cannot set the listener up: {error}"))?;
    let (_store, address) = start_store(flags)?;
    let net = net()?;
    let waits = |error: io::Error| format!("cannot wait: {error}");
    let mut executor = Executor::new(net.clone()).map_err(waits)?;
    announce(&listener)?;
    let listener = net.hold(listener);
    let store = Store::new(address, flags.store_timeout);
    let (settings, spawner) = (settings(flags, offer), executor.spawner());
    spawner.spawn(store.clone().keep(net.clone()));
    let house = House::new(net, settings, store, room, spawner.clone());
    spawner.spawn(watch_signals(house.clone(), signals));
    executor.block_on(keep_door(house, listener, flags.grace)).map_err(waits)?;
    Ok(())
}
// ANCHOR_END: serve
