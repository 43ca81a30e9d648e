//! Row 28: a greedy client asks, uploads or reads as fast as it can, and never stops. The
//! others are served while it goes on.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::side_by_side::Cases;
use crate::client::{eventually, get, open};
use crate::model::Model;
use crate::patience::patience;
use crate::report::{Report, Tally, repeats};
use crate::root::SMALL;
use crate::server::Server;

/// A greedy client, and what it sends without a pause.
struct Greed {
    name: &'static str,
    request: fn() -> Vec<u8>,
}

static TABLE: &[Greed] = &[
    Greed {
        name: "asks for a small file",
        request: || b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n".repeat(500),
    },
    Greed {
        name: "asks for 10 MB",
        request: || b"GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n".repeat(10),
    },
    Greed {
        name: "asks for the page",
        request: || b"GET /guestbook HTTP/1.1\r\nHost: a\r\n\r\n".repeat(500),
    },
    Greed { name: "uploads", request: uploads },
];

/// Bodies of the largest size that is read, in a type that is then refused.
fn uploads() -> Vec<u8> {
    let mut bytes =
        b"POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n".to_vec();
    bytes.resize(bytes.len() + 65_536, b'x');
    bytes.repeat(8)
}

/// What one kind of greed costs the others.
struct Cost {
    slowest: Duration,
    /// What the greedy ones received meanwhile, in MB.
    megabytes: f64,
}

/// Each kind of greed, with others beside it.
pub fn run(model: &Model) -> Result<Report, String> {
    let mut cases = Cases::new();
    for greed in TABLE {
        cases.add(greed.name, move || beside(model, greed));
    }
    let mut tally = Tally::of(model);
    let mut slowest = Duration::ZERO;
    let mut taken = 0.0;
    for (name, outcome) in cases.run() {
        tally.case(format!("a client {name}"), || {
            let cost = outcome?;
            slowest = slowest.max(cost.slowest);
            taken += cost.megabytes;
            Ok(())
        });
    }
    let mut report = tally.report()?;
    report.measured = format!(
        "the slowest of the others waited {} ms, while {taken:.0} MB went to the greedy",
        slowest.as_millis()
    );
    Ok(report)
}

/// The greedy ones go on until the others have been served; these need no luck for it, and
/// each has the patience of the suite.
fn beside(model: &Model, greed: &Greed) -> Result<Cost, String> {
    // One connection after another, where a server closes: each may hold up the others for
    // as long as it reads on.
    let (greedy, others, times) = match model.at_once {
        1 => (1, 2, 2),
        _ => (2, 4, repeats(5, 50)),
    };
    let server = Server::start(model, &[])?;
    server.root.write_big().map_err(|error| format!("big.bin: {error}"))?;
    let (over, taken, request) =
        (AtomicBool::new(false), AtomicU64::new(0), (greed.request)());
    let slowest = thread::scope(|scope| {
        for _ in 0..greedy {
            scope.spawn(|| be_greedy(server.address, &request, &over, &taken));
        }
        let outcome = begun(&taken).and_then(|()| {
            let each: Vec<_> = (0..others)
                .map(|_| scope.spawn(|| be_patient(server.address, times)))
                .collect();
            each.into_iter().try_fold(Duration::ZERO, |slowest, client| {
                let waited = client.join().map_err(|_| "a client panicked")??;
                Ok(slowest.max(waited))
            })
        });
        over.store(true, Ordering::Relaxed);
        outcome
    })?;
    let megabytes = taken.load(Ordering::Relaxed) as f64 / 1e6;
    server.finish()?;
    Ok(Cost { slowest, megabytes })
}

/// Waits until a greedy client has had something.
fn begun(taken: &AtomicU64) -> Result<(), String> {
    eventually(patience(), || match taken.load(Ordering::Relaxed) {
        0 => Err("the greedy client itself is not served".into()),
        _ => Ok(()),
    })
}

/// Writes without a pause, reads without a pause, and comes back at once when the connection
/// is closed.
fn be_greedy(address: SocketAddr, request: &[u8], over: &AtomicBool, taken: &AtomicU64) {
    while !over.load(Ordering::Relaxed) {
        let Ok(stream) = open(address) else { continue };
        // Short limits, to see when it is over.
        let limit = Some(Duration::from_millis(50));
        if stream.set_read_timeout(limit).and(stream.set_write_timeout(limit)).is_err() {
            return;
        }
        thread::scope(|scope| {
            scope.spawn(|| pour(&stream, request, over));
            take(&stream, over, taken);
            // Whoever writes still is told.
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
}

/// Writes the request again and again, until the server takes no more.
fn pour(mut stream: &TcpStream, request: &[u8], over: &AtomicBool) {
    let mut at = 0;
    while !over.load(Ordering::Relaxed) {
        match stream.write(&request[at..]) {
            Ok(n) => at = (at + n) % request.len(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// Reads until the end.
fn take(mut stream: &TcpStream, over: &AtomicBool, taken: &AtomicU64) {
    let mut buffer = vec![0; 256 * 1024];
    while !over.load(Ordering::Relaxed) {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => {
                taken.fetch_add(n as u64, Ordering::Relaxed);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// An ordinary client, on a connection of its own for each file; returns its longest wait.
fn be_patient(address: SocketAddr, times: usize) -> Result<Duration, String> {
    let mut slowest = Duration::ZERO;
    for time in 0..times {
        let begun = Instant::now();
        let response = get(address, "/small.txt").map_err(|why| {
            format!("another client is not served the {time}th time: {why}")
        })?;
        if response.body != SMALL.as_bytes() {
            return Err(format!("another client is answered {}", response.status));
        }
        slowest = slowest.max(begun.elapsed());
    }
    Ok(slowest)
}
