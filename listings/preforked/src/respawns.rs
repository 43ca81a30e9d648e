//! How soon a worker may be replaced.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rustix::thread::{Timespec, nanosleep};

// ANCHOR: limits
/// How many workers may be started within [`WINDOW`], even in a smaller pool.
const AT_LEAST: usize = 20;
/// The window.
const WINDOW: Duration = Duration::from_secs(1);
// ANCHOR_END: limits

/// A worker that ended is replaced at once, but within a second no more of them than the pool
/// has places, or 20: one that ends as soon as it begins would otherwise keep the machine
/// busy with forking.
#[derive(Debug)]
pub struct Respawns {
    at_most: usize,
    latest: VecDeque<Instant>,
}

impl Respawns {
    /// For a pool of `size`, all of which may be started at once.
    pub fn new(size: usize) -> Self {
        Self { at_most: size.max(AT_LEAST), latest: VecDeque::new() }
    }

    /// Whether a worker may be started now. Waits before it says no: until there may be
    /// another, or a signal comes.
    // ANCHOR: may-start
    pub fn may_start(&mut self) -> bool {
        let now = Instant::now();
        while self.latest.front().is_some_and(|start| now - *start >= WINDOW) {
            self.latest.pop_front();
        }
        if let Some(oldest) = self.latest.front()
            && self.latest.len() >= self.at_most
        {
            pause(WINDOW.saturating_sub(now - *oldest));
            return false;
        }
        self.latest.push_back(now);
        true
    }
    // ANCHOR_END: may-start
}

/// Sleeps, but not longer than until a signal comes (nanosleep(2)).
pub fn pause(time: Duration) {
    let time = Timespec {
        tv_sec: time.as_secs().cast_signed(),
        tv_nsec: time.subsec_nanos().into(),
    };
    let _ = nanosleep(&time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_starts_at_once_and_is_then_held_back() {
        let mut respawns = Respawns::new(8);
        let begun = Instant::now();
        let started = (0..100).take_while(|_| respawns.may_start()).count();
        // On a machine that is slow enough the window has passed meanwhile.
        assert!(started == 20 || begun.elapsed() > WINDOW, "{started} were started");
        assert!(started < 100, "it says no, and does not wait until it may say yes");
        assert!(respawns.may_start(), "it has waited until there may be another");
    }

    #[test]
    fn each_start_counts_for_a_window_of_its_own() {
        let mut respawns = Respawns::new(8);
        let begun = Instant::now();
        assert!((0..10).all(|_| respawns.may_start()));
        std::thread::sleep(WINDOW * 6 / 10);
        assert!((0..10).all(|_| respawns.may_start()));
        assert!(!respawns.may_start() || begun.elapsed() > WINDOW, "that are twenty");
        // It has waited until the first ten no longer count. The second ten do.
        let more = (0..20).take_while(|_| respawns.may_start()).count();
        assert!(more == 10 || begun.elapsed() > WINDOW * 14 / 10, "{more} more");
    }
}
