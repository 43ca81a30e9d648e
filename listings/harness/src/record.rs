//! What came of one cell, as data: one line of `cells.jsonl`.

use std::collections::BTreeMap;
use std::fmt;

use load::Outcome;
use serde::{Deserialize, Serialize};

use crate::workload::Workload;

/// What names a cell: there is one of each in a result.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The server's name.
    pub server: String,
    /// What it was asked for.
    pub workload: Workload,
    /// By how many at the same time.
    pub clients: usize,
    /// From 1 on.
    pub round: usize,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, workload, clients, round } = self;
        let s = if *clients == 1 { "" } else { "s" };
        write!(f, "{server}, {workload}, {clients} client{s}, round {round}")
    }
}

/// What came of one cell.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cell {
    /// Which one.
    pub key: Key,
    /// How the server ended.
    pub ending: Ending,
    /// What the generator saw, if it saw anything.
    pub outcome: Option<Outcome>,
    /// The part of the measured time in which the generator's processor was busy with it, and
    /// with the store where that runs there too. Near 1 it is that which was measured.
    pub busy: f64,
    /// What the server's processes used; none of a server that was not started by us.
    pub usage: Option<Usage>,
    /// What TCP counted on the whole machine meanwhile.
    pub network: Option<Network>,
    /// System calls, where they were asked for.
    pub calls: Option<Calls>,
    /// Why they could not be counted where they were asked for.
    pub no_calls: Option<String>,
    /// The last line that the server wrote on standard error.
    pub said: Option<String>,
}

/// How a cell ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum Ending {
    /// The server ran until it was told to end, and then ended with exit code 0.
    Well,
    /// It ended by itself, or with another exit code.
    Died {
        /// Its exit code.
        code: Option<i32>,
        /// Or the signal that ended it.
        signal: Option<i32>,
    },
    /// It lives and answers nobody, or did not end when it was told to.
    Hung {
        /// Which of the two.
        why: String,
    },
    /// It did not say in time that it listens.
    DidNotStart {
        /// What happened instead.
        why: String,
    },
    /// The server is there, and the generator could not measure it.
    NotMeasured {
        /// What the generator said.
        why: String,
    },
    /// It was not tried.
    Impossible {
        /// What forbids it.
        why: String,
    },
}

impl Ending {
    /// In a word, for a table.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Died { .. } => "died",
            Self::Hung { .. } => "hung",
            Self::DidNotStart { .. } => "did not start",
            Self::NotMeasured { .. } => "not measured",
            Self::Impossible { .. } => "impossible",
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Self::Well => Ok(()),
            Self::Died { signal: Some(signal), .. } => write!(f, " of signal {signal}"),
            Self::Died { code, .. } => write!(f, " with exit code {}", code.unwrap_or(-1)),
            Self::Hung { why }
            | Self::DidNotStart { why }
            | Self::NotMeasured { why }
            | Self::Impossible { why } => write!(f, ": {why}"),
        }
    }
}

/// What the server's processes used. The embedded store, which is a child of the server, is
/// not among them but where it says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Processor time in the measured time, in seconds, of all processes that lived then.
    pub processor: f64,
    /// How much of it in the kernel.
    pub system: f64,
    /// The store's, in the same time.
    pub store: f64,
    /// The most memory that all processes had together when we looked, in KiB: what several
    /// share is counted once (Pss in smaps_rollup).
    pub peak_kib: u64,
    /// How often we looked.
    pub looks: u64,
    /// The most processes that we saw.
    pub processes: u64,
    /// The most threads that we saw, of all processes.
    pub threads: u64,
    /// From the server's start to its end: how often its threads gave their processor up. The
    /// kernel counts this and the next two exactly, for whoever has ended and was waited for.
    pub waits: u64,
    /// How often one was taken off its processor.
    pub preemptions: u64,
    /// Page faults without a disk; the store's among them.
    pub minor_faults: u64,
}

/// What TCP counted while the generator ran, on the whole machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The most connections that were established when we looked, beyond those before: the
    /// clients', and the server's to its store.
    pub established: u64,
    /// Connections that were dropped since an accept queue was full.
    pub listen_overflows: u64,
    /// Connections that a listener dropped for any reason.
    pub listen_drops: u64,
    /// Retransmission timers that ran out.
    pub timeouts: u64,
    /// Segments that were sent again.
    pub retransmitted: u64,
}

/// The system calls of a server, counted in a run of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// For how many requests.
    pub requests: u64,
    /// How many, by name.
    pub by_name: BTreeMap<String, u64>,
}

impl Cell {
    /// Requests answered in a second, if anything was measured.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        self.outcome.as_ref().filter(|outcome| outcome.seconds > 0.0).map(Outcome::rate)
    }

    /// The part of the time in which the generator's processor was busy.
    #[must_use]
    pub fn generator_busy(&self) -> f64 {
        self.busy
    }

    /// Processor time of the server for a request, in microseconds; none where it used so
    /// little that the ticks of 10 ms in which the kernel tells it would show.
    #[must_use]
    pub fn processor_each(&self) -> Option<f64> {
        let (usage, outcome) = (self.usage.as_ref()?, self.outcome.as_ref()?);
        let is_enough = usage.processor >= 0.1 && outcome.answered > 0;
        is_enough.then(|| usage.processor * 1e6 / outcome.answered as f64)
    }

    /// How many requests were not answered as they should have been.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.outcome.as_ref().map_or(0, |outcome| outcome.errors.total())
    }
}
