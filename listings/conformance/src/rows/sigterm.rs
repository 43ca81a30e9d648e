//! Row 16: SIGTERM under load. Whoever was heard is answered in full, whoever waits in the
//! accept queue too, nobody gets half a response, and the exit code is 0 within the time of
//! grace.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::client::{End, Heard, listen, listen_until, open, send};
use crate::model::Model;
use crate::patience::patience;
use crate::report::{Report, Tally, repeats};
use crate::root::SMALL;
use crate::server::Server;

const GET: &[u8] = b"GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
/// Time for a server to read what was sent, before a signal.
const MOMENT: Duration = Duration::from_millis(150);

/// Situations in which the signal comes, each with a server of its own.
pub fn run(model: &Model) -> Result<Report, String> {
    let mut tally = Tally::default();
    for (name, signal) in [("SIGTERM, idle", Signal::TERM), ("SIGINT, idle", Signal::INT)] {
        tally.case(name, || idle(model, signal));
    }
    tally.case("a request of which half was read", || {
        half_read(model, b"GET /small.txt HT")
    });
    tally.case("a request of which one byte was read", || half_read(model, b"G"));
    tally.case("requests in the accept queue", || queued(model));
    tally.case("a response of 10 MB that is being sent", || being_sent(model));
    tally.case("a page that waits for the store", || waits_for_store(model));
    tally.case("a client that never finishes", || never_finishes(model));
    tally.case("a client that says nothing", || says_nothing(model));
    tally.case("connections that are kept alive", || kept_alive(model));
    let (times, clients) = (repeats(5, 100), repeats(16, 64));
    let outcome = || {
        (0..times).try_for_each(|number| {
            under_load(model, clients, Duration::from_millis(40 + 17 * (number as u64 % 7)))
                .map_err(|why| format!("time {}: {why}", number + 1))
        })
    };
    tally.case(format!("{clients} clients in a closed loop"), outcome);
    let note = format!("the closed loop: {clients} clients, {times} times");
    tally.report().map(|report| report.with_note(note))
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

fn half_read(model: &Model, first: &[u8]) -> Result<(), String> {
    let server = Server::start(model, &[])?;
    let mut stream = open(server.address)?;
    send(&mut stream, first)?;
    thread::sleep(MOMENT);
    server.signal(Signal::TERM)?;
    thread::sleep(MOMENT);
    send(&mut stream, &GET[first.len()..])?;
    small(&listen(&mut stream))?;
    ended(server)
}

fn queued(model: &Model) -> Result<(), String> {
    let server = Server::start(model, &[])?;
    // The first client keeps a server of one client busy, so that the others stay in the
    // queue.
    let mut first = open(server.address)?;
    send(&mut first, &GET[..20])?;
    thread::sleep(MOMENT);
    let mut others = Vec::new();
    for _ in 0..20 {
        let mut stream = open(server.address)?;
        send(&mut stream, GET)?;
        others.push(stream);
    }
    server.signal(Signal::TERM)?;
    thread::sleep(MOMENT);
    send(&mut first, &GET[20..])?;
    small(&listen(&mut first))
        .map_err(|why| format!("the client that was being read: {why}"))?;
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

fn waits_for_store(model: &Model) -> Result<(), String> {
    let server = Server::start(model, &["--store-delay", "400"])?;
    let mut stream = open(server.address)?;
    send(&mut stream, b"GET /guestbook HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    thread::sleep(MOMENT);
    server.signal(Signal::TERM)?;
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
        send(&mut stream, b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n")?;
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

/// Clients ask again and again until the server is gone. Whoever had sent a request before
/// the signal is answered; later ones are answered in full or not at all.
fn under_load(model: &Model, clients: usize, before: Duration) -> Result<(), String> {
    let server = Server::start(model, &[])?;
    let (address, signalled) = (server.address, AtomicBool::new(false));
    thread::scope(|scope| {
        let loops: Vec<_> = (0..clients)
            .map(|_| scope.spawn(|| closed_loop(address, &signalled)))
            .collect();
        thread::sleep(before);
        signalled.store(true, Ordering::SeqCst);
        let outcome = server.signal(Signal::TERM).and_then(|()| ended(server));
        let mut answered = 0;
        for client in loops {
            answered += client.join().map_err(|_| "a client panicked")??;
        }
        if answered == 0 {
            return Err("nobody was answered".into());
        }
        outcome
    })
}

/// Asks until the server no longer answers; returns how often it did.
fn closed_loop(address: SocketAddr, signalled: &AtomicBool) -> Result<usize, String> {
    let begun = Instant::now();
    for answered in 0.. {
        if begun.elapsed() > 2 * patience() {
            return Err("the server still answers".into());
        }
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
            Err(_) if signalled.load(Ordering::SeqCst) => return Ok(answered),
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
                false => return Ok(answered),
            }
        }
        small(&heard)?;
    }
    Ok(0)
}
