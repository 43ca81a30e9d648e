//! Deadlines of many connections, of which only the next one matters.
//!
//! A loop asks two things: how long may I wait, and who is late. With a deadline for each of
//! 15,000 connections neither may cost a look at all of them, so they stand in a tree,
//! ordered by time. But a busy connection's deadline moves with every request. So deadlines
//! are rounded up to the next tenth of a second: those who are late at about the same time are
//! found in one go. And one that is put off stays where it stands in the tree. When its old
//! time comes it is looked at, and put where it belongs by then: once in ten seconds instead of
//! at every request.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// What deadlines are rounded up to.
const TICK: Duration = Duration::from_millis(100);
const TICKS_A_SECOND: u64 = 10;

/// At most one deadline for each slot.
#[derive(Debug)]
pub struct Timers {
    start: Instant,
    /// When to look at whom, in ticks since the start.
    in_order: BTreeSet<(u64, usize)>,
    of_slot: Vec<Option<Timer>>,
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    /// The deadline, in ticks.
    due: u64,
    /// Where it stands in the order: not behind its deadline.
    noted: u64,
}

impl Timers {
    /// No deadline yet. They are counted from `start` on.
    pub fn new(start: Instant) -> Self {
        Self { start, in_order: BTreeSet::new(), of_slot: Vec::new() }
    }

    /// Sets the deadline of a slot, or takes it away. Costs a comparison when it is put off,
    /// and the logarithm of all deadlines otherwise.
    // ANCHOR: set
    pub fn set(&mut self, slot: usize, deadline: Option<Instant>) {
        let due = deadline.map(|deadline| self.tick_after(deadline));
        if slot >= self.of_slot.len() {
            self.of_slot.resize(slot + 1, None);
        }
        match (&mut self.of_slot[slot], due) {
            (Some(timer), Some(due)) if timer.noted <= due => timer.due = due,
            (timer, due) => {
                if let Some(old) = timer {
                    self.in_order.remove(&(old.noted, slot));
                }
                *timer = due.map(|due| Timer { due, noted: due });
                self.in_order.extend(due.map(|due| (due, slot)));
            }
        }
    }
    // ANCHOR_END: set

    /// When to look at the deadlines again: not after the earliest of them.
    pub fn next(&self) -> Option<Instant> {
        self.in_order.first().map(|(tick, _)| self.time_of(*tick))
    }

    /// Takes a slot out whose deadline has passed.
    // ANCHOR: late
    pub fn late(&mut self, now: Instant) -> Option<usize> {
        while let Some((tick, slot)) = self.in_order.first().copied()
            && self.time_of(tick) <= now
        {
            self.in_order.pop_first();
            let timer = self.of_slot[slot].take()?;
            if self.time_of(timer.due) <= now {
                return Some(slot);
            }
            // It was put off meanwhile.
            self.of_slot[slot] = Some(Timer { noted: timer.due, ..timer });
            self.in_order.insert((timer.due, slot));
        }
        None
    }
    // ANCHOR_END: late

    fn time_of(&self, tick: u64) -> Instant {
        // Beyond what a Duration of ticks can say nobody waits.
        self.start + TICK * u32::try_from(tick).unwrap_or(u32::MAX)
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
        assert_eq!(
            timers.next(),
            Some(ms(1000)),
            "it is put off, and looked at all the same"
        );
        assert_eq!(timers.late(ms(1999)), None, "but not late");
        assert_eq!(timers.next(), Some(ms(2000)), "nor looked at twice");
        timers.set(7, Some(ms(1100)));
        assert_eq!(timers.next(), Some(ms(1100)), "one that comes earlier moves at once");
        timers.set(7, None);
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
