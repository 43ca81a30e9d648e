//! Clients that ask for one page again and again, over a ring of their own: who measures a
//! server on the next core should not be the slower of the two.
//!
//!     ask HOST:PORT PATH CLIENTS SECONDS
//!
//! Every client waits for its whole answer before it asks again. All answers must be as long
//! as the first, with status 200. It does not measure latency.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use uring_loop::{Ring, Setup, Work, refused};

    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, path, clients, seconds] = &words[..] else {
        return flags::fail(flags::REFUSED, "usage: ask HOST:PORT PATH CLIENTS SECONDS");
    };
    let (Ok(clients), Ok(seconds)) = (clients.parse(), seconds.parse()) else {
        return flags::fail(flags::REFUSED, "clients and seconds are numbers");
    };
    let setup = Setup { entries: 4096, as_of: None, work: Work::WhenWeEnter };
    let ring = match Ring::new(&setup) {
        Ok(ring) if ring.features().multishot_receive => ring,
        Ok(_) => return flags::fail(flags::REFUSED, "it needs Linux 6.0"),
        Err(error) => return flags::fail(flags::REFUSED, refused(&error)),
    };
    match ask::run(ring, address, path, clients, seconds) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => flags::fail(flags::FAILED, format_args!("{address}: {error}")),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("ask")
}

#[cfg(target_os = "linux")]
mod ask {
    use std::io::{self, Read, Write};
    use std::net::TcpStream;
    use std::time::{Duration, Instant};

    use uring_loop::{Done, Errno, Fd, Op, Part, Ring, Room, SendFlags, ToClose, Token};

    struct Client {
        socket: Fd,
        /// How much of its answer has not come yet.
        left: usize,
        /// Its question, while it is not being sent.
        question: Option<Vec<u8>>,
        /// It has its last answer.
        may_ask: bool,
    }

    pub fn run(
        mut ring: Ring,
        address: &str,
        path: &str,
        clients: usize,
        seconds: u64,
    ) -> io::Result<String> {
        let question = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let length = length_of_answer(address, &question)?;
        let to_close = ToClose::default();
        let mut all = Vec::new();
        for slot in 0..clients {
            let socket = TcpStream::connect(address)?;
            socket.set_nodelay(true)?;
            let socket = to_close.hold(socket.into());
            let question = Some(question.clone().into_bytes());
            all.push(Client { socket, left: length, question, may_ask: true });
            receive(&mut ring, slot, &all[slot]);
            ask_again(&mut ring, slot, &mut all[slot]);
        }
        let (begun, mut answers) = (Instant::now(), 0_u64);
        while begun.elapsed() < Duration::from_secs(seconds) {
            ring.wait(1)?;
            while let Some(done) = ring.next() {
                answers += u64::from(complete(&mut ring, &mut all, done, length)?);
            }
        }
        let rate = answers as f64 / begun.elapsed().as_secs_f64();
        Ok(format!("{answers} requests in {seconds} s\nRequests/sec: {rate:.2}"))
    }

    /// Says whether an answer is whole, and asks again.
    fn complete(
        ring: &mut Ring,
        all: &mut [Client],
        done: Done,
        length: usize,
    ) -> io::Result<bool> {
        let slot = done.token.slot;
        let client = &mut all[slot];
        if let Some(Op::Send { bytes, .. }) = done.op {
            done.result?;
            client.question = Some(bytes);
            ask_again(ring, slot, client);
            return Ok(false);
        }
        ring.give_back(done.received);
        match done.result {
            Ok(0) => return Err(io::Error::other("the connection has ended")),
            Ok(n) if n as usize > client.left => {
                return Err(io::Error::other("an answer is longer than the first"));
            }
            Ok(n) => client.left -= n as usize,
            // There was no buffer; it is begun again.
            Err(Errno::NOBUFS) => {}
            Err(error) => return Err(error.into()),
        }
        if done.op.is_some() {
            receive(ring, slot, client);
        }
        // The answer may be here before the completion that gives the question back.
        let is_whole = client.left == 0;
        if is_whole {
            client.left = length;
        }
        client.may_ask |= is_whole;
        ask_again(ring, slot, client);
        Ok(is_whole)
    }

    fn receive(ring: &mut Ring, slot: usize, client: &Client) {
        let op = Op::Receive { socket: client.socket.clone(), into: Room::Shared };
        ring.begin(Token { slot, part: Part::Receive }, op);
    }

    fn ask_again(ring: &mut Ring, slot: usize, client: &mut Client) {
        if let Some(bytes) = client.question.take_if(|_| client.may_ask) {
            client.may_ask = false;
            let op = Op::Send {
                socket: client.socket.clone(),
                bytes,
                flags: SendFlags::empty(),
            };
            ring.begin(Token { slot, part: Part::Send }, op);
        }
    }

    /// Asks once, and looks how long the answer is.
    fn length_of_answer(address: &str, question: &str) -> io::Result<usize> {
        let mut socket = TcpStream::connect(address)?;
        socket.write_all(question.as_bytes())?;
        let (mut answer, mut room) = (Vec::new(), [0; 4096]);
        loop {
            let n = socket.read(&mut room)?;
            answer.extend_from_slice(&room[..n]);
            let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
            if !text.starts_with("http/1.1 200") || n == 0 {
                return Err(io::Error::other("no answer with status 200"));
            }
            let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
            let field =
                |line: &str| line.strip_prefix("content-length:")?.trim().parse().ok();
            let body: usize =
                head.lines().find_map(field).ok_or(io::ErrorKind::InvalidData)?;
            return Ok(head.len() + 4 + body);
        }
    }
}
