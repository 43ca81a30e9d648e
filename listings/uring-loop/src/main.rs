//! The io_uring server as a program.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
#[derive(clap::Args)]
struct RingFlags {
    /// How many operations fit into the submission queue: a power of two
    #[arg(long, default_value = "1024", value_name = "N", value_parser = entries)]
    entries: u32,

    /// Use nothing of io_uring that is younger than this kernel: 5.10, 5.15, 6.1
    #[arg(long, value_name = "MAJOR.MINOR", value_parser = version)]
    as_of: Option<(u32, u32)>,

    /// Work completions off whenever we enter the kernel (IORING_SETUP_COOP_TASKRUN), and not
    /// only when we ask for them (IORING_SETUP_DEFER_TASKRUN)
    #[arg(long, conflicts_with_all = ["interrupt", "sqpoll"])]
    coop_taskrun: bool,

    /// Work completions off at once, with an interrupt (neither of the two)
    #[arg(long, conflicts_with = "sqpoll")]
    interrupt: bool,

    /// Let a thread of the kernel submit, which sleeps after so many idle milliseconds
    /// (IORING_SETUP_SQPOLL, from Linux 5.11 on)
    #[arg(long, value_name = "MS")]
    sqpoll: Option<u32>,
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;
    use uring_loop::start::Failure;

    /// One interface for files and sockets: the io_uring server
    #[derive(Parser)]
    #[command(version)]
    struct Command {
        #[command(flatten)]
        server: flags::ServerFlags,
        #[command(flatten)]
        offer: flags::OfferFlags,
        #[command(flatten)]
        ring: RingFlags,
    }

    store::embedded::run_if_asked();
    let command: Command = flags::parse();
    match run(&command.server, command.offer.into(), &command.ring) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(line)) => flags::fail(flags::FAILED, line),
        Err(Failure::Refused(line)) => flags::fail(flags::REFUSED, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("uring-loop")
}

// ANCHOR: run
#[cfg(target_os = "linux")]
fn run(
    flags: &flags::ServerFlags,
    offer: iterative::start::Offer,
    ring: &RingFlags,
) -> Result<(), uring_loop::start::Failure> {
    use uring_loop::start::{Ready, get_ready};
    use uring_loop::{Setup, Work};

    let work = match ring {
        RingFlags { sqpoll: Some(idle), .. } => Work::ByAThread(*idle),
        RingFlags { coop_taskrun: true, .. } => Work::WhenWeEnter,
        RingFlags { interrupt: true, .. } => Work::AtOnce,
        _ => Work::WhenWeAsk,
    };
    let setup = Setup { entries: ring.entries, as_of: ring.as_of, work };
    let Ready { server, store: _store } = get_ready(flags, offer, &setup)?;
    server.run().map_err(|error| format!("cannot wait in io_uring_enter: {error}").into())
}
// ANCHOR_END: run

#[cfg(target_os = "linux")]
fn entries(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(number @ 2..=32768) if number.is_power_of_two() => Ok(number),
        _ => Err("a power of two from 2 to 32768 is needed".into()),
    }
}

#[cfg(target_os = "linux")]
fn version(text: &str) -> Result<(u32, u32), String> {
    text.split_once('.')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
        .ok_or_else(|| "a version like 6.1 is needed".into())
}
