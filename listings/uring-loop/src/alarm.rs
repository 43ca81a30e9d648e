//! One timer for all deadlines.

use std::time::Instant;

use io_uring::types::Timespec;

use crate::{Op, Token, Wish};

/// An operation that ends when the earliest deadline is due.
#[derive(Debug)]
pub struct Alarm {
    token: Token,
    /// Until when the kernel sleeps for us, and whether we want that no longer.
    until: Option<(Instant, bool)>,
}

impl Alarm {
    /// One that is not set. Its operation has this token.
    pub fn new(token: Token) -> Self {
        Self { token, until: None }
    }

    /// What to ask of the ring, so that it wakes us when `due`. An alarm that turns out to end
    /// too early is left alone: it wakes us once for nothing. One that would end too late is
    /// given up.
    // ANCHOR: set
    pub fn set(&mut self, due: Option<Instant>) -> Option<Wish> {
        let due = due?;
        match &mut self.until {
            None => {
                let left = due.saturating_duration_since(Instant::now());
                let time = Box::new(Timespec::from(left));
                self.until = Some((due, false));
                Some(Wish::Begin(self.token, Op::Sleep { time }))
            }
            Some((until, is_recalled)) if due < *until && !*is_recalled => {
                *is_recalled = true;
                Some(Wish::Cancel(self.token))
            }
            Some(_) => None,
        }
    }
    // ANCHOR_END: set

    /// Its operation has completed: in its time, or recalled.
    pub fn is_over(&mut self) {
        self.until = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::io::Errno;

    use super::*;
    use crate::{Part, Ring, Setup, Work};

    #[test]
    fn it_is_begun_once_and_given_up_once_and_only_for_what_is_earlier() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut alarm = Alarm::new(Token { slot: 2, part: Part::Work });
        assert!(alarm.set(None).is_none());
        assert!(matches!(alarm.set(Some(now + second * 9)), Some(Wish::Begin(..))));
        assert!(alarm.set(Some(now + second * 10)).is_none(), "it ends early enough");
        assert!(alarm.set(Some(now + second * 9)).is_none(), "it still does");
        assert!(alarm.set(None).is_none());
        assert!(matches!(alarm.set(Some(now + second * 3)), Some(Wish::Cancel(_))));
        assert!(alarm.set(Some(now + second * 2)).is_none(), "it was given up already");
        alarm.is_over();
        assert!(matches!(alarm.set(Some(now)), Some(Wish::Begin(..))), "what is due, too");
    }

    #[test]
    fn what_is_overdue_is_over_at_once() {
        let Ok(mut ring) =
            Ring::new(&Setup { entries: 4, as_of: None, work: Work::AtOnce })
        else {
            return flags::skipped("io_uring is forbidden here");
        };
        let mut alarm = Alarm::new(Token { slot: 2, part: Part::Work });
        let Some(Wish::Begin(token, op)) = alarm.set(Some(Instant::now())) else {
            panic!("it is due");
        };
        assert!(format!("{op:?}").contains("tv_sec: 0, tv_nsec: 0"), "{op:?}");
        ring.begin(token, op);
        ring.wait(1).expect("it is entered");
        let done = ring.next().expect("a timeout of no time has ended");
        assert_eq!(done.result.err(), Some(Errno::TIME));
    }
}
