//! What a call of poll(2) takes, for one socket at which something has arrived and others at
//! which nothing ever does.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match few::run() {
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
    flags::needs_linux("poll-few")
}

#[cfg(target_os = "linux")]
mod few {
    use std::io;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::Instant;

    use libc::pollfd;
    use poll_loop::{entry, poll};
    use select_loop::Interest;

    // ANCHOR: few
    pub fn run() -> io::Result<()> {
        println!("idle sockets beside the ready one");
        for idle in [10, 100, 1000] {
            let sockets: Vec<UdpSocket> = (0..=idle)
                .map(|_| UdpSocket::bind("127.0.0.1:0"))
                .collect::<Result<_, _>>()?;
            println!("{idle:>6}: poll took {:>6.1} µs", microseconds(&sockets)?);
        }
        Ok(())
    }

    /// The median of 51 calls, each for a packet that has arrived at the last socket.
    fn microseconds(sockets: &[UdpSocket]) -> io::Result<f64> {
        let last = sockets.last().expect("there is one");
        let mut entries: Vec<pollfd> =
            sockets.iter().map(|socket| entry(socket.as_fd(), Interest::READ)).collect();
        let mut took = Vec::new();
        for _ in 0..51 {
            last.send_to(b"x", last.local_addr()?)?;
            let before = Instant::now();
            let ready = poll(&mut entries, None)?;
            took.push(before.elapsed());
            assert_eq!(ready, 1);
            last.recv(&mut [0])?;
        }
        took.sort_unstable();
        Ok(took[25].as_secs_f64() * 1e6)
    }
    // ANCHOR_END: few
}
