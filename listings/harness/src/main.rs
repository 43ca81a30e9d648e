//! The harness as a program.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;

    /// Measures the servers of this book, and others, on this machine
    #[derive(Parser)]
    #[command(version)]
    enum Command {
        /// Measure servers, and keep what comes of it
        Run(Box<harness::run::Flags>),
        /// Compare two results, or two servers of one result
        Compare(harness::compare::Flags),
        /// Draw a result: one HTML file that needs no network, and its numbers as CSV
        Report(harness::report::Flags),
        /// Serve the book with your own curves over its charts
        Book(harness::reference::BookFlags),
        /// Make a result the book's reference
        Reference(harness::reference::ReferenceFlags),
        /// Show the servers, the workloads, and the results that are here
        List(harness::list::Flags),
        /// Read a file at growing depths: who waits, how many a second, how long each takes
        Files(harness::files::Flags),
        /// Keep thousands of connections that say nothing: memory for each, of the server and the kernel
        Idle(harness::idle::Flags),
    }

    store::embedded::run_if_asked();
    let done = match flags::parse() {
        Command::Run(flags) => harness::run::run(&flags),
        Command::Compare(flags) => harness::compare::compare(&flags),
        Command::Report(flags) => harness::report::report(&flags),
        Command::Book(flags) => harness::reference::book(&flags),
        Command::Reference(flags) => harness::reference::reference(&flags),
        Command::List(flags) => harness::list::list(&flags),
        Command::Files(flags) => harness::files::files(&flags),
        Command::Idle(flags) => harness::idle::idle(&flags),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, line)) => flags::fail(code, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("harness")
}
