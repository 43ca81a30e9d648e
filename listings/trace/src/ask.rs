//! The clients whose requests are traced.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::Request;

/// How long a client waits for its response.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two clients, so that they come in a known order.
const APART: Duration = Duration::from_millis(3);

/// Has so many clients ask for `path` at about the same time, each on a connection of its
/// own, and waits for all of them. Times are microseconds since `zero`.
///
/// # Errors
/// What the first of them heard that was no response.
// ANCHOR: ask
pub fn ask(
    server: SocketAddr,
    path: &str,
    clients: usize,
    zero: Instant,
) -> io::Result<Vec<Request>> {
    let asking: Vec<_> = (0..clients)
        .map(|_| {
            let path = path.to_owned();
            let client = thread::spawn(move || one(server, &path, zero));
            thread::sleep(APART);
            client
        })
        .collect();
    asking.into_iter().map(|client| client.join().expect("it does not panic")).collect()
}
// ANCHOR_END: ask

fn one(server: SocketAddr, path: &str, zero: Instant) -> io::Result<Request> {
    let now = || zero.elapsed().as_secs_f64() * 1e6;
    let asked = now();
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n")?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    let status = response.get(9..12).and_then(|digits| str::from_utf8(digits).ok());
    let status = status.and_then(|digits| digits.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("the answer is no response"))?;
    Ok(Request { asked, answered: now(), status })
}
