//! Many connections, on each of which one request was answered, and that say nothing more.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use load::{Answer, Expected, LastHead, Progress};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, connect, recv, socket_with,
    sockopt,
};

use crate::workload::{FILE, content};

/// Connections from the same address of ours. Each has some 28,000 ports to give
/// (`ip_local_port_range`), and the fewer are left, the longer the kernel looks for one.
const SAME_SOURCE: usize = 2_000;
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// The servers of the book let go of a client that has said nothing for 60 s, nginx after 75.
/// Before that everything must be over.
const ALL: Duration = Duration::from_secs(50);

/// Connections, and since when the first of them is idle.
#[derive(Debug)]
pub struct Connections {
    open: Vec<TcpStream>,
    since: Instant,
}

impl Connections {
    /// Opens so many, and asks for the file on each; so many at a time. A loop that looks at
    /// all of its clients for each event has the events of several to look at.
    ///
    /// # Errors
    /// In a line: the first that did not get it, or may not stay.
    pub fn open(
        server: SocketAddr,
        number: usize,
        at_a_time: usize,
    ) -> Result<Self, String> {
        let mut all = Self { open: Vec::with_capacity(number), since: Instant::now() };
        let request = format!("GET /{FILE} HTTP/1.1\r\nHost: {server}\r\n\r\n");
        let expected = Expected { body: Some(content()) };
        let mut last = LastHead::default();
        let in_a_line = |one: usize, why: String| format!("connection {}: {why}", one + 1);
        while all.open.len() < number {
            let first = all.open.len();
            for one in first..number.min(first + at_a_time.max(1)) {
                let mut stream = connected(server, one)
                    .map_err(|error| in_a_line(one, format!("cannot connect: {error}")))?;
                stream
                    .write_all(request.as_bytes())
                    .map_err(|error| in_a_line(one, format!("cannot ask: {error}")))?;
                all.open.push(stream);
            }
            for (one, stream) in all.open.iter_mut().enumerate().skip(first) {
                answer(stream, &expected, &mut last).map_err(|why| in_a_line(one, why))?;
            }
            all.in_time()?;
        }
        Ok(all)
    }

    /// Whether nobody can have been let go of for saying nothing.
    ///
    /// # Errors
    /// One line: it took too long.
    pub fn in_time(&self) -> Result<(), String> {
        if self.since.elapsed() < ALL {
            return Ok(());
        }
        let seconds = ALL.as_secs();
        Err(format!(
            "after {seconds} s {} connections were open, and servers let go of idle ones; choose fewer with --connections",
            self.open.len()
        ))
    }

    /// How many are still there: neither closed nor reset, and nothing has come on them.
    #[must_use]
    pub fn held(&self) -> usize {
        let is_quiet = |stream: &&TcpStream| {
            let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
            matches!(recv(stream, &mut [0_u8; 1], flags), Err(Errno::AGAIN))
        };
        self.open.iter().filter(is_quiet).count()
    }
}

/// Each ends by a reset. Otherwise our ends would be in TIME-WAIT for a minute, and their
/// memory in the next round.
impl Drop for Connections {
    fn drop(&mut self) {
        for stream in &self.open {
            // Where it fails the connection ends like others.
            let _ = sockopt::set_socket_linger(stream, Some(Duration::ZERO));
        }
    }
}

/// The source address of a connection: another one after some thousands, where the server is
/// on loopback.
fn source(server: SocketAddr, number: usize) -> Option<SocketAddr> {
    let last = u8::try_from(1 + number / SAME_SOURCE).unwrap_or(u8::MAX);
    let is_loopback = server.is_ipv4() && server.ip().is_loopback();
    is_loopback.then(|| (Ipv4Addr::new(127, 0, 0, last), 0).into())
}

fn connected(server: SocketAddr, number: usize) -> io::Result<TcpStream> {
    let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    if let Some(source) = source(server, number) {
        bind(&socket, &source)?;
    }
    connect(&socket, &server)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(ANSWER))?;
    Ok(stream)
}

/// Reads the answer, which must be the file, on a connection that stays.
fn answer(
    stream: &mut TcpStream,
    expected: &Expected,
    last: &mut LastHead,
) -> Result<(), String> {
    let (mut answer, mut bytes) = (Answer::default(), [0; 4096]);
    loop {
        let came = match stream.read(&mut bytes) {
            Ok(0) => return Err("it was closed without an answer".into()),
            Ok(came) => came,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("no answer: {error}")),
        };
        match answer.received(&bytes[..came], last, expected) {
            Progress::Part => {}
            Progress::Whole { stays: true } => return Ok(()),
            Progress::Whole { stays: false } => {
                return Err("the server closes it after the answer".into());
            }
            Progress::Wrong(wrong) => return Err(format!("a wrong answer: {wrong:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn sources_are_spread_over_loopback_alone() {
        let of = |server: &str, number| {
            source(server.parse().unwrap(), number).map(|address| address.to_string())
        };
        assert_eq!(of("127.0.0.1:80", 0).as_deref(), Some("127.0.0.1:0"));
        assert_eq!(of("127.0.0.1:80", 1999).as_deref(), Some("127.0.0.1:0"));
        assert_eq!(of("127.0.0.1:80", 2000).as_deref(), Some("127.0.0.2:0"));
        assert_eq!(of("127.0.0.1:80", 9_999_999).as_deref(), Some("127.0.0.255:0"));
        assert_eq!(of("[::1]:80", 0), None);
        assert_eq!(of("192.0.2.1:80", 0), None);
    }

    /// Answers so many connections with these bytes, keeps them, and gives them back.
    fn serve(
        number: usize,
        answer: Vec<u8>,
    ) -> (SocketAddr, thread::JoinHandle<Vec<TcpStream>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = thread::spawn(move || {
            let one = |_| {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 1024]).unwrap();
                stream.write_all(&answer).unwrap();
                stream
            };
            (0..number).map(one).collect()
        });
        (address, serving)
    }

    fn response(fields: &str, body: &[u8]) -> Vec<u8> {
        let head =
            format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }

    #[test]
    fn those_that_were_closed_are_not_counted_as_held() {
        let (address, serving) = serve(5, response("", &content()));
        let connections = Connections::open(address, 5, 2).unwrap();
        let mut theirs = serving.join().unwrap();
        assert_eq!(connections.held(), 5);
        drop(theirs.pop());
        theirs[0].write_all(b"unasked").unwrap();
        let begun = Instant::now();
        while connections.held() != 3 {
            assert!(begun.elapsed() < ANSWER, "{} are held", connections.held());
            thread::yield_now();
        }
    }

    #[test]
    fn a_wrong_answer_is_no_connection() {
        for (answer, said) in [
            (response("", b"something else"), "a wrong answer"),
            (response("Connection: close\r\n", &content()), "closes it"),
            (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_vec(), "a wrong answer"),
        ] {
            let (address, serving) = serve(1, answer);
            let why = Connections::open(address, 1, 1).unwrap_err();
            assert!(why.starts_with("connection 1: ") && why.contains(said), "{why}");
            drop(serving.join());
        }
    }
}
