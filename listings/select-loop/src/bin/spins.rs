//! A listener, a client in its queue, and no descriptor left to accept it with.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match spins::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot run out of descriptors: {error}"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("spins")
}

#[cfg(target_os = "linux")]
mod spins {
    use std::io;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use nix::sys::select::{FdSet, select};
    use nix::sys::time::TimeVal;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    pub fn run() -> io::Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        // The next descriptor would have a number that is too high.
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(next_descriptor()?), ..limit })?;
        println!("a client waits, and no descriptor is free");
        let (ready, accepted) = rounds(&listener, true)?;
        println!("listener in the set:");
        println!("  1000 rounds: ready {ready}, accepted {accepted}");
        let (ready, accepted) = rounds(&listener, false)?;
        println!("listener left out:");
        println!("  1000 rounds: ready {ready}, accepted {accepted}");
        setrlimit(Resource::Nofile, limit)?;
        println!("a descriptor is free again: {}", listener.accept().is_ok());
        drop(client);
        Ok(())
    }

    // ANCHOR: rounds
    fn rounds(listener: &TcpListener, look: bool) -> io::Result<(usize, usize)> {
        let (mut woken, mut accepted) = (0, 0);
        for _ in 0..1000 {
            let mut set = FdSet::new();
            if look {
                set.insert(listener.as_fd());
            }
            let mut at_most = TimeVal::new(0, 100); // microseconds
            if select(None, &mut set, None, None, &mut at_most)? > 0 {
                woken += 1;
                accepted += usize::from(listener.accept().is_ok()); // EMFILE
            }
        }
        Ok((woken, accepted))
    }
    // ANCHOR_END: rounds

    /// The number of the descriptor that would be opened next.
    fn next_descriptor() -> io::Result<u64> {
        let next = std::fs::File::open("/dev/null")?;
        Ok(std::os::fd::AsRawFd::as_raw_fd(&next).unsigned_abs().into())
    }
}
