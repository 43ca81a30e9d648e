//! Reads a file for a while, many blocks at a time, and says how many it were.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
mod bench;

/// Reads of a file over io_uring, at a depth
#[derive(clap::Parser)]
#[command(version)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
struct Command {
    /// File to read; without one, a file of 64 MiB is made in TMPDIR (/var/tmp) and removed
    #[arg(value_name = "FILE")]
    file: Option<std::path::PathBuf>,

    /// Reads in flight
    #[arg(long, default_value = "32", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    depth: u32,

    /// Bytes of each
    #[arg(long, default_value = "4096", value_name = "BYTES", value_parser = clap::value_parser!(u32).range(512..=16_777_216))]
    block: u32,

    /// How long
    #[arg(long, default_value = "2", value_name = "N", value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,

    /// Blocks in random order instead of one after the other
    #[arg(long)]
    random: bool,

    /// Past the page cache (O_DIRECT)
    #[arg(long, conflicts_with = "buffered")]
    direct: bool,

    /// Through the page cache, which is the default
    #[arg(long)]
    buffered: bool,

    /// With buffers and the file registered beforehand
    #[arg(long)]
    fixed: bool,
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let command: Command = flags::parse();
    uring_read::report("uring-read", bench::run(&command))
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    let _: Command = flags::parse();
    flags::needs_linux("uring-read")
}
