//! A client that sends exactly the bytes it is told to, and says how the connection ended.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::{self, AddressFamily, SocketType, sockopt};

use crate::patience::patience;
use crate::response::{self, Response, excerpt};

/// How a connection ended, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The server sent its FIN.
    Closed,
    /// The server sent a RST: ECONNRESET.
    Reset,
    /// Neither: nothing more came for the time of [`patience`].
    Open,
}

/// What came back on a connection.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Every byte.
    pub bytes: Vec<u8>,
    /// How it ended.
    pub end: End,
}

impl Heard {
    /// The responses in it; see [`response::responses`].
    pub fn responses(&self, heads: &[bool]) -> Result<Vec<Response>, String> {
        response::responses(&self.bytes, heads)
    }

    /// The only response in it, whole.
    pub fn response(&self) -> Result<Response, String> {
        let mut all = self.responses(&[])?;
        match all.len() {
            1 if all[0].whole => Ok(all.remove(0)),
            0 => Err(format!("no response, connection {:?}", self.end)),
            1 => Err(format!(
                "half a response: status {}, {} bytes of content",
                all[0].status,
                all[0].body.len()
            )),
            more => Err(format!("{more} responses instead of one")),
        }
    }
}

/// Connects, with a patient time limit on reads and writes and without Nagle's algorithm.
pub fn open(address: SocketAddr) -> Result<TcpStream, String> {
    let open = || -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&address, patience())?;
        stream.set_read_timeout(Some(patience()))?;
        stream.set_write_timeout(Some(patience()))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    open().map_err(|error| format!("connect: {error}"))
}

/// The same with a receive buffer of about `size` bytes, so that the server can send little
/// at a time. The kernel takes at least 2,304 bytes (socket(7), `SO_RCVBUF`).
pub fn open_small(address: SocketAddr, size: usize) -> Result<TcpStream, String> {
    let open = || -> io::Result<TcpStream> {
        // Before connect: the window is announced in the handshake.
        let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
        sockopt::set_socket_recv_buffer_size(&socket, size)?;
        net::connect(&socket, &address)?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(patience()))?;
        stream.set_write_timeout(Some(patience()))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    open().map_err(|error| format!("connect: {error}"))
}

/// Sends `bytes` and listens until the connection ends.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> Result<Heard, String> {
    let mut stream = open(address)?;
    send(&mut stream, bytes)?;
    Ok(listen(&mut stream))
}

/// Sends `bytes`, which are to be refused, and listens until the connection ends. The only
/// response in it, whole; a connection that stays open is a failure, and so is one response
/// too many.
pub fn be_refused(
    address: SocketAddr,
    bytes: &[u8],
    to_head: bool,
) -> Result<Response, String> {
    let mut stream = open(address)?;
    send(&mut stream, bytes)?;
    let served = |bytes: &[u8]| {
        bytes.starts_with(b"HTTP/1.") && matches!(bytes.get(9), Some(b'2' | b'3'))
    };
    let heard = listen_until(&mut stream, served);
    if served(&heard.bytes) {
        return Err(format!("served instead of refused: {}", excerpt(&heard.bytes)));
    }
    let mut all = heard.responses(&[to_head])?;
    match (heard.end, all.len()) {
        (End::Open, _) => {
            Err(format!("the connection stays open after {}", excerpt(&heard.bytes)))
        }
        (_, 1) if !all[0].whole => Err("half a response".into()),
        (_, 1) if !all[0].closes() => {
            Err(format!("{} without 'Connection: close'", all[0].status))
        }
        (_, 1) => Ok(all.remove(0)),
        (end, more) => Err(format!("{more} responses, connection {end:?}")),
    }
}

/// Sends `bytes`, then a FIN, and listens until the connection ends.
pub fn exchange_and_shut(address: SocketAddr, bytes: &[u8]) -> Result<Heard, String> {
    let mut stream = open(address)?;
    send(&mut stream, bytes)?;
    // A server that has closed already needs no FIN from us.
    let _ = stream.shutdown(Shutdown::Write);
    Ok(listen(&mut stream))
}

/// Writes everything. A server that refuses may stop reading, which is its right: what it
/// said is checked, not this.
pub fn send(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), String> {
    match stream.write_all(bytes) {
        Ok(()) => Ok(()),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(format!("sending {} bytes: {error}", bytes.len())),
    }
}

/// Reads until the connection ends.
pub fn listen(stream: &mut TcpStream) -> Heard {
    listen_until(stream, |_| false)
}

/// Reads until `enough` says so about what was read so far, or until the connection ends.
pub fn listen_until(stream: &mut TcpStream, enough: impl Fn(&[u8]) -> bool) -> Heard {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while !enough(&bytes) {
        match stream.read(&mut buffer) {
            Ok(0) => return Heard { bytes, end: End::Closed },
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
            {
                break;
            }
            Err(_) => return Heard { bytes, end: End::Reset },
        }
    }
    Heard { bytes, end: End::Open }
}

/// A GET on a connection of its own.
pub fn get(address: SocketAddr, target: &str) -> Result<Response, String> {
    let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    exchange(address, request.as_bytes())?.response()
}

/// Closes with a RST instead of a FIN: `SO_LINGER` with a time of 0 (socket(7)).
pub fn reset(stream: TcpStream) -> Result<(), String> {
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO))
        .map_err(|e| format!("SO_LINGER: {e}"))?;
    drop(stream);
    Ok(())
}

/// Asks again and again until the answer is yes; the last refusal when it stays no for
/// `limit`.
pub fn eventually(
    limit: Duration,
    mut ask: impl FnMut() -> Result<(), String>,
) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        match ask() {
            Ok(()) => return Ok(()),
            Err(refusal) if begun.elapsed() > limit => return Err(refusal),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
