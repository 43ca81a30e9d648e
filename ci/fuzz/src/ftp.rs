//! A client of the FTP server, with a driver that does what the script says and files in
//! memory.

use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use ftp::{Done, Entry, Job, Place, Session, Settings, Writers};
use http1::{Kind, Meta, Now};

use crate::script::{self, Step};

/// Most bytes that arrive in one script.
const STREAM: usize = 256 * 1024;
/// A script of so few bytes is run byte by byte, too.
const SHORT: usize = 2048;
/// What a session promises to hold at most, in bytes: two lines read ahead, replies, a piece
/// on its way. Vectors grow by doubling.
const HOLDS: usize = 2 * (16 + 32 + 128) * 1024;
const FILE: &[u8] = &[b'x'; 300];

/// Checks one script; `false` if it is too long to be of interest.
///
/// Letters that change nothing in what comes out, unless a transfer is aborted: `z` the peer takes nothing of the replies,
/// `a` all, `b` a byte at a time; `s` files are moved 7 bytes at a time, and `t` not.
///
/// With `h` jobs are held back, and with `g` they are done; `e` the next one fails; `E` the
/// peer ends, `F` it is gone, `D` drains, `W` waits until the deadline. Then it is checked
/// that all is closed at the end, and that nothing is said twice.
pub fn ftp(input: &[u8]) -> bool {
    let Some(steps) = script::read(input, STREAM) else { return false };
    let stream = script::bytes(&steps);
    let mut cut = Driver::new();
    steps.iter().for_each(|step| cut.step(step));
    let cut = cut.end();
    let changes =
        |step: &Step| matches!(step, Step::Do(b'h' | b'e' | b'E' | b'F' | b'D' | b'W'));
    if steps.iter().any(changes) || stream.split(|byte| *byte == b'\n').any(may_abort) {
        return true;
    }
    let mut whole = Driver::new();
    whole.arrive(&stream);
    let whole = whole.end();
    assert_same("as the script cuts it", &cut, &whole);
    if stream.len() <= SHORT {
        let mut bytewise = Driver::new();
        (bytewise.takes, bytewise.moves) = (11, 5);
        stream.chunks(1).for_each(|byte| bytewise.arrive(byte));
        assert_same("byte by byte", &bytewise.end(), &whole);
    }
    true
}

/// ABOR finds a transfer that has not begun to move, or one that is over: that depends on when
/// it comes.
fn may_abort(line: &[u8]) -> bool {
    line.contains(&255)
        || line.to_ascii_lowercase().windows(4).any(|letters| letters == b"abor")
}

/// What was said, and what was asked for.
type End = (Vec<u8>, Vec<u8>);

fn assert_same(how: &str, one: &End, whole: &End) {
    assert!(
        one == whole,
        "{how}:\n{}\n{}\n--- in one piece:\n{}\n{}",
        one.0.escape_ascii(),
        one.1.escape_ascii(),
        whole.0.escape_ascii(),
        whole.1.escape_ascii()
    );
}

struct Driver {
    session: Session,
    now: Now,
    memory_before: usize,
    job: Option<Job>,
    holds: bool,
    fails: bool,
    takes: usize,
    moves: usize,
    /// What a client sends over a data connection.
    upload: usize,
    has_file: bool,
    has_data: bool,
    has_listener: bool,
    said: Vec<u8>,
    asked: Vec<u8>,
    ended: bool,
}

impl Driver {
    fn new() -> Self {
        let memory_before = crate::allocated();
        let settings = Settings {
            uploads: Place::root().join("in"),
            upload_limit: 500,
            idle: Duration::from_secs(300),
            stall: Duration::from_secs(60),
        };
        let wall = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let now = Now { mono: Instant::now(), wall };
        let local = IpAddr::from([127, 0, 0, 1]);
        Self {
            session: Session::new(&Rc::new(settings), &Writers::default(), local, now),
            now,
            memory_before,
            job: None,
            holds: false,
            fails: false,
            takes: usize::MAX,
            moves: usize::MAX,
            upload: 0,
            has_file: false,
            has_data: false,
            has_listener: false,
            said: Vec::new(),
            asked: Vec::new(),
            ended: false,
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Bytes(piece) => self.arrive(piece),
            Step::Do(b'z') => self.takes = 0,
            Step::Do(b'a') => self.takes = usize::MAX,
            Step::Do(b'b') => self.takes = 1,
            Step::Do(b's') => self.moves = 7,
            Step::Do(b't') => self.moves = usize::MAX,
            Step::Do(b'h') => self.holds = true,
            Step::Do(b'g') => self.holds = false,
            Step::Do(b'e') => self.fails = true,
            Step::Do(b'E') => {
                self.ended = true;
                self.session.eof(self.now);
            }
            Step::Do(b'F') => self.session.fail(),
            Step::Do(b'D') => self.session.drain(self.now),
            Step::Do(b'W') => self.wait(),
            Step::Do(_) => {}
        }
        self.pump();
    }

    fn arrive(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() && !self.ended {
            let n = self.session.room().min(piece.len());
            if n == 0 {
                // What holds it up goes on, or nothing more is read.
                (self.holds, self.takes) = (false, self.takes.max(100));
                self.pump();
                if self.session.room() == 0 {
                    return;
                }
                continue;
            }
            self.session.received(&piece[..n], self.now);
            piece = &piece[n..];
            self.pump();
        }
    }

    fn wait(&mut self) {
        let Some(deadline) = self.session.deadline() else { return };
        self.now.mono = deadline;
        self.session.expired(self.now);
        assert_ne!(self.session.deadline(), Some(deadline), "a driver would spin");
    }

    fn pump(&mut self) {
        loop {
            if let Some(job) = self.session.take_job() {
                assert!(self.job.is_none(), "one job is outstanding at a time");
                self.job = Some(job);
            }
            if self.job.is_some() && self.session.gives_up() {
                self.job = None;
                self.session.done(Done::GivenUp, self.now);
            } else if !self.holds
                && !self.session.is_over()
                && let Some(job) = self.job.take()
            {
                let done = self.work(job);
                self.session.done(done, self.now);
            } else if self.takes > 0
                && let Some(out) = self.session.take_output()
            {
                let n = out.len().min(self.takes);
                self.said.extend_from_slice(&out[..n]);
                self.session.sent(out, n, self.now);
            } else {
                break;
            }
        }
        let own = self.said.capacity() + self.asked.capacity();
        let holds = crate::allocated().saturating_sub(self.memory_before + own);
        assert!(holds <= HOLDS, "{holds} bytes are held for one client");
        let waits_for_us = self.job.is_some() || self.takes == 0;
        assert!(
            self.session.is_over() || waits_for_us || self.session.deadline().is_some(),
            "it may wait for ever"
        );
    }

    fn work(&mut self, job: Job) -> Done {
        let fails = std::mem::take(&mut self.fails);
        let failed = || io::Error::from_raw_os_error(28);
        match job {
            Job::Listen => {
                self.has_listener |= !fails; // the one before stays
                let address = ([127, 0, 0, 1], 258).into();
                Done::Listening(if fails { Err(failed()) } else { Ok(address) })
            }
            Job::Accept => {
                assert!(self.has_listener && !self.has_data);
                self.has_data = !fails;
                self.upload = 600;
                Done::Connected(if fails { Err(failed()) } else { Ok(()) })
            }
            Job::Look(place) => Done::Looked(self.meta(&place, fails)),
            Job::List(place) => Done::Listed(self.meta(&place, fails).map(|meta| {
                vec![Entry { name: "a".into(), meta }, Entry { name: "b c".into(), meta }]
            })),
            Job::Open(place) | Job::Create { place, truncate: false } => {
                assert!(!self.has_file, "a second file");
                let meta = self.meta(&place, fails);
                self.has_file = meta.is_ok();
                Done::Opened(meta)
            }
            Job::Create { place, truncate: true } => {
                assert!(self.has_file && self.has_data, "emptied before the client came");
                let meta = self.meta(&place, fails);
                self.has_file = meta.is_ok();
                Done::Opened(meta)
            }
            Job::Read { at, mut into } => {
                assert!(self.has_file && self.has_data && into.is_empty());
                let rest = &FILE[(at as usize).min(FILE.len())..];
                into.extend_from_slice(&rest[..rest.len().min(self.moves)]);
                Done::Read(if fails { Err(failed()) } else { Ok(into) })
            }
            Job::Send(piece) => {
                assert!(self.has_data);
                let n = piece.rest().len().min(self.moves);
                Done::Sent(piece, if fails { Err(failed()) } else { Ok(n) })
            }
            Job::Receive { mut into } => {
                assert!(self.has_file && self.has_data && into.is_empty());
                let n = self.upload.min(150).min(self.moves);
                self.upload -= n;
                into.resize(n, b'y');
                Done::Received(if fails { Err(failed()) } else { Ok(into) })
            }
            Job::Write { piece, .. } => {
                assert!(self.has_file);
                let n = piece.rest().len().min(self.moves);
                Done::Wrote(piece, if fails { Err(failed()) } else { Ok(n) })
            }
            Job::End { .. } => {
                (self.has_file, self.has_data, self.has_listener) = (false, false, false);
                Done::Ended
            }
        }
    }

    fn meta(&mut self, place: &Place, fails: bool) -> io::Result<Meta> {
        let is_name = |name: &str| !name.is_empty() && !name.starts_with('.');
        let path = place.as_path();
        assert!(path == "." || path.split('/').all(is_name), "{place} is to be opened");
        self.asked.extend_from_slice(format!("{place}\n").as_bytes());
        let kind = match path {
            "." | "in" => Kind::Folder,
            "fifo" => Kind::Other,
            _ => Kind::File,
        };
        match fails || path == "none" {
            true => Err(io::ErrorKind::NotFound.into()),
            false => Ok(Meta { kind, len: FILE.len() as u64, modified: UNIX_EPOCH }),
        }
    }

    /// Everything is done and sent, and the peer ends, if it has not.
    fn end(mut self) -> End {
        (self.holds, self.takes) = (false, usize::MAX);
        self.pump();
        if !self.ended {
            self.session.eof(self.now);
            self.pump();
        }
        assert!(self.session.is_over(), "the peer has ended, and it is not over");
        assert_eq!(self.session.room(), 0, "over, and reads");
        (self.said, self.asked)
    }
}
