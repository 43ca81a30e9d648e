//! A guest from outside, without a socket: a driver made of two buffers and a clock that
//! the test sets.
#![expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]

use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use guestbook::{Finish, Guest, Job, Kind, Meta, Now, Out, Settings, StoreCall, StorePipe};

const STORE_TIMEOUT: Duration = Duration::from_secs(2);
const FILE: &[u8] = b"0123456789";

/// A driver whose kernel takes `take` bytes at a time, and whose store answers at once
/// unless it is `silent`.
struct Driver {
    guest: Guest<&'static [u8]>,
    now: Now,
    take: usize,
    /// A head and the small file behind it go out in one call.
    together: bool,
    silent: bool,
    opened: usize,
    calls: Vec<StoreCall>,
    out: Vec<u8>,
}

impl Driver {
    fn new(settings: Settings) -> Self {
        let now = Now { mono: Instant::now(), wall: SystemTime::now() };
        // One date for every response of a test, so that outputs can be compared.
        let now = Now { wall: UNIX_EPOCH + Duration::from_secs(784_111_777), ..now };
        let guest = Guest::new(settings, STORE_TIMEOUT, now);
        Self {
            guest,
            now,
            take: usize::MAX,
            together: false,
            silent: false,
            opened: 0,
            calls: Vec::new(),
            out: Vec::new(),
        }
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.guest.received(bytes.as_ref(), self.now);
        self.pump();
        self
    }

    /// Time passes: `expired` is called when the deadline falls into it, as every driver
    /// does.
    fn wait(&mut self, time: Duration) -> &mut Self {
        let end = self.now.mono + time;
        while let Some(deadline) = self.guest.deadline().filter(|deadline| *deadline <= end)
        {
            self.now.mono = deadline;
            self.guest.expired(self.now);
            assert_ne!(
                self.guest.deadline(),
                Some(deadline),
                "a deadline that does not move would spin"
            );
            self.pump();
        }
        self.now.mono = end;
        self
    }

    fn pump(&mut self) {
        loop {
            if let Some(job) = self.guest.take_job() {
                self.work(job);
            } else if self.take > 0
                && let Some(out) = self.guest.take_output()
            {
                if matches!(out, Out::Bytes(_)) && self.together {
                    self.send_together(out);
                    continue;
                }
                let n = match &out {
                    Out::Bytes(bytes) => {
                        let n = bytes.len().min(self.take);
                        self.out.extend_from_slice(&bytes[..n]);
                        n
                    }
                    Out::File { file, at, len } => {
                        let n = usize::try_from(*len)
                            .expect("a test's file is small")
                            .min(self.take);
                        let at = usize::try_from(*at).expect("a test's file is small");
                        self.out.extend_from_slice(&file[at..at + n]);
                        n
                    }
                };
                self.guest.sent(out, n as u64, self.now);
            } else {
                return;
            }
        }
    }

    fn send_together(&mut self, head: Out<&'static [u8]>) {
        let Out::Bytes(bytes) = &head else { panic!("{head:?} is no head") };
        let file = self.guest.take_small_file(FILE.len() as u64);
        let mut whole = bytes.clone();
        if let Some(Out::File { file, at, len }) = &file {
            whole.extend_from_slice(&file[*at as usize..(at + len) as usize]);
        }
        let n = whole.len().min(self.take);
        self.out.extend_from_slice(&whole[..n]);
        let of_file = n.saturating_sub(bytes.len()) as u64;
        if let Some(file) = file {
            self.guest.sent(file, of_file, self.now);
        }
        self.guest.sent(head, n as u64, self.now);
    }

    fn work(&mut self, job: Job) {
        match job {
            Job::Open(path) => {
                self.opened += 1;
                let meta =
                    Meta { kind: Kind::File, len: FILE.len() as u64, modified: UNIX_EPOCH };
                let result = match path.as_str() {
                    "file" | "index.html" => Ok((FILE, meta)),
                    "folder" => Ok((FILE, Meta { kind: Kind::Folder, ..meta })),
                    "fifo" => Ok((FILE, Meta { kind: Kind::Other, ..meta })),
                    _ => Err(io::ErrorKind::NotFound.into()),
                };
                self.guest.opened(result, self.now);
            }
            Job::Store(call) => {
                let mut pipe = StorePipe::new();
                pipe.submit((), &call);
                self.calls.push(call.clone());
                if !self.silent {
                    pipe.received(if call.repeatable {
                        b":5\r\n*1\r\n$3\r\n<b>\r\n"
                    } else {
                        b":1\r\n+OK\r\n"
                    });
                    let (_, reply) =
                        pipe.next_reply().expect("the protocol").expect("a whole reply");
                    self.guest.stored(Ok(reply), self.now);
                }
            }
        }
    }

    /// The status lines of all that came out, and how the connection is to be closed.
    fn seen(&self) -> (Vec<u16>, Option<Finish>) {
        let text = String::from_utf8_lossy(&self.out);
        let statuses = text
            .split("HTTP/1.1 ")
            .skip(1)
            .map(|rest| rest[..3].parse().expect("a status"))
            .collect();
        (statuses, self.guest.finished())
    }
}

fn driver() -> Driver {
    Driver::new(Settings::default())
}

/// Six requests on one connection: a file, a page, a form by length and chunked, a range of
/// a head, and a last one.
const STREAM: &str = "GET /file HTTP/1.1\r\nHost: a\r\n\r\n\
    \r\nHEAD /guestbook HTTP/1.1\r\nHost: a\r\n\r\n\
    POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 8\r\n\r\nremark=a\
    POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n\
    3;x\r\nrem\r\n6\r\nark=bc\r\n0\r\nT: x\r\n\r\n\
    GET /file HTTP/1.1\r\nHost: a\r\nRange: bytes=2-4\r\n\r\n\
    GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// Output and store calls of the stream, cut at `cuts`.
fn cut(cuts: &[usize], take: usize) -> (Vec<u8>, Vec<StoreCall>) {
    let mut driver = driver();
    driver.take = take;
    let mut from = 0;
    for &to in cuts.iter().chain([&STREAM.len()]) {
        driver.send(&STREAM[from..to]);
        from = to;
    }
    assert_eq!(driver.guest.finished(), Some(Finish::Close), "cut at {cuts:?}");
    (driver.out, driver.calls)
}

#[test]
fn every_cut_and_every_two_cuts_give_the_same_bytes() {
    let whole = cut(&[], usize::MAX);
    let text = String::from_utf8_lossy(&whole.0).into_owned();
    let statuses: Vec<&str> =
        text.split("HTTP/1.1 ").skip(1).map(|rest| &rest[..3]).collect();
    assert_eq!(statuses, ["200", "200", "303", "303", "206", "404"]);
    assert!(
        text.contains("\r\n\r\n0123456789HTTP") && text.contains("\r\n\r\n234HTTP"),
        "{text}"
    );
    assert_eq!(whole.1, [StoreCall::visit(), StoreCall::add("a"), StoreCall::add("bc")]);
    for first in 0..=STREAM.len() {
        assert!(cut(&[first], usize::MAX) == whole, "cut at {first}");
        for second in first..=STREAM.len() {
            assert!(
                cut(&[first, second], usize::MAX) == whole,
                "cut at {first} and {second}"
            );
        }
    }
}

#[test]
fn byte_by_byte_in_and_out_gives_the_same_bytes() {
    let cuts: Vec<usize> = (1..STREAM.len()).collect();
    let whole = cut(&[], usize::MAX);
    assert_eq!(whole.1, [StoreCall::visit(), StoreCall::add("a"), StoreCall::add("bc")]);
    let text = String::from_utf8_lossy(&whole.0).into_owned();
    let statuses = text.split("HTTP/1.1 ").skip(1).map(|rest| &rest[..3]);
    assert!(statuses.eq(["200", "200", "303", "303", "206", "404"]), "{text}");
    assert!(cut(&cuts, usize::MAX) == whole, "one byte at a time in");
    assert!(cut(&cuts, 1) == whole, "one byte at a time in and out");
    assert!(cut(&[], 7) == whole, "seven bytes at a time out");
}

#[test]
fn a_head_and_a_small_file_in_one_call_are_the_same_bytes() {
    let whole = cut(&[], usize::MAX);
    for take in (1..600).chain([usize::MAX]) {
        let mut together = driver();
        (together.together, together.take) = (true, take);
        together.send(STREAM);
        assert!(together.out == whole.0, "{take} bytes at a time");
        assert_eq!(together.guest.finished(), Some(Finish::Close), "{take} at a time");
    }
    let mut large = driver();
    large.guest.received(STREAM.as_bytes(), large.now);
    let job = large.guest.take_job().expect("the file is to be opened");
    large.work(job);
    assert!(large.guest.take_small_file(u64::MAX).is_none(), "nothing is out yet");
    let _head = large.guest.take_output().expect("a head");
    assert!(large.guest.take_small_file(FILE.len() as u64 - 1).is_none(), "too large");
    assert!(large.guest.take_small_file(FILE.len() as u64).is_some());
}

#[test]
fn a_head_has_eight_kibibytes_and_not_one_more() {
    let head = |size: usize| {
        let start = "GET /file HTTP/1.1\r\nHost: a\r\nX: ";
        format!("{start}{}\r\n\r\n", "x".repeat(size - start.len() - 4))
    };
    assert_eq!(driver().send(head(8192)).seen(), (vec![200], None));
    assert_eq!(driver().send(head(8193)).seen(), (vec![431], Some(Finish::Linger)));
    let mut drop_by_drop = driver();
    for byte in head(8193).bytes() {
        drop_by_drop.send([byte]);
    }
    assert_eq!(drop_by_drop.seen(), (vec![431], Some(Finish::Linger)));
    assert_eq!(
        driver().send("x".repeat(1 << 20)).seen(),
        (vec![431], Some(Finish::Linger))
    );
}

#[test]
fn a_body_that_is_too_long_is_refused_before_it_is_read() {
    let post =
        |framing: &str| format!("POST /guestbook HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
    assert_eq!(
        driver().send(post("Content-Length: 65537")).seen(),
        (vec![413], Some(Finish::Linger))
    );
    assert_eq!(
        driver().send(post("Transfer-Encoding: chunked") + "10001\r\n").seen(),
        (vec![413], Some(Finish::Linger))
    );
    // 417 and 413 answer a client that waits for permission; 100 lets it send.
    let expect =
        |length| post(&format!("Expect: 100-continue\r\nContent-Length: {length}"));
    assert_eq!(driver().send(expect(65_537)).seen(), (vec![413], Some(Finish::Linger)));
    assert_eq!(driver().send(expect(3)).seen(), (vec![100], None));
    assert_eq!(driver().send(expect(3)).send("a=b").seen(), (vec![100, 415], None));
    assert_eq!(
        driver().send(expect(3) + "a=b").seen(),
        (vec![415], None),
        "no need to ask for what is there"
    );
}

#[test]
fn a_client_that_drips_is_cut_at_an_absolute_deadline() {
    let mut head = driver();
    for byte in "GET /file HTTP".bytes() {
        head.send([byte]).wait(Duration::from_millis(900));
    }
    assert_eq!(
        head.seen(),
        (vec![408], Some(Finish::Linger)),
        "10 s are over, whatever arrived last"
    );
    let mut body = driver();
    body.send("POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
    for _ in 0..12 {
        body.send("x").wait(Duration::from_millis(900));
    }
    assert_eq!(body.seen(), (vec![408], Some(Finish::Linger)));
    assert_eq!(
        driver().wait(Duration::from_secs(11)).seen(),
        (vec![], Some(Finish::Close)),
        "one that says nothing gets no reply"
    );
    let mut idle = driver();
    assert_eq!(
        idle.send("GET /file HTTP/1.1\r\nHost: a\r\n\r\n")
            .wait(Duration::from_secs(59))
            .seen(),
        (vec![200], None)
    );
    assert_eq!(idle.send("G").wait(Duration::from_secs(9)).seen(), (vec![200], None));
    assert_eq!(
        idle.wait(Duration::from_secs(2)).seen(),
        (vec![200, 408], Some(Finish::Linger))
    );
}

#[test]
fn a_client_that_does_not_read_is_cut_and_one_that_reads_slowly_is_not() {
    let request = "GET /file HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut stuck = driver();
    stuck.take = 0;
    assert_eq!(stuck.send(request).wait(Duration::from_secs(9)).seen().1, None);
    assert_eq!(stuck.wait(Duration::from_secs(2)).seen().1, Some(Finish::Reset));
    let mut slow = driver();
    slow.take = 0;
    slow.send(request.repeat(400));
    for _ in 0..3 {
        // 24 KiB, then nothing for 9 s.
        let mut taken = 0;
        while taken < 24 * 1024 {
            let out = slow.guest.take_output().expect("output waits");
            let n = match &out {
                Out::Bytes(bytes) => bytes.len() as u64,
                Out::File { len, .. } => *len,
            };
            taken += n;
            slow.guest.sent(out, n, slow.now);
            while let Some(job) = slow.guest.take_job() {
                slow.work(job);
            }
        }
        assert_eq!(slow.wait(Duration::from_secs(9)).seen().1, None);
    }
    assert_eq!(slow.wait(Duration::from_secs(2)).seen().1, Some(Finish::Reset));
}

#[test]
fn a_flood_of_requests_is_answered_no_faster_than_it_is_read() {
    let mut flood = driver();
    flood.take = 0;
    let request = "GET /file HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut taken = 0;
    while flood.guest.room() > 0 && taken < 10_000 {
        let n = (flood.guest.room() / request.len()).min(50) + 1;
        flood.send(request.repeat(n));
        taken += n;
    }
    assert!(taken < 1_500, "{taken} requests were taken and nothing was sent");
    assert!(flood.opened <= 16, "{} files are open for one client", flood.opened);
    flood.take = usize::MAX;
    flood.pump();
    assert_eq!(
        flood.seen(),
        (vec![200; taken], None),
        "those that were taken are answered in the end"
    );
}

#[test]
fn a_half_closed_client_gets_its_answers() {
    let mut half = driver();
    half.take = 0;
    half.send(
        "GET /file HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\n\r\nGET /",
    );
    half.guest.eof(half.now);
    assert_eq!(half.guest.finished(), None, "there is something left to say");
    half.take = usize::MAX;
    half.pump();
    assert_eq!(half.seen(), (vec![200, 404], Some(Finish::Close)));
    let mut early = driver();
    early.send("POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nrem");
    early.guest.eof(early.now);
    assert_eq!(early.seen(), (vec![], Some(Finish::Close)));
}

#[test]
fn draining_answers_what_was_begun_and_nothing_else() {
    let mut idle = driver();
    idle.guest.drain();
    assert_eq!(idle.seen(), (vec![], Some(Finish::Close)));
    let mut begun = driver();
    begun.send("GET /file HT");
    begun.guest.drain();
    assert_eq!(begun.seen(), (vec![], None));
    begun.send("TP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(begun.seen(), (vec![200], Some(Finish::Close)));
    assert!(String::from_utf8_lossy(&begun.out).contains("\r\nConnection: close\r\n"));
    let mut asked = driver();
    asked.silent = true;
    asked.send(
        "GET /guestbook HTTP/1.1\r\nHost: a\r\n\r\nGET /file HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    asked.guest.drain();
    asked.wait(STORE_TIMEOUT);
    assert_eq!(
        asked.seen(),
        (vec![503, 200], Some(Finish::Close)),
        "both were read, both are answered"
    );
}

#[test]
fn idle_is_a_client_that_waits_for_nothing() {
    let mut client = driver();
    assert!(
        client.guest.is_idle() && client.guest.is_new(),
        "it has not said anything yet"
    );
    client.send("GET /file HT");
    assert!(!client.guest.is_idle(), "it has begun to ask");
    client.take = 0;
    client.send("TP/1.1\r\nHost: a\r\n\r\n");
    assert!(!client.guest.is_idle(), "its answer is not sent");
    client.take = usize::MAX;
    client.pump();
    assert_eq!(client.seen(), (vec![200], None));
    assert!(client.guest.is_idle() && !client.guest.is_new(), "it has its answer");
    client.guest.drain();
    assert_eq!(client.seen(), (vec![200], Some(Finish::Close)));
}

#[test]
fn a_last_response_is_the_last_whatever_was_sent_beyond_it() {
    let mut client = driver();
    client.silent = true;
    client.send("GET /guestbook HTTP/1.1\r\nHost: a\r\n\r\nGET /file HTTP/1.1\r\nHo");
    client.guest.make_last();
    client.wait(STORE_TIMEOUT);
    assert_eq!(client.seen(), (vec![503], Some(Finish::Linger)), "it may still be sending");
    assert!(String::from_utf8_lossy(&client.out).contains("\r\nConnection: close\r\n"));
}

#[test]
fn a_store_that_does_not_answer_costs_one_request_and_its_late_reply_is_nobody_s() {
    let mut late = driver();
    late.silent = true;
    late.send("GET /guestbook HTTP/1.1\r\nHost: a\r\n\r\n")
        .wait(Duration::from_millis(1_999));
    assert_eq!(late.seen(), (vec![], None));
    assert!(late.guest.awaits_store());
    late.wait(Duration::from_millis(1));
    assert_eq!(late.seen(), (vec![503], None));
    assert!(!late.guest.awaits_store());
    let mut pipe = StorePipe::new();
    pipe.submit((), &StoreCall::visit());
    pipe.received(b":5\r\n*0\r\n");
    let (_, reply) = pipe.next_reply().expect("the protocol").expect("a whole reply");
    late.guest.stored(Ok(reply), late.now);
    assert_eq!(
        late.send("GET /file HTTP/1.1\r\nHost: a\r\n\r\n").seen(),
        (vec![503, 200], None)
    );
}

#[test]
fn an_error_of_the_store_is_a_503_and_a_page_escapes_its_remarks() {
    let mut page = driver();
    page.send("GET /guestbook HTTP/1.1\r\nHost: a\r\n\r\n");
    let text = String::from_utf8_lossy(&page.out).into_owned();
    assert!(text.contains("<li>&lt;b&gt;</li>") && text.contains("visitor 5"), "{text}");
    for replies in ["-ERR no\r\n*0\r\n", ":1\r\n-ERR no\r\n", ":1\r\n:2\r\n"] {
        let mut failing = driver();
        failing.silent = true;
        failing.send("GET /guestbook HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut pipe = StorePipe::new();
        pipe.submit((), &StoreCall::visit());
        pipe.received(replies.as_bytes());
        let (_, reply) = pipe.next_reply().expect("the protocol").expect("a whole reply");
        failing.guest.stored(Ok(reply), failing.now);
        failing.pump();
        assert_eq!(failing.seen(), (vec![503], None), "{replies}");
    }
}

#[test]
fn paths_and_methods_are_routed() {
    for (line, status) in [
        ("GET /", 200),
        ("HEAD /file", 200),
        ("GET /folder?a=b", 301),
        ("GET /fifo", 404),
        ("GET /../x", 404),
        ("GET /%", 400),
        ("DELETE /file", 405),
        ("POST /file", 405),
        ("PUT /guestbook", 405),
        ("OPTIONS *", 405),
        ("BREW /pot", 501),
        ("BREW /guestbook", 501),
        ("get /file", 501),
    ] {
        let mut driver = driver();
        assert_eq!(
            driver.send(format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n")).seen(),
            (vec![status], None),
            "{line}"
        );
        let text = String::from_utf8_lossy(&driver.out).into_owned();
        assert_eq!(text.contains("\r\nAllow: "), status == 405, "{text}");
        let post = line.contains("/guestbook");
        let allow = if post { "GET, HEAD, POST" } else { "GET, HEAD" };
        let field = format!("\r\nAllow: {allow}\r\n");
        assert_eq!(text.contains(&field), status == 405, "{text}");
        assert_eq!(
            text.contains("\r\nLocation: /folder/?a=b\r\n"),
            status == 301,
            "{text}"
        );
        if line.starts_with("HEAD") {
            assert!(
                text.contains("Content-Length: 10\r\n") && text.ends_with("\r\n\r\n"),
                "{text}"
            );
        }
    }
}

#[test]
fn keep_alive_is_the_client_s_wish_and_the_server_s_leave() {
    let close = Settings { keep_alive: false, ..Settings::default() };
    let request = |version: &str, connection: &str| {
        format!("GET /file HTTP/{version}\r\nHost: a\r\n{connection}\r\n")
    };
    for (settings, version, connection, told, finish) in [
        (Settings::default(), "1.1", "", None, None),
        (
            Settings::default(),
            "1.1",
            "Connection: x, Close\r\n",
            Some("close"),
            Some(Finish::Close),
        ),
        (Settings::default(), "1.0", "", Some("close"), Some(Finish::Close)),
        (
            Settings::default(),
            "1.0",
            "Connection: keep-alive\r\n",
            Some("keep-alive"),
            None,
        ),
        (close, "1.1", "", Some("close"), Some(Finish::Close)),
        (close, "1.0", "Connection: keep-alive\r\n", Some("close"), Some(Finish::Close)),
    ] {
        let mut driver = Driver::new(settings);
        assert_eq!(
            driver.send(request(version, connection)).seen(),
            (vec![200], finish),
            "{version} {connection}"
        );
        let text = String::from_utf8_lossy(&driver.out).to_ascii_lowercase();
        let field = text.lines().find_map(|line| line.strip_prefix("connection: "));
        assert_eq!(field, told, "{version} {connection}");
    }
    let mut pipelined = Driver::new(close);
    pipelined.send(request("1.1", "").repeat(2));
    assert_eq!(
        pipelined.seen(),
        (vec![200], Some(Finish::Linger)),
        "the second request was read and is not answered"
    );
}

#[test]
fn a_refused_head_request_has_no_body_either() {
    for request in [
        "HEAD / HTTP/1.1\r\n\r\n",
        "\r\nHEAD / HTTP/1.1\n",
        "HEAD /% HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut driver = driver();
        driver.send(request);
        let text = String::from_utf8_lossy(&driver.out).into_owned();
        assert!(text.starts_with("HTTP/1.1 400 ") && text.ends_with("\r\n\r\n"), "{text}");
    }
}
