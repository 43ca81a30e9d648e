//! The threads of a server: how many there are, how many there may be, and how they learn
//! that they are to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use iterative::signals;
use nix::sys::pthread::{Pthread, pthread_kill, pthread_self};
use nix::sys::signal::{SigSet, Signal};

/// How much of the address space a thread gets for its stack. Serving a client takes less
/// than 48 KiB of it, in a build without optimizations.
// ANCHOR: stack
pub const STACK: usize = 256 * 1024;
// ANCHOR_END: stack

/// How long a thread may take to end after the grace before the server ends without it.
const EXTRA: Duration = Duration::from_secs(2);
/// A condition variable is not woken by a signal. So nobody waits at one for longer than it
/// takes an alarm to come.
const LOOK: Duration = Duration::from_secs(1);
/// How long the server does not accept when it could not.
const PAUSE: Duration = Duration::from_millis(100);

/// The threads that are alive.
// ANCHOR: threads
#[derive(Debug)]
pub struct Threads {
    at_most: usize,
    alive: Mutex<Alive>,
    one_has_left: Condvar,
    /// Whether clients in the accept queue stay there for now.
    keep_waiting: AtomicBool,
}

#[derive(Debug, Default)]
struct Alive {
    /// Threads that were started, or are about to be.
    number: usize,
    /// Those that run. What the C library knows a thread by may be an address.
    running: Vec<usize>,
}
// ANCHOR_END: threads

impl Threads {
    /// Room for `at_most` threads at a time.
    pub fn new(at_most: usize) -> Arc<Self> {
        Arc::new(Self {
            at_most,
            alive: Mutex::default(),
            one_has_left: Condvar::new(),
            keep_waiting: AtomicBool::new(false),
        })
    }

    /// Starts a thread. It ends when `work` returns or panics. If it cannot be started,
    /// `work` is dropped.
    ///
    /// # Errors
    /// `EAGAIN`: a limit on the number of threads is reached (`RLIMIT_NPROC`, the pids
    /// controller of a cgroup, `kernel.threads-max`), or no memory is left for the stack.
    // ANCHOR: spawn
    pub fn spawn(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let place = Place::take(self);
        thread::Builder::new().stack_size(STACK).spawn(move || {
            // Given back when this is over: also by a panic.
            let _place = place.occupy();
            work();
        })?;
        Ok(())
    }
    // ANCHOR_END: spawn

    /// How many there are.
    pub fn number(&self) -> usize {
        self.alive().number
    }

    /// Whether there is no room for another one.
    pub fn are_too_many(&self) -> bool {
        self.number() >= self.at_most
    }

    /// Whether clients in the accept queue have to stay there for now: there is no room, or
    /// no descriptor for them.
    pub fn keep_waiting(&self) -> bool {
        self.keep_waiting.load(Ordering::Relaxed)
    }

    /// Waits until there is room, but no longer than a second.
    // ANCHOR: wait-for-one
    pub fn wait_for_one(&self) {
        self.hurry();
        self.keep_waiting.store(true, Ordering::Relaxed);
        let alive = self.alive();
        let _ = self
            .one_has_left
            .wait_timeout_while(alive, LOOK, |alive| alive.number >= self.at_most);
        self.keep_waiting.store(false, Ordering::Relaxed);
    }
    // ANCHOR_END: wait-for-one

    /// Leaves whoever comes in the queue for a moment, which whoever says nothing has to
    /// leave meanwhile.
    pub fn pause(&self) {
        self.keep_waiting.store(true, Ordering::Relaxed);
        thread::sleep(PAUSE);
        self.keep_waiting.store(false, Ordering::Relaxed);
    }

    /// After SIGTERM: interrupts what the threads wait in, so that they see it.
    // ANCHOR: hurry
    pub fn hurry(&self) {
        if signals::stopped_at().is_some() {
            // Whoever stands in this list is alive: it takes itself out, and needs the lock
            // for that.
            for thread in &self.alive().running {
                let _ = pthread_kill(*thread as Pthread, Signal::SIGUSR1);
            }
        }
    }
    // ANCHOR_END: hurry

    /// Returns when every thread has ended, or has had its grace and more.
    // ANCHOR: wait-for-all
    pub fn wait_for_all(&self, grace: Duration) {
        let until = signals::no_later(None, grace).unwrap_or_else(Instant::now) + EXTRA;
        while self.number() > 0 && Instant::now() < until {
            self.hurry();
            let alive = self.alive();
            let _ =
                self.one_has_left.wait_timeout_while(alive, LOOK, |alive| alive.number > 0);
        }
    }
    // ANCHOR_END: wait-for-all

    fn alive(&self) -> MutexGuard<'_, Alive> {
        // Nothing that is done under this lock can panic halfway.
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread's place, from before it is started until it has ended.
// ANCHOR: place
struct Place(Arc<Threads>);

impl Place {
    fn take(threads: &Arc<Threads>) -> Self {
        threads.alive().number += 1;
        Self(Arc::clone(threads))
    }

    /// Called in the thread itself.
    fn occupy(self) -> Self {
        leave_signals_to_main();
        self.0.alive().running.push(pthread_self() as usize);
        self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let me = pthread_self() as usize;
        let mut alive = self.0.alive();
        alive.running.retain(|thread| *thread != me);
        alive.number -= 1;
        drop(alive);
        self.0.one_has_left.notify_one();
    }
}
// ANCHOR_END: place

/// Which thread a signal to the process reaches is for the kernel to choose, among those that
/// do not block it (signal(7)). The main thread is the one that knows what to do.
// ANCHOR: block
fn leave_signals_to_main() {
    let to_main = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGALRM];
    // It cannot fail: the set is valid. If it did, the signal's handler would run here, and
    // its alarm would be seen a second later.
    let _ = SigSet::from_iter(to_main).thread_block();
}
// ANCHOR_END: block
