//! A loop that has something to do every millisecond, and reads a cold file: itself, and by a
//! pool of one thread.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match ticks::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::REFUSED,
            format_args!(
                "cannot read a cold file: {error}; start it in a folder on a disk"
            ),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("ticks")
}

#[cfg(target_os = "linux")]
mod ticks {
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use file_pool::{Job, Pool};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    const MIB: usize = 1 << 20;
    const SIZE: usize = 64 * MIB;

    // ANCHOR: job
    /// Reads a whole file, a MiB at a time.
    struct ReadAll(File);

    impl Job for ReadAll {
        type Done = io::Result<usize>;

        fn work(self) -> Self::Done {
            let (mut buffer, mut at) = (vec![0; MIB], 0);
            while let n @ 1.. = self.0.read_at(&mut buffer, at as u64)? {
                at += n;
            }
            Ok(at)
        }
    }
    // ANCHOR_END: job

    pub fn run() -> io::Result<()> {
        println!("64 MiB, cold; a tick is due every millisecond");
        let mut pool = Pool::new(1, 1)?;
        let file = file_pool::cold::cold_file(Path::new("."), SIZE)?;
        let (took, longest) = by_the_loop(file.try_clone()?)?;
        println!(
            "read by the loop:  {took:3} ms, the longest wait for a tick {longest:3} ms"
        );
        file_pool::cold::forget(&file)?;
        let (took, longest) = by_the_pool(&mut pool, file)?;
        println!(
            "read by the pool:  {took:3} ms, the longest wait for a tick {longest:3} ms"
        );
        Ok(())
    }

    fn by_the_loop(file: File) -> io::Result<(u128, u128)> {
        let begun = Instant::now();
        ReadAll(file).work()?;
        // No tick was possible in between.
        let took = begun.elapsed().as_millis();
        Ok((took, took))
    }

    // ANCHOR: loop
    fn by_the_pool(pool: &mut Pool<ReadAll>, file: File) -> io::Result<(u128, u128)> {
        let begun = Instant::now();
        let (mut last, mut longest) = (begun, Duration::ZERO);
        if pool.submit(ReadAll(file)).is_err() {
            return Err(io::Error::other("the pool is full"));
        }
        loop {
            let tick = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
            let mut entries = [PollFd::new(pool, PollFlags::IN)];
            let ready = poll(&mut entries, Some(&tick))?; // the loop waits here, and only here
            longest = longest.max(last.elapsed());
            last = Instant::now();
            if ready > 0
                && let Some(read) = pool.take_done().pop()
            {
                read?;
                return Ok((begun.elapsed().as_millis(), longest.as_millis()));
            }
        }
    }
    // ANCHOR_END: loop
}
