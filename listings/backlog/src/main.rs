//! Runs one experiment and prints what it saw.

use std::process::ExitCode;

#[derive(clap::Parser)]
#[command(about = "The queue in front of accept(2)")]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
enum Experiment {
    /// How many clients listen(fd, n) lets connect while nobody accepts
    Admits,
    /// What net.core.somaxconn makes of a large backlog
    Cap {
        /// The backlog to ask for
        #[arg(long, default_value = "1000000", value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
        backlog: i32,
    },
    /// A client that finds the queue full
    Beyond,
    /// A client that finds the queue full, and one that comes later and is served first
    Overtaken,
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use backlog::{admits, beyond, cap, overtaken};

    let printed = match flags::parse() {
        Experiment::Admits => {
            let rows: Result<Vec<_>, _> =
                admits::BACKLOGS.into_iter().map(admits::admits).collect();
            rows.map(|rows| admits::Table(rows).to_string())
        }
        Experiment::Cap { backlog } => cap::cap(backlog).map(|seen| seen.to_string()),
        Experiment::Beyond => beyond::beyond().map(|seen| seen.to_string()),
        Experiment::Overtaken => overtaken::overtaken().map(|seen| seen.to_string()),
    };
    match printed {
        Ok(lines) => {
            println!("{lines}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            flags::fail(flags::FAILED, format_args!("backlog: {error}{}", advice(&error)))
        }
    }
}

/// What to do about the errors that the kernel gives without saying.
#[cfg(target_os = "linux")]
fn advice(error: &std::io::Error) -> &'static str {
    use rustix::io::Errno;

    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => "; allow more descriptors: ulimit -n 64",
        Some(Errno::NETUNREACH | Errno::ADDRNOTAVAIL) => {
            "; is the loopback interface up, and has it free ports?"
        }
        _ => "",
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    let _: Experiment = flags::parse();
    flags::needs_linux("backlog")
}
