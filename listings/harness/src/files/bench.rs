//! One round behind the other: every engine at every depth, and then all of them again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use aio_direct::bench::scramble;

use super::engine::{self, Plan, Trouble};
use super::lines::Lines;
use super::report::{Case, Engine, Line, Reader, Round, Run, Way};
use super::run::AROUND_FIO;
use super::scratch::Scratch;
use super::{Flags, fio};

/// For how long is tried whether an engine reads at all.
const TRIAL: Duration = Duration::from_millis(1);

/// What is measured, as far as this machine allows it.
pub struct Bench<'a> {
    flags: &'a Flags,
    scratch: &'a Scratch,
    lines: &'a mut Lines,
    ways: Vec<Way>,
    /// In the order in which they read.
    readers: Vec<(Engine, Reader)>,
    /// Places differ from run to run.
    seed: u64,
    /// What was measured so far.
    pub rounds: Vec<Round>,
}

impl<'a> Bench<'a> {
    /// Tries everything that was asked for. What the machine refuses is told in a line, and
    /// the rest goes on.
    ///
    /// # Errors
    /// The results cannot be written.
    pub fn new(
        flags: &'a Flags,
        scratch: &'a Scratch,
        about: &Run,
        lines: &'a mut Lines,
    ) -> Result<Self, String> {
        let seed = RandomState::new().build_hasher().finish();
        let (ways, readers, rounds) = (Vec::new(), Vec::new(), Vec::new());
        let mut bench = Self { flags, scratch, lines, ways, readers, seed, rounds };
        for &way in &flags.ways {
            let outcome = match way {
                Way::Direct => {
                    scratch.direct(flags.block, &about.environment.file_system).map(drop)
                }
                Way::Cached => scratch.warm(),
            };
            match outcome {
                Ok(()) => bench.ways.push(way),
                Err(why) => bench.refused(why)?,
            }
        }
        let Some(&way) = bench.ways.first() else { return Ok(bench) };
        for &engine in &flags.engines {
            bench.try_engine(engine, way)?;
        }
        Ok(bench)
    }

    /// At the largest depth, for which limits are lowest.
    fn try_engine(&mut self, engine: Engine, way: Way) -> Result<(), String> {
        let depth = self.flags.depths.iter().copied().max().unwrap_or(1);
        let case = Case { engine, way, depth, block: self.flags.block };
        let plan = Plan { time: TRIAL, ..self.plan(case, 0) };
        match engine::measure(&plan) {
            Ok(_) => {}
            Err(Trouble::Refused(why)) => return self.refused(why),
            // Whoever reads something else is no engine that could be left out.
            Err(Trouble::Wrong(why)) => return Err(why),
        }
        self.readers.push((engine, Reader::Book));
        if !self.flags.against_fio {
            return Ok(());
        }
        match fio::measure(&plan) {
            Ok(Some(_)) => self.readers.push((engine, Reader::Fio)),
            Ok(None) => {}
            Err(why) => self.refused(format!("{}: {why}", engine.name()))?,
        }
        Ok(())
    }

    fn refused(&mut self, why: String) -> Result<(), String> {
        println!("{why}");
        self.lines.write(&Line::Refused { why })
    }

    fn plan(&self, case: Case, round: u32) -> Plan<'a> {
        let numbers = [round, case.depth, case.engine as u32, case.way as u32];
        let seed = numbers.iter().fold(self.seed, |seed, n| scramble(seed ^ u64::from(*n)));
        Plan {
            scratch: self.scratch,
            case,
            round,
            time: self.flags.seconds,
            threads: self.flags.pool_threads,
            seed,
        }
    }

    /// How many cells there are.
    pub fn cells(&self) -> usize {
        self.ways.len() * self.flags.depths.len() * self.readers.len()
    }

    /// About how long a round takes.
    pub fn time(&self) -> Duration {
        let of_fio =
            self.readers.iter().filter(|(_, reader)| *reader == Reader::Fio).count();
        let by_fio = self.ways.len() * self.flags.depths.len() * of_fio;
        self.flags.seconds * self.cells() as u32 + AROUND_FIO * by_fio as u32
    }

    /// Every cell once: those of the disk, the file being cold, and those of the page cache.
    ///
    /// # Errors
    /// A read failed, or the results cannot be written.
    pub fn round(&mut self, round: u32) -> Result<(), String> {
        for way in self.ways.clone() {
            match way {
                Way::Direct => self
                    .scratch
                    .forget()
                    .map_err(|error| format!("cannot have the file forgotten: {error}"))?,
                Way::Cached => self.scratch.warm()?,
            }
            for &depth in &self.flags.depths {
                for (engine, reader) in self.readers.clone() {
                    let case = Case { engine, way, depth, block: self.flags.block };
                    let plan = self.plan(case, round);
                    let measured = match reader {
                        Reader::Book => {
                            Some(engine::measure(&plan).map_err(Trouble::line)?)
                        }
                        Reader::Fio => fio::measure(&plan)?,
                    };
                    if let Some(measured) = measured {
                        self.lines.write(&Line::Round(measured))?;
                        self.rounds.push(measured);
                    }
                }
            }
        }
        Ok(())
    }
}
