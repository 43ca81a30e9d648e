//! Row 5: large heads and large bodies. At the limit served, above it 431 or 413, and
//! memory stays where it is.

use crate::client::{End, exchange};
use crate::model::Model;
use crate::process::Watch;
use crate::report::{Report, Tally};
use crate::server::Server;

/// Longest head, its final empty line included; longest body. The contract of all servers.
const MAX_HEAD: usize = 8192;
const MAX_BODY: usize = 65_536;
/// How much more memory 50 attacks with 1 MiB each may take of a process than one did, in KiB.
const GROWTH: u64 = 4 * 1024;

/// What is sent.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// A GET whose head has this length, most of it in one field.
    Head(usize),
    /// The same, in many short fields.
    ManyFields(usize),
    /// The same, in the target.
    Target(usize),
    /// A head of this length that never ends: no empty line.
    Endless(usize),
    /// A head of this length without any line end.
    OneLine(usize),
    /// A form of this length, by Content-Length.
    Length(usize),
    /// Only the head of such a form; no content is sent.
    Announced(usize),
    /// A form of this length in one chunk.
    Chunk(usize),
    /// A form of this length in chunks of 100 bytes.
    Chunks(usize),
}
use Shape::{Announced, Chunk, Chunks, Endless, Head, Length, ManyFields, OneLine, Target};

/// A form that is too long for a remark may be refused by the application: it was read,
/// which is what counts.
const READ: &[u16] = &[303, 400, 422];
const MIB: usize = 1024 * 1024;

static TABLE: &[(&str, Shape, &[u16])] = &[
    ("a head of 8,192 bytes", Head(MAX_HEAD), &[200]),
    ("a head of 8,193 bytes", Head(MAX_HEAD + 1), &[431]),
    ("a head of 1 MiB", Head(MIB), &[431]),
    ("2,000 fields", ManyFields(MAX_HEAD + 2000), &[431]),
    ("1 MiB of fields", ManyFields(MIB), &[431]),
    ("a target of 1 MiB", Target(MIB), &[414, 431]),
    ("8,192 bytes of a head that does not end", Endless(MAX_HEAD + 1), &[431]),
    ("1 MiB of a head that does not end", Endless(MIB), &[431]),
    ("1 MiB without a line end", OneLine(MIB), &[400, 414, 431]),
    ("a body of 65,536 bytes", Length(MAX_BODY), READ),
    ("a body of 65,537 bytes", Length(MAX_BODY + 1), &[413]),
    ("a body of 1 MiB", Length(MIB), &[413]),
    ("a body of 4 GB, announced", Announced(4_000_000_000), &[413]),
    ("a chunk of 65,536 bytes", Chunk(MAX_BODY), READ),
    ("a chunk of 65,537 bytes", Chunk(MAX_BODY + 1), &[413]),
    ("chunks of 65,536 bytes", Chunks(MAX_BODY), READ),
    ("chunks of 65,537 bytes", Chunks(MAX_BODY + 1), &[413]),
    ("chunks of 1 MiB", Chunks(MIB), &[413]),
];

/// The table, then those of its cases that are refused 50 times over while memory is
/// watched.
pub fn run(model: &Model) -> Result<Report, String> {
    let server = Server::start(model, &[])?;
    let mut tally = Tally::of(model);
    for (name, shape, statuses) in TABLE {
        tally.case(*name, || try_shape(&server, *shape, statuses));
    }
    let watch = Watch::begin(server.pid());
    for (name, shape) in [
        ("50 heads of 1 MiB in bounded memory", Head(MIB)),
        ("50 endless heads of 1 MiB in bounded memory", Endless(MIB)),
        ("50 bodies of 1 MiB in bounded memory", Length(MIB)),
        ("50 chunked bodies of 1 MiB in bounded memory", Chunks(MIB)),
    ] {
        tally.case(name, || {
            (0..50).try_for_each(|_| try_shape(&server, shape, &[413, 431]))?;
            match watch.grown() {
                growth if growth > GROWTH => Err(format!("memory grew by {growth} KiB")),
                _ => Ok(()),
            }
        });
    }
    server.conclude(tally)
}

fn try_shape(server: &Server, shape: Shape, statuses: &[u16]) -> Result<(), String> {
    let heard = exchange(server.address, &shape.request())?;
    let response = heard.response()?;
    if !statuses.contains(&response.status) {
        return Err(format!("status {} instead of {statuses:?}", response.status));
    }
    match heard.end {
        End::Closed => Ok(()),
        End::Open => Err(format!("the connection stays open after {}", response.status)),
        End::Reset => Err(format!("the connection is reset after {}", response.status)),
    }
}

impl Shape {
    fn request(self) -> Vec<u8> {
        const GET: &str = "GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
        const POST: &str = "POST /guestbook HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
                            Content-Type: application/x-www-form-urlencoded\r\n";
        let form =
            |length: usize| format!("remark={}", "x".repeat(length - "remark=".len()));
        let request = match self {
            Head(length) => format!(
                "{GET}X: {}\r\n\r\n",
                "x".repeat(length - GET.len() - "X: \r\n\r\n".len())
            ),
            ManyFields(length) => {
                format!("{GET}{}\r\n", "X: y\r\n".repeat(length / "X: y\r\n".len()))
            }
            Target(length) => {
                format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length))
            }
            Endless(length) => {
                format!("{GET}X: {}", "x".repeat(length - GET.len() - "X: ".len()))
            }
            OneLine(length) => "x".repeat(length),
            Length(length) => {
                format!("{POST}Content-Length: {length}\r\n\r\n{}", form(length))
            }
            Announced(length) => format!("{POST}Content-Length: {length}\r\n\r\n"),
            Chunk(length) => {
                format!(
                    "{POST}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{}\r\n0\r\n\r\n",
                    form(length)
                )
            }
            Chunks(length) => {
                let content = form(length);
                let chunks: String = content
                    .as_bytes()
                    .chunks(100)
                    .map(|chunk| {
                        format!(
                            "{:x}\r\n{}\r\n",
                            chunk.len(),
                            String::from_utf8_lossy(chunk)
                        )
                    })
                    .collect();
                format!("{POST}Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
            }
        };
        request.into_bytes()
    }
}
