//! How many reads a second, and how long each takes.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::iter;
use std::time::{Duration, Instant};

use crate::{Piece, Reads, Target, Trouble};

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Reads in flight.
    pub depth: u32,
    /// Bytes of each.
    pub block: usize,
    /// Anywhere in the file, or from its start to its end and again.
    pub random: bool,
    /// For how long.
    pub time: Duration,
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Report {
    /// Reads that were finished.
    pub operations: u64,
    /// Bytes that came.
    pub bytes: u64,
    /// How long it took.
    pub time: Duration,
    /// How many took how many microseconds; the last is for all that took longer.
    latencies: Vec<u32>,
}

/// Latencies up to a second, to the microsecond.
const LONGEST: usize = 1_000_000;

/// Reads for a while.
///
/// # Errors
/// What io_setup(2) or a read answers.
// ANCHOR: measure
pub fn measure(target: &Target, plan: Plan) -> Result<Report, Trouble> {
    let mut report = Report {
        operations: 0,
        bytes: 0,
        time: plan.time,
        latencies: vec![0; LONGEST + 1],
    };
    let mut reads = Reads::new(target, plan.depth, plan.block)?;
    let mut places = Places::new(target.size, plan);
    let begun = Instant::now();
    let pieces = iter::from_fn(|| {
        let offset = places.next().filter(|_| begun.elapsed() < plan.time)?;
        Some(target.piece(offset, plan.block))
    });
    reads.run(pieces, |piece, bytes| report.count(piece, bytes))?;
    report.time = begun.elapsed();
    Ok(report)
}
// ANCHOR_END: measure

impl Report {
    fn count(&mut self, piece: &Piece, bytes: &[u8]) {
        self.operations += 1;
        self.bytes += bytes.len() as u64;
        self.latencies[(piece.begun.elapsed().as_micros() as usize).min(LONGEST)] += 1;
    }

    /// Operations a second.
    pub fn per_second(&self) -> f64 {
        self.operations as f64 / self.time.as_secs_f64()
    }

    /// The time within which this part of the reads was finished.
    pub fn within(&self, part: f64) -> Duration {
        let wanted = (self.operations as f64 * part).ceil() as u64;
        let mut sum = 0;
        let reached = self.latencies.iter().position(|&count| {
            sum += u64::from(count);
            sum >= wanted
        });
        Duration::from_micros(reached.unwrap_or(LONGEST) as u64)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operations, bytes, time, .. } = self;
        let mib = *bytes as f64 / f64::from(1 << 20) / time.as_secs_f64();
        writeln!(f, "{operations} reads in {:.1} s", time.as_secs_f64())?;
        writeln!(f, "{:.0} reads a second, {mib:.0} MiB a second", self.per_second())?;
        let micros = |part| self.within(part).as_micros();
        let [half, most, last] = [micros(0.5), micros(0.99), micros(1.0)];
        write!(
            f,
            "half of them within {half} µs, 99 of 100 within {most} µs, all within {last} µs"
        )
    }
}

/// Places in a file, for ever: one behind the other, or at random.
struct Places {
    blocks: u64,
    plan: Plan,
    state: u64,
}

impl Places {
    fn new(size: u64, plan: Plan) -> Self {
        // Other places each time: a disk remembers, too.
        let seed = RandomState::new().build_hasher().finish();
        let state = if plan.random { seed } else { 0 };
        Self { blocks: size.div_ceil(plan.block as u64), plan, state }
    }
}

impl Iterator for Places {
    type Item = u64;

    /// None where the file is empty.
    fn next(&mut self) -> Option<u64> {
        self.state = self.state.wrapping_add(1);
        let number = if self.plan.random { scramble(self.state) } else { self.state - 1 };
        Some(number.checked_rem(self.blocks)? * self.plan.block as u64)
    }
}

/// Turns 1, 2, 3, … into numbers without an order (the last step of SplitMix64).
#[must_use]
pub fn scramble(number: u64) -> u64 {
    let mut x = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(latencies: &[usize]) -> Report {
        let mut counts = vec![0; LONGEST + 1];
        latencies.iter().for_each(|&micros| counts[micros.min(LONGEST)] += 1);
        let operations = latencies.len() as u64;
        Report { operations, bytes: 0, time: Duration::from_secs(1), latencies: counts }
    }

    #[test]
    fn a_percentile_is_the_time_within_which_so_many_were_finished() {
        let ten = report(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 100]);
        assert_eq!(ten.within(0.5).as_micros(), 5);
        assert_eq!(ten.within(0.9).as_micros(), 9);
        assert_eq!(ten.within(1.0).as_micros(), 100);
        assert_eq!(report(&[9_999_999]).within(1.0).as_micros(), LONGEST as u128);
        assert_eq!(report(&[]).within(0.5).as_micros(), 0);
    }

    #[test]
    fn places_are_in_the_file_and_begin_at_blocks() {
        let plan = |random| Plan { depth: 1, block: 4096, random, time: Duration::ZERO };
        for random in [false, true] {
            let places: Vec<u64> =
                Places::new(3 * 4096 + 1, plan(random)).take(100).collect();
            assert!(places.iter().all(|at| at % 4096 == 0 && *at < 4 * 4096));
            for block in 0..4 {
                assert!(places.contains(&(block * 4096)), "{random} {block}");
            }
            assert_eq!(Places::new(0, plan(random)).next(), None);
        }
        let in_order: Vec<u64> = Places::new(8192, plan(false)).take(3).collect();
        assert_eq!(in_order, [0, 4096, 0]);
    }
}
