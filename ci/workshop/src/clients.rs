//! Clients that ask an answer's server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use rustix::io::{Errno, ioctl_fionread};
use rustix::net::sockopt;

use crate::bench::Fault;
use crate::ran::fails;

/// How long a client waits. Servers of the book answer these requests at once.
const PATIENCE: Duration = Duration::from_secs(3);

/// A client with a connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Client {
    /// Connects.
    pub fn connect(server: SocketAddr) -> Result<Self, Fault> {
        let connected = TcpStream::connect(server)
            .and_then(|stream| stream.set_read_timeout(Some(PATIENCE)).map(|()| stream));
        match connected {
            Ok(stream) => Ok(Self { stream, rest: Vec::new() }),
            Err(error) => fails(format!("a client cannot connect: {error}")),
        }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        match self.stream.write_all(bytes) {
            Ok(()) => Ok(()),
            Err(error) => fails(format!("a client cannot send: {error}")),
        }
    }

    /// Asks for a path, and keeps the connection.
    pub fn asks(&mut self, path: &str) -> Result<(), Fault> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").as_bytes())
    }

    /// Waits for a response: its content.
    pub fn hears(&mut self) -> Result<Vec<u8>, Fault> {
        self.hears_all().map(|(_, content)| content)
    }

    /// Waits for a response: its head, and its content.
    pub fn hears_all(&mut self) -> Result<(String, Vec<u8>), Fault> {
        loop {
            if let Some((head, content, rest)) = response(&self.rest) {
                let whole = (head.to_owned(), content.to_vec());
                self.rest = rest.to_vec();
                return Ok(whole);
            }
            let mut buffer = [0; 16 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(n @ 1..) => self.rest.extend_from_slice(&buffer[..n]),
                Ok(0) => return fails(self.so_far("the connection ends")),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    let seconds = PATIENCE.as_secs();
                    return fails(self.so_far(&format!("nothing comes for {seconds} s")));
                }
                Err(error) => {
                    return fails(self.so_far(&format!("the connection: {error}")));
                }
            }
        }
    }

    /// Asks, and waits for the content.
    pub fn ask(&mut self, path: &str) -> Result<Vec<u8>, Fault> {
        self.asks(path)?;
        self.hears()
    }

    /// Waits until as much has come as there is room for, without reading it.
    pub fn is_full(&self) -> Result<(), Fault> {
        let (mut last, mut same) = (0, 0);
        while same < 4 {
            thread::sleep(Duration::from_millis(50));
            let trouble = |error: Errno| Fault::Trouble(format!("FIONREAD: {error}"));
            let here = ioctl_fionread(&self.stream).map_err(trouble)?;
            same = if here == last { same + 1 } else { 0 };
            last = here;
        }
        Ok(())
    }

    /// Is gone, and takes the connection with it (RST).
    pub fn resets(self) {
        // If it cannot be set, the connection ends in the ordinary way.
        let _ = sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
    }

    /// Whether the other end closes the connection, once all was heard, within a second.
    pub fn is_at_its_end(&mut self) -> bool {
        let _ = self.stream.set_read_timeout(Some(Duration::from_secs(1)));
        matches!(self.stream.read(&mut [0; 1]), Ok(0))
    }

    fn so_far(&self, what: &str) -> String {
        match self.rest.len() {
            0 => format!("a client waits for its response: {what}"),
            n => format!("a client has {n} bytes of its response, and then {what}"),
        }
    }
}

/// The head and the content of a response, if it is there whole, and what follows it.
fn response(bytes: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = str::from_utf8(&bytes[..at]).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let end = at.checked_add(length.unwrap_or(0))?;
    Some((head, bytes.get(at..end)?, &bytes[end..]))
}
