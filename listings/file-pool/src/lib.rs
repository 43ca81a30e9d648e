//! A pool of threads behind a loop.
//!
//! A loop must not wait for a disk, and no call tells it when a file's bytes are there. So it
//! hands over what might wait to a thread that may, and is told by a descriptor, which it can
//! wait for like any other. The pool knows nothing of loops, clients or files: a [`Job`] owns
//! what it needs, and what came of it, its [`Job::Done`], says whose it is.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `lib.rs` | [`Pool`]: a bounded queue in, threads, results and an eventfd out |
//! | `now.rs` | [`read_now`]: a read that does not wait, and says so when it would have to |
//! | `cold.rs` | a file that is on the disk and not in memory, for the experiments |
#![cfg(target_os = "linux")]

pub mod cold;
mod now;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use nix::sys::signal::{SigSet, SigmaskHow};
use rustix::event::{EventfdFlags, eventfd};

pub use now::{Now, read_now};

/// How many threads there are unless somebody says otherwise. libuv has so many.
pub const THREADS: usize = 4;

/// Work that may have to wait. It owns all that it needs.
// ANCHOR: job
pub trait Job: Send + 'static {
    /// What comes of it.
    type Done: Send + 'static;

    /// Does it, in a thread of the pool, for as long as it takes.
    fn work(self) -> Self::Done;
}
// ANCHOR_END: job

/// Threads that work for a loop.
///
/// Its descriptor is readable while there is something in [`Pool::take_done`]. Dropping the
/// pool ends it: jobs that no thread has begun are thrown away, and those that were begun are
/// waited for.
// ANCHOR: pool
pub struct Pool<J: Job> {
    shared: Arc<Shared<J>>,
    threads: Vec<JoinHandle<()>>,
    room: usize,
    outstanding: usize,
}

struct Shared<J: Job> {
    queue: Mutex<Queue<J>>,
    /// There is a job, or the queue is closed.
    work: Condvar,
    done: Mutex<Vec<J::Done>>,
    /// Readable while there is something in `done`.
    told: OwnedFd,
}

struct Queue<J> {
    jobs: VecDeque<J>,
    is_closed: bool,
}
// ANCHOR_END: pool

impl<J: Job> Pool<J> {
    // ANCHOR: new
    /// Starts the threads. `room` jobs may wait for one of them.
    ///
    /// # Errors
    /// What eventfd(2) and clone(2) answer. The threads that were started are ended.
    pub fn new(threads: usize, room: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                jobs: VecDeque::with_capacity(room),
                is_closed: false,
            }),
            work: Condvar::new(),
            done: Mutex::new(Vec::new()),
            told: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        });
        let mut pool = Self { shared, threads: Vec::new(), room, outstanding: 0 };
        // A thread has the signal mask of whoever starts it. These are to have no signals: the
        // kernel gives one to any thread that does not block it, and the loop waits for them.
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let started = pool.start(threads);
        before.thread_set_mask()?;
        started.map(|()| pool)
    }

    fn start(&mut self, threads: usize) -> io::Result<()> {
        for number in 0..threads {
            let shared = Arc::clone(&self.shared);
            let thread = Builder::new().name(format!("file-{number}"));
            self.threads.push(thread.spawn(move || shared.serve())?);
        }
        Ok(())
    }
    // ANCHOR_END: new

    /// Hands a job over, and does not wait for it.
    ///
    /// # Errors
    /// As many jobs wait as there is room for. Here is yours.
    // ANCHOR: submit
    pub fn submit(&mut self, job: J) -> Result<(), J> {
        let mut queue = lock(&self.shared.queue);
        if queue.jobs.len() >= self.room {
            return Err(job);
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.outstanding += 1;
        self.shared.work.notify_one();
        Ok(())
    }
    // ANCHOR_END: submit

    /// What came of jobs, in the order in which they were finished, which need not be the one
    /// in which they were handed over.
    // ANCHOR: take-done
    pub fn take_done(&mut self) -> Vec<J::Done> {
        // First the descriptor, then the list: what is finished in between makes the
        // descriptor readable again, or is in the list already. EAGAIN: nothing was there.
        let _ = rustix::io::read(&self.shared.told, &mut [0; 8]);
        let done = std::mem::take(&mut *lock(&self.shared.done));
        self.outstanding -= done.len();
        done
    }
    // ANCHOR_END: take-done

    /// How many jobs were handed over whose results were not taken yet.
    pub fn outstanding(&self) -> usize {
        self.outstanding
    }
}

impl<J: Job> Shared<J> {
    /// What each thread does: take a job, do it, say so.
    // ANCHOR: serve
    fn serve(&self) {
        while let Some(job) = self.next_job() {
            let result = job.work();
            let mut done = lock(&self.done);
            done.push(result);
            let was_empty = done.len() == 1;
            drop(done);
            // Who has not come for the first will find this one with it.
            if was_empty {
                // It adds one to a counter, which has room for 2^64 - 2.
                let _ = rustix::io::write(&self.told, &1u64.to_ne_bytes());
            }
        }
    }

    /// The next job; none when the queue is closed.
    fn next_job(&self) -> Option<J> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.is_closed {
                return None;
            }
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
    // ANCHOR_END: serve
}

impl<J: Job> AsFd for Pool<J> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.told.as_fd()
    }
}

impl<J: Job> fmt::Debug for Pool<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pool = f.debug_struct("Pool");
        pool.field("threads", &self.threads.len()).field("room", &self.room);
        pool.field("outstanding", &self.outstanding).finish_non_exhaustive()
    }
}

impl<J: Job> Drop for Pool<J> {
    // ANCHOR: drop
    fn drop(&mut self) {
        lock(&self.shared.queue).is_closed = true;
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            // One that has panicked is over, too, and has said so itself.
            let _ = thread.join();
        }
    }
    // ANCHOR_END: drop
}

/// No job runs under a lock, so nothing in here panics half-way through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
