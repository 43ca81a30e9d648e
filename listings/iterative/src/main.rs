//! The iterative server as a program.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;

    /// One request at a time: the iterative server
    #[derive(Parser)]
    #[command(version)]
    struct Command {
        #[command(flatten)]
        server: flags::ServerFlags,

        /// Open a file for every request instead of keeping it open for a second
        #[arg(long)]
        no_file_cache: bool,
    }

    store::embedded::run_if_asked();
    let command: Command = flags::parse();
    match run(&command.server, !command.no_file_cache) {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => flags::fail(flags::FAILED, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("iterative")
}

// ANCHOR: run
#[cfg(target_os = "linux")]
fn run(flags: &flags::ServerFlags, file_cache: bool) -> Result<(), String> {
    use iterative::{accept_one_after_another, signals, start};

    let listener = start::open_listener(flags)?;
    signals::watch_for(&[]).map_err(|error| format!("cannot catch signals: {error}"))?;
    let offer = start::Offer { file_cache, keep_alive: false };
    let start::Ready { mut worker, store: _store } = start::get_ready(flags, offer)?;
    start::announce(&listener)?;
    accept_one_after_another(listener, &mut worker)
        .map_err(|error| format!("cannot accept: {error}"))
}
// ANCHOR_END: run
