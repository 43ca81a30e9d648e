//! What it costs to have a pool read what is in memory already.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match cost::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::REFUSED,
            format_args!("cannot read a file: {error}; start it in a folder on a disk"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("cost")
}

#[cfg(target_os = "linux")]
mod cost {
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Instant;

    use file_pool::{Job, Now, Pool, read_now};
    use nix::sys::resource::{UsageWho, getrusage};
    use rustix::event::{PollFd, PollFlags, poll};

    const TIMES: u32 = 20_000;
    const LEN: usize = 4096;

    struct Read(Arc<File>, Vec<u8>);

    impl Job for Read {
        type Done = io::Result<Vec<u8>>;

        fn work(mut self) -> Self::Done {
            self.0.read_exact_at(&mut self.1, 0)?;
            Ok(self.1)
        }
    }

    pub fn run() -> io::Result<()> {
        let file = Arc::new(file_pool::cold::cold_file(Path::new("."), LEN)?);
        let mut buffer = vec![0; LEN];
        file.read_exact_at(&mut buffer, 0)?;
        let mut pool = Pool::new(file_pool::THREADS, 1)?;
        println!("4096 bytes that are in memory, {TIMES} times   each  switches");
        row("read in the loop", || file.read_exact_at(&mut buffer, 0))?;
        row("with RWF_NOWAIT", || match read_now(&file, &mut buffer, 0) {
            Now::Read(LEN) => Ok(()),
            _ => Err(io::Error::other("no RWF_NOWAIT here")),
        })?;
        // ANCHOR: by-the-pool
        row("by the pool", || {
            let job = Read(Arc::clone(&file), std::mem::take(&mut buffer));
            if pool.submit(job).is_err() {
                return Err(io::Error::other("the pool is full"));
            }
            loop {
                poll(&mut [PollFd::new(&pool, PollFlags::IN)], None)?;
                if let Some(read) = pool.take_done().pop() {
                    buffer = read?;
                    return Ok(());
                }
            }
        })
        // ANCHOR_END: by-the-pool
    }

    /// How long each takes, and how often a thread of ours went to sleep for it.
    fn row(name: &str, mut once: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        let switches = || {
            getrusage(UsageWho::RUSAGE_SELF).map(|usage| usage.voluntary_context_switches())
        };
        let (before, begun) = (switches()?, Instant::now());
        for _ in 0..TIMES {
            once()?;
        }
        let each = begun.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES);
        let switches = (switches()? - before) as f64 / f64::from(TIMES);
        println!("{name:<44} {each:5.1} us {switches:6.1}");
        Ok(())
    }
}
