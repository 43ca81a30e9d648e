//! The children of a server: who is alive, who has ended, how many there may be.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use iterative::signals;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// How much longer than the grace a child may take to end before it is killed.
const EXTRA: Duration = Duration::from_secs(2);

/// The children that are alive, or that have ended and were not waited for.
#[derive(Debug)]
pub struct Children {
    alive: HashSet<Pid>,
    at_most: usize,
    grace: Duration,
    told_to_stop: bool,
}

impl Children {
    /// Room for `at_most` children at a time, which have `grace` to finish after SIGTERM.
    pub fn new(at_most: usize, grace: Duration) -> Self {
        Self { alive: HashSet::new(), at_most, grace, told_to_stop: false }
    }

    /// Another child.
    pub fn add(&mut self, child: Pid) {
        self.alive.insert(child);
    }

    /// Whether there is no room for another one.
    pub fn are_too_many(&self) -> bool {
        self.alive.len() >= self.at_most
    }

    /// Takes note of the children that have ended, without waiting for one that has not.
    // ANCHOR: reap
    pub fn reap(&mut self) {
        while self.one_has_ended(WaitPidFlag::WNOHANG) {}
    }

    /// Waits until a child has ended, or a signal comes.
    pub fn wait_for_one(&mut self) {
        if signals::stopped_at().is_some() {
            self.tell_to_stop();
        }
        self.one_has_ended(WaitPidFlag::empty());
    }

    fn one_has_ended(&mut self, how: WaitPidFlag) -> bool {
        match waitpid(None, Some(how)) {
            Ok(status) => status.pid().is_some_and(|child| {
                // The store is a child, too, and none of these.
                self.alive.remove(&child);
                true
            }),
            Err(Errno::ECHILD) => {
                self.alive.clear();
                false
            }
            Err(_) => false,
        }
    }
    // ANCHOR_END: reap

    /// Tells the children that the server is about to end, once: whoever has not asked for
    /// anything yet is let go, and the grace begins.
    fn tell_to_stop(&mut self) {
        if !self.told_to_stop {
            self.told_to_stop = true;
            self.send(Signal::SIGTERM);
        }
    }

    /// Returns when every child has ended. Whoever takes longer than the grace allows is
    /// killed.
    // ANCHOR: wait-for-all
    pub fn wait_for_all(&mut self) {
        self.tell_to_stop();
        let until =
            signals::no_later(None, self.grace).unwrap_or_else(Instant::now) + EXTRA;
        while !self.alive.is_empty() {
            if Instant::now() >= until {
                self.send(Signal::SIGKILL);
            }
            // An alarm a second sees to it that this is not for ever.
            self.wait_for_one();
        }
    }
    // ANCHOR_END: wait-for-all

    fn send(&self, signal: Signal) {
        for child in &self.alive {
            // It is ours until it was waited for, so this is nobody else.
            let _ = kill(*child, signal);
        }
    }
}
