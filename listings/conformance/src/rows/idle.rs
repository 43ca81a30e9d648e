//! Row 29: nothing to do. A server that waits does nothing else: no thread of it is woken,
//! and the clock counts no tick of processor time for it.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::side_by_side::Cases;
use crate::client::{End, listen_until, open, send};
use crate::model::Model;
use crate::patience::attempts;
use crate::process::Effort;
use crate::report::{Report, Tally, repeats};
use crate::root::SMALL;
use crate::server::Server;

/// Connections that are kept alive, with nothing to say.
const IDLE: usize = 100;

/// Nobody is connected; and where a connection costs nobody his place, a hundred are.
pub fn run(model: &Model) -> Result<Report, String> {
    let window = Duration::from_secs(repeats(2, 10) as u64);
    let mut cases = Cases::new();
    cases.add("nobody is connected", move || idle(model, 0, window));
    let many = if model.event_loop { IDLE } else { (model.at_once / 2).min(16) };
    if model.keep_alive {
        let name = format!("{many} idle connections");
        cases.add(name, move || idle(model, many, window));
    }
    let mut tally = Tally::of(model);
    let mut busy = String::new();
    for (number, (name, outcome)) in cases.run().into_iter().enumerate() {
        tally.case(name, || {
            let effort = outcome?;
            if effort == Effort::default() {
                return Ok(());
            }
            let seconds = window.as_secs();
            // A worker that holds a connection for one client may look up for others.
            if number == 0 || model.event_loop {
                return Err(format!("{effort} in {seconds} s"));
            }
            busy = format!("{many} idle connections: {effort} in {seconds} s");
            Ok(())
        });
    }
    let mut report = tally.report()?.with_note(format!("for {} s", window.as_secs()));
    report.measured = busy;
    Ok(report)
}

/// What the server, all its threads and its store do while nothing happens. Where the end of
/// what was done before reaches into a window, the next one decides; what comes again and
/// again is in each.
fn idle(model: &Model, connections: usize, window: Duration) -> Result<Effort, String> {
    let server = Server::start(model, &[])?;
    let mut idle = Vec::new();
    for number in 0..connections {
        let mut stream: TcpStream = open(server.address)?;
        send(&mut stream, b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n")?;
        let heard = listen_until(&mut stream, |bytes| bytes.ends_with(SMALL.as_bytes()));
        let response = heard.response().map_err(|why| format!("client {number}: {why}"))?;
        if heard.end != End::Open || response.closes() {
            return Err(format!("client {number} may not stay"));
        }
        idle.push(stream);
    }
    let mut effort = Effort::default();
    // Who looks up for others again and again is measured once.
    let windows = if connections == 0 || model.event_loop { attempts() } else { 1 };
    for _ in 0..windows {
        settle(&server);
        let before = Effort::of(server.pid());
        thread::sleep(window);
        effort = Effort::of(server.pid()).since(before);
        if effort == Effort::default() {
            break;
        }
    }
    drop(idle);
    server.finish()?;
    Ok(effort)
}

/// Waits until what was begun is done, and what is kept for a second (a file that is open)
/// has been let go: nothing moved for a moment.
fn settle(server: &Server) {
    thread::sleep(Duration::from_millis(1500));
    let begun = Instant::now();
    let mut last = Effort::of(server.pid());
    while begun.elapsed() < Duration::from_secs(1) {
        thread::sleep(Duration::from_millis(150));
        let now = Effort::of(server.pid());
        if now == last {
            return;
        }
        last = now;
    }
}
