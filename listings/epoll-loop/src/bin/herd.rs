//! Four processes wait in epoll_wait for a listener. Twenty clients come, one at a time. How
//! many processes are woken for each?

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match herd::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot watch the herd: {error}; run it again"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("herd")
}

#[cfg(target_os = "linux")]
mod herd {
    use std::fs;
    use std::io::{self, Read};
    use std::net::{SocketAddr, TcpStream};
    use std::os::fd::OwnedFd;
    use std::process::exit;
    use std::thread;
    use std::time::{Duration, Instant};

    use forking::{ForkResult, fork};
    use iterative::listen;
    use preforked::Listeners;
    use rustix::buffer::spare_capacity;
    use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
    use rustix::io::ioctl_fionbio;
    use rustix::net::{SendFlags, SocketFlags, accept_with, getsockname, send};
    use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

    const WORKERS: usize = 4;
    const CLIENTS: usize = 20;

    pub fn run() -> io::Result<()> {
        println!("{WORKERS} workers, {CLIENTS} clients, one at a time");
        let local = ([127, 0, 0, 1], 0).into();
        let shared = || listen(local, 64).map(Listeners::shared);
        count("one listener", shared()?, EventFlags::empty())?;
        count("EPOLLEXCLUSIVE", shared()?, EventFlags::EXCLUSIVE)?;
        let each = Listeners::one_each(WORKERS, local, 64)?;
        count("SO_REUSEPORT", each, EventFlags::empty())
    }

    // ANCHOR: count
    fn count(name: &str, listeners: Listeners, how: EventFlags) -> io::Result<()> {
        let address = SocketAddr::try_from(getsockname(listeners.of(0))?)?;
        let mut workers = Vec::new();
        for place in 0..WORKERS {
            match fork()? {
                ForkResult::Child => {
                    exit(i32::from(work(listeners.of(place), how).is_err()))
                }
                ForkResult::Parent { child } => workers.push(child),
            }
        }
        let before = switches_at_rest(&workers)?;
        for _ in 0..CLIENTS {
            TcpStream::connect(address)?.read_exact(&mut [0; 2])?;
            switches_at_rest(&workers)?;
        }
        let after = switches_at_rest(&workers)?;
        let woken = before.iter().zip(after).map(|(before, after)| after - before);
        let woken: Vec<String> = woken.map(|times| format!("{times:>2}")).collect();
        println!("{name:<15} woken {}", woken.join(" "));
        // ANCHOR_END: count
        for worker in workers {
            kill_process(worker, Signal::KILL)?;
            waitpid(Some(worker), WaitOptions::empty())?;
        }
        Ok(())
    }

    // ANCHOR: work
    fn work(listener: &OwnedFd, how: EventFlags) -> io::Result<()> {
        ioctl_fionbio(listener, true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, listener, EventData::new_u64(0), EventFlags::IN | how)?;
        let mut events = Vec::with_capacity(1);
        loop {
            epoll::wait(&epoll, spare_capacity(&mut events), None)?;
            events.clear();
            // A neighbour may have been quicker: EAGAIN.
            if let Ok(client) = accept_with(listener, SocketFlags::CLOEXEC) {
                send(&client, b"ok", SendFlags::NOSIGNAL)?;
            }
        }
    }
    // ANCHOR_END: work

    /// Waits until all workers sleep, which they do in epoll_wait, and says how often each went
    /// to sleep in its life. Whoever is woken goes to sleep once more, whether it got a
    /// client or not.
    fn switches_at_rest(workers: &[Pid]) -> io::Result<Vec<usize>> {
        let status = |worker: &Pid, name: &str| -> io::Result<String> {
            let text = fs::read_to_string(format!("/proc/{worker}/status"))?;
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map(|value| value.trim().into())
                .ok_or_else(|| io::Error::other("no status"))
        };
        for worker in workers {
            let begun = Instant::now();
            while !status(worker, "State:")?.starts_with('S') {
                if begun.elapsed() > Duration::from_secs(10) {
                    return Err(io::Error::other("a worker does not come to rest"));
                }
                thread::sleep(Duration::from_millis(1));
            }
        }
        // Whoever was woken may not have had the processor yet.
        thread::sleep(Duration::from_millis(5));
        let count = |worker| {
            status(worker, "voluntary_ctxt_switches:")?
                .parse::<usize>()
                .map_err(io::Error::other)
        };
        workers.iter().map(count).collect()
    }
}
