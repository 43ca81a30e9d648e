//! A pool of processes: the preforked server.
//!
//! The parent forks its workers before any client has come, and each worker is an iterative
//! server: they all call `accept` on the same listener, and the kernel gives a connection to
//! one that waits. The parent waits, too, for a worker to end, and then starts another.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `bin/who-gets-it.rs` | which of four workers gets the next connection |
//! | `bin/stuck.rs` | one worker is stuck: who waits with a shared listener, who with one each |
//! | `bin/silent.rs` | clients that say nothing, with TCP_DEFER_ACCEPT and without |
//! | `crew.rs` | [`crew`]: the small workers of these experiments |
//! | `lib.rs` | [`Pool`]: starts the workers, replaces them, stops them |
//! | `listeners.rs` | [`Listeners`]: one for all, or one for each with SO_REUSEPORT |
//! | `respawns.rs` | [`Respawns`]: how soon a worker may be replaced |
//! | `defer.rs` | TCP_DEFER_ACCEPT |
#![cfg(target_os = "linux")]

pub mod crew;
mod defer;
mod listeners;
mod respawns;

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use forking::{EXTRA, ForkResult, fork, leave, store_has_ended};
use iterative::{Complaints, signals};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, getppid, kill_process,
    set_parent_process_death_signal, wait,
};

pub use defer::defer_accept;
pub use listeners::Listeners;
pub use respawns::{Respawns, pause};

/// What a worker does with its listener, until it is told to stop.
pub type Serve<'a> = dyn FnMut(OwnedFd) -> io::Result<()> + 'a;

/// The workers, as the parent knows them.
// ANCHOR: pool
#[derive(Debug)]
pub struct Pool {
    listeners: Listeners,
    /// The process in each place; none when it has ended.
    workers: Vec<Option<Pid>>,
    respawns: Respawns,
    grace: Duration,
    /// Another child, which is no worker.
    store: Option<u32>,
    complaints: Complaints,
}
// ANCHOR_END: pool

impl Pool {
    /// A pool with `size` places, still empty.
    pub fn new(
        listeners: Listeners,
        size: usize,
        grace: Duration,
        store: Option<u32>,
    ) -> Self {
        Self {
            listeners,
            workers: vec![None; size],
            respawns: Respawns::new(size),
            grace,
            store,
            complaints: Complaints::default(),
        }
    }

    /// Keeps every place taken until SIGTERM or SIGINT, and returns when the workers have
    /// served those who were already waiting, and have ended. `serve` runs in each of them.
    // ANCHOR: run
    pub fn run(mut self, serve: &mut Serve) {
        while signals::stopped_at().is_none() {
            while self.one_has_ended(WaitOptions::NOHANG) {}
            match self.workers.iter().position(Option::is_none) {
                Some(place) if self.respawns.may_start() => self.start(place, serve),
                Some(_) => {}
                None => _ = self.one_has_ended(WaitOptions::empty()),
            }
        }
        self.stop();
    }
    // ANCHOR_END: run

    // ANCHOR: start
    fn start(&mut self, place: usize, serve: &mut Serve) {
        let parent = getpid();
        match fork() {
            Ok(ForkResult::Parent { child }) => self.workers[place] = Some(child),
            Ok(ForkResult::Child) => {
                // Whatever ends the parent, nobody is left behind.
                let tied = set_parent_process_death_signal(Some(Signal::TERM));
                if tied.is_err() || getppid() != Some(parent) {
                    leave(1);
                }
                let listener = self.listeners.keep(place);
                match serve(listener) {
                    Ok(()) => leave(0),
                    Err(error) => {
                        self.complaints.say(format_args!("cannot accept: {error}"))
                    }
                }
                leave(1);
            }
            Err(error) => {
                self.complaints.say(format_args!(
                    "cannot fork a worker: {error} (ulimit -u shows a limit on processes)"
                ));
                pause(Duration::from_millis(100));
            }
        }
    }
    // ANCHOR_END: start

    /// Takes note of a child that has ended, and says whether there was one. Waits for it,
    /// unless told not to, until a signal comes.
    // ANCHOR: wait
    fn one_has_ended(&mut self, how: WaitOptions) -> bool {
        let (child, status) = match wait(how) {
            Ok(Some(ended)) => ended,
            Err(Errno::CHILD) => {
                self.workers.fill(None);
                return false;
            }
            Ok(None) | Err(_) => return false,
        };
        let place = self.workers.iter().position(|worker| *worker == Some(child));
        if let Some(place) = place {
            self.workers[place] = None;
            self.note(child, status);
            if signals::stopped_at().is_some() && status.exit_status() == Some(0) {
                // Nobody who was there before the signal waits any more. Others are refused.
                self.listeners.shut_down(place);
            }
        } else if self.store == Some(child.as_raw_pid().cast_unsigned()) {
            self.complaints.say(store_has_ended(status));
        }
        true
    }
    // ANCHOR_END: wait

    /// Says that a worker has ended as it should not.
    fn note(&mut self, worker: Pid, status: WaitStatus) {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(0), _) => {}
            (Some(code), _) => {
                self.complaints.say(format_args!("worker {worker} ended with {code}"));
            }
            (_, signal) => {
                let signal = signal.unwrap_or_default();
                self.complaints
                    .say(format_args!("worker {worker} was ended by signal {signal}"));
            }
        }
    }

    /// Tells the workers to finish, and waits until they have. Whoever takes longer than the
    /// grace allows is killed.
    // ANCHOR: stop
    fn stop(&mut self) {
        // Now an empty queue ends a worker's accept instead of making it wait.
        self.listeners.no_longer_block();
        self.send(Signal::TERM);
        let until =
            signals::no_later(None, self.grace).unwrap_or_else(Instant::now) + EXTRA;
        while self.workers.iter().any(Option::is_some) {
            if Instant::now() >= until {
                self.send(Signal::KILL);
            }
            // An alarm a second sees to it that this is not for ever.
            self.one_has_ended(WaitOptions::empty());
        }
    }
    // ANCHOR_END: stop

    fn send(&self, signal: Signal) {
        for worker in self.workers.iter().flatten() {
            // Until it was waited for its id is nobody else's.
            let _ = kill_process(*worker, signal);
        }
    }
}
