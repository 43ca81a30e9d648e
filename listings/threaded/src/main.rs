//! A thread for each connection: the threaded server, as a program.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
#[derive(clap::Args)]
struct ThreadFlags {
    /// How many threads there may be at a time; further clients wait in the queue
    #[arg(long, default_value = "1024", value_name = "N", value_parser = flags::at_least_one)]
    max_connections: usize,

    #[command(flatten)]
    offer: flags::OfferFlags,
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;

    /// A thread for each connection: the threaded server
    #[derive(Parser)]
    #[command(version)]
    struct Command {
        #[command(flatten)]
        server: flags::ServerFlags,
        #[command(flatten)]
        threads: ThreadFlags,
    }

    store::embedded::run_if_asked();
    let command: Command = flags::parse();
    match run(&command.server, &command.threads) {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => flags::fail(flags::FAILED, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("threaded")
}

// ANCHOR: run
#[cfg(target_os = "linux")]
fn run(flags: &flags::ServerFlags, threads: &ThreadFlags) -> Result<(), String> {
    use std::sync::Arc;

    use iterative::{signals, start};
    use nix::sys::signal::Signal;
    use threaded::{Shelf, Threads, accept_and_spawn};

    let listener = start::open_listener(flags)?;
    // SIGUSR1 is how the main thread interrupts the others.
    signals::watch_for(&[Signal::SIGUSR1])
        .map_err(|error| format!("cannot catch signals: {error}"))?;
    let start::Ready { worker, store: _store } =
        start::get_ready(flags, threads.offer.into())?;
    start::announce(&listener)?;
    let threads = Threads::new(threads.max_connections);
    accept_and_spawn(listener, &threads, &Arc::new(Shelf::new(worker)))
        .map_err(|error| format!("cannot accept: {error}"))
}
// ANCHOR_END: run
