//! A pool of threads: the prethreaded server, as a program.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
#[derive(clap::Args)]
struct PoolFlags {
    /// How many threads serve clients
    #[arg(long, default_value = "64", value_name = "N", value_parser = flags::at_least_one)]
    workers: usize,

    /// Let all threads accept, instead of one that hands the clients to the others
    #[arg(long)]
    all_accept: bool,

    /// Accept a connection before its first bytes are there (no TCP_DEFER_ACCEPT)
    #[arg(long)]
    no_defer_accept: bool,

    #[command(flatten)]
    offer: flags::OfferFlags,
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;

    /// A pool of threads: the prethreaded server
    #[derive(Parser)]
    #[command(version)]
    struct Command {
        #[command(flatten)]
        server: flags::ServerFlags,
        #[command(flatten)]
        pool: PoolFlags,
    }

    store::embedded::run_if_asked();
    let command: Command = flags::parse();
    match run(&command.server, &command.pool) {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => flags::fail(flags::FAILED, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("prethreaded")
}

// ANCHOR: run
#[cfg(target_os = "linux")]
fn run(flags: &flags::ServerFlags, pool: &PoolFlags) -> Result<(), String> {
    use std::sync::Arc;

    use iterative::{signals, start};
    use nix::sys::signal::Signal;
    use preforked::defer_accept;
    use prethreaded::{Background, Pool};

    let listener = start::open_listener(flags)?;
    if !pool.no_defer_accept {
        defer_accept(&listener, flags.header_timeout)
            .map_err(|error| format!("cannot set TCP_DEFER_ACCEPT: {error}"))?;
    }
    signals::watch_for(&[Signal::SIGUSR1])
        .map_err(|error| format!("cannot catch signals: {error}"))?;
    let start::Ready { worker, store: _store } =
        start::get_ready(flags, pool.offer.into())?;
    let worker = Arc::new(worker);
    let threads = Pool::new(listener, flags.grace)
        .map_err(|error| format!("cannot block signals: {error}"))?;
    let too_many = |error| {
        let number = pool.workers;
        format!(
            "cannot start {number} threads: {error}; use fewer --workers (ulimit -u and pids.max limit them)"
        )
    };
    let _background = Background::start(worker.files()).map_err(too_many)?;
    let start = if pool.all_accept { Pool::all_accept } else { Pool::one_accepts };
    start(&threads, pool.workers, &worker).map_err(too_many)?;
    start::announce(threads.listener())?;
    threads.run().map_err(|error| format!("cannot wait for a signal: {error}"))
}
// ANCHOR_END: run
