//! A run, from the writing of the file to the table.

use std::time::Duration;

use super::bench::Bench;
use super::lines::Lines;
use super::report::{Line, Round, Run, Way};
use super::scratch::{Scratch, Trouble};
use super::sums::{cells, ratios};
use super::{Flags, fio, optimized, table};
use crate::cores::Cores;
use crate::environment::Environment;
use crate::plan::spoken;

/// Exit code and line of a run that came to nothing.
pub type Failure = (u8, String);

/// Measures, prints, and writes the lines.
///
/// # Errors
/// No file could be written, a read failed, or a floor was missed.
pub fn files(flags: &Flags) -> Result<(), Failure> {
    let failed = |why: String| (flags::FAILED, why);
    let refused = |why: String| (flags::REFUSED, why);
    if cfg!(debug_assertions) && !flags.debug_build {
        return Err(failed(optimized::become_optimized()));
    }
    if flags.against_fio {
        eprintln!("against {}", fio::version().map_err(refused)?);
    }
    let scratch = Scratch::write(&flags.folder(), flags.size);
    let scratch = scratch.map_err(|trouble| match trouble {
        Trouble::Refused(why) => refused(why),
        Trouble::Failed(why) => failed(why),
    })?;
    let mut lines = Lines::create(&flags.out).map_err(failed)?;
    let about = about(flags, &scratch);
    lines.write(&Line::Run(Box::new(about.clone()))).map_err(failed)?;
    let mut bench = Bench::new(flags, &scratch, &about, &mut lines).map_err(failed)?;
    if bench.cells() == 0 {
        return Err(refused("nothing is left that could be read, or by whom".into()));
    }
    let time = bench.time() * flags.rounds;
    eprintln!("{} cells, {} rounds: about {}", bench.cells(), flags.rounds, spoken(time));
    for round in 1..=flags.rounds {
        bench.round(round).map_err(failed)?;
        eprintln!("round {round} of {}", flags.rounds);
    }
    let rounds = bench.rounds;
    match conclude(&about, &rounds, &mut lines).map_err(failed)? {
        0 => Ok(()),
        missed => Err(failed(format!(
            "{missed} floors were missed; measure again when nobody else is busy"
        ))),
    }
}

/// Everything together, and how many floors were missed.
fn conclude(about: &Run, rounds: &[Round], lines: &mut Lines) -> Result<usize, String> {
    let (cells, ratios) = (cells(rounds), ratios(rounds));
    for cell in &cells {
        lines.write(&Line::Cell(cell.clone()))?;
    }
    for ratio in &ratios {
        lines.write(&Line::Ratio(*ratio))?;
    }
    for way in [Way::Direct, Way::Cached] {
        print!("{}", table::cells(about, way, &cells));
    }
    print!("{}", table::ratios(&ratios));
    println!("\n{}", lines.path().display());
    Ok(ratios.iter().filter(|ratio| ratio.is_below()).count())
}

fn about(flags: &Flags, scratch: &Scratch) -> Run {
    let cores = Cores::choose().unwrap_or_else(Cores::one);
    Run {
        environment: Environment::now(cores, &flags.folder()),
        size: scratch.size,
        seconds: flags.seconds.as_secs_f64(),
        is_debug_build: cfg!(debug_assertions),
    }
}

/// How long fio takes to begin and to end.
pub const AROUND_FIO: Duration = Duration::from_millis(700);
