//! A loop over io_uring that answers whatever it is sent with the same 612 bytes: what is left
//! of a server when there is no application. The floor under every figure of this chapter, as
//! `bare` of `epoll-loop` is under those of another.
//!
//! It reads no request (whatever comes is one, unless a response is still being sent), has no
//! deadline and no limit, and ends when it cannot accept. Not for use.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use uring_loop::{Ring, Setup, Work, refused};

    let setup = Setup { entries: 1024, as_of: None, work: Work::default() };
    let ring = match Ring::new(&setup) {
        Ok(ring) if ring.features().multishot_receive => ring,
        Ok(_) => return flags::fail(flags::REFUSED, bare::NO_BUFFERS),
        Err(error) => return flags::fail(flags::REFUSED, refused(&error)),
    };
    match bare::run(ring) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(flags::FAILED, format_args!("cannot serve: {error}")),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("bare-ring")
}

#[cfg(target_os = "linux")]
mod bare {
    use std::collections::HashMap;
    use std::io;
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    use uring_loop::{Errno, Fd, Op, Part, Ring, Room, SendFlags, ToClose, Token};

    /// There are none before that version, and they are locked memory.
    pub const NO_BUFFERS: &str = "shared buffers need Linux 6.0 and 256 KiB of ulimit -l";
    /// A client's slot is the number of its descriptor, and this one is another's.
    const DOOR: usize = 0;

    pub fn run(ring: Ring) -> io::Result<()> {
        let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".into());
        let listener = TcpListener::bind(address)?;
        println!("listening on http://{}", listener.local_addr()?);
        let body = "x".repeat(612);
        let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: 612\r\n\r\n{body}");
        serve(ring, listener, reply.as_bytes())
    }

    /// A client, and its response while that is not with the kernel.
    struct Client {
        socket: Fd,
        reply: Option<Vec<u8>>,
    }

    // ANCHOR: bare
    fn serve(mut ring: Ring, listener: TcpListener, reply: &[u8]) -> io::Result<()> {
        let to_close = ToClose::default();
        let accept = Op::Accept { listener: to_close.hold(listener.into()), many: true };
        ring.begin(Token { slot: DOOR, part: Part::Receive }, accept);
        let mut clients: HashMap<usize, Client> = HashMap::new();
        loop {
            ring.wait(1)?;
            while let Some(done) = ring.next() {
                if let Some(socket) = done.descriptor {
                    let socket = to_close.hold(socket);
                    let client = Client { socket, reply: Some(reply.into()) };
                    clients.insert(receive(&mut ring, &client.socket), client);
                    continue;
                }
                let slot = done.token.slot;
                if slot == DOOR {
                    return Err(done
                        .result
                        .map_or_else(Into::into, |_| io::ErrorKind::Other.into()));
                }
                let Some(client) = clients.get_mut(&slot) else { continue };
                match (done.result, done.op) {
                    (_, Some(Op::Send { bytes, .. })) => client.reply = Some(bytes),
                    (Ok(1..), over) => {
                        ring.give_back(done.received);
                        if let Some(bytes) = client.reply.take() {
                            let socket = client.socket.clone();
                            let send =
                                Op::Send { socket, bytes, flags: SendFlags::empty() };
                            ring.begin(Token { slot, part: Part::Send }, send);
                        }
                        over.map(|_| receive(&mut ring, &client.socket));
                    }
                    (Err(Errno::NOBUFS), _) => _ = receive(&mut ring, &client.socket),
                    _ => _ = clients.remove(&slot),
                }
            }
            // The last that held it was the client, or a send.
            while let Some(descriptor) = to_close.take() {
                ring.close(descriptor);
            }
        }
    }

    fn receive(ring: &mut Ring, socket: &Fd) -> usize {
        let slot = socket.as_raw_fd() as usize;
        let receive = Op::Receive { socket: socket.clone(), into: Room::Shared };
        ring.begin(Token { slot, part: Part::Receive }, receive);
        slot
    }
    // ANCHOR_END: bare
}
