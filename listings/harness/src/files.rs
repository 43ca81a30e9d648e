//! Reads of a file at a depth: how many a second, and how long each takes, for each of the
//! four that the book has to wait for a disk.
//!
//! The loop is closed: a read that is over is followed by the next one, so that as many are in
//! flight as the depth says. What is said of times is therefore true of a program that asks as
//! fast as it is answered, and of no other.
//!
//! | file | noun |
//! | --- | --- |
//! | `files/report.rs` | [`Cell`](report::Cell), [`Round`](report::Round): what came of it, as data |
//! | `files/run.rs`, `files/bench.rs` | a run, and its rounds, one behind the other |
//! | `files/sums.rs` | rounds together, and beside those of fio |
//! | `files/engine.rs` | reads by the listings of the book |
//! | `files/seen.rs` | how long each took, as a histogram |
//! | `files/fio.rs` | the same by fio |
//! | `files/scratch.rs`, `files/places.rs` | the file, and where it is read |
//! | `files/optimized.rs` | the harness, built as what it measures |
//! | `files/table.rs`, `files/spread.rs`, `files/lines.rs` | figures for people, and for programs |

mod bench;
mod engine;
mod fio;
pub mod lines;
pub(crate) mod optimized;
mod places;
pub mod report;
mod run;
mod scratch;
mod seen;
pub mod spread;
pub mod sums;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use report::{Engine, Way};
pub use run::files;

/// What is measured.
#[derive(Clone, Debug, clap::Args)]
pub struct Flags {
    /// Who waits
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "blocking,pool,aio,io_uring",
        value_name = "NAMES"
    )]
    pub engines: Vec<Engine>,

    /// Reads in flight
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8,16,32,64,128", value_name = "NUMBERS", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub depths: Vec<u32>,

    /// Past the page cache, or from it
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "direct,cached",
        value_name = "WAYS"
    )]
    pub ways: Vec<Way>,

    /// How often everything is measured, each time in the same order
    #[arg(long, default_value = "5", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,

    /// How long a round of a cell takes, in seconds
    #[arg(long, default_value = "1", value_name = "SECONDS", value_parser = seconds)]
    pub seconds: Duration,

    /// Bytes of a read
    #[arg(long, default_value = "4096", value_name = "BYTES", value_parser = block)]
    pub block: u32,

    /// How long the file is that is written, with the unit K, M or G
    #[arg(long, default_value = "1G", value_name = "BYTES", value_parser = size)]
    pub size: u64,

    /// Folder for the file: one on a disk; TMPDIR if none is said, or /var/tmp
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Threads of the pool; as many as the depth if none is said
    #[arg(long, value_name = "N", value_parser = flags::at_least_one)]
    pub pool_threads: Option<usize>,

    /// Let fio read the same after each, and compare
    #[arg(long)]
    pub against_fio: bool,

    /// Measure with a debug build, instead of building an optimized one first
    #[arg(long)]
    pub debug_build: bool,

    /// Where the results are written, one JSON object to a line
    #[arg(long, default_value = "target/harness/files.jsonl", value_name = "FILE")]
    pub out: PathBuf,
}

impl Flags {
    /// Where the file is written.
    fn folder(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(uring_read::scratch::folder)
    }
}

/// A part of a second, up to an hour.
fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.001..=3600.0).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err("a number of seconds from 0.001 to 3600 is needed".into()),
    }
}

/// A power of two, so that every disk has blocks that it is a multiple of.
fn block(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(block @ 512..=1_048_576) if block.is_power_of_two() => Ok(block),
        _ => Err("a power of two from 512 to 1048576 is needed".into()),
    }
}

/// A whole number of MiB at least, so that there are places enough for reads at random.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(['K', 'M', 'G']);
    let unit = match &text[digits.len()..] {
        "" => Some(1),
        "K" => Some(1 << 10),
        "M" => Some(1 << 20),
        "G" => Some(1 << 30),
        _ => None,
    };
    let number = digits.parse::<u64>().ok();
    match number.zip(unit).and_then(|(number, unit)| number.checked_mul(unit)) {
        Some(size @ 1_048_576..=1_099_511_627_776) if size.is_multiple_of(1 << 20) => {
            Ok(size)
        }
        _ => Err("whole MiB are needed, 1M to 1024G".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_with_a_unit() {
        assert_eq!(size("4M"), Ok(4 << 20));
        assert_eq!(size("1G"), Ok(1 << 30));
        assert_eq!(size("2048K"), Ok(2 << 20));
        assert_eq!(size("1048576"), Ok(1 << 20));
        for wrong in ["", "M", "1", "1025K", "1MM", "1T", "-1M", "99999999999G"] {
            assert!(size(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn a_round_takes_a_part_of_a_second_and_a_block_is_a_power_of_two() {
        assert_eq!(seconds("0.05"), Ok(Duration::from_millis(50)));
        assert!(
            ["", "0", "NaN", "-1", "inf", "3601"].iter().all(|text| seconds(text).is_err())
        );
        assert_eq!(block("4096"), Ok(4096));
        assert!(
            ["", "0", "256", "4097", "2097152"].iter().all(|text| block(text).is_err())
        );
    }
}
