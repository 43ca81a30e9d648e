//! The epoll server as a program.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
#[derive(clap::Args)]
struct LoopFlags {
    /// Be told of news once (EPOLLET), not for as long as there is something
    #[arg(long, conflicts_with = "one_shot")]
    edge_triggered: bool,

    /// Be told once, and arm each client again (EPOLLONESHOT)
    #[arg(long)]
    one_shot: bool,

    /// Serve with several processes that share the listener, each with its own loop
    #[arg(long, value_name = "N", value_parser = flags::at_least_one)]
    workers: Option<usize>,

    /// With --workers: wake all of them for each connection (no EPOLLEXCLUSIVE)
    #[arg(long, requires = "workers")]
    no_exclusive: bool,

    /// With --workers: give each a listener of its own (SO_REUSEPORT) instead of one for all
    #[arg(long, requires = "workers")]
    reuseport: bool,

    /// Open and read files in the loop itself, as the servers over select and poll do
    #[arg(long)]
    files_in_loop: bool,

    /// How many threads open and read files, for each loop
    #[arg(long, value_name = "N", default_value = "4", value_parser = flags::at_least_one)]
    file_threads: usize,

    /// Let the threads read what is cached as well, which the loop could do without waiting
    #[arg(long, conflicts_with = "files_in_loop")]
    pool_always: bool,

    #[command(flatten)]
    offer: flags::OfferFlags,
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;

    /// One thread, many descriptors: the epoll server
    #[derive(Parser)]
    #[command(version)]
    struct Command {
        #[command(flatten)]
        server: flags::ServerFlags,
        #[command(flatten)]
        how: LoopFlags,
    }

    store::embedded::run_if_asked();
    let command: Command = flags::parse();
    match run(&command.server, &command.how) {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => flags::fail(flags::FAILED, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("epoll-loop")
}

// ANCHOR: run
#[cfg(target_os = "linux")]
fn run(flags: &flags::ServerFlags, how: &LoopFlags) -> Result<(), String> {
    use epoll_loop::{EpollLoop, FilesBy, Trigger, Workers, run_workers};
    use select_loop::start;

    let offer = how.offer.into();
    let trigger = match how {
        LoopFlags { edge_triggered: true, .. } => Trigger::Edge,
        LoopFlags { one_shot: true, .. } => Trigger::OneShot,
        _ => Trigger::Level,
    };
    let files_by = match how.file_threads {
        _ if how.files_in_loop => FilesBy::Loop,
        threads if how.pool_always => FilesBy::PoolAlways(threads),
        threads => FilesBy::Pool(threads),
    };
    if let Some(size) = how.workers {
        let workers =
            Workers { size, reuseport: how.reuseport, exclusive: !how.no_exclusive };
        return run_workers(flags, offer, trigger, files_by, workers);
    }
    let start::Ready { mut house, door, stop, store: _store } =
        start::get_ready(flags, offer, u64::MAX)?;
    files_by
        .set_up(&mut house)
        .map_err(|error| format!("cannot start threads for files: {error}"))?;
    EpollLoop::new(house, door, stop, trigger, false)
        .and_then(EpollLoop::run)
        .map_err(|error| format!("cannot wait in epoll_wait: {error}"))
}
// ANCHOR_END: run
