//! Row 15: the store is down, slow, or talks nonsense. The page that needs it is answered
//! 503 within the deadline, files are served as ever, and nothing is stored twice.

use std::thread;
use std::time::{Duration, Instant};

use crate::client::{End, eventually, exchange, get, listen, open, send};
use crate::fake_store::{FakeStore, Mood};
use crate::model::Model;
use crate::report::{Report, Tally};
use crate::root::SMALL;
use crate::server::Server;

/// `--store-timeout` of the server, in milliseconds.
const TIMEOUT: &str = "200";
/// How long a page may take that needs 200 ms at most: twice for two replies, and much for
/// a busy machine.
const BOUND: Duration = Duration::from_secs(5);
/// How many guestbook requests hang at one time in the test of files.
const HANGING: usize = 16;

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

/// Each mood: the page, the remark, files meanwhile and afterwards, and the recovery.
pub fn run(model: &Model) -> Result<Report, String> {
    let store = FakeStore::start().map_err(|error| format!("fake store: {error}"))?;
    let server =
        Server::start(model, &["--store", &store.url(), "--store-timeout", TIMEOUT])?;
    let mut tally = Tally::default();
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
    store.turn(Mood::Silent);
    tally.case("files while pages hang", || files_meanwhile(&server, model));
    store.turn(Mood::Good);
    tally.case("the page at the end", || eventually(BOUND, || page(&server, &[200])));
    let note = if model.at_once == 1 {
        "one page that waits for the store holds up everybody"
    } else {
        ""
    };
    server.conclude(tally).map(|report| report.with_note(note))
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
    let form = format!("remark={remark}");
    let request = format!(
        "POST /guestbook HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
        form.len()
    );
    let begun = Instant::now();
    let status = exchange(server.address, request.as_bytes())?.response()?.status;
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

/// While as many pages hang as the model can bear without being full, a file is answered
/// before any of them.
fn files_meanwhile(server: &Server, model: &Model) -> Result<(), String> {
    let hanging = HANGING.min(model.at_once - 1);
    let mut pages = Vec::new();
    for _ in 0..hanging {
        let mut stream = open(server.address)?;
        send(
            &mut stream,
            b"GET /guestbook HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )?;
        pages.push(stream);
    }
    thread::sleep(Duration::from_millis(50));
    file(server)?;
    for stream in &pages {
        stream.set_nonblocking(true).map_err(|error| error.to_string())?;
        if stream.peek(&mut [0]).is_ok() {
            return Err("a page that waits for the store was answered before a file".into());
        }
        stream.set_nonblocking(false).map_err(|error| error.to_string())?;
    }
    for mut stream in pages {
        let heard = listen(&mut stream);
        if heard.end == End::Open {
            return Err("a page hangs for ever".into());
        }
        expect(heard.response()?.status, &[503])?;
    }
    Ok(())
}
