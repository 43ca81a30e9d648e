//! How soon a worker may be replaced.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rustix::thread::{Timespec, nanosleep};

// ANCHOR: limits
/// How many workers may be replaced within [`WINDOW`].
const AT_MOST: usize = 20;
/// The window.
const WINDOW: Duration = Duration::from_secs(1);
// ANCHOR_END: limits

/// A worker that ended is replaced at once, but not more than 20 a second: one that ends as
/// soon as it begins would otherwise keep the machine busy with forking.
#[derive(Debug)]
pub struct Respawns {
    at_most: usize,
    latest: VecDeque<Instant>,
}

impl Respawns {
    /// For a pool of `size`, all of which may be started at once.
    pub fn new(size: usize) -> Self {
        Self { at_most: size + AT_MOST, latest: VecDeque::new() }
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
            let left = WINDOW.saturating_sub(now - *oldest);
            let left = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
            let _ = nanosleep(&left);
            return false;
        }
        self.latest.push_back(now);
        true
    }
    // ANCHOR_END: may-start
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
        assert!(started == 28 || begun.elapsed() > WINDOW, "{started} were started");
        assert!(respawns.may_start(), "it has waited until there may be another");
    }
}
