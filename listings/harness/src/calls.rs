//! The system calls for a request, counted by the book's own tracer in a run of their own:
//! a traced server stops twice for each call, so its speed means nothing.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use load::Outcome;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use store::embedded::Embedded;
use trace::Lane;
use trace::tracer::{Seen, Tracer, refused};

use crate::cell::Bench;
use crate::cores;
use crate::output::first_line;
use crate::plan::Todo;
use crate::process::Interrupted;
use crate::record::Calls;

/// How many requests are traced, at least; and as many for each client.
const REQUESTS: usize = 2_000;
const EACH: usize = 5;
/// More clients are not traced: nothing changes any more but the time it takes.
const CLIENTS: usize = 1_000;
/// How long a server that is traced may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Counts them. Inside: why they cannot be counted.
///
/// # Errors
/// [`Interrupted`].
pub fn count(
    bench: &Bench<'_>,
    todo: &Todo<'_>,
) -> Result<Result<Calls, String>, Interrupted> {
    let todo = Todo { clients: todo.clients.min(CLIENTS), ..*todo };
    thread::scope(|scope| {
        // What is traced belongs to the thread that starts it, and runs where that may run.
        let tracing = scope.spawn(|| traced(bench, &todo));
        tracing.join().unwrap_or_else(|_| Ok(Err("the tracer panicked".into())))
    })
}

fn traced(
    bench: &Bench<'_>,
    todo: &Todo<'_>,
) -> Result<Result<Calls, String>, Interrupted> {
    match start(bench, todo) {
        Ok((tracer, address, _store)) => look_on(bench, todo, tracer, address),
        Err(why) => Ok(Err(why)),
    }
}

/// A server under the tracer, where it listens if that is known, and its store, which is no
/// child of it: its calls are not the server's.
fn start(
    bench: &Bench<'_>,
    todo: &Todo<'_>,
) -> Result<(Tracer, Option<SocketAddr>, Embedded), String> {
    let failed = |error: std::io::Error| error.to_string();
    let delay = if todo.workload.waits() { bench.settings.store_delay } else { 0 };
    let store = Embedded::start(Duration::from_millis(delay), None)?;
    let flags = vec!["--store".into(), format!("redis://{}", store.address())];
    let (mut command, address) = bench.start(flags).command(todo.server).map_err(failed)?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.process_group(0);
    cores::pin_this_thread(bench.cores.server).map_err(failed)?;
    let tracer = Tracer::start(&mut command).map_err(|error| refused(&error))?;
    Ok((tracer, address, store))
}

/// Lets the server run while somebody else asks it, and counts.
fn look_on(
    bench: &Bench<'_>,
    todo: &Todo<'_>,
    mut tracer: Tracer,
    address: Option<SocketAddr>,
) -> Result<Result<Calls, String>, Interrupted> {
    let zero = tracer.zero();
    let server = Pid::from_child(tracer.child());
    let line = first_line(tracer.child().stdout.take());
    thread::scope(|scope| {
        let (over, told) = channel::<()>();
        let asking = scope.spawn(move || {
            let asked = ask(bench, todo, &line, address, zero);
            // It is a child of the tracer's thread, which waits for it: so its number is its
            // own until `told` hears that.
            let _ = kill_process(server, Signal::TERM);
            if told.recv_timeout(PATIENCE).is_err() {
                let _ = kill_process_group(server, Signal::KILL);
            }
            asked
        });
        let seen = tracer.run();
        let _ = over.send(()); // It may have given up waiting.
        let asked =
            asking.join().unwrap_or_else(|_| Ok(Err("the client panicked".into())))?;
        Ok(asked.and_then(|(outcome, end)| match seen {
            Ok(Seen { lanes, .. }) => Ok(counted(&lanes, &outcome, end)),
            Err(error) => Err(format!("cannot trace it: {error}")),
        }))
    })
}

/// What the generator saw, and when it ended, in the tracer's microseconds.
type Traced = Result<(Outcome, f64), String>;

/// Asks it.
fn ask(
    bench: &Bench<'_>,
    todo: &Todo<'_>,
    line: &Receiver<String>,
    address: Option<SocketAddr>,
    zero: Instant,
) -> Result<Traced, Interrupted> {
    let said = match address {
        Some(address) => comes_up(address, bench.stop)?.then(|| address.to_string()),
        None => line
            .recv_timeout(PATIENCE)
            .ok()
            .and_then(|line| line.strip_prefix("listening on http://").map(str::to_owned)),
    };
    let Some(address) = said else {
        return Ok(Err("under the tracer it does not start".into()));
    };
    let requests = REQUESTS.max(EACH * todo.clients).to_string();
    let asked = bench.load(todo, &address, &["--requests".into(), requests])?;
    let micros = |at: Instant| at.duration_since(zero).as_secs_f64() * 1e6;
    Ok(asked.map(|(outcome, end)| (outcome, micros(end))))
}

/// A connection that says nothing is enough to see it. (It is over before time is measured.)
fn comes_up(address: SocketAddr, stop: &AtomicBool) -> Result<bool, Interrupted> {
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err() {
        if stop.load(Ordering::Relaxed) {
            return Err(Interrupted);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(true)
}

/// The calls of the measured time.
fn counted(lanes: &[Lane], outcome: &Outcome, end: f64) -> Calls {
    let begin = end - outcome.seconds * 1e6;
    let mut by_name = BTreeMap::new();
    for call in lanes.iter().flat_map(|lane| &lane.calls) {
        if (begin..end).contains(&call.begin) {
            *by_name.entry(call.name.clone()).or_default() += 1;
        }
    }
    Calls { requests: outcome.answered, by_name }
}
