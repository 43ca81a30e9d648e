//! Sessions without a kernel: a driver that answers jobs from a small file system in memory,
//! or with whatever a test wants it to answer.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use super::*;
use crate::transfer::PIECE;

/// Whether a driver keeps this job back.
type Holds = fn(&Job) -> bool;

/// A driver.
struct Driver {
    session: Session,
    now: Now,
    files: BTreeMap<String, Vec<u8>>,
    open: Option<String>,
    /// What the client sends over the data connection, and then it ends.
    sends: Vec<u8>,
    /// What it has received.
    got: Vec<u8>,
    said: String,
    /// How many bytes the kernel takes at a time.
    takes: usize,
    /// Jobs are kept back from here on.
    held: Option<Job>,
    holds: Holds,
    /// How the last transfer was closed.
    reset: Option<bool>,
}

const SIZE: usize = PIECE * 2 + 77;

impl Driver {
    fn new() -> Self {
        let settings = Settings {
            uploads: Place::root().join("in"),
            upload_limit: 1 << 20,
            idle: Duration::from_secs(300),
            stall: Duration::from_secs(60),
        };
        Self::with(settings, &Writers::default())
    }

    fn with(settings: Settings, writers: &Writers) -> Self {
        let now = Now { mono: Instant::now(), wall: UNIX_EPOCH };
        let local = IpAddr::from([127, 0, 0, 1]);
        let big = (0..SIZE).map(|n| (n % 251) as u8).collect();
        let files = [("big", big), ("empty", Vec::new()), ("in/old", b"old".to_vec())];
        Self {
            session: Session::new(&Rc::new(settings), writers, local, now),
            now,
            files: files.map(|(name, bytes)| (name.into(), bytes)).into(),
            open: None,
            sends: Vec::new(),
            got: Vec::new(),
            said: String::new(),
            takes: usize::MAX,
            held: None,
            holds: |_| false,
            reset: None,
        }
    }

    fn guest() -> Self {
        let mut driver = Self::new();
        driver.say("USER anonymous\r\nPASS x\r\n");
        driver.said.clear();
        driver
    }

    /// The client says this, and the driver does all that it can.
    fn say(&mut self, text: &str) -> String {
        self.arrive(text.as_bytes());
        std::mem::take(&mut self.said)
    }

    fn arrive(&mut self, mut bytes: &[u8]) {
        loop {
            let n = self.session.room().min(bytes.len());
            self.session.received(&bytes[..n], self.now);
            bytes = &bytes[n..];
            self.pump();
            if bytes.is_empty() || n == 0 {
                return;
            }
        }
    }

    fn pump(&mut self) {
        loop {
            if let Some(out) = self.session.take_output() {
                let n = out.len().min(self.takes);
                self.said.push_str(&String::from_utf8_lossy(&out[..n]));
                self.session.sent(out, n, self.now);
            } else if let Some(job) = self.held.take() {
                if !self.session.gives_up() {
                    self.held = Some(job);
                    return;
                }
                self.session.done(Done::GivenUp, self.now);
            } else if let Some(job) = self.session.take_job() {
                if (self.holds)(&job) {
                    self.held = Some(job);
                } else {
                    let done = self.work(job);
                    self.session.done(done, self.now);
                }
            } else {
                return;
            }
        }
    }

    fn work(&mut self, job: Job) -> Done {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        match job {
            Job::Listen => Done::Listening(Ok(([127, 0, 0, 1], 258).into())),
            Job::Accept => Done::Connected(Ok(())),
            Job::Look(place) => Done::Looked(self.meta(&place).ok_or_else(missing)),
            Job::List(place) => {
                let entry = |name: &String| {
                    let meta = self.meta(&Place::root().join(name)?)?;
                    Some(Entry { name: name.clone(), meta })
                };
                let all: Option<Vec<Entry>> = self.files.keys().map(entry).collect();
                Done::Listed(self.meta(&place).and(all).ok_or_else(missing))
            }
            Job::Open(place) => self.opens(&place),
            Job::Create { place, truncate } => {
                let file = self.files.entry(place.as_path().into()).or_default();
                if truncate {
                    file.clear();
                }
                self.opens(&place)
            }
            Job::Read { at, mut into } => {
                assert!(into.is_empty() && into.capacity() >= PIECE);
                let takes = self.takes.min(PIECE);
                let rest = &self.file()[at as usize..];
                into.extend_from_slice(&rest[..rest.len().min(takes)]);
                Done::Read(Ok(into))
            }
            Job::Send(piece) => {
                let n = piece.rest().len().min(self.takes);
                self.got.extend_from_slice(&piece.rest()[..n]);
                Done::Sent(piece, Ok(n))
            }
            Job::Receive { mut into } => {
                let n = self.sends.len().min(self.takes.min(PIECE));
                into.extend(self.sends.drain(..n));
                Done::Received(Ok(into))
            }
            Job::Write { at, piece } => {
                let n = piece.rest().len().min(self.takes);
                let bytes = piece.rest()[..n].to_vec();
                let file = self.file();
                file.resize(file.len().max(at as usize + n), 0);
                file[at as usize..at as usize + n].copy_from_slice(&bytes);
                Done::Wrote(piece, Ok(n))
            }
            Job::End { reset } => {
                (self.open, self.reset) = (None, Some(reset));
                Done::Ended
            }
        }
    }

    fn meta(&self, place: &Place) -> Option<Meta> {
        let modified = UNIX_EPOCH;
        match self.files.get(place.as_path()) {
            Some(file) => Some(Meta { kind: Kind::File, len: file.len() as u64, modified }),
            None => matches!(place.as_path(), "." | "in").then_some(Meta {
                kind: Kind::Folder,
                len: 4096,
                modified,
            }),
        }
    }

    fn opens(&mut self, place: &Place) -> Done {
        self.open = Some(place.as_path().into());
        Done::Opened(self.meta(place).ok_or_else(|| io::ErrorKind::NotFound.into()))
    }

    fn file(&mut self) -> &mut Vec<u8> {
        let name = self.open.as_ref().expect("an open file");
        self.files.get_mut(name).expect("that is there")
    }

    fn wait(&mut self, seconds: u64) {
        self.now.mono += Duration::from_secs(seconds);
        self.session.expired(self.now);
        self.pump();
    }
}

fn codes(said: &str) -> Vec<u16> {
    let is_last = |line: &&str| line.as_bytes().get(3) == Some(&b' ');
    said.lines().filter(is_last).filter_map(|line| line[..3].parse().ok()).collect()
}

#[test]
fn who_has_not_said_who_it_is_gets_nothing() {
    let mut driver = Driver::new();
    assert_eq!(codes(&driver.say("")), [220]);
    for line in ["PASV", "RETR big", "STOR in/x", "SIZE big", "CWD in", "PWD", "TYPE I"] {
        assert_eq!(codes(&driver.say(&format!("{line}\r\n"))), [530], "{line}");
    }
    assert_eq!(codes(&driver.say("PASS x\r\nUSER root\r\nPASS x\r\n")), [530, 331, 530]);
    assert_eq!(codes(&driver.say("FEAT\r\nSYST\r\nNOOP\r\n")), [211, 215, 200]);
    assert_eq!(codes(&driver.say("user Ftp\r\npass x\r\npwd\r\n")), [331, 230, 257]);
}

#[test]
fn files_go_out_and_come_in() {
    for takes in [usize::MAX, 1000, 7] {
        let mut driver = Driver::guest();
        driver.takes = takes;
        assert_eq!(codes(&driver.say("PASV\r\nRETR big\r\n")), [227, 150, 226]);
        assert_eq!((&driver.got, driver.reset), (&driver.files["big"], Some(false)));
        driver.got.clear();
        let said = driver.say("EPSV\r\nREST 1000\r\nRETR big\r\n");
        assert_eq!(codes(&said), [229, 350, 150, 226]);
        assert!(said.contains("229 Come in here (|||258|)."));
        assert_eq!(driver.got, driver.files["big"][1000..]);
        driver.got.clear();
        assert_eq!(codes(&driver.say("PASV\r\nRETR empty\r\n")), [227, 150, 226]);
        assert!(driver.got.is_empty());

        driver.sends = driver.files["big"].clone();
        assert_eq!(codes(&driver.say("PASV\r\nSTOR in/new\r\n")), [227, 150, 226]);
        assert_eq!(driver.files["in/new"], driver.files["big"]);
        driver.sends = b"NEW".to_vec();
        assert_eq!(
            codes(&driver.say("PASV\r\nREST 5\r\nSTOR in/new\r\n"))[2..],
            [150, 226]
        );
        assert_eq!(&driver.files["in/new"][..9], b"\0\x01\x02\x03\x04NEW\x08");
        driver.sends = b"+".to_vec();
        assert_eq!(codes(&driver.say("PASV\r\nAPPE in/old\r\n"))[1..], [150, 226]);
        assert_eq!(driver.files["in/old"], b"old+");
        driver.sends = b"short".to_vec();
        assert_eq!(codes(&driver.say("PASV\r\nSTOR in/old\r\n"))[1..], [150, 226]);
        assert_eq!(driver.files["in/old"], b"short");
    }
}

/// A client's lines may come in any pieces, and all at once.
#[test]
fn replies_do_not_depend_on_how_lines_arrive() {
    let lines = "USER ftp\r\nPASS x\r\nTYPE I\r\nCWD in\r\nPWD\r\nSIZE old\r\nPASV\r\nRETR old\r\n\
                 NOPE\r\nMLST old\r\nEPSV\r\nMLSD\r\nCDUP\r\nMDTM big\r\nQUIT\r\n";
    let mut whole = Driver::new();
    let expected = whole.say(lines);
    assert_eq!(codes(&expected).len(), 18, "{expected}");
    for cut in 1..lines.len() {
        let mut driver = Driver::new();
        driver.arrive(&lines.as_bytes()[..cut]);
        driver.arrive(&lines.as_bytes()[cut..]);
        assert_eq!(driver.said, expected, "cut at {cut}");
        assert_eq!(driver.got, whole.got);
    }
    for takes in [1, 100] {
        let mut driver = Driver::new();
        driver.takes = takes;
        for byte in lines.as_bytes() {
            driver.arrive(&[*byte]);
        }
        assert_eq!(driver.said, expected);
    }
}

#[test]
fn nothing_is_opened_that_has_no_name_and_nothing_is_written_elsewhere() {
    let mut driver = Driver::guest();
    driver.say("PASV\r\n");
    for (line, code) in [
        ("STOR big", 550),
        ("STOR in/../big", 550),
        ("STOR in", 550),
        ("APPE ../big", 550),
        ("RETR .hidden", 550),
        ("STOR in/.hidden", 550),
        ("RETR none", 550),
        ("RETR in", 550),
        ("RETR big\0", 550),
    ] {
        assert_eq!(codes(&driver.say(&format!("{line}\r\n"))), [code], "{line}");
        assert_eq!(codes(&driver.say("PASV\r\n")), [227], "the listener is gone: {line}");
    }
    assert_eq!(driver.files.len(), 3);
    assert_eq!(codes(&driver.say("RETR in\r\nRETR big\r\n")), [550, 425]);
    assert_eq!(codes(&driver.say("PASV\r\nREST 99999999\r\nRETR big\r\n"))[2..], [554]);
    let mut driver = Driver::guest();
    Rc::get_mut(&mut driver.session.settings).expect("ours").uploads = None;
    assert_eq!(codes(&driver.say("PASV\r\nSTOR in/x\r\n"))[1..], [550]);
}

#[test]
fn a_file_that_is_being_written_is_written_by_one_client() {
    let writers = Writers::default();
    let settings = Driver::new().session.settings.as_ref().clone();
    let [mut one, mut other] = [(); 2].map(|()| {
        let mut driver = Driver::with(settings.clone(), &writers);
        driver.say("USER ftp\r\nPASS x\r\nPASV\r\n");
        driver
    });
    one.holds = |job| matches!(job, Job::Receive { .. });
    assert_eq!(codes(&one.say("STOR in/x\r\n")), [150]);
    assert_eq!(codes(&other.say("STOR ./in//x\r\nPASV\r\n")), [450, 227]);
    assert_eq!(codes(&other.say("STOR in/y\r\n")), [150, 226]);
    drop(one); // it is gone, and with it its claim
    assert_eq!(codes(&other.say("PASV\r\nSTOR in/x\r\n"))[1..], [150, 226]);
}

/// Each job of a transfer, answered with each error: one reply, all is closed, the session goes on.
#[test]
fn whatever_fails_is_one_reply_and_the_session_goes_on() {
    use io::ErrorKind as Kind;
    let fails = |job: Job, kind: Kind| match job {
        Job::Listen => Done::Listening(Err(kind.into())),
        Job::Accept => Done::Connected(Err(kind.into())),
        Job::Look(_) => Done::Looked(Err(kind.into())),
        Job::List(_) => Done::Listed(Err(kind.into())),
        Job::Open(_) | Job::Create { .. } => Done::Opened(Err(kind.into())),
        Job::Read { .. } => Done::Read(Err(kind.into())),
        Job::Send(piece) => Done::Sent(piece, Err(kind.into())),
        Job::Receive { .. } => Done::Received(Err(kind.into())),
        Job::Write { piece, .. } => Done::Wrote(piece, Err(kind.into())),
        Job::End { .. } => Done::Ended,
    };
    let kinds = [
        Kind::NotFound,
        Kind::PermissionDenied,
        Kind::StorageFull,
        Kind::FileTooLarge,
        Kind::ConnectionReset,
        Kind::BrokenPipe,
        Kind::OutOfMemory,
        Kind::Other,
    ];
    for command in ["RETR big", "LIST", "MLSD in", "STOR in/new", "APPE in/old", "SIZE big"]
    {
        for kind in kinds {
            for failing in 0..8 {
                let mut driver = Driver::guest();
                driver.say("PASV\r\n");
                driver.sends = vec![1; PIECE * 2];
                driver.holds = |_| true;
                driver.arrive(format!("{command}\r\n").as_bytes());
                let mut has_failed = false;
                for step in 0.. {
                    let Some(job) = driver.held.take() else { break };
                    let fails_now = step == failing && !matches!(job, Job::End { .. });
                    has_failed |= fails_now;
                    let done = if fails_now { fails(job, kind) } else { driver.work(job) };
                    driver.session.done(done, driver.now);
                    driver.pump();
                }
                let codes = codes(&driver.said);
                let last = *codes.last().expect("a reply");
                assert_eq!(
                    has_failed,
                    last >= 400,
                    "{command} {kind:?} {failing}: {codes:?}"
                );
                assert!(codes.len() <= 2, "{codes:?}");
                if command != "SIZE big" {
                    assert_eq!(driver.reset, Some(has_failed));
                }
                driver.said.clear();
                driver.holds = |_| false;
                assert_eq!(driver.say("NOOP\r\n"), "200 Done.\r\n");
            }
        }
    }
}

/// Interrupted is not failed: the same job comes again.
#[test]
fn what_was_interrupted_is_done_again() {
    for kind in [io::ErrorKind::Interrupted, io::ErrorKind::WouldBlock] {
        for command in ["RETR big", "STOR in/new"] {
            let mut driver = Driver::guest();
            driver.say("PASV\r\n");
            driver.sends = driver.files["big"].clone();
            driver.holds = |_| true;
            driver.arrive(format!("{command}\r\n").as_bytes());
            while let Some(job) = driver.held.take() {
                let done = match job {
                    Job::Accept => Done::Connected(Err(kind.into())),
                    Job::Read { .. } => Done::Read(Err(kind.into())),
                    Job::Send(piece) => Done::Sent(piece, Err(kind.into())),
                    Job::Receive { .. } => Done::Received(Err(kind.into())),
                    Job::Write { piece, .. } => Done::Wrote(piece, Err(kind.into())),
                    job => driver.work(job),
                };
                driver.session.done(done, driver.now);
                driver.pump();
                if let Some(job) = driver.held.take() {
                    let done = driver.work(job);
                    driver.session.done(done, driver.now);
                    driver.pump();
                }
            }
            assert_eq!(codes(&driver.said), [150, 226], "{command} {kind:?}");
            let moved =
                if command == "RETR big" { &driver.got } else { &driver.files["in/new"] };
            assert_eq!(*moved, driver.files["big"]);
        }
    }
}

#[test]
fn a_transfer_can_be_given_up_at_each_step() {
    let holds: [(&str, Holds); 8] = [
        ("RETR big", |job| matches!(job, Job::Open(_))),
        ("RETR big", |job| matches!(job, Job::Accept)),
        ("RETR big", |job| matches!(job, Job::Read { .. })),
        ("RETR big", |job| matches!(job, Job::Send(_))),
        ("STOR in/x", |job| matches!(job, Job::Create { .. })),
        ("STOR in/x", |job| matches!(job, Job::Receive { .. })),
        ("STOR in/x", |job| matches!(job, Job::Write { .. })),
        ("LIST", |job| matches!(job, Job::List(_))),
    ];
    for (command, holds) in holds {
        let mut driver = Driver::guest();
        driver.sends = vec![0; 10];
        driver.say("PASV\r\n");
        driver.holds = holds;
        driver.say(&format!("{command}\r\n"));
        assert!(driver.held.is_some(), "{command}");
        driver.arrive(b"\xff\xf4\xff\xf2ABOR\r\nNOOP\r\n");
        assert_eq!(codes(&driver.said), [426, 226, 200], "{command}");
        assert_eq!(driver.reset, Some(true));
        assert!(driver.session.deadline().is_some(), "it waits for ever");
    }
    // It is heard behind other commands, which wait for their turn.
    let mut driver = Driver::guest();
    driver.say("PASV\r\n");
    driver.holds = |job| matches!(job, Job::Send(_));
    assert_eq!(codes(&driver.say("RETR big\r\nNOOP\r\nPWD\r\n")), [150]);
    assert_eq!(codes(&driver.say("ABOR\r\nNOOP\r\n")), [426, 226, 200, 257, 200]);
    assert_eq!(codes(&driver.say("ABOR\r\n")), [225]);
}

#[test]
fn a_stranger_who_knocks_is_no_progress() {
    let mut driver = Driver::guest();
    driver.say("PASV\r\n");
    driver.holds = |job| matches!(job, Job::Accept);
    assert_eq!(codes(&driver.say("RETR big\r\n")), [150]);
    for _ in 0..59 {
        driver.wait(1);
        let job = driver.held.take().expect("the accept");
        assert_eq!(job, Job::Accept);
        driver
            .session
            .done(Done::Connected(Err(io::ErrorKind::Interrupted.into())), driver.now);
        driver.pump();
    }
    driver.wait(1);
    assert_eq!(codes(&driver.said), [425]);
}

#[test]
fn the_old_file_stays_until_the_client_is_there() {
    let mut driver = Driver::guest();
    driver.say("PASV\r\n");
    driver.holds = |job| matches!(job, Job::Accept);
    assert_eq!(codes(&driver.say("STOR in/old\r\n")), [150]);
    driver.wait(60);
    assert_eq!(
        (codes(&driver.said), driver.files["in/old"].as_slice()),
        (vec![425], &b"old"[..])
    );
}

#[test]
fn a_file_that_grows_ends_where_it_ended() {
    let mut driver = Driver::guest();
    driver.say("PASV\r\n");
    driver.holds = |job| matches!(job, Job::Accept);
    driver.say("RETR big\r\n");
    driver.files.get_mut("big").expect("it is there").extend_from_slice(&[7; 5000]);
    driver.held = None;
    driver.holds = |_| false;
    driver.session.done(Done::Connected(Ok(())), driver.now);
    driver.pump();
    assert_eq!((codes(&driver.said), driver.got.len()), (vec![226], SIZE));
}

#[test]
fn who_is_late_goes_and_a_disk_may_take_its_time() {
    let mut driver = Driver::guest();
    driver.wait(299);
    assert_eq!(driver.say("NOOP\r\n"), "200 Done.\r\n");
    driver.wait(299);
    assert!(driver.said.is_empty());
    driver.wait(1);
    assert_eq!(codes(&std::mem::take(&mut driver.said)), [421]);
    assert!(driver.session.has_said_goodbye() && !driver.session.is_over());
    assert_eq!(driver.say("NOOP\r\n"), "", "it is not heard any more");
    driver.wait(2);
    assert!(driver.session.is_over());

    // Bytes are no command.
    let mut driver = Driver::guest();
    for _ in 0..3 {
        driver.wait(99);
        driver.arrive(b"N");
    }
    driver.wait(3);
    assert_eq!(codes(&driver.said), [421], "a dripping client stays");

    // Nor is anything said before the password.
    let mut driver = Driver::new();
    driver.say("");
    driver.wait(299);
    driver.say("NOOP\r\n");
    driver.wait(1);
    assert_eq!(codes(&driver.said), [421]);

    let holds: [(Holds, u16); 2] =
        [(|job| matches!(job, Job::Accept), 425), (|job| matches!(job, Job::Send(_)), 426)];
    for (holds, code) in holds {
        let mut driver = Driver::guest();
        driver.say("PASV\r\n");
        driver.holds = holds;
        driver.say("RETR big\r\n");
        driver.wait(59);
        assert!(driver.said.is_empty());
        driver.wait(1);
        assert_eq!(codes(&std::mem::take(&mut driver.said)), [code]);
        assert_eq!(codes(&driver.say("NOOP\r\n")), [200], "the session goes on");
    }
    let mut driver = Driver::guest();
    driver.say("PASV\r\n");
    driver.holds = |job| matches!(job, Job::Read { .. });
    driver.say("RETR big\r\n");
    driver.wait(100_000);
    assert!(driver.said.is_empty() && driver.held.is_some(), "the disk is not the client");
}

#[test]
fn what_is_no_ftp_is_answered_and_ended() {
    let mut driver = Driver::guest();
    assert_eq!(
        codes(&driver.say(&format!("RETR {}\r\nNOOP\r\n", "x".repeat(9000)))),
        [500, 200]
    );
    let mut driver = Driver::new();
    driver.say("");
    let said = driver
        .say("POST / HTTP/1.1\r\nHost: a\r\na\r\nb\r\nc\r\nd\r\ne\r\nf\r\ng\r\nh\r\ni\r\n");
    assert_eq!(codes(&said), [500, 500, 500, 500, 500, 500, 500, 500, 500, 421]);
    assert!(driver.session.has_said_goodbye());

    // Who never reads is not read from.
    let mut driver = Driver::guest();
    driver.takes = 0;
    let many = "NOOP\r\n".repeat(20_000);
    let mut read = 0;
    for piece in many.as_bytes().chunks(100) {
        if driver.session.room() < 100 {
            break;
        }
        driver.session.received(piece, driver.now);
        read += 100;
    }
    assert!((1000..60_000).contains(&read), "{read} bytes were read");
    assert!(driver.session.take_output().is_some_and(|out| out.len() < 2 * OUTPUT));
}

#[test]
fn uploads_have_a_limit_and_a_full_disk_is_told() {
    let mut driver = Driver::guest();
    driver.sends = vec![1; (1 << 20) + 1];
    assert_eq!(codes(&driver.say("PASV\r\nSTOR in/x\r\n"))[1..], [150, 552]);
    assert!(driver.files["in/x"].len() <= 1 << 20);
    driver.sends = vec![1; 1 << 20];
    assert_eq!(codes(&driver.say("PASV\r\nSTOR in/x\r\n"))[1..], [150, 226]);
    driver.sends = vec![1; 1];
    assert_eq!(codes(&driver.say("PASV\r\nAPPE in/x\r\n"))[1..], [150, 552]);
}

#[test]
fn a_file_that_has_become_shorter_is_not_complete() {
    let mut driver = Driver::guest();
    driver.say("PASV\r\n");
    driver.holds = |job| matches!(job, Job::Accept);
    driver.say("RETR big\r\n");
    driver.files.insert("big".into(), vec![0; 100]);
    driver.held = None;
    driver.holds = |_| false;
    driver.session.done(Done::Connected(Ok(())), driver.now);
    driver.pump();
    assert_eq!((codes(&driver.said), driver.got.len()), (vec![451], 100));
    assert_eq!(driver.reset, Some(true), "an orderly end would say: complete");
}

#[test]
fn a_server_that_stops_lets_transfers_end() {
    let mut driver = Driver::guest();
    driver.session.drain(driver.now);
    driver.pump();
    assert_eq!(codes(&driver.said), [421]);

    let mut driver = Driver::guest();
    driver.say("PASV\r\n");
    driver.holds = |job| matches!(job, Job::Send(_));
    driver.say("RETR big\r\n");
    driver.session.drain(driver.now);
    driver.pump();
    assert!(driver.said.is_empty());
    let job = driver.held.take().expect("the send");
    driver.holds = |_| false;
    let done = driver.work(job);
    driver.session.done(done, driver.now);
    driver.pump();
    assert_eq!(codes(&driver.said), [226, 421]);
    assert_eq!(driver.got, driver.files["big"]);
}

#[test]
fn who_ends_its_side_has_its_answers_first() {
    let mut driver = Driver::guest();
    driver.say("PASV\r\n");
    driver.holds = |job| matches!(job, Job::Send(_));
    driver.say("RETR big\r\nNOOP\r\n");
    driver.session.eof(driver.now);
    assert!(!driver.session.is_over());
    let job = driver.held.take().expect("the send");
    driver.holds = |_| false;
    let done = driver.work(job);
    driver.session.done(done, driver.now);
    driver.pump();
    assert_eq!(codes(&driver.said), [226, 200]);
    assert!(driver.session.is_over());
}
