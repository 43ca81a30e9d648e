//! What the compiler keeps of a function that waits.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use uring_loop::{Ring, Setup, Work, refused};

    let setup = Setup { entries: 8, as_of: None, work: Work::default() };
    let ring = match Ring::new(&setup) {
        Ok(ring) => ring,
        Err(error) => return flags::fail(flags::REFUSED, refused(&error)),
    };
    match large::measure(ring) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(flags::FAILED, format_args!("cannot measure: {error}")),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("how-large")
}

#[cfg(target_os = "linux")]
mod large {
    use std::io;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::path::Path;
    use std::time::Duration;

    use executor::server::{Disk, House, Net, OverEpoll, OverRing, Store, serve};
    use executor::{Completions, Epoll, Spawner};
    use guestbook::{Guest, Settings};
    use uring_loop::Ring;

    /// Makes the future that serves a client, and does not poll it.
    // ANCHOR: size
    fn size<N: Net>(net: N) -> io::Result<usize> {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let store = Store::new(nowhere, Duration::from_secs(1));
        let spawner = Spawner::default();
        let house = House::new(net.clone(), Settings::default(), store, 1, spawner);
        let client = net.hold(OwnedFd::from(UnixStream::pair()?.0));
        Ok(size_of_val(&serve(house, client)))
    }
    // ANCHOR_END: size

    pub fn measure(ring: Ring) -> io::Result<()> {
        let (folder, ring) = (Path::new("."), Completions::new(ring));
        let files = iterative::Files::new(folder, true)?;
        let epoll = OverEpoll::new(Epoll::new()?, files, Disk::new(1)?, true);
        println!("a client that is served      bytes");
        println!("  its future, over epoll    {:6}", size(epoll)?);
        println!("  what the guest is of it   {:6}", size_of::<Guest<iterative::File>>());
        let files = uring_loop::Files::new(folder, true, ring.to_close())?;
        println!("  its future, over io_uring {:6}", size(OverRing::new(ring, files))?);
        Ok(())
    }
}
