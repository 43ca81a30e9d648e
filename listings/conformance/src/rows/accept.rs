//! Row 8: accept(2) fails. The server lives, does not spin, does not flood its log, and
//! serves those who waited.

use std::fs;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Resource;

use crate::client;
use crate::fake_store::FakeStore;
use crate::model::Model;
use crate::patience::patience;
use crate::process::{self, Effort, Limit, cpu};
use crate::report::{Report, Tally};
use crate::server::Server;

/// How much processor time a server may use in a second in which it cannot go on.
const IDLE: Duration = Duration::from_millis(200);
/// Which share of it one of its threads may have had a processor or wanted one. The server has
/// less than it wants when others are busy.
const RESTLESS: f64 = 0.9;
/// How many lines it may log in such a second.
pub(super) const LINES: usize = 10;

/// The first tier: no descriptor is left while clients queue. `prlimit` sets the limit on
/// the running server.
pub fn run(model: &Model) -> Result<Report, String> {
    // A store in this process, so that all of the server's processes are ones that accept.
    let store = FakeStore::start().map_err(|error| format!("fake store: {error}"))?;
    let server = Server::start(model, &["--store", &store.url()])?;
    let mut tally = Tally::of(model);
    tally.case("EMFILE while 20 clients wait", || without_descriptors(&server, 20, model));
    tally.case("EMFILE until 10 clients have left", || abandoned(&server));
    if model.event_loop {
        tally.case("EMFILE while 4 clients are served", || insiders(&server, model));
    }
    if model.descriptors < usize::MAX {
        let name = format!("more clients than its {} descriptors", model.descriptors);
        let clients = model.descriptors + 76;
        match clients <= super::crowd::descriptors_for_clients() {
            true => tally.case(name, || beyond(&server, clients)),
            false => tally.skip(&name, "there are too few for the clients, too"),
        }
    }
    server.conclude(tally)
}

/// Which descriptors of a process are taken for good.
type Taken = fn(&Server, pid: u32, number: u64) -> bool;

/// All that are open.
fn open(_: &Server, pid: u32, number: u64) -> bool {
    fs::symlink_metadata(descriptor(pid, number)).is_ok()
}

/// The same without files that a server keeps for later. It gives those up when it is short of
/// descriptors, and their numbers would serve one client after another, each without its file.
fn open_for_good(server: &Server, pid: u32, number: u64) -> bool {
    let root = server.root.path();
    fs::read_link(descriptor(pid, number))
        .is_ok_and(|what| what == root || !what.starts_with(&root))
}

fn descriptor(pid: u32, number: u64) -> String {
    format!("/proc/{pid}/fd/{number}")
}

/// Leaves none of the server's processes a descriptor until the result is dropped.
fn no_descriptors(server: &Server, taken: Taken) -> Result<Limit, String> {
    // The kernel hands out the lowest free number, so this limit leaves none. A limit of 0
    // would leave none either, but poll(2) takes no more entries than the limit.
    let lowest_free =
        |pid: u32| (0..).find(|number| !taken(server, pid, *number)).unwrap_or(0);
    let all = process::tree(server.pid());
    Limit::set(all.iter().map(|process| process.pid), Resource::Nofile, lowest_free)
}

const GET: &[u8] = b"GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

fn queue(server: &Server, clients: usize) -> Result<Vec<TcpStream>, String> {
    let one = |_| {
        let mut stream = client::open(server.address)?;
        client::send(&mut stream, GET).map(|()| stream)
    };
    (0..clients).map(one).collect()
}

fn without_descriptors(
    server: &Server,
    clients: usize,
    model: &Model,
) -> Result<(), String> {
    let limit = no_descriptors(server, open_for_good)?;
    let queue = queue(server, clients)?;
    quiet_second(server)?;
    if model.event_loop {
        seldom_woken(server)?;
    }
    drop(limit);
    // accept(2) reserves its descriptor before it waits. A process that was already there can
    // take one client more, and has no descriptor for the file.
    let mut without_a_file = model.workers;
    for mut stream in queue {
        match client::listen(&mut stream).response()?.status {
            200 => {}
            503 if without_a_file > 0 => without_a_file -= 1,
            status => return Err(format!("a client that waited is answered {status}")),
        }
    }
    client::get(server.address, "/small.txt").and_then(|response| match response.status {
        200 => Ok(()),
        status => Err(format!("afterwards a client is answered {status}")),
    })
}

/// One second in which the server is watched: processor time, lines in the log, and that it
/// lives.
pub(super) fn quiet_second(server: &Server) -> Result<(), String> {
    // What it does at once, when it meets the error, is its own affair.
    thread::sleep(Duration::from_millis(200));
    let (begun, cpu_before, lines_before) =
        (Instant::now(), cpu(server.pid()), server.log().len());
    let before = process::wanted(server.pid());
    thread::sleep(Duration::from_secs(1));
    let seconds = begun.elapsed().as_secs_f64();
    let used = cpu(server.pid()).saturating_sub(cpu_before).div_f64(seconds);
    let lines = server.log().len() - lines_before;
    let wanted = process::wanted(server.pid()).into_iter().map(|(thread, time)| {
        time.saturating_sub(before.get(&thread).copied().unwrap_or_default())
    });
    let wanted = wanted.max().unwrap_or_default().div_f64(seconds);
    if process::tree(server.pid()).is_empty() {
        return Err("the server has ended".into());
    }
    if used > IDLE
        || wanted.as_secs_f64() > RESTLESS
        || lines as f64 > LINES as f64 * seconds + 1.0
    {
        return Err(format!(
            "it spins: {} ms of processor time, {} ms in which a thread had or wanted some, and {lines} lines in the log",
            used.as_millis(),
            wanted.as_millis()
        ));
    }
    Ok(())
}

/// The most that a loop may be woken in a second in which it cannot accept: it looks again
/// now and then.
const WAKE_UPS: f64 = 60.0;

/// A loop that polls is quiet, too, if it polls seldom enough. How often it is woken says
/// more.
pub(super) fn seldom_woken(server: &Server) -> Result<(), String> {
    let (begun, before) = (Instant::now(), Effort::of(server.pid()));
    thread::sleep(Duration::from_millis(500));
    let effort = Effort::of(server.pid()).since(before);
    let most = WAKE_UPS * begun.elapsed().as_secs_f64();
    if effort.waits as f64 > most {
        return Err(format!("it spins: {effort} while it can do nothing"));
    }
    Ok(())
}

/// Clients that have a connection already are served while nobody else can be accepted. As
/// soon as one of them leaves, its descriptor serves those who wait, one after another.
fn insiders(server: &Server, model: &Model) -> Result<(), String> {
    const PAGE: &[u8] = b"GET /guestbook HTTP/1.1\r\nHost: a\r\n\r\n";
    let ask = |stream: &mut TcpStream| {
        client::send(stream, PAGE)?;
        let heard = client::listen_until(stream, |bytes| bytes.ends_with(b"</html>\n"));
        match heard.response()?.status {
            200 => Ok(()),
            status => Err(format!("a client that is there is answered {status}")),
        }
    };
    // As many as it takes for each worker to have some.
    let mut inside = Vec::new();
    for _ in 0..4 * model.workers {
        let mut stream = client::open(server.address)?;
        ask(&mut stream)?;
        inside.push(stream);
    }
    let limit = no_descriptors(server, open)?;
    // Where there are several workers, one may have no client that leaves it a descriptor.
    let (limit, until_they_leave) = match model.workers {
        1 => (Some(limit), None),
        _ => (None, Some(limit)),
    };
    let waiting = queue(server, 20)?;
    for number in 0..20 {
        let each = inside.len();
        ask(&mut inside[number % each])?;
        thread::sleep(Duration::from_millis(20));
    }
    drop((inside, until_they_leave));
    for (number, mut stream) in waiting.into_iter().enumerate() {
        // There may be no descriptor for the file.
        match client::listen(&mut stream).response() {
            Ok(response) if matches!(response.status, 200 | 503) => {}
            Ok(response) => return Err(format!("answered {}", response.status)),
            Err(why) => return Err(format!("client {number} of the queue: {why}")),
        }
    }
    drop(limit);
    Ok(())
}

/// More clients than the server can have descriptors, all of whom stay: the others wait, and
/// are served when some have left.
fn beyond(server: &Server, clients: usize) -> Result<(), String> {
    super::crowd::allow_many_descriptors();
    let stay = b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut all = Vec::new();
    for _ in 0..clients {
        let mut stream = client::open(server.address)?;
        client::send(&mut stream, stay)?;
        all.push(stream);
    }
    quiet_second(server)?;
    seldom_woken(server)?;
    let rest = all.split_off(200);
    for stream in &mut all {
        status(stream)?;
    }
    drop(all);
    for (number, mut stream) in rest.into_iter().enumerate() {
        match status(&mut stream)
            .map_err(|why| format!("client {}: {why}", number + 200))?
        {
            // There may be no descriptor for the file.
            200 | 503 => {}
            other => return Err(format!("client {} is answered {other}", number + 200)),
        }
    }
    Ok(())
}

/// The status of a response whose head has arrived.
fn status(stream: &mut TcpStream) -> Result<u16, String> {
    let whole = |bytes: &[u8]| bytes.windows(4).any(|end| end == b"\r\n\r\n");
    let heard = client::listen_until(stream, whole);
    let digits = heard.bytes.get(9..12).and_then(|digits| str::from_utf8(digits).ok());
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| format!("no response, connection {:?}", heard.end))
}

fn abandoned(server: &Server) -> Result<(), String> {
    let limit = no_descriptors(server, open)?;
    let queue: Vec<TcpStream> =
        (0..10).map(|_| client::open(server.address)).collect::<Result<_, _>>()?;
    drop(queue);
    quiet_second(server)?;
    drop(limit);
    client::get(server.address, "/small.txt").map(drop)
}

/// What the kernel is made to say, and when: strace's `-e inject`.
static INJECTED: &[(&str, &str)] = &[
    ("ECONNABORTED, 10 times", "error=ECONNABORTED:when=1..10"),
    ("ECONNABORTED, every second time", "error=ECONNABORTED:when=1+2"),
    ("EMFILE, 3 times", "error=EMFILE:when=1..3"),
    ("ENFILE, 3 times", "error=ENFILE:when=1..3"),
    ("ENOMEM, 3 times", "error=ENOMEM:when=1..3"),
    ("ENOBUFS, 3 times", "error=ENOBUFS:when=1..3"),
    ("ENFILE, every second time", "error=ENFILE:when=2+2"),
    ("EINTR, every second time", "error=EINTR:when=1+2"),
    // accept(2) hands on what went wrong on the network: "treat them like EAGAIN by
    // retrying".
    ("EPROTO, 3 times", "error=EPROTO:when=1..3"),
    ("EHOSTUNREACH, 3 times", "error=EHOSTUNREACH:when=1..3"),
];

/// The second tier: errors that need strace. `strace` is the path of the program.
pub fn injected(model: &Model, strace: &str) -> Result<Report, String> {
    let mut tally = Tally::of(model);
    for (name, fault) in INJECTED {
        tally.case(*name, || under(model, strace, fault));
    }
    tally.report()
}

fn under(model: &Model, strace: &str, fault: &str) -> Result<(), String> {
    let inject = format!("inject=accept,accept4:{fault}");
    // -D: the server is our child, and strace its shadow.
    let wrapper = [
        strace,
        "-D",
        "-f",
        "-qqq",
        "-o",
        "/dev/null",
        "-e",
        "trace=accept,accept4",
        "-e",
        &inject,
    ];
    let begun = Instant::now();
    let server = Server::start_under(model, &wrapper, &[])?;
    for number in 0..10 {
        let response = client::get(server.address, "/small.txt")
            .map_err(|why| format!("client {number}: {why}"))?;
        if response.status != 200 {
            return Err(format!("client {number} is answered {}", response.status));
        }
    }
    let (lines, seconds) = (server.log().len(), begun.elapsed().as_secs_f64());
    if lines as f64 > LINES as f64 * (seconds + 1.0) {
        return Err(format!("{lines} lines in the log in {seconds:.1} s"));
    }
    if begun.elapsed() > patience() {
        return Err(format!("10 requests took {seconds:.1} s"));
    }
    server.stop()
}
