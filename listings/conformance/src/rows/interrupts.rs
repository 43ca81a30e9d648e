//! Row 7: calls that return early. EINTR, EAGAIN, short reads and short writes: every
//! request is answered right all the same.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::Signal;

use crate::client::{self, End, Heard, open, open_small};
use crate::fake_store::{FakeStore, Mood};
use crate::model::Model;
use crate::process;
use crate::random::Random;
use crate::report::{Report, Tally};
use crate::root::SMALL;
use crate::server::Server;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Small,
    Head,
    Range,
    /// 5,000,003 bytes, more than the kernel buffers.
    Large,
    Missing,
    Page,
    Remark,
    RemarkInChunks,
    /// Three requests at once.
    Pipeline,
}

static KINDS: &[(&str, Kind)] = &[
    ("a file", Kind::Small),
    ("a HEAD", Kind::Head),
    ("a range", Kind::Range),
    ("a large file", Kind::Large),
    ("what is not there", Kind::Missing),
    ("the guestbook", Kind::Page),
    ("a remark", Kind::Remark),
    ("a remark in chunks", Kind::RemarkInChunks),
    ("three requests, pipelined", Kind::Pipeline),
];

/// How a client sends and reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    AtOnce,
    /// Three bytes at a time.
    InPieces,
    /// Into a receive buffer of 4 KiB, in portions of 1 to 2,000 bytes.
    OddPortions,
}

/// What the clients of one server know.
struct Bench {
    server: Server,
    store: FakeStore,
    large: Vec<u8>,
    keep_alive: bool,
}

/// The first tier: every kind in every manner, undisturbed and while the server is stopped
/// and continued some hundred times a second. A call on a socket that has a time limit then
/// fails with EINTR, or returns with a part of what was to be sent (signal(7), "Interruption
/// of system calls and library functions by stop signals").
pub fn run(model: &Model) -> Result<Report, String> {
    let bench = Bench::start(model, &[])?;
    // Time to be stopped while the server waits for a reply.
    bench.store.turn(Mood::Late(10));
    let mut tally = Tally::of(model);
    for stopped in [false, true] {
        for (manner, how) in [
            (Manner::AtOnce, "at once"),
            (Manner::InPieces, "in pieces"),
            (Manner::OddPortions, "read in odd portions"),
        ] {
            let label = if stopped { ", stopped and continued" } else { "" };
            let pauses = stopped.then(|| Pauses::begin(bench.server.pid()));
            for (name, kind) in KINDS {
                tally.case(format!("{name}, {how}{label}"), || bench.ask(*kind, manner));
            }
            drop(pauses);
        }
    }
    bench.server.conclude(tally)
}

/// What the kernel is made to say instead of doing the call: strace's `-e inject`. A `?`
/// stands before calls that some architectures do not have. Offsets spare the dynamic
/// linker, which gives up.
static INJECTED: &[(&str, &str, &str)] = &[
    ("EINTR in every second receive", "recvfrom,recvmsg", "error=EINTR:when=1+2"),
    ("EINTR in every second send", "sendto,sendmsg", "error=EINTR:when=1+2"),
    ("EINTR in every third read at an offset", "pread64", "error=EINTR:when=9+3"),
    ("EINTR in every second sendfile", "?sendfile,?sendfile64", "error=EINTR:when=1+2"),
    ("EINTR in every second wait for descriptors", WAITS, "error=EINTR:when=1+2"),
    ("EINTR in every second wait for children", "wait4,waitid", "error=EINTR:when=1+2"),
    ("EINTR in every second openat2", "openat2", "error=EINTR:when=2+2"),
    ("EAGAIN in every second openat2", "openat2", "error=EAGAIN:when=2+2"),
    ("EINTR in every second sleep", "?nanosleep,clock_nanosleep", "error=EINTR:when=1+2"),
];

/// A blocking client of a store takes EAGAIN for what it is there, the end of its time: so
/// these are tried on files, and on all kinds where nothing blocks. Who waits for edges is
/// spared: after an EAGAIN that the kernel does not mean, no edge comes.
static INJECTED_UNLESS_IT_BLOCKS: &[(&str, &str, &str)] = &[
    ("EAGAIN in every second receive", "recvfrom,recvmsg", "error=EAGAIN:when=1+2"),
    ("EAGAIN in every second send", "sendto,sendmsg", "error=EAGAIN:when=1+2"),
    ("EAGAIN in every second sendfile", "?sendfile,?sendfile64", "error=EAGAIN:when=1+2"),
];

const WAITS: &str = "?poll,ppoll,?select,pselect6,?epoll_wait,epoll_pwait,?epoll_pwait2";

/// The second tier: errors that need strace. `strace` is the path of the program.
pub fn injected(model: &Model, strace: &str) -> Result<Report, String> {
    let mut tally = Tally::of(model);
    for (name, calls, fault) in INJECTED {
        tally.case(*name, || under(model, strace, (calls, fault), KINDS));
    }
    if !model.form.contains(&"--edge-triggered") {
        let kinds = if model.event_loop { KINDS } else { &KINDS[..5] };
        for (name, calls, fault) in INJECTED_UNLESS_IT_BLOCKS {
            tally.case(*name, || under(model, strace, (calls, fault), kinds));
        }
    }
    tally.report()
}

fn under(
    model: &Model,
    strace: &str,
    (calls, fault): (&str, &str),
    kinds: &[(&str, Kind)],
) -> Result<(), String> {
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:{fault}"));
    // -D: the server is our child, and strace its shadow.
    let wrapper =
        [strace, "-D", "-f", "-qqq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let bench = Bench::start(model, &wrapper)?;
    for (name, kind) in kinds {
        bench.ask(*kind, Manner::AtOnce).map_err(|why| format!("{name}: {why}"))?;
    }
    bench.server.stop()
}

impl Bench {
    fn start(model: &Model, wrapper: &[&str]) -> Result<Self, String> {
        // A store in this process, so that all of the server's processes are ones that
        // serve.
        let store = FakeStore::start().map_err(|error| format!("fake store: {error}"))?;
        let flags = ["--store", &store.url()];
        let server = match wrapper {
            [] => Server::start(model, &flags)?,
            // Its first request is one of ours.
            wrapper => Server::launch(model, wrapper, &flags, |_| {})?,
        };
        let mut large =
            server.root.write_big().map_err(|error| format!("big.bin: {error}"))?;
        large.truncate(5_000_003);
        server
            .root
            .write("large.bin", &large)
            .map_err(|error| format!("large.bin: {error}"))?;
        Ok(Self { server, store, large, keep_alive: model.keep_alive })
    }

    fn ask(&self, kind: Kind, manner: Manner) -> Result<(), String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // The dot ends the number, so that no remark is the beginning of another.
        let remark = format!("heard-once-{}.", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut stream = match manner {
            Manner::OddPortions => open_small(self.server.address, 4096)?,
            _ => open(self.server.address)?,
        };
        let request = request(kind, &remark);
        send(&mut stream, request.as_bytes(), manner)?;
        let heard = listen(&mut stream, manner);
        if heard.end != End::Closed {
            let bytes = heard.bytes.len();
            return Err(format!("the connection is {:?} after {bytes} bytes", heard.end));
        }
        self.check(kind, &heard, &remark)
    }

    fn check(&self, kind: Kind, heard: &Heard, remark: &str) -> Result<(), String> {
        let all = heard.responses(&[matches!(kind, Kind::Head)])?;
        let statuses: Vec<u16> = all.iter().map(|response| response.status).collect();
        let body = all.first().map(|first| first.body.as_slice()).unwrap_or_default();
        let (expected, content): (&[u16], Option<&[u8]>) = match kind {
            Kind::Small => (&[200], Some(SMALL.as_bytes())),
            Kind::Head => (&[200], Some(&[])),
            Kind::Range => (&[206], Some(&self.large[777..=99_999])),
            Kind::Large => (&[200], Some(&self.large)),
            Kind::Missing => (&[404], None),
            Kind::Page => (&[200], None),
            Kind::Remark | Kind::RemarkInChunks => (&[303], None),
            Kind::Pipeline if self.keep_alive => (&[200, 206, 404], Some(SMALL.as_bytes())),
            Kind::Pipeline => (&[200], Some(SMALL.as_bytes())),
        };
        if statuses != expected {
            return Err(format!("answered {statuses:?} instead of {expected:?}"));
        }
        if all.iter().any(|response| !response.whole) {
            return Err(format!("half a response, {} bytes of content", body.len()));
        }
        if content.is_some_and(|content| content != body) {
            return Err(format!("{} bytes of content, and not the right ones", body.len()));
        }
        match (kind, self.store.times_heard(remark)) {
            (Kind::Remark | Kind::RemarkInChunks, 1) => Ok(()),
            (Kind::Remark | Kind::RemarkInChunks, times) => {
                Err(format!("the store heard the remark {times} times"))
            }
            _ => Ok(()),
        }
    }
}

fn request(kind: Kind, remark: &str) -> String {
    const END: &str = "Host: a\r\nConnection: close\r\n\r\n";
    const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
    let form = format!("remark={remark}");
    match kind {
        Kind::Small => format!("GET /small.txt HTTP/1.1\r\n{END}"),
        Kind::Head => format!("HEAD /small.txt HTTP/1.1\r\n{END}"),
        Kind::Range => {
            format!("GET /large.bin HTTP/1.1\r\nRange: bytes=777-99999\r\n{END}")
        }
        Kind::Large => format!("GET /large.bin HTTP/1.1\r\n{END}"),
        Kind::Missing => format!("GET /missing HTTP/1.1\r\n{END}"),
        Kind::Page => format!("GET /guestbook HTTP/1.1\r\n{END}"),
        Kind::Remark => {
            let length = form.len();
            format!(
                "POST /guestbook HTTP/1.1\r\n{FORM}Content-Length: {length}\r\n{END}{form}"
            )
        }
        Kind::RemarkInChunks => {
            let (first, rest) = form.split_at(5);
            format!(
                "POST /guestbook HTTP/1.1\r\n{FORM}Transfer-Encoding: chunked\r\n{END}\
                 5\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n",
                rest.len()
            )
        }
        Kind::Pipeline => format!(
            "GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n\
             GET /large.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=777-99999\r\n\r\n\
             GET /missing HTTP/1.1\r\n{END}"
        ),
    }
}

fn send(stream: &mut TcpStream, bytes: &[u8], manner: Manner) -> Result<(), String> {
    if manner != Manner::InPieces {
        return client::send(stream, bytes);
    }
    for piece in bytes.chunks(3) {
        client::send(stream, piece)?;
        thread::sleep(Duration::from_micros(300));
    }
    Ok(())
}

fn listen(stream: &mut TcpStream, manner: Manner) -> Heard {
    if manner != Manner::OddPortions {
        return client::listen(stream);
    }
    let (mut bytes, mut random) = (Vec::new(), Random::new(7));
    let mut buffer = [0; 2000];
    loop {
        let portion = 1 + random.below(buffer.len());
        match stream.read(&mut buffer[..portion]) {
            Ok(0) => return Heard { bytes, end: End::Closed },
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Heard { bytes, end: End::Open };
            }
            Err(_) => return Heard { bytes, end: End::Reset },
        }
        if random.below(40) == 0 {
            thread::sleep(Duration::from_micros(500));
        }
    }
}

/// Stops all processes of a server and lets them go on, again and again until dropped.
struct Pauses {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pauses {
    fn begin(root: u32) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let thread = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let all = process::tree(root);
                for signal in [Signal::STOP, Signal::CONT] {
                    for process in &all {
                        // It may have served its client and ended.
                        let _ = process::signal(process.pid, signal);
                    }
                    thread::sleep(Duration::from_millis(1));
                }
            }
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Pauses {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It cannot panic, and whether it did does not matter.
            let _ = thread.join();
        }
    }
}
