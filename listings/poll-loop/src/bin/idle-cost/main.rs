//! What one call costs that waits for many descriptors, of which all but one are idle:
//! select(2), poll(2) and epoll_wait(2), from 10 descriptors to 15,000.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `idle` | the descriptors on which nothing happens, and the one on which it does |
//! | `calls` | the calls, prepared, and timed one at a time |
//! | `data` | what was measured, and where |
//! | `table` | the data as a table |
//! | `figure` | the data as a drawing |

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod data;
#[cfg(target_os = "linux")]
mod figure;
#[cfg(target_os = "linux")]
mod idle;
#[cfg(target_os = "linux")]
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Parser)]
#[command(
    about = "What one call of select, poll and epoll_wait costs, against the number of idle descriptors"
)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
struct Flags {
    /// The largest number of idle descriptors
    #[arg(long, default_value = "15000", value_name = "N", value_parser = flags::at_least_one)]
    up_to: usize,
    /// How often everything is measured anew
    #[arg(long, default_value = "7", value_name = "N", value_parser = flags::at_least_one)]
    rounds: usize,
    /// Measure nothing, and take the data from this file
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Write the data there, as JSON
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Write the table there
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Draw the figure there, as SVG
    #[arg(long, value_name = "FILE")]
    figure: Option<PathBuf>,
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match run(&flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(flags::FAILED, format_args!("idle-cost: {error}")),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    let _: Flags = flags::parse();
    flags::needs_linux("idle-cost")
}

#[cfg(target_os = "linux")]
fn run(flags: &Flags) -> std::io::Result<()> {
    let data = match &flags.from {
        Some(file) => data::Data::read(file)?,
        None => calls::measure(flags.up_to, flags.rounds)?,
    };
    let table = table::of(&data);
    print!("{table}");
    if let Some(file) = &flags.data {
        data::write(file, &data.to_json())?;
    }
    if let Some(file) = &flags.table {
        data::write(file, &table)?;
    }
    if let Some(file) = &flags.figure {
        data::write(file, &figure::of(&data))?;
    }
    Ok(())
}
