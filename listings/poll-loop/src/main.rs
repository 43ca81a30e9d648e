//! The poll server as a program.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;

    /// One thread, many descriptors: the poll server
    #[derive(Parser)]
    #[command(version)]
    struct Command {
        #[command(flatten)]
        server: flags::ServerFlags,

        #[command(flatten)]
        offer: flags::OfferFlags,
    }

    store::embedded::run_if_asked();
    let command: Command = flags::parse();
    match run(&command.server, command.offer.into()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => flags::fail(flags::FAILED, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("poll-loop")
}

// ANCHOR: run
#[cfg(target_os = "linux")]
fn run(flags: &flags::ServerFlags, offer: iterative::start::Offer) -> Result<(), String> {
    use poll_loop::PollLoop;
    use select_loop::start;

    let start::Ready { house, door, stop, store: _store } =
        start::get_ready(flags, offer, u64::MAX)?;
    PollLoop::new(house, door, stop)
        .run()
        .map_err(|error| format!("cannot wait in poll: {error}"))
}
// ANCHOR_END: run
