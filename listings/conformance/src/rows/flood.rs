//! Row 14: the pipelining flood. A client sends 10,000 requests and reads nothing: what the
//! server keeps for it is bounded, and nobody else suffers longer than a deadline.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{exchange, open, reset};
use crate::model::Model;
use crate::patience::patience;
use crate::process::Watch;
use crate::report::{Report, Tally, Verdict};
use crate::server::Server;

/// Requests of one flood.
const REQUESTS: usize = 10_000;
/// How much memory a flood may cost a process of the server, in KiB.
const GROWTH: u64 = 8 * 1024;
/// For how long a flood goes on when its bytes are no longer taken.
const FLOOD: Duration = Duration::from_millis(300);

static FLOODS: &[(&str, &[u8])] = &[
    ("of a small file", b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("of 10 MB", b"GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("of the guestbook", b"GET /guestbook HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("of what is not there", b"GET /missing HTTP/1.1\r\nHost: a\r\n\r\n"),
    (
        "of remarks",
        b"POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
          Content-Length: 8\r\n\r\nremark=x",
    ),
];

/// Each flood, a fresh client during one, and a flood that is read after all.
pub fn run(model: &Model) -> Result<Report, String> {
    let server = Server::start(model, &[])?;
    server.root.write_big().map_err(|error| format!("big.bin: {error}"))?;
    let mut tally = Tally::of(model);
    for (name, request) in FLOODS {
        tally.case(format!("a flood {name}"), || flood(&server, model, request));
    }
    let mut waited = Duration::ZERO;
    tally.case("a fresh client during a flood", || {
        during_a_flood(&server).map(|time| waited = time)
    });
    tally.case("a flood that is read in the end", || read_in_the_end(&server, model));
    let mut report = server.conclude(tally)?;
    if !model.keep_alive {
        report.note = "answers one request and closes".into();
    }
    if model.at_once == 1 {
        report.verdict = Verdict::Measured;
        report.note +=
            "; nobody else is served until the flooder has left or a deadline has passed";
        report.measured = format!("a fresh client waited {:.1} s", waited.as_secs_f64());
    }
    Ok(report)
}

/// Floods the server and leaves. A server of many clients serves a fresh one in the
/// meantime.
fn flood(server: &Server, model: &Model, request: &[u8]) -> Result<(), String> {
    let watch = Watch::begin(server.pid());
    let stream = open(server.address)?;
    write_without_reading(&stream, &request.repeat(REQUESTS));
    if model.at_once > 1 {
        fresh_client(server)?;
    }
    reset(stream)?;
    fresh_client(server)?;
    match watch.grown() {
        growth if growth > GROWTH => Err(format!("memory grew by {growth} KiB")),
        _ => Ok(()),
    }
}

/// How long a fresh client waits while a flooder stays, without reading and without
/// leaving.
fn during_a_flood(server: &Server) -> Result<Duration, String> {
    let stream = open(server.address)?;
    write_without_reading(&stream, &FLOODS[0].1.repeat(REQUESTS));
    let waited = fresh_client(server)?;
    drop(stream);
    Ok(waited)
}

fn fresh_client(server: &Server) -> Result<Duration, String> {
    let begun = Instant::now();
    let response = crate::client::get(server.address, "/small.txt")
        .map_err(|why| format!("a fresh client: {why}"))?;
    match response.status {
        200 => Ok(begun.elapsed()),
        status => Err(format!("a fresh client is answered {status}")),
    }
}

/// Writes until all is taken, or for [`FLOOD`]. An error means that the server has had
/// enough, which is its right.
fn write_without_reading(stream: &TcpStream, bytes: &[u8]) {
    let begun = Instant::now();
    let mut written = 0;
    if stream.set_nonblocking(true).is_err() {
        return;
    }
    while written < bytes.len() && begun.elapsed() < FLOOD {
        match (&mut &*stream).write(&bytes[written..]) {
            Ok(n) => written += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(_) => return,
        }
    }
    thread::sleep(FLOOD.saturating_sub(begun.elapsed()));
}

/// Requests that pile up are answered in their order once the client reads: all of them, or
/// the first by a server that closes.
fn read_in_the_end(server: &Server, model: &Model) -> Result<(), String> {
    let count = 500;
    let mut bytes = FLOODS[0].1.repeat(count);
    bytes.extend_from_slice(
        b"GET /missing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    let begun = Instant::now();
    let all = exchange(server.address, &bytes)?.responses(&[])?;
    let statuses: Vec<u16> = all.iter().map(|response| response.status).collect();
    let mut expected = vec![200; count];
    expected.push(404);
    match model.keep_alive {
        _ if begun.elapsed() > patience() => Err("it takes too long".into()),
        true if statuses != expected => {
            Err(format!("{} responses instead of {}", statuses.len(), expected.len()))
        }
        false if statuses != [200] => {
            Err(format!("{} responses instead of one", statuses.len()))
        }
        _ => Ok(()),
    }
}
