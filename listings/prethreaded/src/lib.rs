//! A pool of threads: the prethreaded server, and a thread in the background.
//!
//! The threads are started before any client has come. One of them accepts, and hands the
//! clients to the others through a queue. In the other form each is an iterative server: they
//! all call `accept` on the same listener, and the kernel gives a connection to one that
//! waits.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `bin/stuck-pool.rs` | as many silent clients as threads |
//! | `bin/one-lock.rs` | a lock that is held across the call to the store |
//! | `bin/background.rs` | a thread that waits for the time or for the end, whichever is first |
//! | `lib.rs` | [`Pool`]: starts the threads, keeps them, stops them |
//! | `queue.rs` | [`Queue`]: from the thread that accepts to those that serve |
//! | `background.rs` | [`Background`]: closes files in their time, until it is dropped |
#![cfg(target_os = "linux")]

mod background;
mod queue;

use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::exit;
use std::sync::Arc;
use std::time::Duration;

use iterative::{
    Complaints, Drain, Worker, accept_one_after_another, is_our_mistake, no_accept,
    signals, somebody_waits,
};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use rustix::io::Errno;
use rustix::net::{self, Shutdown, SocketFlags};
use threaded::Threads;

pub use background::Background;
pub use queue::Queue;

/// The threads, and what they accept from.
// ANCHOR: pool
#[derive(Debug)]
pub struct Pool {
    listener: Arc<OwnedFd>,
    threads: Arc<Threads>,
    /// What blocks the signals that are for the main thread. The threads inherit it.
    blocked: SigSet,
    grace: Duration,
}
// ANCHOR_END: pool

impl Pool {
    /// A pool without threads. From now on SIGTERM, SIGINT and SIGALRM wait until
    /// [`Pool::run`] waits for them.
    ///
    /// # Errors
    /// What sigprocmask(2) answers.
    // ANCHOR: new
    pub fn new(listener: OwnedFd, grace: Duration) -> io::Result<Self> {
        let for_main = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGALRM];
        let blocked = SigSet::from_iter(for_main);
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&blocked), None)?;
        let threads = Threads::new(usize::MAX);
        Ok(Self { listener: Arc::new(listener), threads, blocked, grace })
    }
    // ANCHOR_END: new

    /// What the threads accept from.
    pub fn listener(&self) -> &OwnedFd {
        &self.listener
    }

    /// Starts `size` threads that all accept, and serve what they have accepted.
    ///
    /// # Errors
    /// `EAGAIN`: see [`Threads::spawn`].
    // ANCHOR: all-accept
    pub fn all_accept(&self, size: usize, pattern: &Arc<Worker>) -> io::Result<()> {
        for _ in 0..size {
            let (listener, pattern) = (Arc::clone(&self.listener), Arc::clone(pattern));
            self.threads.spawn(move || {
                survive(|| {
                    let mut worker = pattern.another();
                    accept_one_after_another(&*listener, &mut worker)
                        .unwrap_or_else(give_up);
                });
                refuse(&listener);
            })?;
        }
        Ok(())
    }
    // ANCHOR_END: all-accept

    /// Starts one thread that accepts, and `size` that serve.
    ///
    /// # Errors
    /// `EAGAIN`: see [`Threads::spawn`].
    // ANCHOR: one-accepts
    pub fn one_accepts(&self, size: usize, pattern: &Arc<Worker>) -> io::Result<()> {
        let queue = Arc::new(Queue::new(size));
        for _ in 0..size {
            let (listener, queue) = (Arc::clone(&self.listener), Arc::clone(&queue));
            let (threads, pattern) = (Arc::clone(&self.threads), Arc::clone(pattern));
            self.threads.spawn(move || {
                survive(|| {
                    let mut worker = pattern.another();
                    let outside = || threads.keep_waiting() && somebody_waits(&*listener);
                    let others = || queue.somebody_waits() || outside();
                    while let Some(client) = queue.pop() {
                        worker.serve(&client, &others);
                    }
                });
            })?;
        }
        let (listener, pattern) = (Arc::clone(&self.listener), Arc::clone(pattern));
        let threads = Arc::clone(&self.threads);
        self.threads.spawn(move || {
            survive(|| accept_for_others(&listener, &threads, &pattern, &queue));
            refuse(&listener);
            queue.close();
        })
    }
    // ANCHOR_END: one-accepts

    /// Waits for SIGTERM or SIGINT, and returns when the threads have served those who were
    /// already waiting, and have ended, or when their grace is over.
    // ANCHOR: run
    pub fn run(self) -> io::Result<()> {
        let mut none_blocked = SigSet::thread_get_mask()?;
        self.blocked.iter().for_each(|signal| none_blocked.remove(signal));
        while signals::stopped_at().is_none() {
            // Unblocks them, waits, and blocks them again, in one step.
            let _ = none_blocked.suspend();
        }
        self.threads.wait_for_all(self.grace);
        Ok(())
    }
    // ANCHOR_END: run
}

/// Does the work of a thread of the pool. A panic loses what the thread had in hand, its
/// client and its worker; it begins again with another one. That is why nothing is left
/// behind half changed, which is what `AssertUnwindSafe` asserts.
///
/// A thread that ended instead would have to be replaced, and starting one can fail. A pool
/// that shrinks by one at each mistake is empty one day, and its listener still listens.
// ANCHOR: survive
pub fn survive(mut work: impl FnMut()) {
    while catch_unwind(AssertUnwindSafe(&mut work)).is_err() {}
}
// ANCHOR_END: survive

/// Accepts, and hands over, until it is to stop.
// ANCHOR: accept-for-others
fn accept_for_others(
    listener: &OwnedFd,
    threads: &Threads,
    pattern: &Worker,
    queue: &Queue,
) {
    let mut complaints = Complaints::default();
    let mut drain = Drain::default();
    while drain.may_go_on(listener, pattern.grace()) {
        match net::accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(client) => {
                drain.accepted();
                queue.push(client);
            }
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => {}
            Err(error) if is_our_mistake(error) => give_up(error.into()),
            Err(error) => {
                complaints.say(no_accept(error));
                pattern.release_files();
                threads.pause();
            }
        }
    }
}
// ANCHOR_END: accept-for-others

/// The first thread that leaves has seen that nobody of those who were there at the signal
/// waits any more. Others are refused.
fn refuse(listener: &OwnedFd) {
    // It fails if somebody has done it before.
    let _ = net::shutdown(listener, Shutdown::Both);
}

/// A pool that cannot accept is no server.
fn give_up(error: io::Error) {
    flags::fail(flags::FAILED, format_args!("cannot accept: {error}"));
    exit(i32::from(flags::FAILED));
}
