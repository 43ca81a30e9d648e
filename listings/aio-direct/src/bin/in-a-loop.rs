//! A loop over epoll that has reads in flight: an eventfd says when some are done.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match experiment::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => trouble.exit("in-a-loop"),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("in-a-loop")
}

#[cfg(target_os = "linux")]
mod experiment {
    use std::fs::File;
    use std::io;
    use std::time::{Duration, Instant};

    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
    use nix::sys::eventfd::EventFd;

    use aio_direct::scratch::{self, Scratch};
    use aio_direct::{Buffer, Operation, Trouble, context};

    const MIB: usize = 1 << 20;
    const READS: u32 = 64;

    pub fn run() -> Result<(), Trouble> {
        let scratch = Scratch::new(&scratch::folder(), READS as usize * MIB)?;
        println!("{READS} reads of 1 MiB        done   told   longest time without a look");
        row("buffered, cold", &scratch.buffered)?;
        scratch.forget()?;
        row("O_DIRECT", &scratch.direct)
    }

    fn row(name: &str, file: &File) -> Result<(), Trouble> {
        let buffers = (0..READS).map(|_| {
            let mut buffer = Buffer::new(MIB, 65_536);
            buffer.fill(1); // so that its memory is there
            buffer
        });
        let buffers: Vec<Buffer> = buffers.collect();
        let mut context = context(READS)?;
        // ANCHOR: loop
        let eventfd = EventFd::new()?; // the event loop of another chapter waits for this, too
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&eventfd, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;

        let mut looked = Looked::new();
        let reads = (0..).zip(buffers).map(|(n, buffer)| {
            Operation::read(n, file, n * MIB as u64, buffer).tell(&eventfd)
        });
        context.submit(reads.collect())?;
        let (mut told, mut over) = (0, 0);
        while told < u64::from(READS) {
            looked.now()?; // here a server would serve others
            if epoll.wait(&mut [EpollEvent::empty()], 1_u8)? > 0 {
                told += eventfd.read()?; // how many are done since the last time
                over += context.wait(0, Some(Duration::ZERO))?.len();
            }
        }
        // ANCHOR_END: loop
        let longest = looked.longest.as_secs_f64() * 1e3;
        println!("{name:<24}{over:>4}   {told:>4}   {longest:>24.1} ms");
        Ok(())
    }

    /// For how long nobody has looked at the others.
    struct Looked {
        begun: Instant,
        last: Instant,
        longest: Duration,
    }

    impl Looked {
        fn new() -> Self {
            let now = Instant::now();
            Self { begun: now, last: now, longest: Duration::ZERO }
        }

        /// An error after a minute: then nobody is told of what is over.
        fn now(&mut self) -> io::Result<()> {
            self.longest = self.longest.max(self.last.elapsed());
            self.last = Instant::now();
            let late = self.begun.elapsed() > Duration::from_secs(60);
            if late { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
        }
    }
}
