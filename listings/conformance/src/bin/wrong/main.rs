//! A server with one mistake, chosen by `--fault`. It is there to be caught: a table that
//! lets it pass checks nothing.
//!
//! Without a fault it is a plain server over the book's core, with a thread or a process for
//! each connection, with a pool of processes, or with one thread for all, and passes every
//! row. No chapter shows it: it has no cache, and all but the loop open a connection to the
//! store for each page and look at a flag 1,000 times a second while they serve.
//!
//! | file | noun |
//! | --- | --- |
//! | `fault.rs` | [`Fault`](fault::Fault): the mistakes |
//! | `serve.rs` | one connection, and a thread for each |
//! | `event_loop.rs` | one thread for all |
//! | `processes.rs` | a process for each, and a pool of processes |
//! | `stop.rs` | SIGTERM |
//! | `input.rs` | bytes as a careless parser would read them |
//! | `files.rs`, `shop.rs` | the files, and the store |

#[cfg(target_os = "linux")]
mod event_loop;
#[cfg(target_os = "linux")]
mod fault;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod input;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
mod serve;
#[cfg(target_os = "linux")]
mod shop;
#[cfg(target_os = "linux")]
mod stop;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;

    /// A server with one mistake, for tests of the conformance suite
    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        server: flags::ServerFlags,

        /// The mistake
        #[arg(long, value_enum)]
        fault: Option<fault::Fault>,

        /// Who serves a connection
        #[arg(long, value_enum, default_value = "thread")]
        by: fault::By,
    }

    store::embedded::run_if_asked();
    let command: Command = flags::parse();
    match serve::run(&command.server, command.fault, command.by) {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => flags::fail(flags::FAILED, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("wrong")
}
