//! Row 26: odd files. What is no file is refused without waiting for it; a file that
//! changes is served as it is now; a file that shrinks while it is sent ends the
//! connection, and nothing else.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, makedev, mkfifoat, mknodat};

use crate::client::{End, exchange, get, listen, listen_until, open, send};
use crate::model::Model;
use crate::report::{Report, Tally};
use crate::response::{holds, responses};
use crate::root::CANARY;
use crate::server::Server;

/// How long a cache may go on serving what was there before.
const FRESH: Duration = Duration::from_secs(2);
/// Longer than all buffers between server and client together.
const HUGE: u64 = 64 * 1024 * 1024;

/// Odd files, files that change between requests, and files that change while they are
/// sent.
pub fn run(model: &Model) -> Result<Report, String> {
    let server = Server::start(model, &[])?;
    let mut tally = Tally::of(model);
    odd(&server, &mut tally);
    changes(&server, &mut tally);
    tally.case("truncated while it is sent", || truncated_while_sent(&server));
    tally.case("replaced and deleted while they are sent", || changed_while_sent(&server));
    tally.case("the validator of what was there before", || old_validator(&server));
    server.conclude(tally)
}

fn odd(server: &Server, tally: &mut Tally) {
    let root = server.root.path();
    let refused = |name: &str| match get(server.address, name)?.status {
        403 | 404 => Ok(()),
        status => Err(format!("status {status}")),
    };
    let io = |error: std::io::Error| error.to_string();
    let rustix = |error: rustix::io::Errno| error.to_string();

    let made = mkfifoat(CWD, root.join("fifo"), Mode::from_raw_mode(0o644)).map_err(rustix);
    tally.case("a FIFO", || made.and_then(|()| refused("/fifo")));
    tally.case("a FIFO, again", || refused("/fifo"));
    tally.case("a HEAD of a FIFO", || head_of_fifo(server));
    // Its own path may be too long for a socket's name, so it is bound from a shorter one.
    let made = UnixListener::bind(server.root.top().join("s"))
        .and_then(|_| fs::rename(server.root.top().join("s"), root.join("socket")));
    tally.case("a Unix socket", || made.map_err(io).and_then(|()| refused("/socket")));
    tally.case("a folder without a page", || refused("/empty/"));
    let made = symlink("/dev/zero", root.join("device-link")).map_err(io);
    tally.case("a link to a device", || made.and_then(|()| refused("/device-link")));
    match mknodat(
        CWD,
        root.join("zero"),
        FileType::CharacterDevice,
        Mode::from_raw_mode(0o644),
        makedev(1, 5),
    ) {
        Ok(()) => tally.case("a device", || refused("/zero")),
        Err(error) => tally.skip("a device", &format!("mknod: {error}")),
    }
    let made = fs::create_dir(root.join("odd")).map_err(io).and_then(|()| {
        mkfifoat(CWD, root.join("odd/index.html"), Mode::from_raw_mode(0o644))
            .map_err(rustix)
    });
    tally.case("a folder whose page is a FIFO", || made.and_then(|()| refused("/odd/")));
    let locked = root.join("locked.txt");
    let made = fs::write(&locked, CANARY)
        .and_then(|()| fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)));
    match File::open(&locked) {
        Ok(_) => tally
            .skip("a file that may not be read", "this user may read everything (root)"),
        Err(_) => tally.case("a file that may not be read", || {
            made.map_err(io).and_then(|()| refused("/locked.txt"))
        }),
    }
}

fn head_of_fifo(server: &Server) -> Result<(), String> {
    let heard = exchange(
        server.address,
        b"HEAD /fifo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )?;
    match &heard.responses(&[true])?[..] {
        [response] if [403, 404].contains(&response.status) => Ok(()),
        other => Err(format!(
            "{} responses, the first {:?}",
            other.len(),
            other.first().map(|r| r.status)
        )),
    }
}

/// What happens to a file that was served before, and may be cached.
struct Change {
    name: &'static str,
    make: fn(&Path) -> std::io::Result<()>,
    /// Status and content afterwards.
    then: (u16, &'static str),
}

static CHANGES: &[Change] = &[
    Change {
        name: "replaced by a rename",
        make: |path| {
            let fresh = path.with_extension("new");
            fs::write(&fresh, "new content\n")?;
            fs::rename(fresh, path)
        },
        then: (200, "new content\n"),
    },
    Change {
        name: "replaced by one of the same length",
        make: |path| {
            let fresh = path.with_extension("new");
            fs::write(&fresh, "OLD CONTENT\n")?;
            fs::rename(fresh, path)
        },
        then: (200, "OLD CONTENT\n"),
    },
    Change {
        name: "written over",
        make: |path| fs::write(path, "longer content than before\n"),
        then: (200, "longer content than before\n"),
    },
    Change {
        name: "written over with the same length",
        make: |path| fs::write(path, "OLD CONTENT\n"),
        then: (200, "OLD CONTENT\n"),
    },
    Change {
        name: "appended to",
        make: |path| File::options().append(true).open(path)?.write_all(b"and more\n"),
        then: (200, "old content\nand more\n"),
    },
    Change { name: "emptied", make: |path| fs::write(path, ""), then: (200, "") },
    Change {
        name: "shortened",
        make: |path| File::options().write(true).open(path)?.set_len(3),
        then: (200, "old"),
    },
    Change { name: "deleted", make: |path| fs::remove_file(path), then: (404, "") },
    Change {
        name: "deleted, and there again",
        make: |path| {
            fs::remove_file(path)?;
            fs::write(path, "back again\n")
        },
        then: (200, "back again\n"),
    },
    Change {
        name: "turned into a FIFO",
        make: |path| {
            fs::remove_file(path)?;
            Ok(mkfifoat(CWD, path, Mode::from_raw_mode(0o644))?)
        },
        then: (404, ""),
    },
    Change {
        name: "turned into a folder",
        make: |path| {
            fs::remove_file(path)?;
            fs::create_dir(path)
        },
        then: (404, ""),
    },
    Change {
        name: "turned into a link to the outside",
        make: |path| {
            fs::remove_file(path)?;
            symlink("../canary.txt", path)
        },
        then: (404, ""),
    },
];

/// All changes at one time, since each may take as long as a cache believes what it has.
fn changes(server: &Server, tally: &mut Tally) {
    let targets: Vec<String> = CHANGES
        .iter()
        .map(|change| format!("/{}.txt", change.name.replace([' ', ','], "-")))
        .collect();
    let path = |target: &String| server.root.path().join(&target[1..]);
    let begun: Vec<Result<(), String>> = targets
        .iter()
        .map(|target| {
            served(server, target, 404, "")?;
            fs::write(path(target), "old content\n").map_err(|error| error.to_string())
        })
        .collect();
    let cached: Vec<Result<(), String>> = targets
        .iter()
        .zip(begun)
        .map(|(target, begun)| {
            begun.and_then(|()| {
                by(Instant::now() + FRESH, || served(server, target, 200, "old content\n"))
            })
        })
        .collect();
    let changed: Vec<Result<Instant, String>> = targets
        .iter()
        .zip(CHANGES)
        .zip(cached)
        .map(|((target, change), cached)| {
            cached.map_err(|why| format!("before the change: {why}"))?;
            (change.make)(&path(target))
                .map_err(|error| format!("the change itself: {error}"))?;
            Ok(Instant::now())
        })
        .collect();
    for ((target, change), changed) in targets.iter().zip(CHANGES).zip(changed) {
        let (status, content) = change.then;
        tally.case(change.name, || {
            by(changed? + FRESH, || served(server, target, status, content))
        });
    }
}

/// Asks until the answer is yes. A request that is sent after `time` must find it so.
fn by(time: Instant, ask: impl Fn() -> Result<(), String>) -> Result<(), String> {
    loop {
        let late = Instant::now() > time;
        match ask() {
            Err(_) if !late => thread::sleep(Duration::from_millis(20)),
            answer => return answer,
        }
    }
}

fn served(server: &Server, target: &str, status: u16, content: &str) -> Result<(), String> {
    let response = match get(server.address, target) {
        Ok(response) => response,
        // A file that is shorter than it was a moment ago: its connection ends early.
        Err(why) => return Err(format!("GET {target}: {why}")),
    };
    if holds(&response.body, CANARY) {
        return Err("the canary is served".into());
    }
    match response.status {
        200 if status == 200 && response.body == content.as_bytes() => Ok(()),
        200 if status == 200 => {
            let beginning = &response.body[..response.body.len().min(80)];
            let beginning = String::from_utf8_lossy(beginning);
            Err(format!("{beginning:?} instead of {content:?}"))
        }
        301..=308 | 403 | 404 if status == 404 => Ok(()),
        other => Err(format!("status {other} instead of {status}")),
    }
}

/// A file without content that looks as if it had much, and a client who has begun to read
/// it.
fn begun(
    server: &Server,
    name: &str,
) -> Result<(PathBuf, std::net::TcpStream, Vec<u8>), String> {
    let path = server.root.path().join(name);
    File::create(&path)
        .and_then(|file| file.set_len(HUGE))
        .map_err(|error| error.to_string())?;
    let mut stream = open(server.address)?;
    send(
        &mut stream,
        format!("GET /{name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let first = listen_until(&mut stream, |bytes| bytes.len() > 10_000).bytes;
    Ok((path, stream, first))
}

fn truncated_while_sent(server: &Server) -> Result<(), String> {
    let (path, mut stream, mut bytes) = begun(server, "truncated.bin")?;
    File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.set_len(0))
        .map_err(|error| error.to_string())?;
    let rest = listen(&mut stream);
    bytes.extend_from_slice(&rest.bytes);
    match &responses(&bytes, &[])?[..] {
        _ if rest.end == End::Open => {
            Err("the connection stays open, and the rest never comes".into())
        }
        [response] if response.whole => {
            Err("bytes are sent that the file no longer has".into())
        }
        [_] => Ok(()),
        other => Err(format!("{} responses", other.len())),
    }
}

/// Whoever has begun to read the old content gets all of it, and nothing else; later
/// clients get the new one.
fn changed_while_sent(server: &Server) -> Result<(), String> {
    let (replaced, mut stream, mut bytes) = begun(server, "replaced.bin")?;
    let fresh = replaced.with_extension("new");
    fs::write(&fresh, "new content\n")
        .and_then(|()| fs::rename(fresh, replaced))
        .map_err(|error| error.to_string())?;
    bytes.extend_from_slice(&listen(&mut stream).bytes);
    all_old(&bytes).map_err(|why| format!("replaced: {why}"))?;

    let (deleted, mut stream, mut bytes) = begun(server, "deleted.bin")?;
    fs::remove_file(deleted).map_err(|error| error.to_string())?;
    bytes.extend_from_slice(&listen(&mut stream).bytes);
    all_old(&bytes).map_err(|why| format!("deleted: {why}"))?;

    let fresh_by = Instant::now() + FRESH;
    by(fresh_by, || served(server, "/replaced.bin", 200, "new content\n"))?;
    by(fresh_by, || served(server, "/deleted.bin", 404, ""))
}

fn all_old(bytes: &[u8]) -> Result<(), String> {
    match &responses(bytes, &[])?[..] {
        [response] if response.whole && response.body == vec![0; response.body.len()] => {
            Ok(())
        }
        [response] if response.whole => Err("old and new content in one response".into()),
        [response] => Err(format!("only {} bytes of content", response.body.len())),
        other => Err(format!("{} responses", other.len())),
    }
}

/// A client that holds an older copy is sent the new one, even if both have the same
/// length.
fn old_validator(server: &Server) -> Result<(), String> {
    let path = server.root.path().join("validated.txt");
    fs::write(&path, "old content\n").map_err(|error| error.to_string())?;
    let etag =
        get(server.address, "/validated.txt")?.field("ETag").ok_or("no ETag")?.to_owned();
    fs::write(&path, "OLD CONTENT\n").map_err(|error| error.to_string())?;
    let request = format!(
        "GET /validated.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\nIf-None-Match: {etag}\r\n\r\n"
    );
    by(Instant::now() + FRESH, || {
        match exchange(server.address, request.as_bytes())?.responses(&[])?.first() {
            Some(response)
                if response.status == 200 && response.body == b"OLD CONTENT\n" =>
            {
                Ok(())
            }
            other => Err(format!("answered {:?}", other.map(|response| response.status))),
        }
    })
}
