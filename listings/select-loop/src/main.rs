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
