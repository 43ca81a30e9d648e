//! Row 11: slow readers of 10 MB. What the server keeps for each is bounded, and the write
//! deadline ends it.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::crowd::{self, Member, Others, Size, Waits};
use super::side_by_side::Cases;
use crate::client::{open, open_small, send};
use crate::model::Model;
use crate::patience::{deadline, milliseconds, patience};
use crate::process;
use crate::report::{Report, Tally, repeats};
use crate::root::BIG;
use crate::server::Server;

/// How much memory one slow reader may cost, in KiB: a fifth of what it asked for.
const EACH: u64 = 2 * 1024;
/// What a reader that reads at all takes ten times a second.
const SIP: usize = 12;
/// A server whose peers may take [`deadline`] for 16 KiB, with a file that is long.
fn start(model: &Model) -> Result<Server, String> {
    let server = Server::start(model, &["--send-timeout", &milliseconds(deadline())])?;
    server.root.write_big().map_err(|error| format!("big.bin: {error}"))?;
    Ok(server)
}

/// What a crowd of slow readers cost.
struct Cost {
    /// Memory for each, in KiB.
    memory: u64,
    /// How the others fared.
    others: Waits,
}

/// A crowd for which the server has places, and one that takes all of them.
pub fn run(model: &Model) -> Result<Report, String> {
    crowd::allow_many_descriptors();
    let sizes = crowd::sizes(model, crowd::reading_slowly(model));
    let mut cases = Cases::new();
    for size in sizes.clone() {
        cases.add(size.of("slow readers"), move || slow_readers(model, size));
    }
    cases.add("a reader that reads while the server stands still", move || {
        let memory = 0;
        stood_still(model).map(|others| Cost { memory, others })
    });
    let mut tally = Tally::of(model);
    let (mut waits, mut memory, mut beside) = (Vec::new(), 0, Waits::default());
    let of_size = sizes.iter().map(Some).chain([None]);
    for (size, (name, outcome)) in of_size.zip(cases.run()) {
        tally.case(name, || {
            let cost = outcome?;
            memory = cost.memory.max(memory);
            match size {
                Some(Size::All(_)) => {
                    waits.push(("slow readers".into(), cost.others.slowest))
                }
                Some(Size::Part(_)) => beside = cost.others,
                None => {}
            }
            Ok(())
        });
    }
    let mut report = crowd::measured(model, tally.report()?, &waits);
    if model.event_loop {
        report.note = crowd::how_many(model, &sizes, repeats(100, 1000));
    }
    let each = format!("{memory} KiB for each slow reader");
    report.measured = match report.measured.as_str() {
        "" if model.event_loop => format!("{}; {each}", crowd::served(beside, "them")),
        "" => each,
        waited => format!("{waited}; {each}"),
    };
    Ok(report)
}

/// The server is stopped for longer than a reader may take, and the reader reads meanwhile.
/// It was not slow.
fn stood_still(model: &Model) -> Result<Waits, String> {
    let server = start(model)?;
    let mut stream = open(server.address)?;
    send(&mut stream, b"GET /big.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    // The kernel's buffers are full by now, and the server waits.
    thread::sleep(Duration::from_millis(500));
    let all = process::tree(server.pid());
    process::stop(&all)?;
    let mut heard = Member::new(stream, b"")?;
    let begun = Instant::now();
    while begun.elapsed() < deadline() + Duration::from_secs(1) && heard.sip(1 << 16) {
        thread::sleep(Duration::from_millis(1));
    }
    all.iter().try_for_each(|process| process::signal(process.pid, Signal::CONT))?;
    heard.drain();
    let length = heard.heard.len();
    if length < BIG {
        return Err(format!("{length} bytes arrive, of more than {BIG}"));
    }
    server.finish()?;
    Ok(Waits { clients: 1, slowest: Duration::ZERO })
}

fn slow_readers(model: &Model, size: Size) -> Result<Cost, String> {
    let server = start(model)?;
    let before = process::memory(server.pid());
    let mut members = Vec::new();
    for number in 0..size.clients() {
        let stream = open_small(server.address, 4096)
            .map_err(|why| format!("client {number}: {why}"))?;
        let request = b"GET /big.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        members.push(Member::new(stream, request)?);
    }
    let pid = server.pid();
    // A server notes what the kernel takes, not what the reader takes: the kernel's buffer may
    // grow once more, and the deadline begins again.
    let kept = 2 * deadline();
    let others = Others::begin(server.address, size, kept + 2 * patience());
    let grown = thread::spawn(move || {
        // The kernel's buffers are full by now, and the server waits.
        thread::sleep(Duration::from_secs(1));
        process::memory(pid).saturating_sub(before)
    });
    // Every second one reads a little; the others nothing.
    crowd::linger(&mut members, kept + patience(), |number, member| match number % 2 {
        0 => !member.is_reset(),
        _ => member.sip(SIP) && !member.is_reset(),
    });
    let others = others.end()?;
    let grown = grown.join().map_err(|_| "the watch panicked")?;
    let memory = grown / size.clients() as u64;
    if memory > EACH {
        return Err(format!("{memory} KiB of memory for each of them"));
    }
    for (number, member) in members.iter_mut().enumerate() {
        // It was told to read nothing, so a FIN behind what the kernel holds shows only now.
        if member.gone.is_none() && (!member.drain() || member.heard.len() >= BIG) {
            return Err(format!("client {number}: the write deadline does not fire"));
        }
    }
    if matches!(size, Size::Part(_)) && others.slowest > deadline() {
        let waited = others.slowest;
        return Err(format!("a fresh client waited {waited:?}, although places were left"));
    }
    drop(members);
    server.finish()?;
    Ok(Cost { memory, others })
}
