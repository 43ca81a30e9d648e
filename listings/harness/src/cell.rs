//! One cell: a fresh server, the generator, and what was seen.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use load::Outcome;

use crate::calls;
use crate::cores::{self, Cores};
use crate::generator::{Asked, path};
use crate::limits;
use crate::network::Counters;
use crate::plan::{Settings, Todo};
use crate::proc;
use crate::process::{Group, Interrupted};
use crate::programs::Programs;
use crate::record::{Cell, Ending, Usage};
use crate::running::{Running, Start};
use crate::server::Origin;
use crate::watch::{Watch, store_of};
use crate::workload::Workload;

/// What all cells share.
#[derive(Debug)]
pub struct Bench<'a> {
    /// Who runs where.
    pub cores: Cores,
    /// What is run.
    pub programs: Programs,
    /// How.
    pub settings: Settings,
    /// The folder that is served.
    pub root: PathBuf,
    /// A folder that nginx may write to.
    pub work: PathBuf,
    /// How many descriptors there may be.
    pub descriptors: Option<u64>,
    /// Set when somebody wants us to stop.
    pub stop: &'a AtomicBool,
}

impl Bench<'_> {
    /// Measures a cell. Whatever the server does, this returns, in bounded time.
    ///
    /// # Errors
    /// [`Interrupted`]: then nothing that was started is left.
    pub fn measure(&self, todo: &Todo<'_>) -> Result<Cell, Interrupted> {
        let mut cell = Cell {
            key: todo.key(),
            ending: Ending::Well,
            outcome: None,
            busy: 0.0,
            usage: None,
            network: None,
            calls: None,
            no_calls: None,
            said: None,
        };
        let refused = todo.server.refuses(todo.workload, todo.clients);
        if let Some(why) =
            refused.or_else(|| limits::refuses(self.descriptors, todo.clients))
        {
            cell.ending = Ending::Impossible { why };
            return Ok(cell);
        }
        let start = self.start(self.store_flags(todo.workload));
        match start.start(todo.server, self.stop)? {
            Ok(server) => self.ask(todo, server, &mut cell)?,
            Err(ending) => cell.ending = ending,
        }
        let counts = self.settings.calls && todo.round == 1 && cell.ending == Ending::Well;
        if counts && !matches!(todo.server.origin, Origin::Peer { .. }) {
            match calls::count(self, todo)? {
                Ok(calls) => cell.calls = Some(calls),
                Err(why) => cell.no_calls = Some(why),
            }
        }
        Ok(cell)
    }

    pub(crate) fn start(&self, store: Vec<String>) -> Start<'_> {
        Start {
            programs: &self.programs,
            root: &self.root,
            work: &self.work,
            cpu: self.cores.server,
            store,
        }
    }

    fn store_flags(&self, workload: Workload) -> Vec<String> {
        let delay = if workload.waits() { self.settings.store_delay } else { 0 };
        vec!["--store-delay".into(), delay.to_string()]
    }

    /// The server is up: asks it, looks on, and ends it.
    fn ask(
        &self,
        todo: &Todo<'_>,
        mut server: Running,
        cell: &mut Cell,
    ) -> Result<(), Interrupted> {
        let group = server.group.as_ref().map(Group::id);
        let stores = group.map(store_of).unwrap_or_default();
        for store in &stores {
            // It was on another host in 2019. Here it is on another processor than the
            // server, if there is one; where that is forbidden it stays, and is counted.
            let _ = cores::pin_process(*store, self.cores.others);
        }
        let before = Counters::now();
        let watch = Watch::begin(group);
        let asked = self.load(todo, &server.address, &self.duration())?;
        let watched = watch.end();
        let (after, most) = (Counters::now(), watched.established());
        cell.network = before.zip(after).map(|(before, after)| after.since(before, most));
        // Its threads are there as long as it is.
        let of_store = stores.iter().map(|pid| proc::switches(*pid));
        let of_store = of_store.fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
        cell.ending = self.end(&mut server, &asked, &path(todo))?;
        cell.said = server.group.as_ref().and_then(Group::said);
        let (outcome, end) = asked.ok().unzip();
        let seconds = outcome.as_ref().map_or(0.0, |outcome: &Outcome| outcome.seconds);
        let of_time = watched.usage(end.unwrap_or_else(Instant::now), seconds);
        cell.usage = server.group.as_ref().map(|group| usage(of_time, group, of_store));
        // On its processor the store takes time from it.
        let beside = self.cores.others == self.cores.generator && seconds > 0.0;
        let store = if beside { of_time.store / seconds } else { 0.0 };
        cell.busy = outcome.as_ref().map_or(0.0, Outcome::busy) + store;
        cell.outcome = outcome;
        Ok(())
    }

    /// Ends the server, and says how it went: what it did to its clients counts before how it
    /// ends.
    fn end(
        &self,
        server: &mut Running,
        asked: &Asked,
        path: &str,
    ) -> Result<Ending, Interrupted> {
        let hung = match asked {
            Ok((outcome, _)) if outcome.answered > 0 || outcome.ramp.clients > 0 => None,
            _ => server.hangs(path),
        };
        let ended = server.end(self.stop)?;
        Ok(match (hung, ended, asked) {
            (Some(hung), ..) => hung,
            (None, Ending::Well, Err(why)) => Ending::NotMeasured { why: why.clone() },
            (None, ended, _) => ended,
        })
    }
}

/// All that is known of the server's processes. `of_store` is how often the store's threads
/// were switched, which the kernel counts with the server's when that has waited for it.
fn usage(of_time: Usage, group: &Group, of_store: (u64, u64)) -> Usage {
    let life = group.life().unwrap_or_default();
    Usage {
        waits: life.waits.saturating_sub(of_store.0),
        preemptions: life.preemptions.saturating_sub(of_store.1),
        minor_faults: life.minor_faults,
        ..of_time
    }
}
