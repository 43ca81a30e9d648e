//! A crowd of clients in one thread: 15,000 connections that are all held at the same time,
//! each with a response that is checked byte by byte, and then with a second one.
//!
//! It answers three questions: whether a server serves so many without an error, what an idle
//! connection costs it in memory of its own, and, with `--close`, what became of those who had
//! to queue.
//!
//! ```text
//! poll-loop --listen 127.0.0.1:8080 --root www &
//! crowd 127.0.0.1:8080 --path /small.txt --clients 15000
//! ```
//!
//! | file | noun |
//! | --- | --- |
//! | `main.rs` | flags, the rounds, the report |
//! | `clients.rs` | [`Crowd`](clients::Crowd): the connections, over epoll(7) |
//! | `kernel.rs` | what the kernel says: the server's memory, TCP's timeouts |

#[cfg(target_os = "linux")]
mod clients;
#[cfg(target_os = "linux")]
mod kernel;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match run(&flags::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(flags::FAILED),
        Err((code, line)) => flags::fail(code, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("crowd")
}

/// Many clients at the same time, each with a response that is checked
#[cfg(target_os = "linux")]
#[derive(clap::Parser)]
#[command(version)]
struct Command {
    /// Where the server listens
    #[arg(value_name = "ADDRESS:PORT")]
    server: std::net::SocketAddr,

    /// What to ask for
    #[arg(long, default_value = "/", value_name = "PATH")]
    path: String,

    /// How many clients there are at the same time
    #[arg(long, default_value = "15000", value_name = "N", value_parser = flags::at_least_one)]
    clients: usize,

    /// How many begin in a second
    #[arg(long, default_value = "5000", value_name = "N", value_parser = flags::at_least_one)]
    rate: usize,

    /// How long a connection, or an answer, may take, in milliseconds
    #[arg(long, default_value = "10000", value_name = "MS", value_parser = flags::milliseconds)]
    timeout: std::time::Duration,

    /// How long all are held between their two requests, in milliseconds
    #[arg(long, default_value = "3000", value_name = "MS", value_parser = flags::milliseconds)]
    hold: std::time::Duration,

    /// One request on each connection, which the server closes
    #[arg(long)]
    close: bool,
}

/// `true` when each client was answered right.
#[cfg(target_os = "linux")]
fn run(command: &Command) -> Result<bool, (u8, String)> {
    let failed = |why: String| (flags::FAILED, why);
    let (need, have) = (command.clients + 32, kernel::allow_descriptors());
    if have < need as u64 {
        return Err((
            flags::REFUSED,
            format!(
                "{} clients need {need} descriptors, and the limit is {have}; raise it with \
                 ulimit -n, or ask for fewer with --clients",
                command.clients
            ),
        ));
    }
    let expected = clients::reference(command.server, &command.path).map_err(failed)?;
    let processes = kernel::who_listens(command.server.port());
    let memory_before = kernel::resident(&processes);
    let tcp_before = kernel::tcp();
    let mut crowd = clients::Crowd::new(command, expected).map_err(failed)?;

    let begun = std::time::Instant::now();
    crowd.arrive(command.clients, command.rate).map_err(failed)?;
    let seconds = begun.elapsed().as_secs_f64();
    let (clients, answered) = (command.clients, crowd.answered());
    println!("{answered} of {clients} clients answered and checked in {seconds:.1} s");
    if !command.close {
        crowd.hold(command.hold).map_err(failed)?;
        report_memory(&processes, memory_before, kernel::resident(&processes), &crowd);
        crowd.ask_again(command.rate).map_err(failed)?;
        println!(
            "{} of {} clients answered and checked a second time, on the same connection",
            crowd.answered() - answered,
            crowd.connected()
        );
    }
    for (what, times) in kernel::tcp().since(&tcp_before) {
        println!("{what}: {times}");
    }
    let errors = crowd.errors();
    for (kind, times) in errors {
        println!("error: {kind}: {times}");
    }
    if errors.is_empty() {
        println!("no error");
    }
    Ok(errors.is_empty())
}

/// What the connections that are held cost the server's processes.
#[cfg(target_os = "linux")]
fn report_memory(
    processes: &[u32],
    before: Option<u64>,
    after: Option<u64>,
    crowd: &clients::Crowd,
) {
    let (Some(before), Some(after)) = (before, after) else {
        println!("memory: not known; the server belongs to another user");
        return;
    };
    let held = crowd.connected().max(1) as u64;
    println!(
        "memory of {} process(es): {} KiB before, {} KiB with {held} idle connections: {} bytes each",
        processes.len(),
        before / 1024,
        after / 1024,
        after.saturating_sub(before) / held
    );
}
