//! A pool whose threads are all busy, and the job that comes after.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match full::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            flags::fail(flags::FAILED, format_args!("cannot start threads: {error}"))
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("full")
}

#[cfg(target_os = "linux")]
mod full {
    use std::io;
    use std::sync::mpsc::{Sender, channel};
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use file_pool::{Job, Pool};
    use rustix::event::{PollFd, PollFlags, poll};

    /// A job that takes its time, as a slow disk would.
    struct Slow {
        name: char,
        takes: Duration,
        begun: Sender<()>,
    }

    impl Job for Slow {
        type Done = char;

        fn work(self) -> char {
            let _ = self.begun.send(()); // nobody may want to know
            sleep(self.takes);
            self.name
        }
    }

    const MS: Duration = Duration::from_millis(1);

    // ANCHOR: run
    pub fn run() -> io::Result<()> {
        println!("4 threads, room for 3 jobs");
        let (mut pool, (begun, begins)) = (Pool::new(4, 3)?, channel());
        for (name, ms) in [('A', 300), ('B', 400), ('C', 500), ('D', 600)] {
            hand_over(&mut pool, Slow { name, takes: MS * ms, begun: begun.clone() });
            let _ = begins.recv(); // a thread has taken it
        }
        let since = Instant::now();
        for name in ['e', 'f', 'g', 'h'] {
            hand_over(
                &mut pool,
                Slow { name, takes: Duration::ZERO, begun: begun.clone() },
            );
        }
        let mut finished = Vec::new();
        while pool.outstanding() > 0 {
            poll(&mut [PollFd::new(&pool, PollFlags::IN)], None)?;
            for name in pool.take_done() {
                let late = since.elapsed() > MS * 100;
                finished.push(format!("{name} {}", if late { "late" } else { "soon" }));
            }
        }
        println!("finished: {}", finished.join(", "));
        Ok(())
    }
    // ANCHOR_END: run

    fn hand_over(pool: &mut Pool<Slow>, job: Slow) {
        let (name, ms) = (job.name, job.takes.as_millis());
        let taken = pool.submit(job).is_ok();
        let what = if taken { "taken" } else { "refused: the queue is full" };
        println!("{name}, {ms:3} ms   {what}");
    }
}
