//! Row 13: half-close. A client that shuts down its sending side after the request still
//! gets all of the response.

use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use crate::client::{End, exchange_and_shut, listen, open, send};
use crate::model::Model;
use crate::report::{Report, Tally};
use crate::root::SMALL;
use crate::server::Server;

/// What is asked before the FIN, and the statuses of what must come back.
static TABLE: &[(&str, &[u8], &[u16])] = &[
    ("a file", b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", &[200]),
    ("a file, in 1.0", b"GET /small.txt HTTP/1.0\r\n\r\n", &[200]),
    ("a range", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=2-6\r\n\r\n", &[206]),
    ("what is not there", b"GET /missing HTTP/1.1\r\nHost: a\r\n\r\n", &[404]),
    ("the guestbook", b"GET /guestbook HTTP/1.1\r\nHost: a\r\n\r\n", &[200]),
    (
        "a remark",
        b"POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
          Content-Length: 8\r\n\r\nremark=x",
        &[303],
    ),
    (
        "a remark in chunks",
        b"POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
          Transfer-Encoding: chunked\r\n\r\n8\r\nremark=x\r\n0\r\n\r\n",
        &[303],
    ),
    ("a malformed request", b"GET / HTTP/1.1\r\nbad header\r\n\r\n", &[400]),
];

/// Ends too early to be answered with success.
static TOO_EARLY: &[(&str, &[u8])] = &[
    ("no request", b""),
    ("half a request line", b"GET /sma"),
    ("half a head", b"GET /small.txt HTTP/1.1\r\nHost: a\r\n"),
    ("half a body", b"POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nrem"),
    ("half a chunk", b"POST /guestbook HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nrem"),
];

/// The tables, 10 MB, and a pipeline where connections are kept alive.
pub fn run(model: &Model) -> Result<Report, String> {
    let server = Server::start(model, &["--store-delay", "20"])?;
    let big = server.root.write_big().map_err(|error| format!("big.bin: {error}"))?;
    let mut tally = Tally::of(model);
    for (name, request, statuses) in TABLE {
        for (pause, label) in [(0, "at once"), (20, "a moment later")] {
            tally.case(format!("{name}, shut {label}"), || {
                answered(&server, request, pause, statuses)
            });
        }
    }
    for (name, request) in TOO_EARLY {
        tally.case(*name, || not_served(&server, request));
    }
    tally.case("10 MB", || {
        let heard =
            exchange_and_shut(server.address, b"GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n")?;
        if heard.response()?.body == big {
            Ok(())
        } else {
            Err("not the bytes of the file".into())
        }
    });
    if model.keep_alive {
        let pipeline = b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3);
        tally.case("three requests, pipelined", || {
            answered(&server, &pipeline, 0, &[200, 200, 200])
        });
    } else {
        // Counted everywhere, so that all servers have the same number of cases.
        tally.case("a second request is not answered", || {
            answered(&server, &TABLE[0].1.repeat(3), 0, &[200])
        });
    }
    server.conclude(tally)
}

fn answered(
    server: &Server,
    request: &[u8],
    pause: u64,
    statuses: &[u16],
) -> Result<(), String> {
    let mut stream = open(server.address)?;
    send(&mut stream, request)?;
    thread::sleep(Duration::from_millis(pause));
    // The server may have closed by now.
    let _ = stream.shutdown(Shutdown::Write);
    let heard = listen(&mut stream);
    let all = heard.responses(&[])?;
    let seen: Vec<u16> = all.iter().map(|response| response.status).collect();
    match all.iter().find(|response| !response.whole) {
        _ if heard.end != End::Closed => {
            Err(format!("the connection is {:?} after {seen:?}", heard.end))
        }
        Some(half) => Err(format!("{} bytes of content, and no more", half.body.len())),
        None if seen != statuses => {
            Err(format!("answered {seen:?} instead of {statuses:?}"))
        }
        None if statuses[0] == 200
            && request.starts_with(TABLE[0].1)
            && all[0].body != SMALL.as_bytes() =>
        {
            Err("not the content of the file".into())
        }
        None => Ok(()),
    }
}

fn not_served(server: &Server, request: &[u8]) -> Result<(), String> {
    let heard = exchange_and_shut(server.address, request)?;
    if heard.end == End::Open {
        return Err("the connection stays open".into());
    }
    match heard.responses(&[])?.iter().find(|response| response.status < 400) {
        Some(response) => Err(format!("answered {}", response.status)),
        None => Ok(()),
    }
}
