//! Row 17: SIGKILL of a worker of a pool. It is replaced, only its own connection is lost,
//! one that dies again and again does not keep the machine busy, and nothing outlives the
//! first process.

use std::collections::HashSet;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::accept::LINES;
use super::load::Load;
use super::side_by_side::Cases;
use crate::client::{eventually, listen, open, send};
use crate::model::Model;
use crate::patience::patience;
use crate::process::{self, Process};
use crate::random::Random;
use crate::report::{Report, Tally, repeats};
use crate::server::Server;

/// Between two kills: a worker that has lived so long did not die at once.
const BETWEEN: Duration = Duration::from_millis(100);
/// Time for a server to read what was sent, before a signal.
const MOMENT: Duration = Duration::from_millis(150);
/// How often a worker may be replaced in a second, for each worker that there is.
const RESPAWNS: usize = 12;

/// The cases, in each form of the server.
pub fn run(model: &Model) -> Result<Report, String> {
    if !model.respawns {
        return Ok(Report::not_applicable("has no workers that a first process replaces"));
    }
    let kills = repeats(5, 50);
    let mut tally = Tally::of(model);
    let mut times = Vec::new();
    // Alone, since it is measured.
    tally.case(format!("{kills} kills under load"), || {
        times = under_load(model, kills)?;
        times.sort();
        Ok(())
    });
    let plain = (String::new(), model.clone());
    let pool = (!model.has_whole_forms()).then_some(model);
    let forms: Vec<(String, Model)> = pool.iter().flat_map(|m| m.other_forms()).collect();
    let mut cases = Cases::new();
    for (form, model) in &forms {
        let name = format!("{kills} kills under load {form}");
        cases.add(name, move || under_load(model, kills).map(drop));
    }
    for (form, model) in std::iter::once(&plain).chain(&forms) {
        let named = |what: &str| format!("{what} {form}").trim_end().to_owned();
        cases.add(named("kills without a pause"), || again_and_again(model));
        cases.add(named("a kill while clients queue"), || queued(model));
        cases.add(named("a kill while the server ends"), || while_ending(model));
        cases.add(named("the first process is killed"), || first_process(model));
    }
    for (name, outcome) in cases.run() {
        tally.case(name, || outcome);
    }
    let mut report = tally.report()?.with_note(format!("{kills} kills under load"));
    if let (Some(half), Some(slowest)) = (times.get(times.len() / 2), times.last()) {
        let (half, slowest) = (half.as_millis(), slowest.as_millis());
        report.measured = format!(
            "half of the workers were there again within {half} ms, the slowest within {slowest} ms"
        );
    }
    Ok(report)
}

/// Kills workers while clients ask; returns how long it took until each was replaced.
fn under_load(model: &Model, kills: usize) -> Result<Vec<Duration>, String> {
    let server = Server::start(model, &[])?;
    let (load, mut random) = (Load::default(), Random::new(17));
    let clients = model.workers + 2;
    let times = load.during(server.address, clients, || {
        (0..kills)
            .map(|_| {
                thread::sleep(BETWEEN);
                replaced(model, &server, &mut random)
            })
            .collect::<Result<Vec<_>, _>>()
    })?;
    // A worker holds one connection, and a loop as many as there are.
    load.lost_at_most(if model.event_loop { kills * clients } else { kills })?;
    server.finish().map(|()| times)
}

fn replaced(
    model: &Model,
    server: &Server,
    random: &mut Random,
) -> Result<Duration, String> {
    let mut before = Vec::new();
    // Not at once: a list of children is not exact while one of them ends.
    eventually(patience(), || {
        before = server.workers();
        match before.len() {
            number if number == model.workers => Ok(()),
            number => Err(format!("{number} workers instead of {}", model.workers)),
        }
    })?;
    let begun = Instant::now();
    process::signal(*random.one_of(&before), Signal::KILL)?;
    while begun.elapsed() < patience() {
        let now = server.workers();
        if now.len() == model.workers && now.iter().any(|pid| !before.contains(pid)) {
            return Ok(begun.elapsed());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Err("a worker that was killed is not replaced".into())
}

/// Kills every worker as soon as it is there, for two seconds.
fn again_and_again(model: &Model) -> Result<(), String> {
    let server = Server::start(model, &[])?;
    let (begun, lines) = (Instant::now(), server.log().len());
    let mut seen: HashSet<u32> = server.workers().into_iter().collect();
    let at_first = seen.len();
    while begun.elapsed() < Duration::from_secs(2) {
        for pid in server.workers() {
            seen.insert(pid);
            // It may just have ended.
            let _ = process::signal(pid, Signal::KILL);
        }
        thread::sleep(Duration::from_millis(1));
    }
    let seconds = begun.elapsed().as_secs_f64();
    let (started, lines) = (seen.len() - at_first, server.log().len() - lines);
    if started as f64 > (RESPAWNS * model.workers) as f64 * seconds {
        return Err(format!("{started} workers were started in {seconds:.1} s"));
    }
    if lines as f64 > LINES as f64 * (seconds + 1.0) {
        return Err(format!("{lines} lines in the log in {seconds:.1} s"));
    }
    eventually(patience(), || match server.workers().len() {
        number if number == model.workers => Ok(()),
        number => Err(format!("{number} workers afterwards")),
    })?;
    server.finish()
}

/// All workers are busy, and more clients wait in the queue, when one worker is killed.
fn queued(model: &Model) -> Result<(), String> {
    const PAGE: &[u8] = b"GET /guestbook HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let server = Server::start(model, &["--store-delay", "300"])?;
    let mut clients: Vec<TcpStream> = Vec::new();
    for _ in 0..model.workers + 8 {
        let mut stream = open(server.address)?;
        send(&mut stream, PAGE)?;
        clients.push(stream);
    }
    thread::sleep(MOMENT);
    let victim = *server.workers().first().ok_or("there is no worker")?;
    // Its listener and its way to the store are among them.
    let most = if model.event_loop { process::sockets(victim) } else { 1 };
    process::signal(victim, Signal::KILL)?;
    let answers =
        clients.iter_mut().map(|stream| match listen(stream).response()?.status {
            200 => Ok(()),
            status => Err(format!("answered {status}")),
        });
    let lost: Vec<String> = answers.filter_map(Result::err).collect();
    if lost.len() > most {
        return Err(format!("{} of those who waited are lost: {}", lost.len(), lost[0]));
    }
    server.finish()
}

/// A worker is killed in the middle of a request while the server waits for it to finish.
fn while_ending(model: &Model) -> Result<(), String> {
    let mut server = Server::start(model, &["--store-delay", "1000"])?;
    let mut stream = open(server.address)?;
    send(&mut stream, b"GET /guestbook HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    thread::sleep(MOMENT);
    server.signal(Signal::TERM)?;
    thread::sleep(MOMENT);
    for worker in server.workers() {
        // Those who had nothing to do may have ended.
        let _ = process::signal(worker, Signal::KILL);
    }
    server.wait(patience()).map(drop).map_err(|why| format!("after the kill {why}"))
}

/// The first process is killed while a worker waits for a client and another for nobody.
fn first_process(model: &Model) -> Result<(), String> {
    let mut server = Server::start(model, &[])?;
    let mut stream = open(server.address)?;
    send(&mut stream, b"GET /small.txt HT")?;
    thread::sleep(MOMENT);
    let all: Vec<u32> =
        process::tree(server.pid()).iter().skip(1).map(|process| process.pid).collect();
    server.signal(Signal::KILL)?;
    server.wait(patience())?;
    // The client leaves; what it has begun need not be finished.
    drop(stream);
    eventually(patience(), || {
        let lives = |pid: &u32| Process::read(*pid).filter(|process| process.state != 'Z');
        match all.iter().filter_map(lives).min_by_key(Process::is_store) {
            Some(left) if left.is_store() => {
                Err("the store outlives the first process".into())
            }
            Some(_) => Err("a worker outlives the first process".into()),
            None => Ok(()),
        }
    })
    .inspect_err(|_| {
        for pid in &all {
            // Nothing of this test is to outlive it.
            let _ = process::signal(*pid, Signal::KILL);
        }
    })
}
