//! Row 12: slowloris. Clients that send a byte now and then are gone by an absolute
//! deadline, and so are those that say nothing; meanwhile the others are served, as far as
//! the model has places for them.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::crowd::{self, Member, Others, Size, Waits};
use super::side_by_side::Cases;
use crate::client::{listen, listen_until, open, send};
use crate::model::Model;
use crate::patience::{deadline, milliseconds, patience};
use crate::process;
use crate::report::{Report, Tally, Tier};
use crate::response::responses;
use crate::root::SMALL;
use crate::server::Server;

/// What the clients drip.
#[derive(Clone, Copy, Debug)]
struct Drip {
    name: &'static str,
    first: &'static [u8],
    /// The flag that sets the deadline.
    flag: &'static str,
    deadline: Duration,
}

const HEAD: Drip = Drip {
    name: "heads",
    first: b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX: ",
    flag: "--header-timeout",
    deadline: Duration::from_millis(1500),
};

fn body() -> Drip {
    Drip {
        name: "bodies",
        first: b"POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\n\r\nremark=",
        flag: "--body-timeout",
        deadline: deadline(),
    }
}

/// Dripping clients of both kinds, silent ones, and idle ones that are kept alive.
pub fn run(model: &Model) -> Result<Report, String> {
    crowd::allow_many_descriptors();
    let mut cases = Cases::new();
    let mut are_all = Vec::new();
    for drip in [HEAD, body()] {
        for size in crowd::sizes(model, crowd::dripping(model)) {
            let seconds = drip.deadline.as_secs_f32();
            let what = format!("{} with a deadline of {seconds} s", drip.name);
            are_all.push(matches!(size, Size::All(_)).then_some(what));
            let name = size.of(&format!("dripping {}", drip.name));
            cases.add(name, move || dripping(model, drip, size));
        }
    }
    let many = model.at_once.min(30) + 2;
    cases.add(format!("{many} clients that say nothing"), move || silent(model, many));
    cases.add("what arrived while the server stood still", move || stood_still(model));
    if model.keep_alive {
        let name = format!("{many} idle connections that are kept alive");
        cases.add(name, move || kept_alive(model, many));
    }
    let mut tally = Tally::of(model);
    let (mut waits, mut beside) = (Vec::new(), Waits::default());
    let whats = are_all.into_iter().chain([const { None }; 3]);
    for (what, (name, outcome)) in whats.zip(cases.run()) {
        tally.case(name, || {
            let others = outcome?;
            match what {
                Some(what) => waits.push((what, others.slowest)),
                None => {
                    beside.clients += others.clients;
                    beside.slowest = beside.slowest.max(others.slowest);
                }
            }
            Ok(())
        });
    }
    let mut report = crowd::measured(model, tally.report()?, &waits);
    if model.event_loop {
        let most = crowd::dripping(model);
        report.note = crowd::how_many(model, &crowd::sizes(model, most), most);
        report.measured = crowd::served(beside, "them");
    }
    Ok(report)
}

/// Clients that drip; returns how the others fared.
fn dripping(model: &Model, drip: Drip, size: Size) -> Result<Waits, String> {
    let server = Server::start(model, &[drip.flag, &milliseconds(drip.deadline)])?;
    let mut members = Vec::new();
    for number in 0..size.clients() {
        let stream =
            open(server.address).map_err(|why| format!("client {number}: {why}"))?;
        members.push(Member::new(stream, drip.first)?);
    }
    let others = Others::begin(server.address, size, drip.deadline + 2 * patience());
    crowd::linger(&mut members, drip.deadline + patience(), |_, member| {
        member.drip(b'x');
        member.sip(4096)
    });
    let others = others.end()?;
    let allowed = match Tier::of_this_run() {
        Tier::Long => drip.deadline + Duration::from_secs(1),
        Tier::Test | Tier::Ci => drip.deadline + patience(),
    };
    for (number, member) in members.iter().enumerate() {
        match member.gone {
            None => return Err(format!("client {number} still drips after {allowed:?}")),
            Some(time) if time > allowed => {
                return Err(format!("client {number} was gone only after {time:?}"));
            }
            Some(_) => {}
        }
        // It may be told why, and nothing else.
        if let Some(response) =
            responses(&member.heard, &[])?.iter().find(|r| r.status != 408)
        {
            return Err(format!("client {number} is answered {}", response.status));
        }
    }
    if matches!(size, Size::Part(_)) && others.slowest > deadline() {
        let waited = others.slowest;
        return Err(format!("a fresh client waited {waited:?}, although places were left"));
    }
    server.finish()?;
    Ok(others)
}

/// Clients that connect and say nothing, as browsers do in advance.
fn silent(model: &Model, many: usize) -> Result<Waits, String> {
    let server = Server::start(model, &[HEAD.flag, &milliseconds(HEAD.deadline)])?;
    let silent: Vec<TcpStream> =
        (0..many).map(|_| open(server.address)).collect::<Result<_, _>>()?;
    // Where there are fewer places than silent clients, several deadlines pass.
    let outage = crowd::fresh_client(server.address, 4 * patience())?;
    drop(silent);
    server.finish()?;
    Ok(Waits { clients: 1, slowest: outage })
}

/// The server is stopped for longer than a head may take. What arrived meanwhile arrived in
/// time: the client was not slow.
fn stood_still(model: &Model) -> Result<Waits, String> {
    const GET: &[u8] = b"GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let server = Server::start(model, &["--header-timeout", "400"])?;
    let mut stream = open(server.address)?;
    send(&mut stream, &GET[..20])?;
    thread::sleep(Duration::from_millis(100));
    let all = process::tree(server.pid());
    process::stop(&all)?;
    let sent = send(&mut stream, &GET[20..]);
    thread::sleep(Duration::from_millis(800));
    all.iter().try_for_each(|process| process::signal(process.pid, Signal::CONT))?;
    sent?;
    match listen(&mut stream).response()?.status {
        200 => {}
        status => return Err(format!("answered {status}")),
    }
    server.finish()?;
    Ok(Waits { clients: 1, slowest: Duration::ZERO })
}

/// Each client gets its file and stays. The idle time that is allowed is a minute, so that a
/// server without places for all of them has to close idle connections to serve the next.
fn kept_alive(model: &Model, many: usize) -> Result<Waits, String> {
    let server = Server::start(model, &[])?;
    let mut idle = Vec::new();
    for number in 0..many {
        let mut stream = open(server.address)?;
        send(&mut stream, b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n")?;
        let heard = listen_until(&mut stream, |bytes| bytes.ends_with(SMALL.as_bytes()));
        if !heard.bytes.starts_with(b"HTTP/1.1 200 ") {
            return Err(format!(
                "client {number} is not served: {} bytes, connection {:?}",
                heard.bytes.len(),
                heard.end
            ));
        }
        idle.push(stream);
    }
    let outage = crowd::fresh_client(server.address, patience())?;
    drop(idle);
    server.finish()?;
    Ok(Waits { clients: 1, slowest: outage })
}
