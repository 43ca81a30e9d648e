//! What one download asks of a server: a session, and a driver that answers each of its jobs
//! from memory and says what it was.

use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use ftp::{Done, Job, Session, Settings, Writers};
use http1::{Kind, Meta, Now};

const FILE: &[u8] = b"hello";

fn main() {
    let minute = Duration::from_secs(60);
    let settings = Settings { uploads: None, upload_limit: 0, idle: minute, stall: minute };
    let local = IpAddr::from([127, 0, 0, 1]);
    let now = Now::read();
    let mut session = Session::new(&Rc::new(settings), &Writers::default(), local, now);
    speak(&mut session, now);
    for line in ["USER ftp", "PASS me", "EPSV", "RETR file"] {
        println!("> {line}");
        session.received(format!("{line}\r\n").as_bytes(), now);
        go_on(&mut session, now);
    }
}

// ANCHOR: go-on
fn go_on(session: &mut Session, now: Now) {
    speak(session, now);
    while let Some(job) = session.take_job() {
        let done = work(job);
        session.done(done, now);
        speak(session, now);
    }
}

fn speak(session: &mut Session, now: Now) {
    while let Some(bytes) = session.take_output() {
        String::from_utf8_lossy(&bytes).lines().for_each(|line| println!("< {line}"));
        let n = bytes.len();
        session.sent(bytes, n, now);
    }
}
// ANCHOR_END: go-on

fn work(job: Job) -> Done {
    let tell = |what: &str| println!("        {what}");
    match job {
        Job::Listen => {
            tell("listen");
            Done::Listening(Ok(([127, 0, 0, 1], 2122).into()))
        }
        Job::Open(place) => {
            tell(&format!("open {place}"));
            let modified = std::time::UNIX_EPOCH;
            Done::Opened(Ok(Meta { kind: Kind::File, len: FILE.len() as u64, modified }))
        }
        Job::Accept => {
            tell("accept");
            Done::Connected(Ok(()))
        }
        Job::Read { at, mut into } => {
            into.extend_from_slice(&FILE[at as usize..]);
            tell(&format!("read from {at}: {} bytes", into.len()));
            Done::Read(Ok(into))
        }
        Job::Send(piece) => {
            let n = piece.rest().len();
            tell(&format!("send {n} bytes"));
            Done::Sent(piece, Ok(n))
        }
        Job::End { .. } => {
            tell("close");
            Done::Ended
        }
        // A download asks for nothing else.
        _ => Done::Looked(Err(io::ErrorKind::Unsupported.into())),
    }
}
