//! What was measured of reads: as data, one JSON object to a line.

use serde::{Deserialize, Serialize};

use super::spread::Spread;
use crate::environment::Environment;

/// Who waits for a read.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Engine {
    /// As many threads as there are reads, each of which waits in pread(2).
    Blocking,
    /// A loop that hands its reads to a pool of threads: `file-pool`.
    Pool,
    /// Linux AIO: `aio-direct`.
    Aio,
    /// io_uring: `uring-read`.
    IoUring,
}

impl Engine {
    /// As in the tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocking => "blocking",
            Self::Pool => "pool",
            Self::Aio => "aio",
            Self::IoUring => "io_uring",
        }
    }
}

/// How the file is open.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Way {
    /// Past the page cache: `O_DIRECT`.
    Direct,
    /// Through the page cache, in which all of it is.
    Cached,
}

/// One cell of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Case {
    /// Who waits.
    pub engine: Engine,
    /// How the file is open.
    pub way: Way,
    /// Reads that are asked for and not over.
    pub depth: u32,
    /// Bytes of each.
    pub block: u32,
}

impl Case {
    /// What is to be known about the figures of a cell before they are believed.
    #[must_use]
    pub fn caveat(&self) -> Option<&'static str> {
        let is_a_lie = (self.engine, self.way) == (Engine::Aio, Way::Cached);
        is_a_lie.then_some(AIO_BLOCKS)
    }
}

/// io_submit(2) comes back from a cached read when it is over, so two are never in flight.
pub const AIO_BLOCKS: &str =
    "io_submit blocks: a cached read is over when it returns, so the real depth is 1";

/// Whose program read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reader {
    /// The listings of the book.
    Book,
    /// The program fio.
    Fio,
}

/// Times of reads, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of the reads took at most this.
    pub p50: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1000.
    pub p999: f64,
    /// All.
    pub max: f64,
}

/// What one round of a cell was like.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// The cell.
    #[serde(flatten)]
    pub case: Case,
    /// Who read.
    pub reader: Reader,
    /// Which round: 1 is the first.
    pub round: u32,
    /// Reads that are over, each with the content that it must have.
    pub reads: u64,
    /// How long that took.
    pub seconds: f64,
    /// Reads a second.
    pub per_second: f64,
    /// How long each took, from asking until its bytes were in our hands.
    pub latency_us: Latency,
    /// Processor time for each read, of all threads and of the kernel's workers; fio is not
    /// asked for it.
    pub cpu_us: Option<f64>,
}

/// The rounds of a cell, together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The cell.
    #[serde(flatten)]
    pub case: Case,
    /// Who read.
    pub reader: Reader,
    /// How many rounds there were.
    pub rounds: usize,
    /// Reads a second.
    pub per_second: Spread,
    /// Half of the reads took at most this, in microseconds.
    pub p50_us: Spread,
    /// 99 of 100.
    pub p99_us: Spread,
    /// 999 of 1000.
    pub p999_us: Spread,
    /// Processor time for each read, in microseconds.
    pub cpu_us: Option<Spread>,
    /// What is to be known first.
    pub caveat: Option<String>,
}

/// How the book's program does beside fio: reads a second, ours over theirs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The cell.
    #[serde(flatten)]
    pub case: Case,
    /// Of rounds that ran one behind the other.
    pub ratio: Spread,
    /// What must be reached.
    pub floor: Option<f64>,
}

impl Ratio {
    /// Whether the floor was missed.
    #[must_use]
    pub fn is_below(&self) -> bool {
        self.floor.is_some_and(|floor| self.ratio.median < floor)
    }
}

/// Where and how a run was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The machine, and the file system of the file. Nobody is pinned: `cores` says where a
    /// server would be.
    pub environment: Environment,
    /// Bytes of the file.
    pub size: u64,
    /// Seconds of a round.
    pub seconds: f64,
    /// Whether the optimizer was left out: then the cached figures are about that.
    pub is_debug_build: bool,
}

/// One line of the file of results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is named like what it holds")]
pub enum Line {
    Run(Box<Run>),
    Refused { why: String },
    Round(Round),
    Cell(Cell),
    Ratio(Ratio),
}
