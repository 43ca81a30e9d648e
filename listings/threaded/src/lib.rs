//! A thread for each connection: the threaded server.
//!
//! The main thread does nothing but accept. For each connection it starts a thread, and the
//! thread serves it as the iterative server does. Where the forking server's children each
//! have a memory of their own, the threads have one: what one of them has opened, the others
//! find open, and a connection to the store goes from one to the next.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `bin/one-memory.rs` | two threads, one memory, one table of descriptors |
//! | `bin/four-threads.rs` | four clients who come at once |
//! | `bin/takes.rs` | what two hundred threads take: reserved, and resident |
//! | `bin/lost-updates.rs` | two threads add 1, and half of it is lost |
//! | `bin/where-it-lands.rs` | which thread a signal reaches |
//! | `bin/too-many.rs` | threads without a cap, against a limit |
//! | `bin/poisoned.rs` | a thread that panics, and what it leaves locked |
//! | `lib.rs` | [`accept_and_spawn`]: what makes this server a threaded one |
//! | `threads.rs` | [`Threads`]: who is alive, how many there may be, how they are told to stop |
//! | `shelf.rs` | [`Shelf`]: what the threads share, and hand on |
#![cfg(target_os = "linux")]

mod shelf;
mod threads;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use iterative::{Complaints, Drain, is_our_mistake, no_accept, signals, somebody_waits};
use rustix::io::Errno;
use rustix::net::{self, Shutdown, SocketFlags};

pub use shelf::{KEPT, Shelf};
pub use threads::{STACK, Threads};

/// Serves each connection in a thread of its own, as many at a time as `threads` allows.
/// After SIGTERM or SIGINT it serves those that were already waiting, and returns when the
/// threads have ended, or their grace is over.
// ANCHOR: accept
pub fn accept_and_spawn(
    listener: OwnedFd,
    threads: &Arc<Threads>,
    shelf: &Arc<Shelf>,
) -> io::Result<()> {
    let listener = Arc::new(listener);
    let mut complaints = Complaints::default();
    let mut drain = Drain::default();
    while drain.may_go_on(&*listener, shelf.grace()) {
        // ANCHOR: cap
        if threads.are_too_many() {
            threads.wait_for_one();
            continue;
        }
        // ANCHOR_END: cap
        let client = match net::accept_with(&*listener, SocketFlags::CLOEXEC) {
            Ok(client) => client,
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => continue,
            Err(Errno::INVAL) if signals::stopped_at().is_some() => break,
            Err(error) if is_our_mistake(error) => return Err(error.into()),
            Err(error) => {
                complaints.say(no_accept(error));
                shelf.release();
                threads.pause();
                continue;
            }
        };
        drain.accepted();
        // ANCHOR: spawn
        let work = {
            let (threads, shelf) = (Arc::clone(threads), Arc::clone(shelf));
            let listener = Arc::clone(&listener);
            move || {
                let others_wait = || threads.keep_waiting() && somebody_waits(&*listener);
                let mut worker = shelf.take();
                worker.serve(&client, &others_wait);
                shelf.put_back(worker);
            }
        };
        if let Err(error) = threads.spawn(work) {
            // The work is dropped, and with it the client.
            complaints.say(no_thread(error));
        }
        // ANCHOR_END: spawn
    }
    // Threads that are still at work have the listener, too. It fails if it was shut down
    // before.
    let _ = net::shutdown(&*listener, Shutdown::Both);
    threads.wait_for_all(shelf.grace());
    Ok(())
}
// ANCHOR_END: accept

/// The line about a thread that cannot be started.
pub fn no_thread(error: io::Error) -> String {
    format!(
        "cannot start a thread: {error}; a client is dropped (ulimit -u and pids.max limit \
         threads, too; lower --max-connections)"
    )
}
