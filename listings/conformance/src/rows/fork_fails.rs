//! Row 9: no process can be started, and no thread. A server that starts one for each
//! connection drops that client and nothing else; one that keeps workers goes on with those
//! that it has. An event loop starts nothing, but epoll_ctl(2) may fail.

use std::fs;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Signal, geteuid};
use rustix::thread::{Gid, Uid, set_thread_gid, set_thread_uid};

use super::accept::{LINES, quiet_second};
use crate::client::{
    End, Heard, eventually, exchange, get, listen, listen_until, open, send,
};
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
    if !model.starts_one_for_each() && !model.respawns {
        return Ok(Report::not_applicable(NOT_HERE));
    }
    let mut tally = Tally::of(model);
    let store = FakeStore::start().map_err(|error| format!("fake store: {error}"))?;
    let server = match start(model, &store) {
        Ok(server) => server,
        Err(why) => {
            tally.skip("a limit of no processes", &why);
            return tally.report();
        }
    };
    let name = "EAGAIN, by a limit of no processes";
    let outcome = as_its_user(|| match model.starts_one_for_each() {
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
        Fate::Dropped => Err("once there is no limit any more, a client is dropped".into()),
    }
}

/// A worker dies and cannot be replaced; then it can. `false` as above.
fn no_new_worker(model: &Model, server: &Server) -> Result<bool, String> {
    let limit = limit(server)?;
    let victim = *server.workers().first().ok_or("there is no worker")?;
    process::signal(victim, Signal::KILL)?;
    quiet_second(server)?;
    let mut waiting = Vec::new();
    for number in 0..10 {
        // Of several listeners one is nobody's now, and whoever waits there has to wait.
        if model.form.contains(&"--reuseport") {
            let mut stream = open(server.address)?;
            send(&mut stream, GET)?;
            waiting.push(stream);
        } else if meet(server)? == Fate::Dropped {
            return Err(format!("client {number} is dropped, although there are workers"));
        }
    }
    if server.workers().len() >= model.workers {
        return Ok(false);
    }
    drop(limit);
    for (number, mut stream) in waiting.into_iter().enumerate() {
        match fate(&listen(&mut stream)) {
            Ok(Fate::Served) => {}
            Ok(Fate::Dropped) => return Err(format!("client {number} is dropped")),
            Err(why) => return Err(format!("client {number} waits for ever: {why}")),
        }
    }
    eventually(patience(), || match server.workers().len() {
        number if number == model.workers => Ok(()),
        number => Err(format!("{number} workers once processes can be started again")),
    })?;
    Ok(true)
}

/// One client, which is either served in full or dropped.
fn meet(server: &Server) -> Result<Fate, String> {
    fate(&exchange(server.address, GET)?)
}

fn fate(heard: &Heard) -> Result<Fate, String> {
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

/// What fork and clone are made to say, and when: strace's `-e inject`. The store is in this
/// process, so the first processes that are started are those of the two clients that warm
/// the server up.
static INJECTED: &[(&str, &str)] = &[
    ("EAGAIN, 3 times", "error=EAGAIN:when=3..5"),
    ("ENOMEM, 3 times", "error=ENOMEM:when=3..5"),
    ("EAGAIN, every second time", "error=EAGAIN:when=4+2"),
    ("ENOMEM, every second time", "error=ENOMEM:when=4+2"),
];

/// The same for epoll_ctl(2), whose first calls are the server's own when it starts.
static INJECTED_WATCHING: &[(&str, &str)] = &[
    ("epoll_ctl: ENOMEM, every fifth time", "error=ENOMEM:when=12+5"),
    ("epoll_ctl: ENOSPC, every fifth time", "error=ENOSPC:when=12+5"),
    ("epoll_ctl: ENOSPC, 4 times", "error=ENOSPC:when=12..15"),
];

const STARTING: &str = "?fork,?vfork,clone,?clone3";

/// The second tier: errors that need strace. `strace` is the path of the program.
pub fn injected(model: &Model, strace: &str) -> Result<Report, String> {
    let mut tally = Tally::of(model);
    if model.starts_one_for_each() {
        for (name, fault) in INJECTED {
            tally.case(*name, || under(model, strace, (STARTING, fault), starting));
        }
    } else if model.event_loop && keeps_interest_list(model)? {
        for (name, fault) in INJECTED_WATCHING {
            tally.case(*name, || under(model, strace, ("epoll_ctl", fault), watching));
        }
    } else {
        return Ok(Report::not_applicable("starts nothing and has no interest list"));
    }
    tally.report()
}

/// Whether the kernel keeps the server's interest list: whether it has an epoll instance.
fn keeps_interest_list(model: &Model) -> Result<bool, String> {
    let server = Server::start(model, &[])?;
    let entries = fs::read_dir(format!("/proc/{}/fd", server.pid()))
        .map_err(|error| format!("its descriptors: {error}"))?;
    let mut targets = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    Ok(targets.any(|target| target.to_string_lossy().contains("[eventpoll]")))
}

/// Starts the server with a fault in some calls, lets `clients` meet it, and compares how
/// many of them were dropped with how often the fault came.
fn under(
    model: &Model,
    strace: &str,
    (calls, fault): (&str, &str),
    clients: fn(&Server) -> Result<usize, String>,
) -> Result<(), String> {
    let store = FakeStore::start().map_err(|error| format!("fake store: {error}"))?;
    let scratch = crate::root::Root::new().map_err(|error| format!("scratch: {error}"))?;
    let log = scratch.top().join("strace.log");
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:{fault}"));
    let wrapper =
        [strace, "-D", "-f", "-qqq", "-o", text(&log)?, "-e", &trace, "-e", &inject];
    let server = Server::start_under(model, &wrapper, &["--store", &store.url()])?;
    let dropped = clients(&server)?;
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

/// Twelve clients one after another; how many were dropped. Nothing is left of them.
fn starting(server: &Server) -> Result<usize, String> {
    let mut dropped = 0;
    for number in 0..12 {
        let fate = meet(server).map_err(|why| format!("client {number}: {why}"))?;
        dropped += usize::from(fate == Fate::Dropped);
    }
    eventually(patience(), || match process::tree(server.pid()).len() {
        1 => Ok(()),
        number => Err(format!("{} children are left", number - 1)),
    })?;
    Ok(dropped)
}

/// Clients that come, say nothing for a moment, so that the server has to wait for them, and
/// go, and four that are there all the time; how many connections were dropped.
fn watching(server: &Server) -> Result<usize, String> {
    const STAY: &[u8] = b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut staying: Vec<TcpStream> =
        (0..4).map(|_| open(server.address)).collect::<Result<_, _>>()?;
    let mut dropped = 0;
    for number in 0..60 {
        let mut client = open(server.address)?;
        thread::sleep(Duration::from_millis(5));
        send(&mut client, GET)?;
        let fate = fate(&listen(&mut client));
        let fate = fate.map_err(|why| format!("client {number}: {why}"))?;
        dropped += usize::from(fate == Fate::Dropped);
        let stream = &mut staying[number % 4];
        send(stream, STAY)?;
        let heard = listen_until(stream, |bytes| bytes.ends_with(SMALL.as_bytes()));
        if heard.bytes.is_empty() && heard.end != End::Open {
            dropped += 1;
            *stream = open(server.address)?;
        } else if heard.response()?.status != 200 {
            return Err(format!("client {number} of those who stay is not served"));
        }
    }
    // The connection to the store may have been the one that could not be watched.
    eventually(patience(), || match get(server.address, "/guestbook")?.status {
        200 => Ok(()),
        status => Err(format!("the page is answered {status}")),
    })?;
    Ok(dropped)
}

fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{}: not a name for strace", path.display()))
}
