//! When requests are to be sent.

use std::time::{Duration, Instant};

/// Who decides when the next request is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// The server: a client asks again as soon as it has its answer (closed loop). A server that
    /// stops is not asked meanwhile.
    Closed,
    /// The clock: so many requests a second, whatever the server does (open loop).
    Open(f64),
}

/// How long requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// For so long.
    After(Duration),
    /// Until there were so many.
    Requests(u64),
}

/// The times at which requests are due, from the beginning of the measured time.
#[derive(Debug)]
pub struct Schedule {
    pace: Pace,
    begun_at: Instant,
    /// How many were taken.
    taken: u64,
    /// How many there will be. None: until the time is over.
    most: Option<u64>,
}

impl Schedule {
    /// A schedule that begins now.
    #[must_use]
    pub fn new(pace: Pace, end: End, now: Instant) -> Self {
        let most = match (pace, end) {
            (_, End::Requests(most)) => Some(most),
            (Pace::Open(rate), End::After(time)) => {
                Some((rate * time.as_secs_f64()).round() as u64)
            }
            (Pace::Closed, End::After(_)) => None,
        };
        Self { pace, begun_at: now, taken: 0, most }
    }

    // ANCHOR: take
    /// When the next request is due. None: there is none.
    #[must_use]
    pub fn next(&self, now: Instant) -> Option<Instant> {
        if self.most.is_some_and(|most| self.taken >= most) {
            return None;
        }
        Some(match self.pace {
            Pace::Closed => now,
            Pace::Open(rate) => {
                // From the beginning, and not from the last one: no error adds up.
                self.begun_at + Duration::from_secs_f64(self.taken as f64 / rate)
            }
        })
    }

    /// Takes the next request, if it is due, and says since when it is. Whoever takes it late
    /// has kept it waiting since then.
    pub fn take(&mut self, now: Instant) -> Option<Instant> {
        let due = self.next(now).filter(|due| *due <= now)?;
        self.taken += 1;
        Some(due)
    }
    // ANCHOR_END: take

    /// How many are left of those that will be due. 0 where the time decides.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.most.map_or(0, |most| most - self.taken)
    }

    /// Whether the number of requests decides when the end has come.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.most.is_some()
    }

    /// When the last request is due.
    #[must_use]
    pub fn last(&self) -> Option<Instant> {
        match (self.pace, self.most) {
            (Pace::Open(rate), Some(most)) => {
                Some(self.begun_at + Duration::from_secs_f64(most as f64 / rate))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_open_loop_keeps_its_times_however_late_it_is_asked() {
        let begin = Instant::now();
        let mut schedule = Schedule::new(Pace::Open(10.0), End::After(SECOND * 2), begin);
        assert_eq!(schedule.left(), 20);
        assert_eq!(schedule.take(begin), Some(begin));
        assert_eq!(schedule.take(begin), None, "the next is due in a tenth of a second");
        assert_eq!(schedule.next(begin), Some(begin + SECOND / 10));
        // Nobody asks for a second: ten requests have been waiting, each since its time.
        let late: Vec<Instant> =
            std::iter::from_fn(|| schedule.take(begin + SECOND)).collect();
        let times: Vec<Instant> = (1..=10).map(|n| begin + SECOND * n / 10).collect();
        assert_eq!(late, times);
        assert_eq!(std::iter::from_fn(|| schedule.take(begin + 9 * SECOND)).count(), 9);
        assert_eq!((schedule.left(), schedule.next(begin)), (0, None));
        assert_eq!(schedule.last(), Some(begin + SECOND * 2), "whatever was taken when");
    }

    #[test]
    fn a_closed_loop_is_always_due_until_there_were_enough() {
        let now = Instant::now();
        let mut schedule = Schedule::new(Pace::Closed, End::Requests(3), now);
        assert_eq!(std::iter::from_fn(|| schedule.take(now)).count(), 3);
        let mut schedule = Schedule::new(Pace::Closed, End::After(SECOND), now);
        assert!((0..1000).all(|_| schedule.take(now) == Some(now)));
        assert!(!schedule.is_counted());
    }
}
