//! What an output block shows, held against what its run prints.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use runs::{Fence, Outcome, Run, compare, perform};

/// What each run printed, by name: a run that several blocks show is performed once.
pub type Performed = Mutex<BTreeMap<String, Result<Outcome, String>>>;

/// Performs the run, if it was not yet, and compares. `Ok` has the reason, if the run
/// cannot be performed here.
///
/// The error begins with `src/CHAPTER.md:LINE`; of drift it has the unified diff and the
/// command that refreshes.
pub fn check(
    root: &Path,
    run: &Run,
    fence: &Fence,
    performed: &Performed,
) -> Result<Option<String>, String> {
    let mut performed = performed.lock().unwrap_or_else(|e| e.into_inner());
    let outcome = performed
        .entry(run.name.clone())
        .or_insert_with(|| perform(root, run).map_err(|e| e.to_string()))
        .clone();
    let (place, name) = (format!("{}:{}", fence.file.display(), fence.line), &run.name);
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
