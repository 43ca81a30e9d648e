//! What an output block shows, held against what its run prints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use runs::{Fence, Outcome, Programs, Run, build, compare, perform_built};

/// The runs of a book, and what came of those that were performed.
pub struct Performances {
    root: PathBuf,
    runs: BTreeMap<String, Run>,
    /// All that they run, built together when the first of them is wanted.
    programs: OnceLock<Result<Programs, String>>,
    /// By the run's name: one that several blocks show is performed once.
    outcomes: Mutex<BTreeMap<String, Result<Outcome, String>>>,
}

impl Performances {
    /// None yet.
    pub fn new(root: &Path, runs: BTreeMap<String, Run>) -> Self {
        let (programs, outcomes) = (OnceLock::new(), Mutex::default());
        Self { root: root.to_owned(), runs, programs, outcomes }
    }

    fn perform(&self, run: &Run) -> Result<Outcome, String> {
        let all = || build(&self.root, self.runs.values()).map_err(|e| e.to_string());
        let programs = self.programs.get_or_init(all).as_ref().map_err(String::clone)?;
        perform_built(&self.root, run, programs).map_err(|e| e.to_string())
    }
}

/// Performs the run of this block, if it was not yet, and compares. `Ok` has the reason, if the
/// run cannot be performed here.
///
/// The error begins with `src/CHAPTER.md:LINE`; of drift it has the unified diff and the
/// command that refreshes.
pub fn check(fence: &Fence, all: &Performances) -> Result<Option<String>, String> {
    let (place, name) = (format!("{}:{}", fence.file.display(), fence.line), &fence.name);
    let run = all.runs.get(name).ok_or_else(|| format!("{place}: no run {name}"))?;
    let mut outcomes = all.outcomes.lock().unwrap_or_else(|e| e.into_inner());
    let outcome = outcomes.entry(name.clone()).or_insert_with(|| all.perform(run)).clone();
    match outcome {
        Err(e) => Err(format!("{place}: {e}")),
        Ok(Outcome::Skipped(reason)) => Ok(Some(reason)),
        Ok(Outcome::Text(printed)) => {
            compare(run, &fence.body, &printed).map(|()| None).map_err(|diff| {
                let refresh = format!(
                    "if the run is right and the page is not: cargo book record {name}"
                );
                format!(
                    "{place}: the block no longer shows what {name} prints\n{diff}{refresh}"
                )
            })
        }
    }
}
