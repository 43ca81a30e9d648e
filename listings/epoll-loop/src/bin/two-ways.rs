//! The same bytes, reported level-triggered and edge-triggered.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match two::ways() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(flags::FAILED, format_args!("cannot wait: {error}")),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("two-ways")
}

#[cfg(target_os = "linux")]
mod two {
    use std::io::{self, Read, Write};
    use std::os::unix::net::UnixStream;

    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

    pub fn ways() -> io::Result<()> {
        // ANCHOR: two
        let (mut client, mut server) = UnixStream::pair()?;
        let level = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        level.add(&server, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        let edge = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        edge.add(&server, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0))?;

        client.write_all(b"hello")?;
        println!("5 bytes arrive:");
        report(&level, &edge)?;
        server.read_exact(&mut [0; 2])?;
        println!("2 are read, 3 are left:");
        report(&level, &edge)?;
        client.write_all(b"!")?;
        println!("1 more arrives:");
        report(&level, &edge)?;
        // ANCHOR_END: two
        server.read_exact(&mut [0; 4])?;
        println!("all are read:");
        report(&level, &edge)
    }

    // ANCHOR: report
    fn report(level: &Epoll, edge: &Epoll) -> io::Result<()> {
        for (name, epoll) in [("level", level), ("edge", edge)] {
            let mut events = [EpollEvent::empty()];
            let ready = epoll.wait(&mut events, EpollTimeout::ZERO)?;
            println!("  {name:<5} {}", if ready > 0 { "ready" } else { "-" });
        }
        Ok(())
    }
    // ANCHOR_END: report
}
