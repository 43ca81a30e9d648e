//! Runs one experiment and prints its numbers.

use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Parser)]
#[command(about = "What happens to a program while it waits")]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
enum Experiment {
    /// A read from a pipe whose other end sleeps
    Pipe,
    /// The same read, seen from another process
    Watch,
    /// A file read from the disk, and again from the page cache
    File {
        /// Folder for the file: one on a disk
        #[arg(long, default_value = "/var/tmp", value_name = "DIR")]
        dir: PathBuf,
        /// Size of the file
        #[arg(long, default_value = "64", value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=4096))]
        mib: u64,
    },
    /// Work that is stopped again and again by a busy program on the same processor
    Neighbour,
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use blocking_read::{file, neighbour, pipe, watch};
    use std::process::Command;

    let printed = match flags::parse() {
        Experiment::Pipe => pipe::pipe().map(|numbers| numbers.to_string()),
        Experiment::Watch => std::env::current_exe()
            .and_then(|program| watch::watch(Command::new(program).arg("pipe")))
            .map(|seen| seen.to_string()),
        Experiment::File { dir, mib } => {
            file::file(&dir, mib).map(|numbers| numbers.to_string())
        }
        Experiment::Neighbour => neighbour::neighbour().map(|numbers| numbers.to_string()),
    };
    match printed {
        Ok(lines) => {
            println!("{lines}");
            ExitCode::SUCCESS
        }
        Err(error) => flags::fail(flags::FAILED, format_args!("blocking-read: {error}")),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    let _: Experiment = flags::parse();
    flags::needs_linux("blocking-read")
}
