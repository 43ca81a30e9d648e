//! Serves two requests by hand: you are the driver, and nothing waits.

use std::io;
use std::time::{Duration, SystemTime};

use guestbook::{Guest, Job, Meta, Now, Out, Settings, StorePipe};

fn main() {
    // ANCHOR: by-hand
    let now = Now { wall: SystemTime::UNIX_EPOCH, ..Now::read() };
    let mut guest: Guest<&str> =
        Guest::new(Settings::default(), Duration::from_secs(2), now);
    let mut store = StorePipe::new();

    for bytes in [
        "GET /guestbook HTTP/1.1\r\nHo",
        "st: example\r\n\r\nGET /missing.html HTTP/1.1\r\nHost: example\r\n\r\n",
    ] {
        println!("client  sends {bytes:?}");
        guest.received(bytes.as_bytes(), now);
        while let Some(job) = guest.take_job() {
            println!("guest   has a job: {}", name(&job));
            match job {
                Job::Open(_) => {
                    guest.opened(Err::<(_, Meta), _>(io::ErrorKind::NotFound.into()), now)
                }
                Job::Store(call) => {
                    store.submit((), &call);
                    store.received(b":7\r\n*1\r\n$5\r\nhello\r\n");
                    if let Ok(Some(((), reply))) = store.next_reply() {
                        guest.stored(Ok(reply), now);
                    }
                }
            }
        }
        while let Some(Out::Bytes(bytes)) = guest.take_output() {
            println!("guest   sends {} bytes: {}", bytes.len(), statuses(&bytes));
            let all = bytes.len() as u64;
            guest.sent(Out::Bytes(bytes), all, now);
        }
        println!("guest   would read {} more bytes", guest.room());
    }
    // ANCHOR_END: by-hand
    if !guest.is_idle() {
        println!("guest   waits: a piece that it gave out was not given back");
    }
}

fn name(job: &Job) -> String {
    match job {
        Job::Open(path) => format!("open {path}"),
        Job::Store(call) => format!(
            "ask the store, {} commands in {} bytes",
            call.replies,
            call.request.len()
        ),
    }
}

fn statuses(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let lines: Vec<&str> =
        text.lines().filter(|line| line.starts_with("HTTP/1.1")).collect();
    lines.join(", then ")
}
