//! What is seen of reads: how many, how long each took, and whether it was the right block.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::places::is_right;
use super::report::{Case, Latency, Reader, Round};

/// What was seen of reads.
pub struct Seen {
    /// In nanoseconds.
    took: Histogram<u64>,
    block: u32,
    /// A place at which something else stood.
    pub wrong: Option<u64>,
    /// From when to when was read. What has to be set up before, and taken down after, takes
    /// its time, and is not what is measured.
    begun: Instant,
    ended: Instant,
}

/// Up to a minute, to three digits.
const LONGEST: u64 = 60_000_000_000;

impl Seen {
    /// Nothing yet, of blocks of so many bytes.
    pub fn new(block: u32) -> Self {
        let took =
            Histogram::new_with_bounds(1, LONGEST, 3).expect("bounds that are right");
        let now = Instant::now();
        Self { took, block, wrong: None, begun: now, ended: now }
    }

    /// Reads begin now.
    pub fn begin(&mut self) -> Instant {
        self.begun = Instant::now();
        self.begun
    }

    /// All are over.
    pub fn end(mut self) -> Self {
        self.ended = Instant::now();
        self
    }

    /// A block is there.
    pub fn read(&mut self, at: u64, bytes: &[u8], took: Duration) {
        self.took.saturating_record(took.as_nanos() as u64);
        if !is_right(at, bytes, self.block as usize) {
            self.wrong = Some(at);
        }
    }

    /// What another thread has seen.
    pub fn add(&mut self, other: &Self) {
        self.took.add(&other.took).expect("the same bounds");
        self.wrong = self.wrong.or(other.wrong);
        self.begun = self.begun.min(other.begun);
        self.ended = self.ended.max(other.ended);
    }

    /// All of it, as a result.
    pub fn round(&self, case: Case, round: u32, cpu: Duration) -> Round {
        let (reads, seconds) = (self.took.len(), (self.ended - self.begun).as_secs_f64());
        let within = |part| self.took.value_at_quantile(part) as f64 / 1e3;
        Round {
            case,
            reader: Reader::Book,
            round,
            reads,
            seconds,
            per_second: if reads > 0 { reads as f64 / seconds } else { 0.0 },
            latency_us: Latency {
                p50: within(0.5),
                p99: within(0.99),
                p999: within(0.999),
                max: self.took.max() as f64 / 1e3,
            },
            cpu_us: (reads > 0).then(|| cpu.as_secs_f64() * 1e6 / reads as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::places::content;
    use super::super::report::{Engine, Way};
    use super::*;

    const CASE: Case =
        Case { engine: Engine::Blocking, way: Way::Cached, depth: 2, block: 512 };

    fn seen(micros: impl Iterator<Item = u64>) -> Seen {
        let mut seen = Seen::new(512);
        seen.begin();
        for (number, micros) in (0..).zip(micros) {
            let at = number * 512;
            seen.read(at, &content(at, 512), Duration::from_micros(micros));
        }
        seen.end()
    }

    #[test]
    fn a_percentile_is_the_time_within_which_so_many_were_finished() {
        let seen = seen(1..=1000);
        let round = seen.round(CASE, 3, Duration::from_millis(5));
        let near = |value: f64, wanted: f64| (value / wanted - 1.0).abs() < 0.002;
        let Latency { p50, p99, p999, max } = round.latency_us;
        assert!(
            near(p50, 500.0) && near(p99, 990.0) && near(p999, 999.0) && near(max, 1000.0)
        );
        assert_eq!((round.reads, round.round, round.cpu_us), (1000, 3, Some(5.0)));
        let expected = 1000.0 / round.seconds;
        assert!(near(round.per_second, expected));
    }

    #[test]
    fn threads_are_added_from_the_first_beginning_to_the_last_end() {
        let (mut one, other) = (seen([10, 20].into_iter()), seen([30].into_iter()));
        let (begun, ended) = (one.begun, other.ended);
        one.add(&other);
        let round = one.round(CASE, 1, Duration::ZERO);
        assert_eq!((round.reads, round.seconds), (3, (ended - begun).as_secs_f64()));
    }

    #[test]
    fn a_wrong_block_is_noticed_and_nothing_is_no_number() {
        let mut wrong = seen([1].into_iter());
        assert_eq!(wrong.wrong, None);
        wrong.read(1024, &content(0, 512), Duration::ZERO);
        assert_eq!(wrong.wrong, Some(1024));
        let mut right = seen([1].into_iter());
        right.add(&wrong);
        assert_eq!(right.wrong, Some(1024));
        let nothing = seen(std::iter::empty()).round(CASE, 1, Duration::ZERO);
        assert_eq!((nothing.reads, nothing.per_second, nothing.cpu_us), (0, 0.0, None));
    }
}
