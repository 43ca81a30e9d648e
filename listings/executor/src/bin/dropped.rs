//! A wait that is given up, over epoll and over io_uring: where are the bytes?

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use uring_loop::{Ring, Setup, Work, refused};

    let setup = Setup { entries: 8, as_of: None, work: Work::default() };
    let ring = match Ring::new(&setup) {
        Ok(ring) => ring,
        Err(error) => return flags::fail(flags::REFUSED, refused(&error)),
    };
    match dropped::over_epoll().and_then(|()| dropped::over_a_ring(ring)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(flags::FAILED, format_args!("cannot wait: {error}")),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("dropped")
}

#[cfg(target_os = "linux")]
mod dropped {
    use std::io::{self, Write};
    use std::os::unix::net::UnixStream;

    use executor::{Completions, Epoll, Executor, race, ring_reactor, yield_now};
    use uring_loop::{Fd, Op, Ring, Room};

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    // ANCHOR: epoll
    pub fn over_epoll() -> io::Result<()> {
        let epoll = Epoll::new()?;
        let (mut peer, server) = UnixStream::pair()?;
        server.set_nonblocking(true)?;
        let source = epoll.hold(server.into());
        Executor::new(epoll.clone())?.block_on(async {
            // The other one is over first, and the wait is dropped.
            let wait = race(source.readable(), yield_now()).await;
            assert!(wait.is_err());
            peer.write_all(b"one ")?;
            let wait = race(yield_now(), source.readable()).await;
            assert!(wait.is_ok());
            peer.write_all(b"two")?;
            let mut buffer = [0; 64];
            let n = source.read(&mut buffer).await?;
            println!("epoll, two waits dropped");
            println!("  the next read has: {}", text(&buffer[..n]));
            Ok(())
        })?
    }
    // ANCHOR_END: epoll

    fn receive(ring: &Completions, socket: &Fd) -> executor::Operation {
        let into = Room::Own(Vec::with_capacity(64));
        ring.begin(Op::Receive { socket: socket.clone(), into })
    }

    // ANCHOR: ring
    pub fn over_a_ring(ring: Ring) -> io::Result<()> {
        let ring = Completions::new(ring);
        let (mut peer, server) = UnixStream::pair()?;
        let socket = ring.hold(server.into());
        Executor::new(ring.clone())?.block_on(async {
            yield_now().await;
            let own = ring.in_flight(); // what watches the executor

            println!("io_uring, dropped before bytes come");
            let _ = race(receive(&ring, &socket), yield_now()).await;
            println!("  in flight still: {}", ring.in_flight() - own);
            while ring.in_flight() > own {
                yield_now().await;
            }
            println!("  a round later: {}", ring.in_flight() - own);
            peer.write_all(b"one ")?;
            peer.write_all(b"two")?;
            let (_, bytes) = ring.recv(&socket, Vec::with_capacity(64)).await;
            println!("  the next receive has: {}", text(&bytes));

            println!("io_uring, dropped after they have come");
            let operation = receive(&ring, &socket);
            yield_now().await;
            peer.write_all(b"one ")?;
            yield_now().await;
            drop(operation);
            peer.write_all(b"two")?;
            let (_, bytes) = ring.recv(&socket, Vec::with_capacity(64)).await;
            println!("  the next receive has: {}", text(&bytes));

            println!("io_uring, recalled and awaited");
            let operation = receive(&ring, &socket);
            yield_now().await;
            peer.write_all(b"one ")?;
            let done = operation.within(async {}).await;
            let (_, bytes) = ring_reactor::received(done);
            println!("  it has: {}", text(&bytes));
            Ok(())
        })?
    }
    // ANCHOR_END: ring
}
