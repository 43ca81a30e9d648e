//! Four workers wait in accept, on one listener. Which of them gets the next connection, and
//! who is woken for nothing?

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match turns::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot ask four workers: {error}; run it again"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("who-gets-it")
}

#[cfg(target_os = "linux")]
mod turns {
    use std::fs;
    use std::io;
    use std::net::SocketAddr;

    use iterative::listen;
    use preforked::crew::{Asked, Crew};
    use rustix::net::getsockname;
    use rustix::process::Pid;

    const WORKERS: usize = 4;

    // ANCHOR: turns
    pub fn run() -> io::Result<()> {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)), 16)?;
        let address = SocketAddr::try_from(getsockname(&listener)?)?;
        let crew = Crew::start(WORKERS, |_| &listener)?;
        crew.sleep_in_accept()?;
        let mut turns = Vec::new();
        let mut woken_for_nothing = 0;
        for _ in 0..12 {
            let before = sleeps(crew.pids())?;
            let turn = Asked::new(address, b"hello\n")?.answer()?;
            crew.sleep_in_accept()?;
            let after = sleeps(crew.pids())?;
            for worker in (1..=WORKERS).filter(|worker| *worker != turn) {
                woken_for_nothing += after[worker - 1] - before[worker - 1];
            }
            turns.push(turn.to_string());
        }
        println!("served by: {}", turns.join(" "));
        println!("woken for nothing: {woken_for_nothing}");
        Ok(())
    }
    // ANCHOR_END: turns

    /// How often each of these processes has gone to sleep so far.
    fn sleeps(pids: &[Pid]) -> io::Result<Vec<u64>> {
        let count = |pid: &Pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            let number = line.and_then(|number| number.trim().parse().ok());
            number.ok_or_else(|| io::Error::other("/proc does not count context switches"))
        };
        pids.iter().map(count).collect()
    }
}
