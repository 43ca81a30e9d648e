//! Row 16: SIGTERM under load. Whoever was heard is answered in full, whoever waits in the
//! accept queue too, nobody gets half a response, and the exit code is 0 within the time of
//! grace.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::load::Load;
use super::side_by_side::Cases;
use crate::client::{End, Heard, eventually, listen, listen_until, open, send};
use crate::model::Model;
use crate::patience::patience;
use crate::process;
use crate::report::{Report, Tally, repeats};
use crate::root::SMALL;
use crate::server::Server;

const GET: &[u8] = b"GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const STAY: &[u8] = b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n";
/// Time for a server to read what was sent, before a signal.
const MOMENT: Duration = Duration::from_millis(150);

/// Situations in which the signal comes, each with a server of its own.
pub fn run(model: &Model) -> Result<Report, String> {
    let pool = (!model.has_whole_forms()).then_some(model);
    let forms: Vec<(String, Model)> = pool.iter().flat_map(|m| m.other_forms()).collect();
    let mut cases = Cases::new();
    for (name, signal) in [("SIGTERM, idle", Signal::TERM), ("SIGINT, idle", Signal::INT)] {
        cases.add(name, move || idle(model, signal));
    }
    for (whom, label) in [(Whom::First, ""), (Whom::Group, ", the whole group")] {
        cases.add(format!("a request of which half was read{label}"), move || {
            half_read(model, b"GET /small.txt HT", whom)
        });
        cases.add(format!("a page that waits for the store{label}"), move || {
            waits_for_store(model, whom)
        });
    }
    cases.add("a request of which one byte was read", || {
        half_read(model, b"G", Whom::First)
    });
    cases.add("requests in the accept queue", || queued(model));
    cases.add("a response of 10 MB that is being sent", || being_sent(model));
    cases.add("a client that never finishes", || never_finishes(model));
    cases.add("a client that says nothing", || says_nothing(model));
    cases.add("connections that are kept alive", || kept_alive(model));
    if model.forks {
        cases.add("only the process of one client", || one_child(model));
    }
    if model.respawns {
        cases.add("only one worker", || one_worker(model));
        cases.add("only one worker, under load", || one_worker_under_load(model));
    }
    for (form, model) in &forms {
        cases.add(format!("requests in the accept queue {form}"), || queued(model));
        cases.add(format!("only one worker {form}"), || one_worker(model));
        cases.add(format!("only one worker, under load {form}"), || {
            one_worker_under_load(model)
        });
    }
    let mut tally = Tally::of(model);
    for (name, outcome) in cases.run() {
        tally.case(name, || outcome);
    }

    let (times, clients) = match model.event_loop {
        true if model.form.is_empty() => (repeats(2, 100), 64),
        true => (repeats(1, 100), 64),
        false => (repeats(5, 100), repeats(16, 64)),
    };
    let mut closed_loops = |model: &Model, whom: Whom, ask: Ask, label: &str| {
        tally.case(format!("{clients} clients in a closed loop{label}"), || {
            (0..times).try_for_each(|number| {
                let before = Duration::from_millis(40 + 17 * (number as u64 % 7));
                under_load(model, clients, before, whom, ask)
                    .map_err(|why| format!("time {}: {why}", number + 1))
            })
        });
    };
    closed_loops(model, Whom::First, closed_loop, "");
    closed_loops(model, Whom::Group, closed_loop, ", the whole group");
    if model.event_loop {
        closed_loops(model, Whom::First, kept_loop, ", each on its connection");
    }
    for (form, model) in &forms {
        closed_loops(model, Whom::First, closed_loop, &format!(" {form}"));
    }
    let note = format!("the closed loops: {clients} clients, {times} times");
    tally.report().map(|report| report.with_note(note))
}

/// Whom the signal is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    /// The first process alone.
    First,
    /// All processes of its group, as systemd does it and a terminal.
    Group,
}

impl Whom {
    /// Starts a server, in a group of its own if that is signalled.
    fn start(self, model: &Model, flags: &[&str]) -> Result<Server, String> {
        Server::start_with(model, &[], flags, |command| {
            if self == Self::Group {
                command.process_group(0);
            }
        })
    }

    fn terminate(self, server: &Server) -> Result<(), String> {
        match (self, Pid::from_raw(server.pid().cast_signed())) {
            (Self::Group, Some(pid)) => kill_process_group(pid, Signal::TERM)
                .map_err(|error| format!("kill: {error}")),
            _ => server.signal(Signal::TERM),
        }
    }
}

/// The signal, exit code 0, and nothing left behind.
fn ends(server: Server, signal: Signal) -> Result<(), String> {
    if signal == Signal::TERM {
        return server.stop();
    }
    let mut server = server;
    server.signal(signal)?;
    match server.wait(patience())? {
        status if status.success() => Ok(()),
        status => Err(format!("{signal:?}: {status} instead of exit code 0")),
    }
}

/// Waits for the end of a server that had its signal.
fn ended(mut server: Server) -> Result<(), String> {
    let status = server.wait(patience())?;
    if !status.success() {
        return Err(format!("{status} instead of exit code 0"));
    }
    match TcpStream::connect(server.address) {
        Ok(_) => Err("somebody still listens on its port".into()),
        Err(_) => Ok(()),
    }
}

fn small(heard: &Heard) -> Result<(), String> {
    let response = heard.response()?;
    if response.status == 200 && response.body == SMALL.as_bytes() {
        return Ok(());
    }
    Err(format!("answered {}", response.status))
}

fn idle(model: &Model, signal: Signal) -> Result<(), String> {
    let begun = Instant::now();
    ends(Server::start(model, &["--grace", "60000"])?, signal)?;
    // Nothing was in flight, so the time of grace is not used up.
    if begun.elapsed() > Duration::from_secs(30) {
        Err("it waits although nothing is in flight".into())
    } else {
        Ok(())
    }
}

fn half_read(model: &Model, first: &[u8], whom: Whom) -> Result<(), String> {
    let server = whom.start(model, &[])?;
    let mut stream = open(server.address)?;
    send(&mut stream, first)?;
    thread::sleep(MOMENT);
    whom.terminate(&server)?;
    thread::sleep(MOMENT);
    send(&mut stream, &GET[first.len()..])?;
    small(&listen(&mut stream))?;
    ended(server)
}

fn queued(model: &Model) -> Result<(), String> {
    let server = Server::start(model, &[])?;
    // All places are taken, where they are few, so that the others stay in the queue.
    let places = if model.at_once <= 16 { model.at_once } else { 1 };
    let mut first = Vec::new();
    for _ in 0..places {
        let mut stream = open(server.address)?;
        send(&mut stream, &GET[..20])?;
        first.push(stream);
    }
    thread::sleep(MOMENT);
    let mut others = Vec::new();
    for _ in 0..20 {
        let mut stream = open(server.address)?;
        send(&mut stream, GET)?;
        others.push(stream);
    }
    server.signal(Signal::TERM)?;
    thread::sleep(MOMENT);
    for stream in &mut first {
        send(stream, &GET[20..])?;
    }
    for stream in &mut first {
        small(&listen(stream))
            .map_err(|why| format!("a client that was being read: {why}"))?;
    }
    for (number, stream) in others.iter_mut().enumerate() {
        small(&listen(stream))
            .map_err(|why| format!("client {number} of the queue: {why}"))?;
    }
    ended(server)
}

fn being_sent(model: &Model) -> Result<(), String> {
    let server = Server::start(model, &[])?;
    let big = server.root.write_big().map_err(|error| format!("big.bin: {error}"))?;
    let mut stream = open(server.address)?;
    send(&mut stream, b"GET /big.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    thread::sleep(MOMENT);
    server.signal(Signal::TERM)?;
    thread::sleep(MOMENT);
    if listen(&mut stream).response()?.body != big {
        return Err("not the bytes of the file".into());
    }
    ended(server)
}

fn waits_for_store(model: &Model, whom: Whom) -> Result<(), String> {
    let flags = ["--store-delay", "400", "--store-timeout", "60000"];
    let server = whom.start(model, &flags)?;
    let mut stream = open(server.address)?;
    send(&mut stream, b"GET /guestbook HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    thread::sleep(MOMENT);
    whom.terminate(&server)?;
    match listen(&mut stream).response()?.status {
        200 => ended(server),
        status => Err(format!("answered {status}")),
    }
}

fn never_finishes(model: &Model) -> Result<(), String> {
    let server = Server::start(model, &["--grace", "500", "--header-timeout", "60000"])?;
    let mut stream = open(server.address)?;
    send(&mut stream, &GET[..20])?;
    thread::sleep(MOMENT);
    server.signal(Signal::TERM)?;
    ended(server)?;
    drop(stream);
    Ok(())
}

fn says_nothing(model: &Model) -> Result<(), String> {
    let server = Server::start(model, &["--grace", "500", "--header-timeout", "60000"])?;
    let silent: Vec<TcpStream> =
        (0..5).map(|_| open(server.address)).collect::<Result<_, _>>()?;
    thread::sleep(MOMENT);
    server.signal(Signal::TERM)?;
    ended(server)?;
    drop(silent);
    Ok(())
}

/// A connection between two requests is not in flight: it must not use up the time of
/// grace.
fn kept_alive(model: &Model) -> Result<(), String> {
    let server = Server::start(model, &["--grace", "60000"])?;
    let mut idle = Vec::new();
    for _ in 0..4 {
        let mut stream = open(server.address)?;
        send(&mut stream, STAY)?;
        listen_until(&mut stream, |bytes| bytes.ends_with(SMALL.as_bytes()));
        idle.push(stream);
    }
    server.signal(Signal::TERM)?;
    ended(server)?;
    for stream in &mut idle {
        let heard = listen(stream);
        if heard.end == End::Open || !heard.bytes.is_empty() {
            return Err(format!(
                "an idle connection ends {:?} with {} bytes",
                heard.end,
                heard.bytes.len()
            ));
        }
    }
    Ok(())
}

/// A client that asks again and again until the server no longer answers: its address,
/// whether the signal has been sent, and how many were answered.
type Ask = fn(SocketAddr, &AtomicBool, &AtomicUsize) -> Result<(), String>;

/// Clients ask again and again until the server is gone. Whoever had sent a request before
/// the signal is answered; later ones are answered in full or not at all.
fn under_load(
    model: &Model,
    clients: usize,
    before: Duration,
    whom: Whom,
    ask: Ask,
) -> Result<(), String> {
    let server = whom.start(model, &[])?;
    let (address, signalled) = (server.address, AtomicBool::new(false));
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        let loops: Vec<_> = (0..clients)
            .map(|_| scope.spawn(|| ask(address, &signalled, &answered)))
            .collect();
        thread::sleep(before);
        // On a machine that is busy enough nobody may have come yet.
        let begun = eventually(patience(), || match answered.load(Ordering::SeqCst) {
            0 => Err("nobody is answered".into()),
            _ => Ok(()),
        });
        signalled.store(true, Ordering::SeqCst);
        let outcome = whom.terminate(&server).and_then(|()| ended(server));
        let clients = loops.into_iter().try_for_each(|client| {
            client.join().unwrap_or_else(|_| Err("a client panicked".into()))
        });
        // A server that did not end in time was killed, and its clients tell of that.
        begun.and(outcome).and(clients)
    })
}

/// Asks until the server no longer answers, and counts how often it does.
fn closed_loop(
    address: SocketAddr,
    signalled: &AtomicBool,
    answered: &AtomicUsize,
) -> Result<(), String> {
    let begun = Instant::now();
    while begun.elapsed() <= 3 * patience() {
        // Sent before the signal: the flag is read after the bytes have left.
        let sent = TcpStream::connect(address).map_err(|error| error.to_string()).and_then(
            |mut stream| {
                stream
                    .set_read_timeout(Some(patience()))
                    .map_err(|error| error.to_string())?;
                send(&mut stream, GET)?;
                Ok((stream, !signalled.load(Ordering::SeqCst)))
            },
        );
        let (mut stream, was_in_time) = match sent {
            Ok(sent) => sent,
            Err(_) if signalled.load(Ordering::SeqCst) => return Ok(()),
            Err(why) => return Err(format!("before the signal: {why}")),
        };
        let heard = listen(&mut stream);
        if heard.bytes.is_empty() {
            match was_in_time {
                true => {
                    return Err(format!(
                        "a request from before the signal is not answered: {:?}",
                        heard.end
                    ));
                }
                false => return Ok(()),
            }
        }
        small(&heard)?;
        answered.fetch_add(1, Ordering::SeqCst);
    }
    Err("the server still answers".into())
}

/// The same on one connection for all requests, the last of which is answered with a close.
fn kept_loop(
    address: SocketAddr,
    signalled: &AtomicBool,
    answered: &AtomicUsize,
) -> Result<(), String> {
    let mut stream = match open(address) {
        Err(_) if signalled.load(Ordering::SeqCst) => return Ok(()),
        opened => opened?,
    };
    let begun = Instant::now();
    while begun.elapsed() <= 3 * patience() {
        send(&mut stream, STAY)?;
        let was_in_time = !signalled.load(Ordering::SeqCst);
        let heard = listen_until(&mut stream, |bytes| bytes.ends_with(SMALL.as_bytes()));
        if heard.bytes.is_empty() && !was_in_time {
            return Ok(());
        }
        if heard.bytes.is_empty() {
            return Err(format!(
                "a request from before the signal is not answered: {:?}",
                heard.end
            ));
        }
        small(&heard)?;
        answered.fetch_add(1, Ordering::SeqCst);
        if heard.response()?.closes() {
            return match was_in_time && !signalled.load(Ordering::SeqCst) {
                true => Err("closed before the signal".into()),
                false => Ok(()),
            };
        }
    }
    Err("the server still answers".into())
}

/// The process that serves one client is told to end: it finishes before.
fn one_child(model: &Model) -> Result<(), String> {
    let server = Server::start(model, &[])?;
    let mut stream = open(server.address)?;
    send(&mut stream, &GET[..20])?;
    thread::sleep(MOMENT);
    let child = *server.workers().first().ok_or("no process serves the client")?;
    process::signal(child, Signal::TERM)?;
    thread::sleep(MOMENT);
    send(&mut stream, &GET[20..])?;
    small(&listen(&mut stream))?;
    server.finish()
}

/// Every worker has read half a request when one of them is told to end: it finishes and is
/// replaced.
fn one_worker(model: &Model) -> Result<(), String> {
    let server = Server::start(model, &[])?;
    let mut clients = Vec::new();
    for _ in 0..model.workers {
        let mut stream = open(server.address)?;
        send(&mut stream, &GET[..20])?;
        clients.push(stream);
    }
    thread::sleep(MOMENT);
    let victim = *server.workers().first().ok_or("there is no worker")?;
    process::signal(victim, Signal::TERM)?;
    thread::sleep(MOMENT);
    for (number, stream) in clients.iter_mut().enumerate() {
        send(stream, &GET[20..])?;
        small(&listen(stream)).map_err(|why| format!("client {number}: {why}"))?;
    }
    replaced(model, &server, victim)?;
    server.finish()
}

/// Workers are told to end, one after another, while more clients ask than there are
/// workers, for longer than the grace lasts: nothing at all is lost.
fn one_worker_under_load(model: &Model) -> Result<(), String> {
    let server = Server::start(model, &["--grace", "1000"])?;
    let load = Load::default();
    load.during(server.address, model.workers + 4, || {
        for _ in 0..repeats(2, 5) {
            let victim = *server.workers().first().ok_or("there is no worker")?;
            process::signal(victim, Signal::TERM)?;
            // Longer than the grace.
            thread::sleep(Duration::from_millis(1200));
            replaced(model, &server, victim)?;
        }
        Ok(())
    })?;
    load.lost_at_most(0)?;
    server.finish()
}

/// Waits until the worker is gone and all are there again.
fn replaced(model: &Model, server: &Server, victim: u32) -> Result<(), String> {
    eventually(patience(), || {
        let now = server.workers();
        if now.contains(&victim) {
            return Err("a worker that was told to end goes on".into());
        }
        match now.len() {
            number if number == model.workers => Ok(()),
            number => Err(format!("{number} workers after one was told to end")),
        }
    })
}
