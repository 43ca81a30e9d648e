//! A log is appended to and synced: how long the writes take, and how long the fsync.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match slow_fsync::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::REFUSED,
            format_args!("cannot write: {error}; start it in a folder on a disk"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("slow-fsync")
}

#[cfg(target_os = "linux")]
mod slow_fsync {
    use std::fs::File;
    use std::io::{self, Write};
    use std::time::{Duration, Instant};

    const MIB: usize = 1 << 20;

    pub fn run() -> io::Result<()> {
        let folder = file_stall::folder()?;
        let mut log = File::create(folder.path().join("log"))?;
        // Whatever others have left to be written is written first.
        rustix::fs::syncfs(&log)?;
        println!("written, then synced       writes   the longest      fsync");
        for (name, piece, pieces) in
            [("100 bytes", 100, 1), ("16 MiB", MIB, 16), ("256 MiB", MIB, 256)]
        {
            let Times { writes, longest, fsync } =
                append(&mut log, &vec![0x5a; piece], pieces)?;
            let ms = |time: Duration| time.as_secs_f64() * 1e3;
            println!(
                "{name:<20} {:9.2} ms {:10.2} ms {:7.1} ms",
                ms(writes),
                ms(longest),
                ms(fsync)
            );
        }
        Ok(())
    }

    struct Times {
        writes: Duration,
        longest: Duration,
        fsync: Duration,
    }

    // ANCHOR: append
    /// Appends so many pieces, and has them written to the disk.
    fn append(log: &mut File, piece: &[u8], pieces: usize) -> io::Result<Times> {
        let (begun, mut longest) = (Instant::now(), Duration::ZERO);
        for _ in 0..pieces {
            let one = Instant::now();
            log.write_all(piece)?; // into the page cache
            longest = longest.max(one.elapsed());
        }
        let writes = begun.elapsed();
        let begun = Instant::now();
        log.sync_all()?; // from there to the disk
        Ok(Times { writes, longest, fsync: begun.elapsed() })
    }
    // ANCHOR_END: append
}
