//! What rows 11 and 12 share: a crowd of clients that hold a server up, and a fresh client
//! that wants to be served.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
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

/// Descriptors that a server needs for other things than clients.
const OTHERS: usize = 124;

/// How many drip at the same time.
pub(super) fn dripping(model: &Model) -> usize {
    if model.event_loop { 1000 } else { repeats(30, 1000) }
}

/// How many clients this process has descriptors for, with as many crowds at a time as rows
/// 11 and 12 have.
pub(super) fn descriptors_for_clients() -> usize {
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(300) / 3
}

/// How many slow readers there are. What the kernel has taken for each of them, 2 MB, is in
/// its own memory, of which TCP gets a limited part: so many that it does not run short
/// (`tcp_mem` in tcp(7), in pages).
pub(super) fn reading_slowly(model: &Model) -> usize {
    const PAGES_EACH: usize = 512;
    let limits = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_mem").unwrap_or_default();
    let low = limits.split_whitespace().next().and_then(|pages| pages.parse().ok());
    let room = low.map_or(usize::MAX, |pages: usize| pages / PAGES_EACH);
    repeats(if model.event_loop { 100 } else { 30 }, 1000).min(room)
}

/// The crowds to try a model with, of `most` clients where it has places for more.
pub(super) fn sizes(model: &Model, most: usize) -> Vec<Size> {
    let mut sizes = Vec::new();
    if model.at_once > 1 {
        let places = model.at_once.min(model.descriptors - OTHERS + 1);
        sizes.push(Size::Part(most.min(places - 1).min(descriptors_for_clients())));
    }
    if model.at_once <= most.max(100) {
        sizes.push(Size::All(model.at_once));
    }
    sizes
}

/// How large the crowds of an event loop are, of which `wanted` clients were to be there.
pub(super) fn how_many(model: &Model, sizes: &[Size], wanted: usize) -> String {
    match (sizes.iter().map(|size| size.clients()).max().unwrap_or(0), model.descriptors) {
        (clients, _) if clients >= wanted => format!("{clients} clients"),
        (clients, usize::MAX) => {
            format!("{clients} clients, as many as this machine bears")
        }
        (clients, most) => format!("{clients} clients, since it has {most} descriptors"),
    }
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

/// The others: a fresh client who wants a file, while a crowd is there. As long as places
/// are left, one after another.
#[derive(Debug)]
pub(super) struct Others {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<Waits, String>>,
}

/// How the others fared.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waits {
    /// How many there were.
    pub clients: usize,
    /// How long the slowest answer took.
    pub slowest: Duration,
}

impl Others {
    /// They begin to ask; each waits at most `limit`.
    pub(super) fn begin(address: SocketAddr, size: Size, limit: Duration) -> Self {
        let over = Arc::new(AtomicBool::new(matches!(size, Size::All(_))));
        let end = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let mut waits = Waits::default();
            while waits.clients == 0 || !end.load(Ordering::Relaxed) {
                waits.slowest = fresh_client(address, limit)?.max(waits.slowest);
                waits.clients += 1;
                thread::sleep(TICK);
            }
            Ok(waits)
        });
        Self { over, thread }
    }

    /// They come no more.
    pub(super) fn end(self) -> Result<Waits, String> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|_| Err("the fresh client panicked".into()))
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

/// What is said of the others while places are left.
pub(super) fn served(waits: Waits, what: &str) -> String {
    let Waits { clients, slowest } = waits;
    let milliseconds = slowest.as_millis();
    format!("{clients} files were served beside {what}, the slowest in {milliseconds} ms")
}

/// The verdict about a model that has a limited number of places: measured is how long a
/// fresh client waited while all were taken.
pub(super) fn measured(
    model: &Model,
    report: Report,
    waits: &[(String, Duration)],
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
