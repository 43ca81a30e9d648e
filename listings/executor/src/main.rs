//! The guestbook on an executor, as a program.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
#[derive(Clone, Copy, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Over {
    Epoll,
    IoUring,
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;
    use executor::server::start::{self, Failure};

    /// The guestbook on an executor: a task for each client, one thread for all
    #[derive(Parser)]
    #[command(version)]
    struct Command {
        #[command(flatten)]
        server: flags::ServerFlags,
        #[command(flatten)]
        offer: flags::OfferFlags,
        /// Whom the thread asks for news
        #[arg(long, value_enum, default_value = "epoll")]
        over: Over,
        /// Over epoll: let the threads open and read what is cached as well
        #[arg(long)]
        pool_always: bool,
    }

    store::embedded::run_if_asked();
    let command: Command = flags::parse();
    let over = match command.over {
        Over::Epoll if command.pool_always => start::Over::EpollWithPool,
        Over::Epoll => start::Over::Epoll,
        Over::IoUring => start::Over::IoUring,
    };
    match start::run(&command.server, command.offer.into(), over) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(line)) => flags::fail(flags::FAILED, line),
        Err(Failure::Refused(line)) => flags::fail(flags::REFUSED, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("executor")
}
