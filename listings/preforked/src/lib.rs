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

use std::process::exit;
use std::time::{Duration, Instant};

use forking::fork;
use iterative::{Worker, accept_one_after_another, complain, signals};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, getppid};
use rustix::process::{getpid, set_parent_process_death_signal};

pub use defer::defer_accept;
pub use listeners::Listeners;
pub use respawns::Respawns;

/// How much longer than the grace a worker may take to end before it is killed.
const EXTRA: Duration = Duration::from_secs(2);

/// The workers, as the parent knows them.
// ANCHOR: pool
#[derive(Debug)]
pub struct Pool {
    listeners: Listeners,
    backlog: i32,
    grace: Duration,
    /// The process in each place; none when it has ended.
    workers: Vec<Option<Pid>>,
    respawns: Respawns,
    last_complaint: Option<Instant>,
}
// ANCHOR_END: pool

impl Pool {
    /// A pool with `size` places, still empty.
    pub fn new(listeners: Listeners, size: usize, backlog: i32, grace: Duration) -> Self {
        Self {
            listeners,
            backlog,
            grace,
            workers: vec![None; size],
            respawns: Respawns::new(size),
            last_complaint: None,
        }
    }

    /// Keeps every place taken until SIGTERM or SIGINT, and returns when the workers have
    /// served those who were already waiting, and have ended.
    // ANCHOR: run
    pub fn run(mut self, worker: &mut Worker) {
        while signals::stopped_at().is_none() {
            match self.workers.iter().position(Option::is_none) {
                Some(place) => {
                    if self.respawns.may_start() {
                        self.start(place, worker);
                    }
                }
                None => self.wait_for_one(),
            }
        }
        self.stop();
    }
    // ANCHOR_END: run

    // ANCHOR: start
    fn start(&mut self, place: usize, worker: &mut Worker) {
        let parent = getpid();
        match fork() {
            Ok(ForkResult::Parent { child }) => self.workers[place] = Some(child),
            Ok(ForkResult::Child) => {
                // Whatever ends the parent, nobody is left behind.
                let tied =
                    set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
                if tied.is_err() || getppid().as_raw() != parent.as_raw_pid() {
                    exit(1);
                }
                let listener = self.listeners.of(place);
                match accept_one_after_another(listener, self.backlog, worker) {
                    Ok(()) => exit(0),
                    Err(error) => complain(&mut None, "accept", error),
                }
                exit(1);
            }
            Err(error) => complain(&mut self.last_complaint, "fork", error),
        }
    }
    // ANCHOR_END: start

    /// Waits until a worker has ended, or a signal comes.
    // ANCHOR: wait
    fn wait_for_one(&mut self) {
        let status = match waitpid(None, None) {
            Ok(status) => status,
            Err(Errno::ECHILD) => return self.workers.fill(None),
            Err(_) => return,
        };
        let place = self.workers.iter().position(|worker| *worker == status.pid());
        match place {
            Some(place) => {
                self.workers[place] = None;
                self.note(status);
            }
            // The store is a child, too.
            None => eprintln!("the store has ended ({status:?}); start the server again"),
        }
    }
    // ANCHOR_END: wait

    /// Says, at most once a second, that a worker has ended as it should not.
    fn note(&mut self, status: WaitStatus) {
        let lately = |last: Instant| last.elapsed() < Duration::from_secs(1);
        if matches!(status, WaitStatus::Exited(_, 0))
            || self.last_complaint.is_some_and(lately)
        {
            return;
        }
        self.last_complaint = Some(Instant::now());
        match status {
            WaitStatus::Exited(pid, code) => eprintln!("worker {pid} ended with {code}"),
            WaitStatus::Signaled(pid, signal, _) => {
                eprintln!("worker {pid} was ended by {signal}; it is replaced");
            }
            _ => {}
        }
    }

    /// Tells the workers to finish, and waits until they have. Whoever takes longer than the
    /// grace allows is killed.
    // ANCHOR: stop
    fn stop(&mut self) {
        // Now an empty queue ends a worker's accept instead of making it wait.
        self.listeners.no_longer_block();
        self.send(Signal::SIGTERM);
        let until =
            signals::no_later(None, self.grace).unwrap_or_else(Instant::now) + EXTRA;
        while self.workers.iter().any(Option::is_some) {
            if Instant::now() >= until {
                self.send(Signal::SIGKILL);
            }
            // An alarm a second sees to it that this is not for ever.
            self.wait_for_one();
        }
    }
    // ANCHOR_END: stop

    fn send(&self, signal: Signal) {
        for worker in self.workers.iter().flatten() {
            // It is ours until it was waited for, so this is nobody else.
            let _ = kill(*worker, signal);
        }
    }
}
