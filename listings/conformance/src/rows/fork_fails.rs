//! Row 9: no process can be started. A server that forks for each connection drops that
//! client and nothing else; one that keeps workers goes on with those that it has.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Signal, geteuid};
use rustix::thread::{Gid, Uid, set_thread_gid, set_thread_uid};

use super::accept::{LINES, quiet_second};
use crate::client::{End, eventually, exchange};
use crate::fake_store::FakeStore;
use crate::model::Model;
use crate::patience::patience;
use crate::process::{self, Limit};
use crate::report::{Report, Tally};
use crate::root::SMALL;
use crate::server::Server;

const GET: &[u8] = b"GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const NOT_HERE: &str = "starts neither a process nor a thread while it serves";

/// What became of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Served,
    /// Its connection was closed, without a word or with a 503.
    Dropped,
}

/// The first tier: a limit of no processes at all for the server's user. It does not bind
/// root, so where root runs this, the server runs as nobody.
pub fn run(model: &Model) -> Result<Report, String> {
    if !model.forks && !model.respawns {
        return Ok(Report::not_applicable(NOT_HERE));
    }
    let mut tally = Tally::default();
    let store = FakeStore::start().map_err(|error| format!("fake store: {error}"))?;
    let server = match start(model, &store) {
        Ok(server) => server,
        Err(why) => {
            tally.skip("a limit of no processes", &why);
            return tally.report();
        }
    };
    let name = "EAGAIN, by a limit of no processes";
    let outcome = as_its_user(|| match model.forks {
        true => no_processes(&server),
        false => no_new_worker(model, &server),
    });
    match outcome {
        Ok(false) => tally.skip(name, "it does not bind this user"),
        outcome => tally.case(name, || outcome.map(drop)),
    }
    server.conclude(tally)
}

/// The user that owns nothing, by convention.
const NOBODY: u32 = 65_534;

fn start(model: &Model, store: &FakeStore) -> Result<Server, String> {
    Server::start_with(model, &[], &["--store", &store.url()], |command| {
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
    })
}

/// Runs a case in a thread that has the server's user: a root that lacks a capability, as in
/// a container, may not limit the processes of others.
fn as_its_user<T: Send>(
    case: impl FnOnce() -> Result<T, String> + Send,
) -> Result<T, String> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if geteuid().is_root() {
                // These change the thread alone, not the process.
                set_thread_gid(Gid::from_raw(NOBODY))
                    .and_then(|()| set_thread_uid(Uid::from_raw(NOBODY)))
                    .map_err(|error| format!("another user: {error}"))?;
            }
            case()
        });
        thread.join().unwrap_or_else(|_| Err("the case panicked".into()))
    })
}

/// Takes away the right to start processes.
fn limit(server: &Server) -> Result<Limit, String> {
    let all = process::tree(server.pid());
    Limit::set(all.iter().map(|process| process.pid), Resource::Nproc, |_| 0)
}

/// 20 clients while no process can be started. `false` when the limit turns out not to
/// bind.
fn no_processes(server: &Server) -> Result<bool, String> {
    let limit = limit(server)?;
    let lines = server.log().len();
    for number in 0..20 {
        if meet(server).map_err(|why| format!("client {number}: {why}"))? == Fate::Served {
            return Ok(false);
        }
        // Many clients a second, but not so many that one line for each were too much.
        thread::sleep(Duration::from_millis(50));
    }
    quiet_second(server)?;
    drop(limit);
    match server.log().len() - lines {
        more if more > 3 * LINES => return Err(format!("{more} lines in the log")),
        _ => {}
    }
    match meet(server)? {
        Fate::Served => Ok(true),
        Fate::Dropped => {
            Err("once processes can be started again, a client is dropped".into())
        }
    }
}

/// A worker dies and cannot be replaced; then it can. `false` as above.
fn no_new_worker(model: &Model, server: &Server) -> Result<bool, String> {
    let limit = limit(server)?;
    let victim = *server.workers().first().ok_or("there is no worker")?;
    process::signal(victim, Signal::KILL)?;
    quiet_second(server)?;
    for number in 0..10 {
        if meet(server)? == Fate::Dropped {
            return Err(format!("client {number} is dropped, although there are workers"));
        }
    }
    if server.workers().len() >= model.workers {
        return Ok(false);
    }
    drop(limit);
    eventually(patience(), || match server.workers().len() {
        number if number == model.workers => Ok(()),
        number => Err(format!("{number} workers once processes can be started again")),
    })?;
    Ok(true)
}

/// One client, which is either served in full or dropped.
fn meet(server: &Server) -> Result<Fate, String> {
    let heard = exchange(server.address, GET)?;
    if heard.bytes.is_empty() && heard.end != End::Open {
        return Ok(Fate::Dropped);
    }
    let response = heard.response()?;
    match response.status {
        200 if response.body == SMALL.as_bytes() => Ok(Fate::Served),
        503 => Ok(Fate::Dropped),
        status => Err(format!("answered {status}")),
    }
}

/// What fork is made to say, and when: strace's `-e inject`. The store is in this process,
/// so the first processes that are started are those of the two clients that warm the server
/// up.
static INJECTED: &[(&str, &str)] = &[
    ("EAGAIN, 3 times", "error=EAGAIN:when=3..5"),
    ("ENOMEM, 3 times", "error=ENOMEM:when=3..5"),
    ("EAGAIN, every second time", "error=EAGAIN:when=4+2"),
    ("ENOMEM, every second time", "error=ENOMEM:when=4+2"),
];

/// The second tier: errors that need strace. `strace` is the path of the program.
pub fn injected(model: &Model, strace: &str) -> Result<Report, String> {
    if !model.forks {
        return Ok(Report::not_applicable("starts no process for a connection"));
    }
    let mut tally = Tally::default();
    for (name, fault) in INJECTED {
        tally.case(*name, || under(model, strace, fault));
    }
    tally.report()
}

fn under(model: &Model, strace: &str, fault: &str) -> Result<(), String> {
    const CALLS: &str = "?fork,?vfork,clone,?clone3";
    let store = FakeStore::start().map_err(|error| format!("fake store: {error}"))?;
    let scratch = crate::root::Root::new().map_err(|error| format!("scratch: {error}"))?;
    let log = scratch.top().join("strace.log");
    let (trace, inject) = (format!("trace={CALLS}"), format!("inject={CALLS}:{fault}"));
    let wrapper =
        [strace, "-D", "-f", "-qqq", "-o", text(&log)?, "-e", &trace, "-e", &inject];
    let server = Server::start_under(model, &wrapper, &["--store", &store.url()])?;
    let mut dropped = 0;
    for number in 0..12 {
        let fate = meet(&server).map_err(|why| format!("client {number}: {why}"))?;
        dropped += usize::from(fate == Fate::Dropped);
    }
    eventually(patience(), || match process::tree(server.pid()).len() {
        1 => Ok(()),
        number => Err(format!("{} children are left", number - 1)),
    })?;
    server.stop()?;
    eventually(patience(), || {
        // strace may still be writing.
        let log = fs::read_to_string(&log).map_err(|error| format!("strace: {error}"))?;
        match log.lines().filter(|line| line.contains("(INJECTED)")).count() {
            0 => Err("nothing was injected".into()),
            injected if dropped > injected => {
                Err(format!("{dropped} clients were dropped for {injected} failures"))
            }
            _ => Ok(()),
        }
    })
}

fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{}: not a name for strace", path.display()))
}
