//! Row 10: the client resets the connection, in the middle of a response and in every other
//! place.

use std::io::Read;
use std::thread;
use std::time::Duration;

use crate::client::{get, open, reset, send};
use crate::model::Model;
use crate::random::Random;
use crate::report::{Report, Tally, repeats};
use crate::server::Server;

/// What a client does before it resets the connection.
struct Leaver {
    name: &'static str,
    send: &'static [u8],
    /// It reads some of the response first.
    reads: bool,
}

static LEAVERS: &[Leaver] = &[
    Leaver { name: "in the middle of 10 MB", send: b"GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n", reads: true },
    Leaver { name: "before it has read any of 10 MB", send: b"GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n", reads: false },
    Leaver {
        name: "in the middle of 10 MB, with a request behind it unread",
        send: b"GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\nGET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n",
        reads: true,
    },
    Leaver {
        name: "in the middle of a range",
        send: b"GET /big.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=1-\r\n\r\n",
        reads: true,
    },
    Leaver { name: "before a small response", send: b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", reads: false },
    Leaver { name: "while the store is asked", send: b"GET /guestbook HTTP/1.1\r\nHost: a\r\n\r\n", reads: false },
    Leaver { name: "in the accept queue", send: b"", reads: false },
    Leaver { name: "in the middle of a head", send: b"GET /small.txt HTTP/1.1\r\nHo", reads: false },
    Leaver {
        name: "in the middle of a body",
        send: b"POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nrem",
        reads: false,
    },
    Leaver { name: "while it is refused", send: b"GET / HTTP/1.1\r\nbad header\r\n\r\n", reads: false },
];

/// 200 resets, 10,000 in the long form.
pub fn run(model: &Model) -> Result<Report, String> {
    let server = Server::start(model, &[])?;
    server.root.write_big().map_err(|error| format!("big.bin: {error}"))?;
    let mut tally = Tally::of(model);
    let mut random = Random::new(10);
    let times = repeats(20, 1000);
    for leaver in LEAVERS {
        tally.case(leaver.name, || {
            (0..times).try_for_each(|_| leave(&server, leaver, &mut random))?;
            match get(server.address, "/small.txt")?.status {
                200 => Ok(()),
                status => Err(format!("afterwards a client is answered {status}")),
            }
        });
    }
    let note = format!("{} resets", times * LEAVERS.len());
    server.conclude(tally).map(|report| report.with_note(note))
}

fn leave(server: &Server, leaver: &Leaver, random: &mut Random) -> Result<(), String> {
    let mut stream = open(server.address)?;
    send(&mut stream, leaver.send)?;
    if leaver.reads {
        let mut buffer = vec![0; 1 + random.below(300_000)];
        stream
            .read_exact(&mut buffer)
            .map_err(|error| format!("reading {} bytes: {error}", buffer.len()))?;
    } else {
        thread::sleep(Duration::from_micros(random.below(1000) as u64));
    }
    reset(stream)
}
