//! Row 2: byte splits. Wherever the network cuts what a client sends, the same bytes come
//! back.
//!
//! Every cut and every pair of cuts is tried in process, in the tests of `http1` and
//! `guestbook`. Here a sample goes over sockets, where the cut shows as two reads.

use std::thread;
use std::time::Duration;

use crate::client::{self, End};
use crate::model::Model;
use crate::random::Random;
use crate::report::{Report, Tally, repeats};
use crate::response::excerpt;
use crate::server::Server;

/// Requests of every kind whose response does not change from one time to the next.
static REQUESTS: &[(&str, &[u8])] = &[
    (
        "a GET with a range",
        b"GET /small.txt?a=b HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: splits\r\nRange: bytes=2-6\r\n\r\n",
    ),
    ("a HEAD", b"HEAD /sub/ HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n"),
    (
        "a form by its length",
        b"POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
          Content-Length: 15\r\n\r\nremark=in+parts",
    ),
    (
        "a form in chunks",
        b"POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
          Transfer-Encoding: chunked\r\n\r\n7\r\nremark=\r\n8;x=\"y\"\r\nin+parts\r\n0\r\nX: y\r\n\r\n",
    ),
    ("what is not there", b"GET /missing HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a malformed request", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n"),
];

/// Ends a stream on a connection that would stay open. A FIN would do as well, but whether
/// the server has seen it when it answers is a race, and shows in `Connection: close`.
const LAST: &[u8] = b"GET /missing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// Each request alone, and for servers with keep-alive all of them in one pipelined stream,
/// cut in places of which a sample is tried, and byte by byte.
pub fn run(model: &Model) -> Result<Report, String> {
    let server = Server::start(model, &[])?;
    let mut tally = Tally::of(model);
    let mut streams: Vec<(&str, Vec<u8>)> =
        REQUESTS.iter().map(|(name, bytes)| (*name, bytes.to_vec())).collect();
    if model.keep_alive {
        streams.push((
            "all of them, pipelined",
            REQUESTS.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect(),
        ));
        for (_, bytes) in &mut streams {
            bytes.extend_from_slice(LAST);
        }
    }
    let mut random = Random::new(2);
    for (name, bytes) in &streams {
        let whole = said(&server, bytes, &[]).map_err(|why| format!("{name}: {why}"))?;
        let mut compare = |label: String, cuts: &[usize]| {
            tally.case(label, || match said(&server, bytes, cuts)? {
                split if split == whole => Ok(()),
                split => Err(format!("{} instead of {}", excerpt(&split), excerpt(&whole))),
            });
        };
        for _ in 0..repeats(60, 600).min(bytes.len() - 1) {
            let cut = 1 + random.below(bytes.len() - 1);
            compare(format!("{name}, cut at {cut}"), &[cut]);
        }
        for _ in 0..repeats(10, 200) {
            let mut cuts =
                [1 + random.below(bytes.len() - 1), 1 + random.below(bytes.len() - 1)];
            cuts.sort_unstable();
            compare(format!("{name}, cut at {cuts:?}"), &cuts);
        }
        let all: Vec<usize> = (1..bytes.len()).collect();
        compare(format!("{name}, byte by byte"), &all);
    }
    server.conclude(tally)
}

/// What the server says to `bytes` cut at `cuts`, with a pause at each cut. Without the
/// Date, which is the time's.
fn said(server: &Server, bytes: &[u8], cuts: &[usize]) -> Result<Vec<u8>, String> {
    let mut stream = client::open(server.address)?;
    let mut from = 0;
    for cut in cuts.iter().copied().chain([bytes.len()]) {
        client::send(&mut stream, &bytes[from..cut])?;
        from = cut;
        if cut < bytes.len() {
            // Long enough for a server that waits in read(2) to return from it.
            thread::sleep(Duration::from_micros(if cuts.len() > 2 { 200 } else { 1500 }));
        }
    }
    let heard = client::listen(&mut stream);
    if heard.end == End::Open {
        return Err(format!("the connection stays open after {}", excerpt(&heard.bytes)));
    }
    Ok(without_dates(&heard.bytes))
}

fn without_dates(bytes: &[u8]) -> Vec<u8> {
    let text = bytes.split_inclusive(|b| *b == b'\n');
    text.filter(|line| {
        !line.get(..5).is_some_and(|name| name.eq_ignore_ascii_case(b"Date:"))
    })
    .flatten()
    .copied()
    .collect()
}
