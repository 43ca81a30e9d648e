//! The named runs: what a Run button may start, and what an output block in the prose was
//! recorded from.
//!
//! A run is declared with its listing, under `[package.metadata.run.NAME]` in
//! `listings/PACKAGE/Cargo.toml`, and is called `PACKAGE/NAME`. A chapter shows its output
//! in a fence:
//!
//! ````markdown
//! ```text,run=blocking-read/pipe
//! read returned 5 bytes after 300.2 ms
//! ```
//! ````
//!
//! [`load`] reads the declarations, [`chapters`] and [`fences`] find the blocks,
//! [`perform`] runs one, [`compare`] says what has drifted, and [`record`] writes the
//! blocks anew.

pub mod exercises;
mod fences;
pub mod includes;
mod perform;
pub mod progress;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde::Deserialize;

pub use fences::{Chapter, Fence, chapters, fences, is_notes};
pub use perform::{
    Outcome, Programs, build, build_command, executable, perform, perform_built,
    program_command,
};
pub use record::{Change, What, compare, record};

/// What went wrong, and with which file or run.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    fn new(message: impl Into<String>) -> Error {
        Error(message.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Something in the book that must not stand there; displays as `src/x.md:12: what`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, relative to the book's root.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, and where it helps, what to do.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

/// How a run ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// By itself.
    #[default]
    Program,
    /// When it is told to: its output has a line `listening on http://ADDRESS:PORT` (or
    /// `ftp://`), and SIGTERM ends it with 0.
    Server,
}

/// A named run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its full name, `PACKAGE/NAME`.
    pub name: String,
    /// The package that declares it.
    pub package: String,
    /// The binary target to run; the package's name where nothing else is said.
    pub bin: String,
    /// The binary's arguments.
    pub args: Vec<String>,
    /// How it ends.
    pub kind: Kind,
    /// What differs from run to run.
    pub varies: Vec<Regex>,
    /// `try`: what a page suggests while the server runs; `{url}` stands for
    /// the address, with `http://` or `ftp://` before it.
    pub suggestions: Vec<String>,
    /// The program to run it under, with that program's arguments; empty for none.
    pub via: Vec<String>,
    /// Commands that a recording sends to the server, one after another; `{url}` as in
    /// `suggestions`.
    pub ask: Vec<Vec<String>>,
    /// Time limit in seconds.
    pub seconds: u64,
    /// Whether standard error is recorded too, in the order in which it was written.
    pub stderr: bool,
}

/// `[package.metadata.run.NAME]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declaration {
    #[serde(default)]
    args: Vec<String>,
    bin: Option<String>,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    varies: Vec<String>,
    #[serde(default, rename = "try")]
    suggestions: Vec<String>,
    #[serde(default)]
    via: Vec<String>,
    #[serde(default)]
    ask: Vec<Vec<String>>,
    #[serde(default = "twenty")]
    seconds: u64,
    #[serde(default)]
    stderr: bool,
}

fn twenty() -> u64 {
    20
}

/// All runs that the listings under `root` declare, by name.
///
/// Fails on a declaration that cannot be meant: an unknown key, a pattern that is no
/// regular expression, questions to a program that does not listen. The message names the
/// file and the key.
pub fn load(root: &Path) -> Result<BTreeMap<String, Run>, Error> {
    let mut runs = BTreeMap::new();
    for folder in sorted(&root.join("listings"))? {
        let manifest = folder.join("Cargo.toml");
        if !manifest.is_file() {
            continue;
        }
        let shown = manifest.strip_prefix(root).unwrap_or(&manifest).display().to_string();
        let table: toml::Table =
            read(&manifest)?.parse().map_err(|e: toml::de::Error| {
                Error::new(format!("{shown}: {}", e.message()))
            })?;
        let Some(package) = table.get("package") else { continue };
        let Some(declared) = package.get("metadata").and_then(|m| m.get("run")) else {
            continue;
        };
        let package = package
            .get("name")
            .and_then(toml::Value::as_str)
            .ok_or_else(|| Error::new(format!("{shown}: the package has no name")))?;
        let declared = declared.as_table().ok_or_else(|| {
            Error::new(format!(
                "{shown}: [package.metadata.run] holds tables, one for each run"
            ))
        })?;
        for (name, value) in declared {
            let run = declaration(package, name, value).map_err(|e| {
                Error::new(format!("{shown}: [package.metadata.run.{name}]: {e}"))
            })?;
            runs.insert(run.name.clone(), run);
        }
    }
    Ok(runs)
}

fn declaration(package: &str, name: &str, value: &toml::Value) -> Result<Run, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(allowed) {
        return Err("a run's name consists of a-z, 0-9 and -".to_owned());
    }
    let declared =
        Declaration::deserialize(value.clone()).map_err(|e| e.message().to_owned())?;
    let varies = declared
        .varies
        .iter()
        .map(|pattern| {
            // Multi-line, so that ^ and $ mean a line's.
            let regex = Regex::new(&format!("(?m){pattern}"))
                .map_err(|_| format!("varies: no regex: {pattern}"))?;
            if regex.is_match("") {
                Err(format!("varies: matches the empty text: {pattern}"))
            } else {
                Ok(regex)
            }
        })
        .collect::<Result<_, _>>()?;
    if declared.kind == Kind::Program {
        for (key, used) in
            [("try", !declared.suggestions.is_empty()), ("ask", !declared.ask.is_empty())]
        {
            if used {
                return Err(format!("{key} is for servers; say kind = \"server\""));
            }
        }
    }
    if declared.ask.iter().any(Vec::is_empty) {
        return Err("ask: a command without words".to_owned());
    }
    if declared.seconds == 0 {
        return Err("seconds: no time at all".to_owned());
    }
    Ok(Run {
        name: format!("{package}/{name}"),
        package: package.to_owned(),
        bin: declared.bin.unwrap_or_else(|| package.to_owned()),
        args: declared.args,
        kind: declared.kind,
        varies,
        suggestions: declared.suggestions,
        via: declared.via,
        ask: declared.ask,
        seconds: declared.seconds,
        stderr: declared.stderr,
    })
}

/// Where chapters and declarations disagree: a block of a run that no listing declares,
/// and, once there are chapters, a declared run that none of them shows.
pub fn unmatched(runs: &BTreeMap<String, Run>, chapters: &[Chapter]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut shown = BTreeSet::new();
    for chapter in chapters {
        match fences(chapter) {
            Err(problem) => problems.push(problem),
            Ok(fences) => {
                for fence in fences {
                    if !runs.contains_key(&fence.name) {
                        let what = format!("no listing declares the run `{}`", fence.name);
                        problems.push(Problem { file: fence.file, line: fence.line, what });
                    }
                    shown.insert(fence.name);
                }
            }
        }
    }
    if !chapters.is_empty() {
        for run in runs.values().filter(|run| !shown.contains(&run.name)) {
            let file = PathBuf::from(format!("listings/{}/Cargo.toml", run.package));
            let what = format!(
                "no chapter shows the run `{}` (```text,run={} in src/)",
                run.name, run.name
            );
            problems.push(Problem { file, line: 1, what });
        }
    }
    problems
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|e| Error::new(format!("{}: {e}", path.display())))
}

/// The entries of a folder, sorted by name.
fn sorted(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |e| Error::new(format!("{}: {e}", folder.display()));
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        entries.push(entry.map_err(failed)?.path());
    }
    entries.sort();
    Ok(entries)
}
