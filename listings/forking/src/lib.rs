//! A process for each connection: the forking server.
//!
//! The parent does nothing but accept. For each connection it forks a child, and the child
//! serves it as the iterative server does. Whoever waits for a client or for the store is
//! that child, and nobody else with it.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `bin/twice.rs` | fork returns twice, and the memory that was one is two |
//! | `bin/copies.rs` | what is copied, and when: page faults counted |
//! | `lib.rs` | [`accept_and_fork`]: what makes this server a forking one |
//! | `children.rs` | [`Children`]: who is alive, who has ended, how many there may be |
//! | `fork.rs` | [`fork`] and [`leave`], behind safe functions |
#![cfg(target_os = "linux")]

mod children;
mod fork;

use std::io;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use iterative::{Complaints, Drain, Worker, is_our_mistake, no_accept, signals};
use rustix::io::Errno;
use rustix::net::{self, SocketFlags};

pub use children::{Children, EXTRA, store_has_ended};
pub use fork::{ForkResult, fork, leave, wait_for};

/// Serves each connection in a child of its own, as many at a time as `children` allows.
/// After SIGTERM or SIGINT it serves those that were already waiting, and returns when the
/// children have ended.
// ANCHOR: accept
pub fn accept_and_fork(
    listener: OwnedFd,
    mut children: Children,
    worker: &mut Worker,
) -> io::Result<()> {
    let mut complaints = Complaints::default();
    let mut drain = Drain::default();
    worker.rehearse();
    while drain.may_go_on(&listener, worker.grace()) {
        // ANCHOR: cap
        children.reap();
        if children.are_too_many() {
            children.wait_for_one();
            continue;
        }
        // ANCHOR_END: cap
        let client = match net::accept_with(&listener, SocketFlags::CLOEXEC) {
            Ok(client) => client,
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => continue,
            Err(Errno::INVAL) if signals::stopped_at().is_some() => break,
            Err(error) if is_our_mistake(error) => return Err(error.into()),
            Err(error) => {
                complaints.say(no_accept(error));
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        drain.accepted();
        // ANCHOR: fork
        match fork() {
            Ok(ForkResult::Child) => {
                drop(listener);
                worker.serve(&client, &|| false);
                leave(0)
            }
            Ok(ForkResult::Parent { child }) => children.add(child),
            Err(error) => complaints.say(no_fork(error)),
        }
        // The parent's descriptor of the client is closed here; the child has its own.
        // ANCHOR_END: fork
    }
    drop(listener);
    children.wait_for_all();
    Ok(())
}
// ANCHOR_END: accept

/// The line about a fork that fails.
fn no_fork(error: io::Error) -> String {
    format!(
        "cannot fork: {error}; a client is dropped (ulimit -u shows a limit on processes)"
    )
}
