//! Deadlines of many connections, of which only the next one matters.
//!
//! A loop asks two things: how long may I wait, and who is late. With a deadline for each of
//! 15,000 connections neither may cost a look at all of them, so they stand in a tree,
//! ordered by time. But a busy connection's deadline moves with every request. So deadlines
//! are rounded up to the next tenth of a second: most moves then end where they began, and
//! those who are late at about the same time are found in one go.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// What deadlines are rounded up to.
const TICK: Duration = Duration::from_millis(100);
const TICKS_A_SECOND: u64 = 10;

/// At most one deadline for each slot.
#[derive(Debug)]
pub struct Timers {
    start: Instant,
    /// Ticks since the start, and whose.
    in_order: BTreeSet<(u64, usize)>,
    of_slot: Vec<Option<u64>>,
}

impl Timers {
    /// No deadline yet. They are counted from `start` on.
    pub fn new(start: Instant) -> Self {
        Self { start, in_order: BTreeSet::new(), of_slot: Vec::new() }
    }

    /// Sets the deadline of a slot, or takes it away. Costs a comparison while it stays in
    /// the same tick, and the logarithm of all deadlines otherwise.
    // ANCHOR: set
    pub fn set(&mut self, slot: usize, deadline: Option<Instant>) {
        let tick = deadline.map(|deadline| self.tick_after(deadline));
        if slot >= self.of_slot.len() {
            self.of_slot.resize(slot + 1, None);
        }
        if self.of_slot[slot] == tick {
            return;
        }
        if let Some(old) = self.of_slot[slot] {
            self.in_order.remove(&(old, slot));
        }
        if let Some(new) = tick {
            self.in_order.insert((new, slot));
        }
        self.of_slot[slot] = tick;
    }
    // ANCHOR_END: set

    /// The earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        let (tick, _) = self.in_order.first()?;
        // Beyond what a Duration of ticks can say nobody waits.
        Some(self.start + TICK * u32::try_from(*tick).unwrap_or(u32::MAX))
    }

    /// Takes a slot out whose deadline has passed.
    pub fn late(&mut self, now: Instant) -> Option<usize> {
        let (_, slot) = *self.in_order.first().filter(|_| self.next() <= Some(now))?;
        self.set(slot, None);
        Some(slot)
    }

    fn tick_after(&self, deadline: Instant) -> u64 {
        // In parts: all its nanoseconds are a number of 128 bits, which is slow to divide.
        let since = deadline.saturating_duration_since(self.start);
        let rest = since.subsec_nanos().div_ceil(TICK.subsec_nanos());
        since.as_secs().saturating_mul(TICKS_A_SECOND).saturating_add(rest.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_in_their_order_and_none_comes_early() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::new(start);
        timers.set(7, Some(ms(1000)));
        timers.set(2, Some(ms(250)));
        timers.set(9, Some(ms(205)));
        assert_eq!(timers.next(), Some(ms(300)), "rounded up, never down");
        assert_eq!(timers.late(ms(299)), None);
        assert_eq!([timers.late(ms(300)), timers.late(ms(300))], [Some(2), Some(9)]);
        assert_eq!((timers.late(ms(300)), timers.next()), (None, Some(ms(1000))));
        timers.set(7, Some(ms(2000)));
        assert_eq!(timers.late(ms(1999)), None, "it was put off");
        timers.set(7, Some(ms(2000) + Duration::from_nanos(1)));
        assert_eq!(timers.next(), Some(ms(2100)), "a nanosecond is too early, too");
        timers.set(7, None);
        assert_eq!((timers.next(), timers.late(ms(9999))), (None, None));
    }

    #[test]
    fn a_slot_has_one_deadline_however_often_it_moves() {
        let start = Instant::now();
        let mut timers = Timers::new(start);
        for ms in 0..10_000 {
            timers.set(ms % 10, Some(start + Duration::from_millis(60_000 + ms as u64)));
        }
        assert_eq!(timers.in_order.len(), 10);
    }
}
