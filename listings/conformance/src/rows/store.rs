//! Row 15: the store is down, slow, or talks nonsense. The page that needs it is answered
//! 503 within the deadline, files are served as ever, nothing is stored twice, and where many
//! callers share a connection each gets its own reply or none.

use std::thread;
use std::time::{Duration, Instant};

use super::accept::{quiet_second, seldom_woken};
use super::side_by_side::Cases;
use crate::client::{End, eventually, exchange, get, listen, listen_until, open, send};
use crate::fake_store::{Break, FakeStore, Mood};
use crate::model::Model;
use crate::report::{Report, Tally};
use crate::response::responses;
use crate::root::SMALL;
use crate::server::Server;

/// `--store-timeout` of the server, in milliseconds.
const TIMEOUT: &str = "200";
/// How long a page may take that needs 200 ms at most: twice for two replies, and much for
/// a busy machine.
const BOUND: Duration = Duration::from_secs(5);
/// How many guestbook requests hang at one time in the test of files, and how many where one
/// thread waits for all of them.
const HANGING: usize = 16;
const HANGING_IN_A_LOOP: usize = 200;
/// `--store-timeout` where the store is to answer some of many callers, in milliseconds.
const LONG_TIMEOUT: &str = "1500";
/// How many ask at the same time then.
const CALLERS: u32 = 20;

/// Moods in which no reply is one.
static MOODS: &[(&str, Mood)] = &[
    ("down", Mood::Down),
    ("silent", Mood::Silent),
    ("garbage", Mood::Garbage),
    ("a reply without end", Mood::Endless),
    ("half a reply", Mood::Half),
    ("half a reply, then closes", Mood::HalfThenCloses),
    ("a byte every 50 ms", Mood::Drips),
    ("closes when asked", Mood::ClosesWhenAsked),
    ("closes at once", Mood::ClosesAtOnce),
    ("an error for every command", Mood::Refuses),
    ("a reply after the deadline", Mood::Late(400)),
];

/// Each mood: the page, the remark, files meanwhile and afterwards, and the recovery; and
/// many callers at once.
pub fn run(model: &Model) -> Result<Report, String> {
    let mut cases = Cases::new();
    for (name, how) in [
        ("garbage among the replies to 20 callers", Break::Garbage),
        ("half a reply among those to 20 callers", Break::Half),
        ("it closes in the middle of 20 replies", Break::Closes),
    ] {
        cases.add(name, move || many_callers(model, how));
    }
    cases.add("a reply to a caller that has gone is not the next one's", || {
        abandoned(model)
    });
    if model.keep_alive && model.at_once > 1 {
        let name = "a reply to a client's last question is not the one to its next";
        cases.add(name, || abandoned_by_itself(model));
    }
    cases.add("503 at once while nobody listens", || at_once(model));
    cases.add("files while pages hang", || files_meanwhile(model));
    if model.event_loop {
        cases.add("it is not called without end", || not_hammered(model));
    }
    let (moods, others) = thread::scope(|scope| {
        let moods = scope.spawn(|| in_each_mood(model));
        let others = cases.run();
        (moods.join().unwrap_or_else(|_| Err("the moods panicked".into())), others)
    });
    let mut tally = Tally::of(model);
    for (name, outcome) in others {
        tally.case(name, || outcome);
    }
    let note = if model.at_once == 1 {
        "one page that waits for the store holds up everybody"
    } else {
        ""
    };
    match (moods, tally.report()) {
        (Ok(moods), Ok(others)) => {
            let cases = moods.cases + others.cases;
            let lacking = [moods.lacking.clone(), others.lacking].concat();
            Ok(Report { cases, lacking, ..moods }.with_note(note))
        }
        (Err(moods), Err(others)) => Err(format!("{others}\n{moods}")),
        (Err(why), Ok(_)) | (Ok(_), Err(why)) => Err(why),
    }
}

fn in_each_mood(model: &Model) -> Result<Report, String> {
    let (store, server) = with_store(model, TIMEOUT)?;
    let mut tally = Tally::of(model);
    for (name, mood) in MOODS {
        store.turn(*mood);
        tally.case(format!("{name}: the page"), || page(&server, &[503]));
        tally.case(format!("{name}: a file afterwards"), || file(&server));
        tally.case(format!("{name}: a remark is sent at most once"), || {
            remark(&server, &store, name, &[503])
        });
        store.turn(Mood::Good);
        tally.case(format!("{name}: the page once the store is back"), || {
            eventually(BOUND, || page(&server, &[200]))
        });
        tally.case(format!("{name}: a remark once the store is back"), || {
            // Each attempt is a remark of its own: on a busy machine even a good store may
            // take longer than its time.
            eventually(BOUND, || remark(&server, &store, "back", &[303]))
        });
    }
    // The store ended the connection after its last reply: the next call meets a connection
    // that is gone.
    store.turn(Mood::ClosesAfterwards);
    for number in 0..4 {
        let outcome = || remark(&server, &store, "closing", &[303, 503]);
        tally.case(
            format!("closes after each reply: remark {number} is sent at most once"),
            outcome,
        );
    }
    store.turn(Mood::Good);
    tally.case("the page at the end", || eventually(BOUND, || page(&server, &[200])));
    server.conclude(tally)
}

fn page(server: &Server, statuses: &[u16]) -> Result<(), String> {
    let begun = Instant::now();
    let response = get(server.address, "/guestbook")?;
    expect(response.status, statuses)?;
    if begun.elapsed() > BOUND {
        Err(format!("it took {:?}", begun.elapsed()))
    } else {
        Ok(())
    }
}

fn expect(status: u16, statuses: &[u16]) -> Result<(), String> {
    if statuses.contains(&status) {
        Ok(())
    } else {
        Err(format!("status {status} instead of {statuses:?}"))
    }
}

fn file(server: &Server) -> Result<(), String> {
    let response = get(server.address, "/small.txt")?;
    expect(response.status, &[200])?;
    if response.body == SMALL.as_bytes() {
        Ok(())
    } else {
        Err("not the content of the file".into())
    }
}

/// Posts a remark that nobody else has posted, and counts how often the store hears it.
fn remark(
    server: &Server,
    store: &FakeStore,
    about: &str,
    statuses: &[u16],
) -> Result<(), String> {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let about: String = about.chars().filter(char::is_ascii_alphanumeric).collect();
    // The dot ends the number, so that no remark is the beginning of another.
    let remark = format!("{about}{number}.");
    let begun = Instant::now();
    let status = exchange(server.address, post(&remark).as_bytes())?.response()?.status;
    expect(status, statuses)?;
    if begun.elapsed() > BOUND {
        return Err(format!("it took {:?}", begun.elapsed()));
    }
    match (store.times_heard(&remark), status) {
        (0, 303) => Err("acknowledged, but the store never heard of it".into()),
        (0 | 1, _) => Ok(()),
        (times, _) => Err(format!("the store heard it {times} times")),
    }
}

/// The request that posts a remark.
fn post(remark: &str) -> String {
    let form = format!("remark={remark}");
    format!(
        "POST /guestbook HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
        form.len()
    )
}

/// While as many pages hang as the model can bear without being full, files are answered.
fn files_meanwhile(model: &Model) -> Result<(), String> {
    let (store, server) = with_store(model, "60000")?;
    store.turn(Mood::Holds);
    let most = if model.event_loop { HANGING_IN_A_LOOP } else { HANGING };
    let hanging = most.min(model.at_once - 1);
    let mut pages = Vec::new();
    for _ in 0..hanging {
        let mut stream = open(server.address)?;
        send(&mut stream, PAGE.as_bytes())?;
        pages.push(stream);
    }
    thread::sleep(Duration::from_millis(50));
    let files = if model.event_loop { 20 } else { 1 };
    (0..files).try_for_each(|_| file(&server))?;
    for stream in &pages {
        stream.set_nonblocking(true).map_err(|error| error.to_string())?;
        if stream.peek(&mut [0]).is_ok() {
            return Err("a page was answered without the store".into());
        }
        stream.set_nonblocking(false).map_err(|error| error.to_string())?;
    }
    store.turn(Mood::Good);
    for mut stream in pages {
        let heard = listen(&mut stream);
        if heard.end == End::Open {
            return Err("a page hangs for ever".into());
        }
        expect(heard.response()?.status, &[200])?;
    }
    server.finish()
}

/// The store reads nothing until 20 callers have asked, some with a page and some with a
/// remark; then it answers ten commands, and breaks. Whoever was answered has what he asked
/// for, whoever was not is told so, and afterwards it goes on.
fn many_callers(model: &Model, how: Break) -> Result<(), String> {
    let (store, server) = with_store(model, LONG_TIMEOUT)?;
    store.turn(Mood::Holds);
    let begun = Instant::now();
    let mut callers = Vec::new();
    for number in 0..CALLERS {
        let remark = (number % 4 == 3).then(|| format!("caller-{number}."));
        let mut stream = open(server.address)?;
        send(&mut stream, remark.as_deref().map_or(PAGE.into(), post).as_bytes())?;
        callers.push((stream, remark));
    }
    thread::sleep(Duration::from_millis(100));
    store.turn(Mood::Breaks(10, how));
    let (mut answered, mut visitors) = (0, Vec::new());
    for (number, (mut stream, remark)) in callers.into_iter().enumerate() {
        let response = listen(&mut stream)
            .response()
            .map_err(|why| format!("caller {number}: {why}"))?;
        let heard = remark.as_deref().map(|remark| store.times_heard(remark));
        match (response.status, heard) {
            (200, None) => visitors.push(visitor(&response.body)?),
            (303, Some(1)) => {}
            (503, None | Some(0 | 1)) => continue,
            (503 | 303, Some(times)) => {
                return Err(format!("the store heard remark {number} {times} times"));
            }
            (status, _) => return Err(format!("caller {number} is answered {status}")),
        }
        answered += 1;
    }
    let pages = visitors.len();
    visitors.sort_unstable();
    visitors.dedup();
    if visitors.len() < pages {
        return Err("two callers got the same reply".into());
    }
    if answered == 0 && begun.elapsed() < Duration::from_secs(1) {
        return Err("nobody was answered, although the store answered some".into());
    }
    if begun.elapsed() > 2 * BOUND {
        return Err(format!("it took {:?}", begun.elapsed()));
    }
    store.turn(Mood::Good);
    eventually(BOUND, || page(&server, &[200]))?;
    eventually(BOUND, || remark(&server, &store, "back", &[303]))?;
    server.finish()
}

const PAGE: &str = "GET /guestbook HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

fn with_store(model: &Model, timeout: &str) -> Result<(FakeStore, Server), String> {
    let store = FakeStore::start().map_err(|error| format!("fake store: {error}"))?;
    let flags = ["--store", &store.url(), "--store-timeout", timeout];
    Server::start(model, &flags).map(|server| (store, server))
}

/// Which visitor the page says one is.
fn visitor(page: &[u8]) -> Result<i64, String> {
    let text = String::from_utf8_lossy(page);
    let number =
        text.split("You are visitor ").nth(1).and_then(|rest| rest.split('.').next());
    number.and_then(|number| number.parse().ok()).ok_or_else(|| "not the page".into())
}

/// A reply comes when its caller has been told 503. The next caller's is the next one.
fn abandoned(model: &Model) -> Result<(), String> {
    let (store, server) = with_store(model, TIMEOUT)?;
    let mut told = 0;
    for _ in 0..5 {
        store.turn(Mood::Late(300));
        page(&server, &[503])?;
        store.turn(Mood::Good);
        let response = get(server.address, "/guestbook")?;
        expect(response.status, &[200, 503])?;
        if response.status == 200 {
            told += 1;
            let (visitor, counted) = (visitor(&response.body)?, store.counter("visitors"));
            if visitor != counted {
                return Err(format!("visitor {counted} is told to be visitor {visitor}"));
            }
        }
    }
    // On a machine that is busy enough every reply may be late.
    eventually(BOUND, || page(&server, &[200]))?;
    match told {
        0 => Err("after a late reply the next caller never gets one".into()),
        _ => server.finish(),
    }
}

/// A client asks twice without waiting. The reply to its first question comes when it has been
/// told 503, and its second is on its way.
fn abandoned_by_itself(model: &Model) -> Result<(), String> {
    const STAY: &str = "GET /guestbook HTTP/1.1\r\nHost: a\r\n\r\n";
    let (store, server) = with_store(model, TIMEOUT)?;
    for _ in 0..3 {
        store.turn(Mood::Late(300));
        let mut stream = open(server.address)?;
        send(&mut stream, format!("{STAY}{PAGE}").as_bytes())?;
        let first = listen_until(&mut stream, |bytes| !bytes.is_empty());
        store.turn(Mood::Good);
        let rest = listen(&mut stream);
        let bytes = [first.bytes, rest.bytes].concat();
        let all = responses(&bytes, &[])?;
        let statuses: Vec<u16> = all.iter().map(|response| response.status).collect();
        match (&statuses[..], store.counter("visitors")) {
            // It may take its time, or close after the first.
            ([503, 503] | [503], _) => {}
            ([503, 200], counted) if visitor(&all[1].body)? == counted => {}
            ([503, 200], counted) => {
                return Err(format!("visitor {counted} is told to be another one"));
            }
            _ => return Err(format!("answered {statuses:?}")),
        }
    }
    eventually(BOUND, || page(&server, &[200]))?;
    server.finish()
}

/// A store that refuses connections is not waited for.
fn at_once(model: &Model) -> Result<(), String> {
    let (store, server) = with_store(model, "60000")?;
    store.turn(Mood::Down);
    for _ in 0..5 {
        page(&server, &[503])?;
        file(&server)?;
    }
    store.turn(Mood::Good);
    eventually(BOUND, || page(&server, &[200]))?;
    server.finish()
}

/// A store that closes whatever connects is called again after a while, not at once; nor is
/// one at whose port nobody listens.
fn not_hammered(model: &Model) -> Result<(), String> {
    /// The most connections in a second, for each worker.
    const CALLS: usize = 50;
    /// So many pages are asked for at least, of each worker: more than a pause that doubles lets
    /// through.
    const ENOUGH: usize = 60;
    let (store, server) = with_store(model, TIMEOUT)?;
    store.turn(Mood::ClosesAtOnce);
    let (begun, before) = (Instant::now(), store.accepted());
    let mut pages = 0;
    while begun.elapsed() < Duration::from_secs(1) || pages < ENOUGH * model.workers {
        page(&server, &[503])?;
        pages += 1;
    }
    let calls = store.accepted() - before;
    // On a busy machine few pages are asked for in a second, and each may be a call.
    if calls > CALLS * model.workers * 2 || calls * 4 > pages * 3 {
        return Err(format!("it called {calls} times for {pages} pages"));
    }
    store.turn(Mood::Down);
    page(&server, &[503])?;
    quiet_second(&server)?;
    seldom_woken(&server)?;
    store.turn(Mood::Good);
    eventually(BOUND, || page(&server, &[200]))?;
    server.finish()
}
