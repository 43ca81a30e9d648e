//! A folder of results, which no interruption tears.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `plan.json` | [`Plan`]: what was to be measured |
//! | `environment.json` | [`Environment`]: on what |
//! | `cells.jsonl` | a line for each cell that is done, a [`Cell`] |
//!
//! A line is written by one call and is on the disk before the next cell begins. Whatever ends
//! us loses the cell that was being measured, and no other: a line that was not written to its
//! end is no line, and is cut off when the folder is opened again.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::environment::Environment;
use crate::plan::Plan;
use crate::record::{Cell, Key};

const PLAN: &str = "plan.json";
const ENVIRONMENT: &str = "environment.json";
const CELLS: &str = "cells.jsonl";

/// The files of a result.
pub(crate) const FILES: [&str; 3] = [PLAN, ENVIRONMENT, CELLS];

/// A result that is read.
#[derive(Clone, Debug)]
pub struct Read {
    /// What was to be measured.
    pub plan: Plan,
    /// On what.
    pub environment: Environment,
    /// What came of it so far, in the order in which it was measured.
    pub cells: Vec<Cell>,
}

/// A result that is being written, by us and nobody else.
#[derive(Debug)]
pub struct Results {
    cells: File,
    done: HashSet<Key>,
}

/// Reads a folder.
///
/// # Errors
/// One line.
pub fn read(folder: &Path) -> Result<Read, String> {
    Ok(Read {
        plan: read_json(&folder.join(PLAN))?,
        environment: read_json(&folder.join(ENVIRONMENT))?,
        cells: read_cells(&folder.join(CELLS))?.0,
    })
}

/// A folder, or the name of one among the results.
#[must_use]
pub fn folder(all: &Path, name: &str) -> PathBuf {
    let path = PathBuf::from(name);
    if is_one(&path) { path } else { all.join(name) }
}

/// Whether there is a result in it.
#[must_use]
pub fn is_one(folder: &Path) -> bool {
    folder.join(PLAN).is_file()
}

impl Results {
    /// Opens a folder for a plan: a new one, or one in which the same was begun on the same
    /// machine.
    ///
    /// # Errors
    /// One line: another plan, another machine, another harness at work in it, or what the
    /// file system says.
    pub fn open(
        folder: &Path,
        plan: &Plan,
        environment: &Environment,
    ) -> Result<Self, String> {
        let failed = |error: io::Error| format!("{}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(failed)?;
        let path = folder.join(CELLS);
        let options = OpenOptions::new().create(true).append(true).read(true).clone();
        let cells = options.open(&path).map_err(failed)?;
        match lock(&cells) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(format!(
                    "{} is being written by another harness; wait for it, or choose another --out",
                    folder.display()
                ));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let done = match is_one(folder) {
            true => begun(folder, plan, environment, &cells)?,
            false => begin(folder, plan, environment)?,
        };
        Ok(Self { cells, done })
    }

    /// Whether a cell is there already.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        self.done.contains(key)
    }

    /// Adds a cell. When this returns it is on the disk.
    ///
    /// # Errors
    /// One line.
    pub fn add(&mut self, cell: &Cell) -> Result<(), String> {
        let failed = |error: io::Error| format!("cannot write {CELLS}: {error}");
        let mut line = serde_json::to_vec(cell).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        // One call. Of a part, on a full disk, the next start cuts off what is there.
        self.cells
            .write_all(&line)
            .and_then(|()| self.cells.sync_data())
            .map_err(failed)?;
        self.done.insert(cell.key.clone());
        Ok(())
    }
}

/// Locks it, or gives up after a second. A lock belongs to all copies of a descriptor, and
/// whatever is being started has one from fork(2) to execve(2).
fn lock(cells: &File) -> Result<(), TryLockError> {
    for _ in 0..100 {
        match cells.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(10)),
            done => return done,
        }
    }
    cells.try_lock()
}

/// Puts a folder aside: `quick` becomes `quick.1`, or the first number that is free.
///
/// # Errors
/// One line.
pub fn put_aside(folder: &Path) -> Result<PathBuf, String> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let aside = (1..)
        .map(|number| folder.with_file_name(format!("{name}.{number}")))
        .find(|path| !path.exists());
    let aside = aside.unwrap_or_else(|| folder.with_extension("old"));
    fs::rename(folder, &aside)
        .map_err(|error| format!("cannot rename {}: {error}", folder.display()))?;
    Ok(aside)
}

fn begin(
    folder: &Path,
    plan: &Plan,
    environment: &Environment,
) -> Result<HashSet<Key>, String> {
    // The plan last: where it is, the rest is.
    write_json(&folder.join(ENVIRONMENT), environment)?;
    write_json(&folder.join(PLAN), plan)?;
    Ok(HashSet::new())
}

/// What is there, if it is of the same plan and of the same machine.
fn begun(
    folder: &Path,
    plan: &Plan,
    environment: &Environment,
    cells: &File,
) -> Result<HashSet<Key>, String> {
    let shown = folder.display();
    let instead = "--anew puts it aside, --out names another folder";
    if read_json::<Plan>(&folder.join(PLAN))? != *plan {
        return Err(format!("{shown} was begun with another plan; {instead}"));
    }
    let before: Environment = read_json(&folder.join(ENVIRONMENT))?;
    if let Some((what, then, now)) = before.differs(environment) {
        return Err(format!(
            "{shown} was begun when {what} was {then}, and it is {now}; {instead}"
        ));
    }
    let (there, whole) = read_cells(&folder.join(CELLS))?;
    cells.set_len(whole).map_err(|error| format!("{shown}: {error}"))?;
    let mut done = HashSet::new();
    for cell in there {
        if !done.insert(cell.key.clone()) {
            return Err(format!("{shown} has {} twice; {instead}", cell.key));
        }
    }
    Ok(done)
}

// ANCHOR: read_cells
/// The cells, and how many bytes their lines are. What comes after the last whole line is of
/// a cell that was being written.
fn read_cells(file: &Path) -> Result<(Vec<Cell>, u64), String> {
    let shown = file.display();
    let text = fs::read(file).map_err(|error| format!("{shown}: {error}"))?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let lines = text[..whole].split_inclusive(|byte| *byte == b'\n');
    let cell = |(number, line): (usize, &[u8])| {
        serde_json::from_slice(line)
            .map_err(|error| format!("{shown}, line {}: {error}", number + 1))
    };
    let cells: Result<_, _> = lines.enumerate().map(cell).collect();
    Ok((cells?, whole as u64))
}
// ANCHOR_END: read_cells

fn read_json<T: DeserializeOwned>(file: &Path) -> Result<T, String> {
    let shown = file.display();
    let text = fs::read(file).map_err(|error| format!("{shown}: {error}"))?;
    serde_json::from_slice(&text).map_err(|error| format!("{shown}: {error}"))
}

/// Writes a file that is there whole or not at all.
fn write_json(file: &Path, what: &impl Serialize) -> Result<(), String> {
    let failed = |error: io::Error| format!("{}: {error}", file.display());
    let mut text = serde_json::to_vec_pretty(what).map_err(|error| failed(error.into()))?;
    text.push(b'\n');
    let new = file.with_extension("new");
    let written = File::create(&new).and_then(|mut to| {
        to.write_all(&text)?;
        to.sync_all()
    });
    written.and_then(|()| fs::rename(&new, file)).map_err(failed)
}

#[cfg(test)]
mod tests;
