//! The preforked server as a program.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
#[derive(clap::Args)]
struct PoolFlags {
    /// How many worker processes there are
    #[arg(long, default_value = "8", value_name = "N", value_parser = flags::at_least_one)]
    workers: usize,

    /// Give each worker a listener of its own (SO_REUSEPORT) instead of one for all. A second
    /// such server on the same port is not refused: it gets a part of the clients
    #[arg(long)]
    reuseport: bool,

    /// Accept a connection before its first bytes are there (no TCP_DEFER_ACCEPT)
    #[arg(long)]
    no_defer_accept: bool,

    #[command(flatten)]
    offer: flags::OfferFlags,
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;

    /// A pool of processes: the preforked server
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
    flags::needs_linux("preforked")
}

// ANCHOR: run
#[cfg(target_os = "linux")]
fn run(flags: &flags::ServerFlags, pool: &PoolFlags) -> Result<(), String> {
    use iterative::{accept_one_after_another, signals, start};
    use nix::sys::signal::Signal;
    use preforked::{Listeners, Pool, defer_accept};
    use store::embedded::Embedded;

    let listeners = if pool.reuseport {
        Listeners::one_each(pool.workers, flags.listen, flags.backlog).map_err(|error| {
            let hint = "each worker's takes a descriptor, see ulimit -n";
            format!("{}; {hint}", start::cannot_listen(flags, error))
        })?
    } else {
        Listeners::shared(start::open_listener(flags)?)
    };
    if !pool.no_defer_accept {
        for listener in listeners.all() {
            defer_accept(listener, flags.header_timeout)
                .map_err(|error| format!("cannot set TCP_DEFER_ACCEPT: {error}"))?;
        }
    }
    signals::watch_for(&[Signal::SIGCHLD])
        .map_err(|error| format!("cannot catch signals: {error}"))?;
    let start::Ready { mut worker, store } = start::get_ready(flags, pool.offer.into())?;
    start::announce(listeners.of(0))?;
    let store = store.as_ref().map(Embedded::id);
    Pool::new(listeners, pool.workers, flags.grace, store)
        .run(&mut |listener| accept_one_after_another(listener, &mut worker));
    Ok(())
}
// ANCHOR_END: run
