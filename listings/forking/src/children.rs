//! The children of a server: who is alive, who has ended, how many there may be.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use iterative::{Complaints, signals};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};

/// How much longer than the grace a child may take to end before it is killed.
pub const EXTRA: Duration = Duration::from_secs(2);

/// The children that are alive, or that have ended and were not waited for.
#[derive(Debug)]
pub struct Children {
    alive: HashSet<Pid>,
    at_most: usize,
    grace: Duration,
    store: Option<u32>,
    told_to_stop: bool,
    complaints: Complaints,
}

impl Children {
    /// Room for `at_most` children at a time, which have `grace` to finish after SIGTERM.
    /// `store` is the process id of another child that is not one of these.
    pub fn new(at_most: usize, grace: Duration, store: Option<u32>) -> Self {
        let complaints = Complaints::default();
        Self {
            alive: HashSet::new(),
            at_most,
            grace,
            store,
            told_to_stop: false,
            complaints,
        }
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
        while self.one_has_ended(WaitOptions::NOHANG) {}
    }

    /// Waits until a child has ended, or a signal comes.
    pub fn wait_for_one(&mut self) {
        self.hurry();
        self.one_has_ended(WaitOptions::empty());
    }

    fn one_has_ended(&mut self, how: WaitOptions) -> bool {
        match wait(how) {
            Ok(Some((child, status))) => {
                self.alive.remove(&child);
                self.mind_the_store(child, status);
                true
            }
            Ok(None) => false,
            Err(error) => {
                if error == Errno::CHILD {
                    self.alive.clear();
                }
                false
            }
        }
    }
    // ANCHOR_END: reap

    /// Without its store the server goes on with what needs none.
    fn mind_the_store(&mut self, child: Pid, status: WaitStatus) {
        if self.store == Some(child.as_raw_pid().cast_unsigned()) {
            self.complaints.say(store_has_ended(status));
        }
    }

    /// After SIGTERM: tells the children, once, so that whoever has asked for nothing is let
    /// go and the grace begins; and kills those who have had more than that.
    // ANCHOR: hurry
    pub fn hurry(&mut self) {
        let Some(stopped_at) = signals::stopped_at() else { return };
        if !self.told_to_stop {
            self.told_to_stop = true;
            self.send(Signal::TERM);
        }
        if Instant::now() >= stopped_at + self.grace + EXTRA {
            self.send(Signal::KILL);
        }
    }
    // ANCHOR_END: hurry

    /// Returns when every child has ended.
    // ANCHOR: wait-for-all
    pub fn wait_for_all(&mut self) {
        // An alarm a second sees to it that none of these waits is for ever.
        while !self.alive.is_empty() {
            self.wait_for_one();
        }
    }
    // ANCHOR_END: wait-for-all

    fn send(&self, signal: Signal) {
        for child in &self.alive {
            // Until it was waited for its id is nobody else's.
            let _ = kill_process(*child, signal);
        }
    }
}

/// The line about a store that is no more.
pub fn store_has_ended(status: WaitStatus) -> String {
    let how = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("with {code}"),
        (_, Some(signal)) => format!("by signal {signal}"),
        _ => "for no known reason".into(),
    };
    format!(
        "the store has ended {how}; its pages are answered 503 until the server is started again"
    )
}
