//! How often a server enters the kernel, over epoll and over a ring, for the same requests:
//! of 1, 16 and 64 clients, or of as many as it is told.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use uring_loop::{Setup, Work, refused};

    let setup = Setup { entries: 1024, as_of: None, work: Work::default() };
    if let Err(error) = uring_loop::Ring::new(&setup) {
        return flags::fail(flags::REFUSED, refused(&error));
    }
    match calls::compare(&setup) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(flags::FAILED, format_args!("cannot echo: {error}")),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("calls")
}

#[cfg(target_os = "linux")]
mod calls {
    use std::io::{self, Read, Write};
    use std::os::unix::net::UnixStream;

    use rustix::event::epoll;
    use uring_loop::{Op, Part, Ring, Room, SendFlags, Setup, ToClose, Token};

    const ROUNDS: usize = 100;
    const PING: &[u8; 4] = b"ping";

    type Pair = (UnixStream, UnixStream);

    pub fn compare(setup: &Setup) -> io::Result<()> {
        println!("clients  requests   epoll  io_uring");
        let told = std::env::args().nth(1).and_then(|word| word.parse().ok());
        for clients in told.map_or(vec![1, 16, 64], |clients| vec![clients]) {
            let epoll = over_epoll(pairs(clients)?)?;
            let uring = over_a_ring(pairs(clients)?, setup)?;
            println!("{clients:7} {:9} {epoll:7} {uring:9}", clients * ROUNDS);
        }
        Ok(())
    }

    fn pairs(number: usize) -> io::Result<Vec<Pair>> {
        (0..number).map(|_| UnixStream::pair()).collect()
    }

    /// Every client asks.
    fn ask(pairs: &mut [Pair]) -> io::Result<()> {
        pairs.iter_mut().try_for_each(|(client, _)| client.write_all(PING))
    }

    /// Every client reads its answer.
    fn hear(pairs: &mut [Pair]) -> io::Result<()> {
        for (client, _) in pairs {
            let mut answer = [0; PING.len()];
            client.read_exact(&mut answer)?;
            assert_eq!(&answer, PING);
        }
        Ok(())
    }

    // ANCHOR: epoll
    fn over_epoll(mut pairs: Vec<Pair>) -> io::Result<usize> {
        let instance = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (n, (_, server)) in (0..).zip(&pairs) {
            let number = epoll::EventData::new_u64(n);
            epoll::add(&instance, server, number, epoll::EventFlags::IN)?;
        }
        let (mut calls, mut events) = (0, Vec::with_capacity(pairs.len()));
        for _ in 0..ROUNDS {
            ask(&mut pairs)?;
            let mut answered = 0;
            while answered < pairs.len() {
                calls += 1;
                epoll::wait(&instance, rustix::buffer::spare_capacity(&mut events), None)?;
                for event in events.drain(..) {
                    let server = &mut pairs[event.data.u64() as usize].1;
                    let mut request = [0; 64];
                    let n = server.read(&mut request)?;
                    server.write_all(&request[..n])?;
                    calls += 2;
                    answered += 1;
                }
            }
            hear(&mut pairs)?;
        }
        Ok(calls)
    }
    // ANCHOR_END: epoll

    // ANCHOR: ring
    fn over_a_ring(mut pairs: Vec<Pair>, setup: &Setup) -> io::Result<usize> {
        let (mut ring, to_close) = (Ring::new(setup)?, ToClose::default());
        let mut sockets = Vec::new();
        for (slot, (_, server)) in pairs.iter().enumerate() {
            let socket = to_close.hold(server.try_clone()?.into());
            sockets.push(socket.clone());
            let into = match ring.features().multishot_receive {
                true => Room::Shared,
                false => Room::Own(Vec::with_capacity(64)),
            };
            let token = Token { slot, part: Part::Receive };
            ring.begin(token, Op::Receive { socket, into });
        }
        ring.wait(0)?; // the kernel hears of them
        let mut calls = 0;
        for _ in 0..ROUNDS {
            ask(&mut pairs)?;
            let mut sent = 0;
            while sent < pairs.len() {
                calls += 1;
                ring.wait(1)?;
                while let Some(done) = ring.next() {
                    sent += usize::from(done.token.part == Part::Send);
                    done.result?;
                    if done.token.part == Part::Send {
                        continue;
                    }
                    let bytes = ring.bytes(&done.received).to_vec();
                    ring.give_back(done.received);
                    let slot = done.token.slot;
                    let socket = sockets[slot].clone();
                    let send = Op::Send { socket, bytes, flags: SendFlags::empty() };
                    ring.begin(Token { slot, part: Part::Send }, send);
                    if let Some(Op::Receive { socket, .. }) = done.op {
                        let into = Room::Own(Vec::with_capacity(64)); // it was for once
                        ring.begin(done.token, Op::Receive { socket, into });
                    }
                }
            }
            hear(&mut pairs)?;
        }
        Ok(calls)
    }
    // ANCHOR_END: ring
}
