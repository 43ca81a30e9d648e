use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use similar::TextDiff;

use crate::{Chapter, Error, Outcome, Run, build, chapters, fences, load, perform_built};

/// What became of one block.
#[derive(Clone, Debug)]
pub struct Change {
    /// The chapter's file, relative to the book's root.
    pub file: PathBuf,
    /// The line of the opening fence, counted from 1, before anything was written.
    pub line: usize,
    /// The run's name.
    pub name: String,
    /// What was done.
    pub what: What,
}

/// What [`record`] did with a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It showed what the run printed already.
    Kept,
    /// It was written anew.
    Written,
    /// It was left alone, since the run cannot be performed here, for this reason.
    Skipped(String),
}

/// Compares what a block shows with what the run printed, both normalised: each match of
/// the run's `varies` is replaced by `…`, white space at the end of a line and at the end
/// of all does not count.
///
/// The error is the unified diff of the normalised texts.
pub fn compare(run: &Run, recorded: &str, actual: &str) -> Result<(), String> {
    let (recorded, actual) = (normalised(run, recorded), normalised(run, actual));
    if recorded == actual {
        return Ok(());
    }
    let diff = TextDiff::from_lines(&recorded, &actual);
    Err(diff.unified_diff().context_radius(3).header("the block", &run.name).to_string())
}

fn normalised(run: &Run, text: &str) -> String {
    let trimmed = trimmed(text);
    run.varies
        .iter()
        .fold(trimmed, |text, varies| varies.replace_all(&text, "…").into_owned())
}

/// The text as a block shows it: no white space at the end of a line, no empty line at the
/// end.
fn trimmed(text: &str) -> String {
    text.trim_end().lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Performs the named runs (all that the chapters show, if `names` is empty) and writes
/// what they print into the blocks of `root/src`.
///
/// The blocks of a run that fails are left as they are, and all others are written; the
/// error then names each run that failed.
pub fn record(root: &Path, names: &[String]) -> Result<Vec<Change>, Error> {
    let runs = load(root)?;
    if let Some(name) = names.iter().find(|name| !runs.contains_key(*name)) {
        let known: Vec<_> = runs.keys().map(String::as_str).collect();
        return Err(Error::new(format!(
            "no listing declares the run `{name}`; declared are: {}",
            known.join(", ")
        )));
    }
    let wanted = |run: &&Run| names.is_empty() || names.contains(&run.name);
    let programs = build(root, runs.values().filter(wanted))?;
    let mut outcomes: BTreeMap<String, Option<Outcome>> = BTreeMap::new();
    let mut changes = Vec::new();
    let mut failures = Vec::new();
    for chapter in chapters(root)? {
        let mut text = chapter.text.clone();
        // From the end, so that the places of the blocks above stay right.
        let mut blocks =
            fences(&chapter).map_err(|problem| Error::new(problem.to_string()))?;
        blocks.retain(|fence| names.is_empty() || names.contains(&fence.name));
        let above = changes.len();
        for fence in blocks.into_iter().rev() {
            let place = format!("{}:{}", fence.file.display(), fence.line);
            let run = runs.get(&fence.name).ok_or_else(|| {
                Error::new(format!("{place}: no listing declares the run `{}`", fence.name))
            })?;
            let performed = || {
                let outcome = perform_built(root, run, &programs);
                outcome.map_err(|e| failures.push(e.to_string())).ok()
            };
            let Some(outcome) =
                outcomes.entry(fence.name.clone()).or_insert_with(performed)
            else {
                continue;
            };
            let what = match outcome {
                Outcome::Skipped(reason) => What::Skipped(reason.clone()),
                Outcome::Text(printed) if trimmed(printed) == fence.body => What::Kept,
                Outcome::Text(printed) => {
                    text.replace_range(fence.range.clone(), &trimmed(printed));
                    What::Written
                }
            };
            changes.insert(
                above,
                Change { file: fence.file, line: fence.line, name: fence.name, what },
            );
        }
        if text != chapter.text {
            let written = Chapter { file: chapter.file.clone(), text };
            let (before, after) = (names_in(&chapter)?, names_in(&written)?);
            if before != after {
                let file = written.file.display();
                return Err(Error::new(format!(
                    "{file}: a run prints a line that closes its block; use a longer fence"
                )));
            }
            let path = root.join(&written.file);
            fs::write(&path, written.text)
                .map_err(|e| Error::new(format!("{}: {e}", path.display())))?;
        }
    }
    if let Some(name) = names.iter().find(|name| !outcomes.contains_key(*name)) {
        return Err(Error::new(format!(
            "no chapter shows the run `{name}`: put ```text,run={name} where it belongs"
        )));
    }
    if failures.is_empty() { Ok(changes) } else { Err(Error::new(failures.join("\n"))) }
}

fn names_in(chapter: &Chapter) -> Result<Vec<String>, Error> {
    let fences = fences(chapter).map_err(|problem| Error::new(problem.to_string()))?;
    Ok(fences.into_iter().map(|fence| fence.name).collect())
}
