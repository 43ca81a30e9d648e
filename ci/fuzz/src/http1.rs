//! A client of the guestbook, with a driver that does what the script says and an
//! application that answers by rule.

use std::io;
use std::time::{Duration, Instant, UNIX_EPOCH};

use guestbook::{
    Finish, Guest, Job, Kind, Meta, Now, Out, RelPath, Settings, StoreError, StorePipe,
};

use crate::script::{self, Step};

/// Most bytes that arrive in one script: more than a connection may hold.
const STREAM: usize = 512 * 1024;
/// A script of so few bytes is run byte by byte, too.
const SHORT: usize = 2048;
/// What `guestbook` promises to hold at most, in bytes: what was read ahead, a body, what
/// waits to be sent and one response beyond it. Vectors grow by doubling.
const HOLDS: usize = 2 * (16 + 64 + 64 + 16) * 1024;
/// Between two steps: never enough for a deadline.
const TICK: Duration = Duration::from_micros(1);
const STORE_TIMEOUT: Duration = Duration::from_secs(2);
const FILE: [u8; 1000] = {
    let mut file = [0; 1000];
    let mut at = 0;
    while at < file.len() {
        file[at] = b'a' + (at % 26) as u8;
        at += 1;
    }
    file
};

/// Checks one script; `false` if it is too long to be of interest.
///
/// Letters: `h` the application's answers are held back, `g` they come; `z` the peer takes
/// nothing, `a` all that is there, `b` a byte at a time, `c` 999 bytes; `s` a small file is
/// asked for together with its head, and `t` not. These and the cuts change nothing in what
/// comes out but `100 Continue`.
///
/// With `E` the peer ends, with `F` it is gone, `D` drains, `L` makes a response the last,
/// `W` waits until the deadline and `U` half as long: then what comes out is a beginning of
/// what would have come out, but for Connection fields, and for the answer that only a
/// deadline gives.
pub fn http1(input: &[u8]) -> bool {
    let Some(steps) = script::read(input, STREAM) else { return false };
    let stream = script::bytes(&steps);

    let mut whole = Driver::new();
    whole.guest.received(&stream, whole.now);
    whole.pump();
    let whole = whole.end();

    let mut cut = Driver::new();
    steps.iter().for_each(|step| cut.step(step));
    let cuts = steps.iter().filter_map(|step| match step {
        Step::Do(letter) => Some(*letter),
        Step::Bytes(_) => None,
    });
    let letters: Vec<u8> = cuts.collect();
    let cut = cut.end();
    if letters.iter().any(|letter| b"WU".contains(letter)) {
        // A deadline has its own answer.
    } else if letters.iter().any(|letter| b"EFDL".contains(letter)) {
        let (asked, asked_whole) = (cut.asked, whole.asked);
        let (cut, whole) = (plain(&cut.out), plain(&whole.out));
        assert!(
            whole.starts_with(&cut),
            "not a beginning of what comes out otherwise:\n{}\n--- otherwise:\n{}",
            cut.escape_ascii(),
            whole.escape_ascii()
        );
        assert!(asked_whole.starts_with(&asked), "other jobs than otherwise");
    } else {
        same("as the script cuts it", &cut, &whole);
        if stream.len() <= SHORT {
            let mut bytewise = Driver::new();
            bytewise.take = 97;
            for byte in stream {
                bytewise.step(&Step::Bytes(vec![byte]));
            }
            same("byte by byte", &bytewise.end(), &whole);
        }
    }
    true
}

struct End {
    out: Vec<u8>,
    /// The jobs that came out, written one after the other.
    asked: Vec<u8>,
    finish: Finish,
}

fn same(how: &str, one: &End, whole: &End) {
    let (a, b) = (without(&one.out, CONTINUE), without(&whole.out, CONTINUE));
    assert!(
        a == b,
        "{how}, other bytes come out:\n{}\n--- in one piece:\n{}",
        a.escape_ascii(),
        b.escape_ascii()
    );
    assert!(
        one.asked == whole.asked,
        "{how}, other jobs are asked for:\n{}\n--- in one piece:\n{}",
        one.asked.escape_ascii(),
        whole.asked.escape_ascii()
    );
    // Whether something was left unread depends on when it came; a reset does not.
    let resets = |end: &End| end.finish == Finish::Reset;
    assert_eq!(resets(one), resets(whole), "{how}, the connection ends otherwise");
}

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What does not depend on when the peer ended and the server was stopped.
fn plain(out: &[u8]) -> Vec<u8> {
    let closing = without(&without(out, CONTINUE), b"Connection: close\r\n");
    without(&closing, b"Connection: keep-alive\r\n")
}

fn without(out: &[u8], what: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(out.len());
    let mut rest = out;
    while let Some(at) = memchr::memmem::find(rest, what) {
        kept.extend_from_slice(&rest[..at]);
        rest = &rest[at + what.len()..];
    }
    kept.extend_from_slice(rest);
    kept
}

/// A driver as good as any in the book, but for the clock, the socket and the store, which
/// are the script's.
struct Driver {
    guest: Guest<()>,
    now: Now,
    memory_before: usize,
    job: Option<Job>,
    jobs_done: i64,
    held_back: bool,
    take: usize,
    small_files: bool,
    peer_ended: bool,
    out: Vec<u8>,
    asked: Vec<u8>,
}

impl Driver {
    fn new() -> Self {
        let memory_before = crate::allocated();
        let wall = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let now = Now { mono: Instant::now(), wall };
        Self {
            guest: Guest::new(Settings::default(), STORE_TIMEOUT, now),
            now,
            memory_before,
            job: None,
            jobs_done: 0,
            held_back: false,
            take: usize::MAX,
            small_files: false,
            peer_ended: false,
            out: Vec::new(),
            asked: Vec::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Bytes(piece) => self.arrive(piece),
            Step::Do(b'h') => self.held_back = true,
            Step::Do(b'g') => self.held_back = false,
            Step::Do(b'z') => self.take = 0,
            Step::Do(b'a') => self.take = usize::MAX,
            Step::Do(b'b') => self.take = 1,
            Step::Do(b'c') => self.take = 999,
            Step::Do(b's') => self.small_files = true,
            Step::Do(b't') => self.small_files = false,
            Step::Do(b'E') => self.peer_ends(),
            Step::Do(b'F') => self.guest.fail(),
            Step::Do(b'D') => self.guest.drain(),
            Step::Do(b'L') => self.guest.make_last(),
            Step::Do(b'U') => self.wait(2),
            Step::Do(b'W') => self.wait(1),
            Step::Do(_) => {}
        }
        self.pump();
    }

    /// What the driver reads, and how much of it: what there is no room for waits in the
    /// kernel, and if it never gets in, it does so for good.
    fn arrive(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() && !self.peer_ended {
            let n = self.guest.room().min(piece.len());
            if n == 0 {
                // The peer takes what holds it up, or the connection reads no more.
                (self.held_back, self.take) = (false, self.take.max(999));
                self.pump();
                if self.guest.room() == 0 {
                    return;
                }
                continue;
            }
            self.guest.received(&piece[..n], self.now);
            piece = &piece[n..];
            self.pump();
        }
    }

    fn peer_ends(&mut self) {
        self.peer_ended = true;
        self.guest.eof(self.now);
    }

    fn wait(&mut self, part: u32) {
        let Some(deadline) = self.guest.deadline() else { return };
        self.now.mono += deadline.saturating_duration_since(self.now.mono) / part;
        self.guest.expired(self.now);
        // The store is too late: as every driver, this one forgets the call. The next request
        // may have asked for something at once.
        let next = self.guest.take_job();
        if next.is_some() || !self.guest.awaits_store() {
            self.job.take_if(|job| matches!(job, Job::Store(_)));
        }
        self.take_on(next);
        if part == 1 {
            assert_ne!(
                self.guest.deadline(),
                Some(deadline),
                "a driver would call expired for ever"
            );
        }
    }

    fn take_on(&mut self, job: Option<Job>) {
        let Some(job) = job else { return };
        assert!(self.job.is_none(), "one job is outstanding at a time");
        self.job = Some(job);
    }

    fn pump(&mut self) {
        self.now.mono += TICK;
        loop {
            let job = self.guest.take_job();
            self.take_on(job);
            if !self.held_back
                && let Some(job) = self.job.take()
            {
                self.work(&job);
            } else if self.take > 0
                && let Some(out) = self.guest.take_output()
            {
                self.send(out);
            } else {
                break;
            }
        }
        self.hold_to_promises();
    }

    fn hold_to_promises(&self) {
        let own = self.out.capacity() + self.asked.capacity();
        let holds = crate::allocated().saturating_sub(self.memory_before + own);
        assert!(holds <= HOLDS, "{holds} bytes are held for one client");
        if self.guest.finished().is_none() {
            let waits_for_us = self.job.is_some() || self.take == 0;
            assert!(
                waits_for_us || self.guest.room() > 0,
                "a connection that waits for nothing"
            );
            assert!(
                waits_for_us || self.guest.deadline().is_some(),
                "a connection that may wait for ever"
            );
        }
    }

    /// The kernel takes so many bytes, of this piece and the one behind it.
    fn send(&mut self, out: Out<()>) {
        let file =
            if self.small_files { self.guest.take_small_file(64 * 1024) } else { None };
        let mut room = self.take as u64;
        let n = self.write(&out, room);
        room -= n;
        if let Some(file) = file {
            let of_file = if n == size(&out) { self.write(&file, room) } else { 0 };
            self.guest.sent(file, of_file, self.now);
        }
        self.guest.sent(out, n, self.now);
    }

    fn write(&mut self, out: &Out<()>, room: u64) -> u64 {
        assert!(size(out) > 0, "nothing to send is not a piece");
        let n = size(out).min(room);
        match out {
            Out::Bytes(bytes) => self.out.extend_from_slice(&bytes[..n as usize]),
            Out::File { at, .. } => {
                self.out.extend_from_slice(&FILE[*at as usize..(at + n) as usize]);
            }
        }
        n
    }

    fn work(&mut self, job: &Job) {
        self.jobs_done += 1;
        match job {
            Job::Open(path) => self.asked.extend_from_slice(path.as_str().as_bytes()),
            Job::Store(call) => self.asked.extend_from_slice(&call.request),
        }
        self.asked.push(b'\n');
        match job {
            Job::Open(path) => {
                check_path(path);
                let kind = match path.as_str() {
                    "folder" => Kind::Folder,
                    "fifo" => Kind::Other,
                    _ => Kind::File,
                };
                let meta = Meta { kind, len: FILE.len() as u64, modified: UNIX_EPOCH };
                let result = match path.as_str() {
                    "missing" => Err(io::ErrorKind::NotFound.into()),
                    "busy" => Err(io::Error::from_raw_os_error(24)),
                    "empty" => Ok(((), Meta { len: 0, ..meta })),
                    _ => Ok(((), meta)),
                };
                self.guest.opened(result, self.now);
            }
            Job::Store(call) => {
                let mut pipe = StorePipe::new();
                pipe.submit((), call);
                let reply = match (call.repeatable, self.jobs_done % 4) {
                    (_, 3) => b"-ERR no\r\n-ERR no\r\n".to_vec(),
                    (true, n) => format!(":{n}\r\n*1\r\n$3\r\n<b>\r\n").into_bytes(),
                    (false, _) => b":1\r\n+OK\r\n".to_vec(),
                };
                pipe.received(&reply);
                let result = match pipe.next_reply() {
                    Ok(Some((_, reply))) => Ok(reply),
                    Ok(None) => Err(StoreError::Gone),
                    Err(_) => Err(StoreError::Garbled),
                };
                self.guest.stored(result, self.now);
            }
        }
    }

    /// Everything is answered and sent, and the peer ends, if it has not: the connection is
    /// over, and stays so.
    fn end(mut self) -> End {
        (self.held_back, self.take) = (false, usize::MAX);
        self.pump();
        if !self.peer_ended {
            self.peer_ends();
            self.pump();
        }
        let Some(finish) = self.guest.finished() else {
            panic!("the peer has ended, everything is sent, and it is not finished")
        };
        let said = self.out.len();
        self.guest.received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", self.now);
        self.now.mono += Duration::from_secs(1000);
        self.guest.expired(self.now);
        self.guest.drain();
        self.guest.eof(self.now);
        assert_eq!(self.guest.room(), 0, "finished, and reads");
        assert!(self.guest.take_job().is_none(), "finished, and asks");
        assert!(self.guest.take_output().is_none(), "finished, and speaks");
        assert_eq!(self.guest.finished(), Some(finish), "finished, and otherwise");
        assert_eq!(self.out.len(), said);
        End { out: self.out, asked: self.asked, finish }
    }
}

fn size(out: &Out<()>) -> u64 {
    match out {
        Out::Bytes(bytes) => bytes.len() as u64,
        Out::File { len, .. } => *len,
    }
}

/// What a driver is asked to open is below the root whatever the target was.
fn check_path(path: &RelPath) {
    let is_name = |name: &str| {
        !name.is_empty() && !name.starts_with('.') && !name.contains(['\0', '\\'])
    };
    assert!(path.as_str().split('/').all(is_name), "{path} is to be opened");
}
