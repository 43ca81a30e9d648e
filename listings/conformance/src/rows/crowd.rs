//! What rows 11 and 12 share: a crowd of clients that hold a server up, and a fresh client
//! that wants to be served.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::client;
use crate::model::Model;
use crate::report::{Report, Verdict, repeats};
use crate::root::SMALL;

/// How often the members of a crowd do something.
const TICK: Duration = Duration::from_millis(100);

/// How many clients a crowd has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// The server has a place left for others.
    Part(usize),
    /// As many as the server serves at one time.
    All(usize),
}

impl Size {
    pub(super) fn clients(self) -> usize {
        let (Self::Part(clients) | Self::All(clients)) = self;
        clients
    }

    /// What a crowd of `who` is called in the name of a case.
    pub(super) fn of(self, who: &str) -> String {
        match self {
            Self::Part(clients) => format!("{clients} {who}, and places are left"),
            Self::All(clients) => format!("{clients} {who}, as many as there are places"),
        }
    }
}

/// The crowds to try a model with.
pub(super) fn sizes(model: &Model) -> Vec<Size> {
    let most = repeats(30, 1000);
    let mut sizes = Vec::new();
    if model.at_once > 1 {
        sizes.push(Size::Part(most.min(model.at_once - 1)));
    }
    if model.at_once <= most.max(100) {
        sizes.push(Size::All(model.at_once));
    }
    sizes
}

/// Room for the descriptors of a large crowd: the soft limit is raised to the hard one.
pub(super) fn allow_many_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where this fails, the crowd says how far it came.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// One client of a crowd.
#[derive(Debug)]
pub(super) struct Member {
    stream: TcpStream,
    /// What it heard so far.
    pub heard: Vec<u8>,
    /// When the server had enough of it.
    pub gone: Option<Duration>,
}

impl Member {
    /// A client that has said `first`.
    pub(super) fn new(mut stream: TcpStream, first: &[u8]) -> Result<Self, String> {
        client::send(&mut stream, first)?;
        stream.set_nonblocking(true).map_err(|error| error.to_string())?;
        Ok(Self { stream, heard: Vec::new(), gone: None })
    }

    /// Sends a byte, if the server takes one.
    pub(super) fn drip(&mut self, byte: u8) {
        // Whether the server is gone is seen by reading.
        let _ = self.stream.write(&[byte]);
    }

    /// Reads up to `most` bytes, if there are any; `false` at the end.
    pub(super) fn sip(&mut self, most: usize) -> bool {
        let mut buffer = vec![0; most];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(n) => {
                self.heard.extend_from_slice(&buffer[..n]);
                true
            }
            Err(error) => {
                matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
            }
        }
    }

    /// Whether the connection was reset, seen without reading.
    pub(super) fn is_reset(&self) -> bool {
        !matches!(self.stream.take_error(), Ok(None))
    }

    /// Reads all that is still to come; `false` when it does not end.
    pub(super) fn drain(&mut self) -> bool {
        if self.stream.set_nonblocking(false).is_err() {
            return true;
        }
        let heard = client::listen(&mut self.stream);
        self.heard.extend_from_slice(&heard.bytes);
        heard.end != client::End::Open
    }
}

/// Lets every member act, ten times a second, until all of them are gone or `limit` has
/// passed. `act` says whether the member is still there.
pub(super) fn linger(
    members: &mut [Member],
    limit: Duration,
    mut act: impl FnMut(usize, &mut Member) -> bool,
) {
    let begun = Instant::now();
    while begun.elapsed() < limit && members.iter().any(|member| member.gone.is_none()) {
        for (number, member) in members.iter_mut().enumerate() {
            if member.gone.is_none() && !act(number, member) {
                member.gone = Some(begun.elapsed());
            }
        }
        thread::sleep(TICK);
    }
}

/// How long a fresh client waits for a file, at most `limit`.
pub(super) fn fresh_client(
    address: SocketAddr,
    limit: Duration,
) -> Result<Duration, String> {
    let begun = Instant::now();
    let mut stream =
        client::open(address).map_err(|why| format!("a fresh client: {why}"))?;
    stream.set_read_timeout(Some(limit)).map_err(|error| error.to_string())?;
    client::send(
        &mut stream,
        b"GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )?;
    let response = client::listen(&mut stream)
        .response()
        .map_err(|why| format!("a fresh client: {why}"))?;
    if response.status != 200 || response.body != SMALL.as_bytes() {
        return Err(format!("a fresh client is answered {}", response.status));
    }
    Ok(begun.elapsed())
}

/// The verdict about a model that has a limited number of places: measured is how long a
/// fresh client waited while all were taken.
pub(super) fn measured(
    model: &Model,
    report: Report,
    waits: &[(&str, Duration)],
) -> Report {
    if waits.is_empty() {
        return report;
    }
    let note = match model.at_once {
        1 => "nobody else is served until the deadline of the one client has passed".into(),
        places => format!(
            "once {places} such clients are there, nobody else is served until a deadline has passed"
        ),
    };
    let waits: Vec<String> = waits
        .iter()
        .map(|(what, time)| format!("{:.1} s behind {what}", time.as_secs_f64()))
        .collect();
    let measured = format!("a fresh client waited {}", waits.join(", "));
    Report { verdict: Verdict::Measured, note, measured, ..report }
}
