//! The rounds: each server once, and then all of them again.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};

use super::connections::Connections;
use super::memory::{Kernel, User};
use super::report::{Cell, Line, Round, Run};
use super::who::{NAMES, Who, how_many};
use super::{Flags, table};
use crate::cores::{self, Cores};
use crate::environment::Environment;
use crate::files::lines::Lines;
use crate::files::optimized::build;
use crate::process::{Group, Interrupted};
use crate::programs::Programs;
use crate::record::Ending;
use crate::run::INTERRUPTED;
use crate::running::{Running, Start};
use crate::{limits, nginx, workload};

type Failure = (u8, String);

fn failed(line: String) -> Failure {
    (flags::FAILED, line)
}

/// What a round needs.
struct Bench {
    programs: Programs,
    cores: Cores,
    root: PathBuf,
    work: PathBuf,
    stop: Arc<AtomicBool>,
}

/// Why a server has no figure, or nobody has one.
enum Trouble {
    /// It stands in the results, and the others go on.
    Server(String),
    /// Somebody wants us to stop.
    Interrupted,
}

impl From<Interrupted> for Trouble {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

/// Measures, prints, and writes the lines.
///
/// # Errors
/// Nothing could be started, or a floor was missed.
pub fn idle(flags: &Flags) -> Result<(), Failure> {
    let descriptors = limits::raise().map_err(failed)?;
    let connections = flags.connections.unwrap_or_else(|| how_many(descriptors));
    if let Some(why) = limits::refuses(descriptors, connections) {
        return Err((flags::REFUSED, format!("{why}; choose fewer with --connections")));
    }
    let all = who(flags, connections).map_err(|why| (flags::REFUSED, why))?;
    let bench = bench(flags, &all).map_err(failed)?;
    let mut lines = Lines::create(&flags.out).map_err(failed)?;
    let environment = Environment::now(bench.cores, &bench.root);
    let run = Run { environment, connections, threads: flags.threads };
    lines.write(&Line::Run(Box::new(run))).map_err(failed)?;
    let rounds = measure(&bench, flags, &all, &mut lines)?;
    let cells = conclude(&all, &rounds, &mut lines).map_err(failed)?;
    match cells.iter().filter(|cell| cell.is_missed()).count() {
        0 if cells.is_empty() => {
            Err(failed("no server could be measured; why is above".into()))
        }
        0 => Ok(()),
        missed => Err(failed(format!(
            "{missed} servers take more for an idle connection than they may; see {}",
            lines.path().display()
        ))),
    }
}

/// Those that were asked for, or all that are here.
fn who(flags: &Flags, connections: usize) -> Result<Vec<Who>, String> {
    let named = |name: &str| Who::named(name, connections, flags.threads);
    if !flags.servers.is_empty() {
        return flags.servers.iter().map(|name| named(name)).collect();
    }
    let is_here = |name: &&&str| **name != "nginx" || nginx::is_installed();
    NAMES.iter().filter(is_here).map(|name| named(name)).collect()
}

fn bench(flags: &Flags, all: &[Who]) -> Result<Bench, String> {
    let programs = match &flags.programs {
        Some(folder) => Programs::in_folder(folder),
        None => build(all.iter().map(|who| who.server.clone()).collect())?,
    };
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .map_err(|error| format!("cannot catch signals: {error}"))?;
    }
    let cores = Cores::choose().unwrap_or_else(Cores::one);
    cores::pin_this_thread(cores.generator).map_err(|error| error.to_string())?;
    let folder = flags.out.with_extension("work");
    let make = || {
        let (root, work) = (folder.join("www"), folder.join("nginx"));
        fs::create_dir_all(&root)?;
        fs::create_dir_all(&work)?;
        fs::write(root.join(workload::FILE), workload::content())?;
        Ok((root, work))
    };
    let made: std::io::Result<_> = make();
    let (root, work) = made.map_err(|error| {
        format!("cannot write in {}: {error}; choose another --out", folder.display())
    })?;
    Ok(Bench { programs, cores, root, work, stop })
}

fn measure(
    bench: &Bench,
    flags: &Flags,
    all: &[Who],
    lines: &mut Lines,
) -> Result<Vec<Round>, Failure> {
    let mut rounds = Vec::new();
    for number in 1..=flags.rounds {
        for who in all {
            let server = who.server.name.clone();
            match bench.round(who, number) {
                Ok(round) => {
                    lines.write(&Line::Round(round.clone())).map_err(failed)?;
                    rounds.push(round);
                }
                Err(Trouble::Server(why)) => {
                    println!("{server}: {why}");
                    lines.write(&Line::Refused { server, why }).map_err(failed)?;
                }
                Err(Trouble::Interrupted) => {
                    let line = "interrupted; what was measured is in the file";
                    return Err((INTERRUPTED, line.into()));
                }
            }
        }
        eprintln!("round {number} of {}", flags.rounds);
    }
    Ok(rounds)
}

impl Bench {
    /// One server, from its start to its end.
    fn round(&self, who: &Who, number: u32) -> Result<Round, Trouble> {
        let start = Start {
            programs: &self.programs,
            root: &self.root,
            work: &self.work,
            cpu: self.cores.server,
            store: Vec::new(),
        };
        let mut running = start.start(&who.server, &self.stop)?.map_err(of_server)?;
        let round = self.look(who, number, &running);
        // Whatever became of the round, the server is ended, by its drop if need be.
        match (round, running.end(&self.stop)?) {
            (Err(trouble), _) => Err(trouble),
            (Ok(round), Ending::Well) => Ok(round),
            (Ok(_), ending) => Err(of_server(ending)),
        }
    }

    /// Before the first connection, and with all of them.
    fn look(&self, who: &Who, number: u32, running: &Running) -> Result<Round, Trouble> {
        let broken = Trouble::Server;
        let address: SocketAddr =
            running.address.parse().map_err(|_| broken("it has no address".into()))?;
        let group = running.group.as_ref().map(Group::id);
        let group = group.ok_or_else(|| broken("it is not ours".into()))?;
        // What is made for the first client, and kept, is no part of what another one takes.
        drop(Connections::open(address, 1, 1).map_err(broken)?);
        let before = self.settled(group)?;
        let connections = Connections::open(address, who.connections, who.at_a_time());
        let connections = connections.map_err(broken)?;
        let after = self.settled(group)?;
        let held = connections.held();
        connections.in_time().map_err(broken)?;
        if held < who.connections {
            let gone = who.connections - held;
            return Err(broken(format!("it has let go of {gone} that were idle")));
        }
        Ok(Round {
            server: who.server.name.clone(),
            round: number,
            connections: held,
            user: (before.0, after.0),
            kernel: (before.1, after.1),
        })
    }

    /// What is there once the server's memory has stopped to grow or to shrink; on a busy
    /// machine the kernel's never does.
    fn settled(&self, group: u32) -> Result<(User, Kernel), Trouble> {
        const PAUSE: Duration = Duration::from_millis(200);
        let begun = Instant::now();
        let mut last = User::default();
        loop {
            thread::sleep(PAUSE);
            if self.stop.load(Ordering::Relaxed) {
                return Err(Trouble::Interrupted);
            }
            let now = User::of(group);
            // For two seconds at most: then it is a server that is never at rest.
            if now == last || begun.elapsed() > 10 * PAUSE {
                return Ok((now, Kernel::now()));
            }
            last = now;
        }
    }
}

fn of_server(ending: Ending) -> Trouble {
    Trouble::Server(ending.to_string())
}

fn conclude(all: &[Who], rounds: &[Round], lines: &mut Lines) -> Result<Vec<Cell>, String> {
    let mut cells = Vec::new();
    for who in all {
        let is_its = |round: &&Round| round.server == who.server.name;
        let of_server: Vec<&Round> = rounds.iter().filter(is_its).collect();
        if !of_server.is_empty() {
            cells.push(Cell::of(&of_server, who.floor(), who.caveat));
        }
    }
    for cell in &cells {
        lines.write(&Line::Cell(cell.clone()))?;
    }
    print!("{}", table::table(&cells));
    println!("\n{}", lines.path().display());
    Ok(cells)
}
