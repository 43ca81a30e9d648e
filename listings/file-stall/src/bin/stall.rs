//! A loop that reads files itself: how long its clients wait for a file that is in memory,
//! alone and beside somebody who downloads one that is not.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    if let Some(code) = file_stall::server::run_if_asked() {
        return code;
    }
    match stall::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::REFUSED,
            format_args!("cannot measure: {error}; start it in a folder on a disk"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("stall")
}

#[cfg(target_os = "linux")]
mod stall {
    use std::io;
    use std::time::Duration;

    use file_stall::pace::{Latencies, Pace};
    use file_stall::server::{Server, apart};
    use file_stall::{beside, files};

    const SIZE: u64 = 256 << 20;
    const PACE: Pace = Pace { rate: 1000, time: Duration::MAX, connections: 8 };

    pub fn run() -> io::Result<()> {
        let folder = file_stall::folder()?;
        let cold = files(folder.path(), SIZE)?;
        if let Some(why) = cold.not_cold()? {
            return Err(io::Error::other(why));
        }
        let start = || Server::start(folder.path(), &["--files-in-loop"]);
        let (server, _) = apart(start)?;
        let seen = beside(&server, &cold, PACE)?;
        println!("a cached file          p50     p99     max");
        row("alone", &seen.idle);
        row("beside a cold one", &seen.busy);
        let (looks, asleep) = seen.looks;
        println!("asleep for the disk in {asleep} of {looks} looks");
        Ok(())
    }

    fn row(what: &str, latencies: &Latencies) {
        let ms = |part| latencies.quantile(part).as_secs_f64() * 1e3;
        println!("{what:<17} {:5.2} ms {:4.2} ms {:4.2} ms", ms(0.5), ms(0.99), ms(1.0));
    }
}
