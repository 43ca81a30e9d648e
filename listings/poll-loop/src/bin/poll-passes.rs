//! What poll(2) does with each descriptor, seen in what it takes: it asks it, it joins its
//! wait queue, and having slept it asks it again.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match passes::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!(
                "cannot wait for 1000 sockets: {error}; allow more: ulimit -n 1100"
            ),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("poll-passes")
}

#[cfg(target_os = "linux")]
mod passes {
    use std::io;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::thread;
    use std::time::{Duration, Instant};

    use libc::pollfd;
    use poll_loop::{entry, poll};
    use rustix::time::{ClockId, clock_gettime};
    use select_loop::Interest;

    const SOCKETS: usize = 1000;
    /// Long enough for the processor to turn to something else.
    const PAUSE: Duration = Duration::from_millis(10);

    // ANCHOR: passes
    pub fn run() -> io::Result<()> {
        let sockets: Vec<UdpSocket> = (0..SOCKETS)
            .map(|_| UdpSocket::bind("127.0.0.1:0"))
            .collect::<Result<_, _>>()?;
        let (first, last) = (&sockets[0], &sockets[SOCKETS - 1]);
        let mut entries: Vec<pollfd> =
            sockets.iter().map(|socket| entry(socket.as_fd(), Interest::READ)).collect();

        println!("{SOCKETS} sockets                          one call");
        report("none is ready, time limit 0", || {
            awake(&mut entries, Some(Duration::ZERO))
        })?;
        send(first)?;
        report("the first is ready", || awake(&mut entries, None))?;
        first.recv(&mut [0])?;
        send(last)?;
        report("the last is ready", || awake(&mut entries, None))?;
        report("the same, after a pause of 10 ms", || {
            thread::sleep(PAUSE);
            awake(&mut entries, None)
        })?;
        last.recv(&mut [0])?;
        report("none is ready: it sleeps as well", || asleep(&mut entries, last))
    }
    // ANCHOR_END: passes

    fn send(to: &UdpSocket) -> io::Result<()> {
        to.send_to(b"x", to.local_addr()?).map(drop)
    }

    /// Prints the median of 21 calls.
    fn report(
        what: &str,
        mut call: impl FnMut() -> io::Result<Duration>,
    ) -> io::Result<()> {
        let mut took: Vec<Duration> =
            (0..21).map(|_| call()).collect::<io::Result<Vec<Duration>>>()?;
        took.sort_unstable();
        println!("{what:<34}{:>9.0} µs", took[10].as_secs_f64() * 1e6);
        Ok(())
    }

    /// What a call takes that need not sleep.
    fn awake(entries: &mut [pollfd], limit: Option<Duration>) -> io::Result<Duration> {
        let before = Instant::now();
        poll(entries, limit)?;
        Ok(before.elapsed())
    }

    /// What a call takes that sleeps until something arrives there: the processor time of this
    /// thread, to which sleeping does not count.
    fn asleep(entries: &mut [pollfd], there: &UdpSocket) -> io::Result<Duration> {
        let took = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(PAUSE);
                send(there)
            });
            let before = processor_time();
            poll(entries, None)?;
            Ok::<_, io::Error>(processor_time() - before)
        })?;
        there.recv(&mut [0])?;
        Ok(took)
    }

    fn processor_time() -> Duration {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::try_from(time).unwrap_or_default()
    }
}
