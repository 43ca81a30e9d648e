//! The preflight for a room: whether this machine can go through the workshop, without network.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use doctor::Verdict;
use runs::exercises::Exercise;
use rustix::fs::statvfs;

use crate::{Bench, Desk, checks};

/// What building every exercise takes, and some more.
const ROOM: u64 = 8 << 30;

/// What was found, line by line, and whether all of it is good.
#[derive(Debug, Default)]
pub struct Found {
    /// For people.
    pub lines: Vec<String>,
    /// What has to be done before people come.
    pub to_do: usize,
}

impl Found {
    fn add(&mut self, verdict: &str, what: &str) {
        self.to_do += usize::from(verdict == "no");
        self.lines.push(format!("{verdict:<8} {what}"));
    }
}

/// Looks. `exercises`: whose checks are tried, each with the book's own answer.
pub fn preflight(root: &Path, exercises: &[Exercise]) -> Found {
    let mut found = Found::default();
    for finding in doctor::examine(root).0 {
        let what = format!("{}: {}", finding.name, finding.found);
        match (finding.verdict, finding.remedy) {
            (Verdict::Yes, _) => found.add("yes", &what),
            // What is missing affects chapters, and whether those are gone through is not ours to say.
            (_, remedy) => {
                let remedy = remedy.unwrap_or_default();
                found.add("limited", &format!("{what} ({remedy})"));
            }
        }
    }
    let offline = cargo(root, &["fetch", "--offline", "--locked"]);
    match offline {
        Ok(()) => found.add("yes", "all dependencies are here: nothing needs the network"),
        Err(_) => found.add(
            "no",
            "dependencies are missing: run cargo fetch while there is a network",
        ),
    }
    match statvfs(root) {
        Ok(disk) => {
            let free = disk.f_bavail * disk.f_frsize;
            let what = format!(
                "{} GiB free on the disk, of {} that are wanted",
                free >> 30,
                ROOM >> 30
            );
            found.add(if free >= ROOM { "yes" } else { "no" }, &what);
        }
        Err(error) => found.add("no", &format!("the disk: {error}")),
    }
    for exercise in exercises {
        let begun = Instant::now();
        let desk = Desk::of_learner(root);
        let desk = Desk { folder: root.join("target/workshop-preflight"), ..desk };
        let outcome = desk.put(exercise, None).map_err(crate::Fault::Trouble);
        let outcome =
            outcome.and_then(|()| checks::check(&Bench { desk: &desk, exercise }));
        let seconds = begun.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => found.add(
                "yes",
                &format!("{}: built and checked in {seconds:.0} s", exercise.name),
            ),
            Err(fault) => found.add("no", &format!("{}: {fault:?}", exercise.name)),
        }
    }
    let _ = std::fs::remove_dir_all(root.join("target/workshop-preflight"));
    found
}

fn cargo(root: &Path, words: &[&str]) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output =
        Command::new(cargo).args(words).current_dir(root).stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(said.trim().lines().last().unwrap_or("it does not say why").to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}
