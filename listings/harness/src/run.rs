//! A plan, cell by cell, until it is done or somebody interrupts.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::cell::Bench;
use crate::choice::Choice;
use crate::cores::{self, Cores};
use crate::environment::Environment;
use crate::plan::{Plan, spoken};
use crate::process::Interrupted;
use crate::programs::Programs;
use crate::progress::Progress;
use crate::results::{self, Results};
use crate::workload;
use crate::{limits, summary};

/// The exit code of whoever was ended by SIGINT, as shells say it.
pub const INTERRUPTED: u8 = 130;

/// Measures servers, and keeps what comes of it
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// What is measured
    #[command(flatten)]
    pub choice: Choice,
    /// The result's folder; by default target/harness/quick, full or run
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Put aside what is in the folder, and begin again
    #[arg(long)]
    pub anew: bool,
    /// Say what would be measured and how long it would take, and no more
    #[arg(long)]
    pub dry_run: bool,
    /// Measure although there is one processor for everybody
    #[arg(long)]
    pub one_core: bool,
    /// Take the programs from this folder instead of building them
    #[arg(long, value_name = "DIR")]
    pub programs: Option<PathBuf>,
}

type Failure = (u8, String);

fn failed(line: String) -> Failure {
    (flags::FAILED, line)
}

fn refused(line: String) -> Failure {
    (flags::REFUSED, line)
}

/// Runs what is not done yet.
///
/// # Errors
/// An exit code and a line; [`INTERRUPTED`] with the line that goes on.
pub fn run(flags: &Flags) -> Result<(), Failure> {
    let plan = flags.choice.plan().map_err(refused)?;
    let folder = flags
        .out
        .clone()
        .unwrap_or_else(|| Path::new("target/harness").join(flags.choice.name()));
    let cores = match Cores::choose() {
        Some(cores) => cores,
        None if flags.one_core => Cores::one(),
        None => return Err(refused(ONE_CORE.into())),
    };
    let descriptors = limits::raise().map_err(failed)?;
    println!("{}", announced(&plan, &folder, &cores, descriptors));
    if flags.dry_run {
        return Ok(());
    }
    if flags.anew && results::is_one(&folder) {
        let aside = results::put_aside(&folder).map_err(failed)?;
        println!("what was there is now in {}", aside.display());
    }
    fs::create_dir_all(&folder)
        .map_err(|error| failed(format!("{}: {error}", folder.display())))?;
    let environment = Environment::now(cores, &folder);
    if let Some(line) = environment.busy() {
        println!("{line}");
    }
    let mut results = Results::open(&folder, &plan, &environment).map_err(refused)?;
    let programs = match &flags.programs {
        Some(folder) => Programs::in_folder(folder),
        None => Programs::build(&plan.servers).map_err(failed)?,
    };
    let stop = told_to_stop().map_err(failed)?;
    // Our own work is not to be the server's loss.
    cores::pin_this_thread(cores.others).map_err(|error| failed(error.to_string()))?;
    let (root, work) = folders(&folder).map_err(failed)?;
    let settings = plan.settings.clone();
    let bench = Bench { cores, programs, settings, root, work, descriptors, stop: &stop };
    let done = measure(&bench, &plan, &mut results);
    drop(results);
    let read = results::read(&folder).map_err(failed)?;
    match done {
        Ok(()) => {
            println!("{}{}", summary::summary(&read), folder.join("cells.jsonl").display());
            Ok(())
        }
        Err(Trouble::Writing(line)) => Err(failed(line)),
        Err(Trouble::Interrupted) => {
            let (there, all) = (read.cells.len(), plan.cells().len());
            Err((INTERRUPTED, format!("{there} of {all} cells are done; {}", goes_on())))
        }
    }
}

const ONE_CORE: &str = "there is one processor, and the server and the generator would take it from \
                        each other; allow two (taskset, docker run --cpus 2), or say --one-core and \
                        compare the figures with nothing else";

#[derive(Debug)]
enum Trouble {
    Interrupted,
    Writing(String),
}

impl From<Interrupted> for Trouble {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

// ANCHOR: measure
fn measure(bench: &Bench<'_>, plan: &Plan, results: &mut Results) -> Result<(), Trouble> {
    let all = plan.cells();
    let left: Vec<_> = all.iter().filter(|cell| !results.has(&cell.key())).collect();
    let seconds = left.iter().map(|cell| plan.estimate(cell)).sum();
    let mut progress = Progress::new(all.len(), all.len() - left.len(), seconds);
    for todo in left {
        progress.begins(&todo.key());
        let measured = bench.measure(todo).inspect_err(|Interrupted| progress.over())?;
        results.add(&measured).map_err(Trouble::Writing)?;
        progress.ends(&measured, plan.estimate(todo));
    }
    progress.over();
    Ok(())
}
// ANCHOR_END: measure

/// What will be done, before it is.
fn announced(
    plan: &Plan,
    folder: &Path,
    cores: &Cores,
    descriptors: Option<u64>,
) -> String {
    let cells = plan.cells();
    let time = cells.iter().map(|cell| plan.estimate(cell)).sum();
    let (number, time) = (cells.len(), spoken(Duration::from_secs_f64(time)));
    let mut text = format!(
        "{number} cells of {} servers, {} rounds: about {time} when all is built, into {}\n{}",
        plan.servers.len(),
        plan.rounds,
        folder.display(),
        cores.said()
    );
    let refuses = |cell: &&crate::plan::Todo<'_>| {
        let why = cell.server.refuses(cell.workload, cell.clients);
        why.or_else(|| limits::refuses(descriptors, cell.clients)).is_some()
    };
    let impossible = cells.iter().filter(refuses).count();
    if impossible > 0 {
        text += &format!("\n{impossible} cells cannot be, and will say why");
    }
    text
}

/// What is served, and where nginx may write; as absolute paths.
fn folders(folder: &Path) -> Result<(PathBuf, PathBuf), String> {
    let make = || {
        let folder = folder.canonicalize()?;
        let (root, work) = (folder.join("www"), folder.join("nginx"));
        fs::create_dir_all(&root)?;
        fs::create_dir_all(&work)?;
        fs::write(root.join(workload::FILE), workload::content())?;
        Ok((root, work))
    };
    make().map_err(|error: std::io::Error| format!("{}: {error}", folder.display()))
}

/// Is set by Ctrl-C. The children are in groups of their own, so it comes to us alone.
fn told_to_stop() -> Result<Arc<AtomicBool>, String> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .map_err(|error| format!("cannot catch signals: {error}"))?;
    }
    Ok(stop)
}

/// The same command line again, without what would begin anew.
fn goes_on() -> String {
    let quoted = |word: String| match word.contains(char::is_whitespace) {
        true => format!("'{word}'"),
        false => word,
    };
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--anew").map(quoted).collect();
    format!("go on with: cargo harness {}", words.join(" "))
}
