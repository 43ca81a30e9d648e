//! Row 27: refusals are read. A server that has heard enough of a request answers while the
//! client is still sending. If it closed then, the kernel would answer the rest with a
//! reset, and the reset would overtake the response (RFC 9112 section 9.6).

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{End, listen, open};
use crate::model::Model;
use crate::report::{Report, Tally, repeats};
use crate::response::excerpt;
use crate::server::Server;

/// What a client sends that is refused after its first kilobytes, and the status.
struct Refusal {
    name: &'static str,
    /// The head; most content is never looked at.
    head: &'static str,
    /// What follows, again and again, up to 1 MiB.
    filling: &'static str,
    status: &'static [u16],
}

static TABLE: &[Refusal] = &[
    Refusal {
        name: "431: a field of 1 MiB",
        head: "GET / HTTP/1.1\r\nHost: a\r\nX: ",
        filling: "x",
        status: &[431],
    },
    Refusal {
        name: "431: fields of 1 MiB",
        head: "GET / HTTP/1.1\r\nHost: a\r\n",
        filling: "X: y\r\n",
        status: &[431],
    },
    Refusal {
        name: "431: a target of 1 MiB",
        head: "GET /",
        filling: "x",
        status: &[414, 431],
    },
    Refusal {
        name: "413: a body of 1 MiB",
        head: "POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n",
        filling: "x",
        status: &[413],
    },
    Refusal {
        name: "413: chunks of 1 MiB",
        head: "POST /guestbook HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        filling: "8\r\nremark=x\r\n",
        status: &[413],
    },
    Refusal {
        name: "413: one chunk of 1 MiB",
        head: "POST /guestbook HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n",
        filling: "x",
        status: &[413],
    },
    Refusal {
        name: "413: 1 MiB to a file",
        head: "POST /small.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n",
        filling: "x",
        status: &[405, 413],
    },
    Refusal {
        name: "400: no Host, and much after it",
        head: "GET / HTTP/1.1\r\n\r\n",
        filling: "x",
        status: &[400],
    },
    Refusal {
        name: "400: two lengths, and much after them",
        head: "POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\nContent-Length: 9\r\n\r\n",
        filling: "x",
        status: &[400],
    },
    Refusal {
        name: "400: a chunk that is none",
        head: "POST /guestbook HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        filling: "x",
        status: &[400],
    },
    Refusal {
        name: "501: a coding that we do not know",
        head: "POST /guestbook HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        filling: "x",
        status: &[400, 501],
    },
    Refusal {
        name: "505: another version",
        head: "GET / HTTP/2.0\r\n\r\n",
        filling: "x",
        status: &[505],
    },
    Refusal {
        name: "200: a response that closes, and much after it",
        head: "GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        filling: "x",
        status: &[200],
    },
];

/// How a client sends its 1 MiB.
static MANNERS: &[(&str, usize, Duration)] = &[
    ("at once", 1024 * 1024, Duration::ZERO),
    ("in pieces of 16 KiB", 16 * 1024, Duration::from_micros(500)),
    ("slowly", 64 * 1024, Duration::from_millis(4)),
];

/// Each refusal, to a client that reads only when it has sent everything.
pub fn run(model: &Model) -> Result<Report, String> {
    let server = Server::start(model, &[])?;
    let mut tally = Tally::of(model);
    for refusal in TABLE {
        for (manner, piece, pause) in MANNERS {
            let outcome = || {
                (0..repeats(1, 100))
                    .try_for_each(|_| is_read_in_time(&server, refusal, *piece, *pause))
            };
            tally.case(format!("{}, sent {manner}", refusal.name), outcome);
        }
    }
    server.conclude(tally)
}

/// A server reads on for two seconds. A client that took longer, because the machine is busy,
/// proves nothing and tries again.
fn is_read_in_time(
    server: &Server,
    refusal: &Refusal,
    piece: usize,
    pause: Duration,
) -> Result<(), String> {
    const LINGER: Duration = Duration::from_millis(1900);
    for _ in 0..4 {
        let begun = Instant::now();
        let outcome = is_read(server, refusal, piece, pause);
        if outcome.is_ok() || begun.elapsed() < LINGER {
            return outcome;
        }
    }
    is_read(server, refusal, piece, pause)
}

fn is_read(
    server: &Server,
    refusal: &Refusal,
    piece: usize,
    pause: Duration,
) -> Result<(), String> {
    let mut bytes = refusal.head.as_bytes().to_vec();
    let missing = (1024 * 1024 - bytes.len()) / refusal.filling.len();
    bytes.extend_from_slice(refusal.filling.repeat(missing).as_bytes());
    let mut stream = open(server.address)?;
    for piece in bytes.chunks(piece) {
        stream
            .write_all(piece)
            .map_err(|error| format!("reset while it sends: {error}"))?;
        thread::sleep(pause);
    }
    let heard = listen(&mut stream);
    if heard.end == End::Reset {
        return Err(format!("reset after {}", excerpt(&heard.bytes)));
    }
    let response = heard.response()?;
    match heard.end {
        _ if !refusal.status.contains(&response.status) => {
            Err(format!("status {} instead of {:?}", response.status, refusal.status))
        }
        End::Open => Err(format!("the connection stays open after {}", response.status)),
        End::Closed | End::Reset => Ok(()),
    }
}
