//! Reads a file with many reads in flight, and says how fast that goes.

use std::path::PathBuf;
use std::process::ExitCode;

/// Reads a file by Linux AIO, with many reads in flight, past the page cache
#[derive(clap::Parser)]
#[command(version)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
struct Command {
    /// File to read; without one, one is written first and removed in the end
    file: Option<PathBuf>,

    /// How many reads are in flight
    #[arg(long, default_value = "32", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    depth: u32,

    /// Bytes of a read
    #[arg(long, default_value = "4096", value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    block: u32,

    /// Read anywhere in the file instead of from its start to its end
    #[arg(long)]
    random: bool,

    /// How long
    #[arg(long, default_value = "3", value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,

    /// Read through the page cache: without O_DIRECT
    #[arg(long)]
    buffered: bool,

    /// Size of the file that is written
    #[arg(long, default_value = "256", value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    mib: u32,

    /// Folder for the file that is written: one on a disk
    #[arg(long, default_value = "/var/tmp", value_name = "DIR")]
    dir: PathBuf,
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match run(&flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => trouble.exit("aio-direct"),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    let _: Command = flags::parse();
    flags::needs_linux("aio-direct")
}

#[cfg(target_os = "linux")]
fn run(command: &Command) -> Result<(), aio_direct::Trouble> {
    use aio_direct::bench::{Plan, measure};
    use aio_direct::scratch::Scratch;
    use aio_direct::{Refusal, Target, context};

    // Before anything is written: there may be no AIO here.
    drop(context::<()>(command.depth)?);
    let target = match &command.file {
        Some(path) => Target::open(path, command.buffered)?,
        None => {
            let Scratch { buffered, direct } =
                Scratch::new(&command.dir, (command.mib as usize) << 20)?;
            let file = if command.buffered { buffered } else { direct };
            Target::of(file, command.buffered)
                .map_err(|error| Refusal::open(&command.dir, error))?
        }
    };
    let unit = target.alignment.file;
    let block = (command.block as usize).next_multiple_of(unit);
    if block != command.block as usize {
        println!("{} bytes are no multiple of {unit}; {block} are", command.block);
    }
    let time = std::time::Duration::from_secs(command.seconds);
    let plan = Plan { depth: command.depth, block, random: command.random, time };
    let order = if plan.random { "at random" } else { "in order" };
    println!("{} MiB, {}", target.size >> 20, target.alignment);
    println!("{} in flight, {block} bytes each, {order}", plan.depth);
    println!("{}", measure(&target, plan)?);
    Ok(())
}
