//! The select server as a program.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;

    /// One thread, many descriptors: the select server
    #[derive(Parser)]
    #[command(version)]
    struct Command {
        #[command(flatten)]
        server: flags::ServerFlags,

        /// Close every connection after one response
        #[arg(long)]
        no_keep_alive: bool,

        /// Open a file for every request instead of keeping it open for a second
        #[arg(long)]
        no_file_cache: bool,
    }

    store::embedded::run_if_asked();
    let command: Command = flags::parse();
    let offer = iterative::start::Offer {
        file_cache: !command.no_file_cache,
        keep_alive: !command.no_keep_alive,
    };
    match run(&command.server, offer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => flags::fail(flags::FAILED, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("select-loop")
}

// ANCHOR: run
#[cfg(target_os = "linux")]
fn run(flags: &flags::ServerFlags, offer: iterative::start::Offer) -> Result<(), String> {
    use select_loop::{FD_SETSIZE, SelectLoop, start};

    let start::Ready { house, door, stop, store: _store } =
        start::get_ready(flags, offer, FD_SETSIZE)?;
    SelectLoop::new(house, door, stop)
        .run()
        .map_err(|error| format!("cannot wait in select: {error}"))
}
// ANCHOR_END: run
