//! The forking server as a program.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;

    /// A process for each connection: the forking server
    #[derive(Parser)]
    #[command(version)]
    struct Command {
        #[command(flatten)]
        server: flags::ServerFlags,

        /// How many children there may be at a time; further clients wait in the queue
        #[arg(long, default_value = "256", value_name = "N", value_parser = flags::at_least_one)]
        max_connections: usize,
    }

    store::embedded::run_if_asked();
    let command: Command = flags::parse();
    match run(&command.server, command.max_connections) {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => flags::fail(flags::FAILED, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("forking")
}

// ANCHOR: run
#[cfg(target_os = "linux")]
fn run(flags: &flags::ServerFlags, max_connections: usize) -> Result<(), String> {
    use forking::{Children, accept_and_fork};
    use iterative::{signals, start};
    use nix::sys::signal::Signal;
    use store::embedded::Embedded;

    let listener = start::open_listener(flags)?;
    signals::watch_for(&[Signal::SIGCHLD])
        .map_err(|error| format!("cannot catch signals: {error}"))?;
    // A child serves one client and exits: what it would keep is lost with it.
    let offer = start::Offer { file_cache: false, keep_alive: false };
    let start::Ready { mut worker, store } = start::get_ready(flags, offer)?;
    start::announce(&listener)?;
    let store = store.as_ref().map(Embedded::id);
    let children = Children::new(max_connections, flags.grace, store);
    accept_and_fork(listener, children, &mut worker)
        .map_err(|error| format!("cannot accept: {error}"))
}
// ANCHOR_END: run
