//! What a row found: how many cases, which could not be tried here, and the verdict that
//! the matrix shows.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::model::{Lack, Model};
use crate::patience::enough_failures;

/// What the matrix says about a server in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything held.
    Pass,
    /// The row asks for something that this model does not have.
    NotApplicable,
    /// The model cannot hold it by its nature; what happens instead was measured.
    Measured,
    /// Some of it does not hold, and was not asked to.
    Lacking,
}

impl Verdict {
    /// Its name in the data.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::NotApplicable => "not-applicable",
            Self::Measured => "measured",
            Self::Lacking => "lacking",
        }
    }
}

/// How much of a row was run, and so where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Sampled, without root and without network: part of `cargo test`.
    Test,
    /// More, with installed tools: part of `.ci/run`.
    Ci,
    /// The long form, by hand: `WHO_WAITS_LONG=1 cargo test`.
    Long,
}

impl Tier {
    /// Its name in the data.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Ci => "ci",
            Self::Long => "long",
        }
    }

    /// [`Tier::Long`] when the environment asks for it, or [`Tier::Test`].
    #[must_use]
    pub fn of_this_run() -> Self {
        if std::env::var_os("WHO_WAITS_LONG").is_some_and(|value| value == "1") {
            Self::Long
        } else {
            Self::Test
        }
    }
}

/// How often a row repeats what it samples: the second number in the long form.
#[must_use]
pub fn repeats(sampled: usize, long: usize) -> usize {
    if Tier::of_this_run() == Tier::Long { long } else { sampled }
}

/// The outcome of a row in which nothing failed.
#[derive(Clone, Debug)]
pub struct Report {
    /// Named cases, those that were skipped included.
    pub cases: usize,
    /// What could not be tried on this machine, and why.
    pub skipped: Vec<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// What the matrix says beside it; the same in every run.
    pub note: String,
    /// What was measured; differs from run to run.
    pub measured: String,
    /// What of that which the model lacks was seen failing.
    pub lacking: Vec<Lack>,
    /// Forms of the server that this kernel does not let be, and what they say.
    pub refused: Vec<String>,
}

impl Report {
    /// The report of a row that asks for what this model does not have; `why` says what.
    #[must_use]
    pub fn not_applicable(why: &str) -> Self {
        Self {
            cases: 0,
            skipped: Vec::new(),
            verdict: Verdict::NotApplicable,
            note: why.into(),
            measured: String::new(),
            lacking: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// The report of a row that could not be tried: the kernel refuses the server a ring.
    #[must_use]
    pub(crate) fn refused(said: String) -> Self {
        Self { refused: vec![said], ..Self::not_applicable("") }
    }

    /// The report with a note for the matrix.
    #[must_use]
    pub fn with_note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    /// The report as the matrix keeps it.
    #[must_use]
    pub fn to_json(&self, tier: Tier) -> Value {
        json!({
            "tier": tier.name(),
            "verdict": self.verdict.name(),
            "cases": self.cases,
            "skipped": self.skipped,
            "note": self.note,
            "measured": self.measured,
        })
    }

    /// Leaves the verdict about `who` below `folder`, where `conformance matrix` collects it.
    pub fn record(&self, folder: &Path, who: &str, row: u8, tier: Tier) -> io::Result<()> {
        let path = verdict_file(folder, who, row, tier);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, format!("{:#}\n", self.to_json(tier)))
    }
}

/// Where a row leaves its verdict about `who`.
#[must_use]
pub fn verdict_file(folder: &Path, who: &str, row: u8, tier: Tier) -> PathBuf {
    folder.join(who).join(format!("row-{row:02}.{}.json", tier.name()))
}

/// The cases of a row while it runs.
#[derive(Debug, Default)]
pub struct Tally {
    cases: usize,
    failures: Vec<String>,
    skipped: Vec<String>,
    not_tried: usize,
    lacks: &'static [Lack],
    lacking: Vec<Lack>,
}

impl Tally {
    /// The cases of a row that this server is tried in.
    #[must_use]
    pub fn of(model: &Model) -> Self {
        Self { lacks: model.lacks, ..Self::default() }
    }

    /// Tries a case and counts it.
    pub fn case(
        &mut self,
        name: impl fmt::Display,
        attempt: impl FnOnce() -> Result<(), String>,
    ) {
        self.cases += 1;
        if self.failures.len() >= enough_failures() {
            self.not_tried += 1;
        } else if let Err(why) = attempt() {
            let name = name.to_string();
            let is_known =
                |lack: &&Lack| name.contains(lack.case) && why.contains(lack.how);
            match self.lacks.iter().find(is_known) {
                Some(lack) => self.lacking.push(*lack),
                None => self.failures.push(format!("{name}: {why}")),
            }
        }
    }

    /// Counts a case that this machine cannot try.
    pub fn skip(&mut self, name: &str, why: &str) {
        self.cases += 1;
        self.skipped.push(format!("{name}: {why}"));
    }

    /// The report, or what failed.
    pub fn report(self) -> Result<Report, String> {
        if self.failures.is_empty() {
            let Self { cases, skipped, lacking, .. } = self;
            return Ok(Report {
                cases,
                skipped,
                verdict: Verdict::Pass,
                note: String::new(),
                measured: String::new(),
                lacking,
                refused: Vec::new(),
            });
        }
        let not_tried = match self.not_tried {
            0 => String::new(),
            number => format!("; {number} not tried any more"),
        };
        let failures = self.failures.join("\n  ");
        Err(format!(
            "{} of {} cases failed{not_tried}:\n  {failures}",
            self.failures.len(),
            self.cases
        ))
    }
}
