//! What the threads share, and hand on to each other.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use iterative::Worker;

/// How many workers are kept that nobody needs at the moment. Each may have a connection to
/// the store.
pub const KEPT: usize = 64;

/// Workers that wait for a thread: each with its buffer and its connection to the store, and
/// all with one cache of open files.
// ANCHOR: shelf
#[derive(Debug)]
pub struct Shelf {
    /// Never serves. The others are made after it.
    pattern: Worker,
    idle: Mutex<Vec<Worker>>,
}

impl Shelf {
    /// A shelf of workers like this one.
    pub fn new(pattern: Worker) -> Self {
        Self { pattern, idle: Mutex::default() }
    }

    /// The worker that was put back last, if there is one: its buffer is likely to be in the
    /// processor's cache.
    pub fn take(&self) -> Worker {
        let idle = self.idle().pop();
        idle.unwrap_or_else(|| self.pattern.another())
    }

    /// Keeps a worker for the next thread. A thread that panics puts none back, and so
    /// nobody gets one that was left in the middle of something.
    pub fn put_back(&self, worker: Worker) {
        let mut idle = self.idle();
        if idle.len() < KEPT {
            idle.push(worker);
        }
    }
    // ANCHOR_END: shelf

    /// Gives back the descriptors that are only kept for later.
    pub fn release(&self) {
        let idle = std::mem::take(&mut *self.idle());
        self.pattern.release_files();
        drop(idle);
    }

    /// How many workers wait for a thread.
    pub fn kept(&self) -> usize {
        self.idle().len()
    }

    /// How long a request may still take after SIGTERM.
    pub fn grace(&self) -> Duration {
        self.pattern.grace()
    }

    /// Held for a push or a pop, and for nothing that waits. Neither can panic halfway.
    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
