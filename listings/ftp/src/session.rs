//! One client: what it says, what it is answered, and what is to be done for it.
//!
//! There is no I/O in here. Bytes of the control connection go in and come out; for everything
//! else a session has one [`Job`] at a time for its driver, and goes on when it is told what
//! came of it. Which call the driver makes, and who waits in it, is the driver's affair.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use http1::{Kind, Meta, Now};

use crate::command::{Command, Fact, Move, without_telnet};
use crate::listing::{self, Entry};
use crate::path::Place;
use crate::transfer::{Next, Transfer};

/// Longest line of a client, in bytes: a path and a verb.
const LINE: usize = 4096 + 16;
/// How much of what a client says is read before it is its turn, in bytes.
const INPUT: usize = 2 * LINE;
/// With so many bytes of replies unsent no more is read.
const OUTPUT: usize = 16 * 1024;
/// How long a client that was told goodbye may take to close, too.
const GOODBYE: Duration = Duration::from_secs(2);
/// After so many lines in a row that are no commands it is no FTP client.
const MISTAKES: u32 = 10;

/// What a driver is to do, one thing at a time.
#[derive(Debug, PartialEq, Eq)]
pub enum Job {
    /// Listen where the client may come in a second time: [`Done::Listening`].
    Listen,
    /// Accept the data connection there, from the client's own address: [`Done::Connected`].
    Accept,
    /// Ask what this is: [`Done::Looked`].
    Look(Place),
    /// Read a folder: [`Done::Listed`].
    List(Place),
    /// Open a file to read from it: [`Done::Opened`].
    Open(Place),
    /// Open a file to write to it, and make it if it is not there: [`Done::Opened`].
    Create {
        /// Which.
        place: Place,
        /// What is in it goes.
        truncate: bool,
    },
    // ANCHOR: job
    /// Read from the file, as much as there is room for: [`Done::Read`].
    Read {
        /// Offset of the first byte.
        at: u64,
        /// An empty buffer with room.
        into: Vec<u8>,
    },
    /// Send over the data connection: [`Done::Sent`].
    Send(Piece),
    /// Receive over the data connection, as much as there is room for: [`Done::Received`].
    Receive {
        /// An empty buffer with room.
        into: Vec<u8>,
    },
    /// Write to the file: [`Done::Wrote`].
    Write {
        /// Offset of the first byte.
        at: u64,
        /// What.
        piece: Piece,
    },
    // ANCHOR_END: job
    /// Close the listener, the data connection and the file, as far as they are open:
    /// [`Done::Ended`].
    End {
        /// The client is to see that not all has come: a reset.
        reset: bool,
    },
}

/// What came of a job. Buffers come back as they went.
#[derive(Debug)]
pub enum Done {
    /// Where the client may come in.
    Listening(io::Result<SocketAddr>),
    /// It has.
    Connected(io::Result<()>),
    /// What it is.
    Looked(io::Result<Meta>),
    /// What is in it.
    Listed(io::Result<Vec<Entry>>),
    /// It is open; and what it is.
    Opened(io::Result<Meta>),
    /// These bytes; none at the end of the file.
    Read(io::Result<Vec<u8>>),
    /// So many bytes are with the kernel.
    Sent(Piece, io::Result<usize>),
    /// These bytes; none at the end of the connection.
    Received(io::Result<Vec<u8>>),
    /// So many bytes are in the file.
    Wrote(Piece, io::Result<usize>),
    /// All is closed.
    Ended,
    /// The job was given up, as [`Session::gives_up`] has asked.
    GivenUp,
}

/// Bytes on their way, of which some may be gone.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    /// All of them.
    pub bytes: Vec<u8>,
    /// The first that is still to go.
    pub from: usize,
}

impl Piece {
    /// What is still to go.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.from.min(self.bytes.len())..]
    }
}

/// What clients are allowed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder in which they may write, if there is one.
    pub uploads: Option<Place>,
    /// Longest file that they may write, in bytes.
    pub upload_limit: u64,
    /// How long a client may say nothing, or take to say who it is.
    pub idle: Duration,
    /// How long a data connection may stand still, or not be there.
    pub stall: Duration,
}

/// Which files are being written. Two clients do not write the same one.
#[derive(Clone, Debug, Default)]
pub struct Writers(Rc<RefCell<HashSet<Place>>>);

/// That a file is being written, for as long as this is there.
#[derive(Debug)]
pub(crate) struct Writing(Writers, Place);

impl Writers {
    pub(crate) fn enter(&self, place: &Place) -> Option<Writing> {
        let is_first = self.0.borrow_mut().insert(place.clone());
        is_first.then(|| Writing(self.clone(), place.clone()))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.0.borrow_mut().remove(&self.1);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    Nobody,
    /// It has said a name: one that may come in, or another.
    Named(bool),
    In,
}

/// What the driver is doing for this client.
#[derive(Debug)]
enum Work {
    Nothing,
    Listening { extended: bool },
    Looking(Question, Place),
    Moving(Box<Transfer>),
}

#[derive(Clone, Copy, Debug)]
enum Question {
    IsFolder,
    Fact(Fact),
}

/// One client.
///
/// Between any two calls the driver asks the same questions as of an HTTP connection: how much
/// may I read, is there output, is there a job, is the one that I have given up, until when
/// may I wait, is it over.
#[derive(Debug)]
pub struct Session {
    settings: Rc<Settings>,
    writers: Writers,
    local: IpAddr,
    input: Vec<u8>,
    /// A line was too long, and its end has not come yet.
    skips: bool,
    output: Vec<u8>,
    output_is_out: bool,
    user: User,
    here: Place,
    /// Where the next transfer begins.
    rest: u64,
    /// There is a listener.
    listens: bool,
    /// The client has said that it will use EPSV and nothing else.
    only_extended: bool,
    work: Work,
    job: Option<Job>,
    /// The job that the driver has is to end early, and this is the reply then.
    cut: Option<&'static str>,
    since: Instant,
    mistakes: u32,
    goodbye_until: Option<Instant>,
    has_ended: bool,
    is_over: bool,
    is_draining: bool,
}

impl Session {
    /// A client that was accepted just now, at this address of ours.
    pub fn new(
        settings: &Rc<Settings>,
        writers: &Writers,
        local: IpAddr,
        now: Now,
    ) -> Self {
        let mut session = Self {
            settings: Rc::clone(settings),
            writers: writers.clone(),
            local: local.to_canonical(),
            input: Vec::new(),
            skips: false,
            output: Vec::new(),
            output_is_out: false,
            user: User::Nobody,
            here: Place::root(),
            rest: 0,
            listens: false,
            only_extended: false,
            work: Work::Nothing,
            job: None,
            cut: None,
            since: now.mono,
            mistakes: 0,
            goodbye_until: None,
            has_ended: false,
            is_over: false,
            is_draining: false,
        };
        session.say("220 Who waits? You are welcome.");
        session
    }

    // ------------------------------------------------------- the control connection

    /// How many bytes the driver may read now; 0: none.
    pub fn room(&self) -> usize {
        if self.has_ended || self.is_over {
            0
        } else if self.goodbye_until.is_some() {
            INPUT
        } else if self.output.len() > OUTPUT {
            0
        } else {
            INPUT.saturating_sub(self.input.len())
        }
    }

    /// Bytes arrived.
    pub fn received(&mut self, bytes: &[u8], now: Now) {
        if self.goodbye_until.is_none() {
            self.input.extend_from_slice(bytes);
            self.run(now);
        }
    }

    /// The client has ended its side.
    pub fn eof(&mut self, now: Now) {
        self.has_ended = true;
        self.run(now);
    }

    /// The connection is broken.
    pub fn fail(&mut self) {
        self.is_over = true;
    }

    /// What is to be sent; the driver's until [`Session::sent`].
    pub fn take_output(&mut self) -> Option<Vec<u8>> {
        if self.output_is_out || self.output.is_empty() {
            return None;
        }
        self.output_is_out = true;
        Some(std::mem::take(&mut self.output))
    }

    /// Gives it back. The kernel took `n` bytes of it.
    pub fn sent(&mut self, mut bytes: Vec<u8>, n: usize, now: Now) {
        self.output_is_out = false;
        bytes.drain(..n);
        bytes.append(&mut self.output);
        self.output = bytes;
        self.run(now);
    }

    /// All is said: the driver ends our side of the connection.
    pub fn has_said_goodbye(&self) -> bool {
        self.goodbye_until.is_some() && self.output.is_empty() && !self.output_is_out
    }

    /// The connection is to be closed.
    pub fn is_over(&self) -> bool {
        let nothing_left = self.has_ended
            && matches!(self.work, Work::Nothing)
            && self.output.is_empty()
            && !self.output_is_out;
        self.is_over || nothing_left
    }

    // ------------------------------------------------------------------------- time

    /// When [`Session::expired`] is to be called, if nothing happens first. While the disk is
    /// waited for there is no deadline: the client is not to blame.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.work {
            _ if self.is_over() || self.cut.is_some() => None,
            Work::Moving(transfer) if transfer.waits_for_peer() => {
                Some(self.since + self.settings.stall)
            }
            Work::Nothing => self.goodbye_until.or(Some(self.since + self.settings.idle)),
            _ => None,
        }
    }

    /// Tells that time has passed. Does nothing before the deadline.
    pub fn expired(&mut self, now: Now) {
        if self.deadline().is_none_or(|deadline| now.mono < deadline) {
            return;
        }
        match &self.work {
            Work::Moving(transfer) => {
                let why = transfer.why_late();
                self.give_up(why);
            }
            _ if self.goodbye_until.is_some() => self.is_over = true,
            _ => self.leave("421 Nothing was said for too long.", now),
        }
    }

    /// The server is shutting down: a transfer is finished, and then the session ends.
    pub fn drain(&mut self, now: Now) {
        self.is_draining = true;
        self.run(now);
    }

    // -------------------------------------------------------------------------- jobs

    /// What is to be done, once. One job is outstanding at a time.
    pub fn take_job(&mut self) -> Option<Job> {
        self.job.take()
    }

    /// The job that the driver has is to end as soon as it can, with [`Done::GivenUp`] or
    /// otherwise.
    pub fn gives_up(&self) -> bool {
        self.cut.is_some()
    }

    /// What came of the job.
    // ANCHOR: done
    pub fn done(&mut self, done: Done, now: Now) {
        // A stranger who knocks, or a signal, is no progress of the client's.
        if !matches!(done, Done::Connected(Err(_))) {
            self.since = now.mono;
        }
        match std::mem::replace(&mut self.work, Work::Nothing) {
            Work::Nothing => {}
            Work::Listening { extended } => self.listening(done, extended),
            Work::Looking(question, place) => self.looked(question, place, done),
            Work::Moving(mut transfer) => {
                let next = match self.cut.take() {
                    Some(reply) if !transfer.is_ending() => transfer.end(reply),
                    _ => transfer.next(done, now.wall),
                };
                self.go_on(transfer, next);
            }
        }
        self.run(now);
    }

    fn go_on(&mut self, transfer: Box<Transfer>, next: Next) {
        match next {
            Next::Job(job) => self.job = Some(job),
            Next::Begin(job) => {
                self.say("150 Here it comes.");
                self.job = Some(job);
            }
            Next::Over(reply) => {
                self.listens = false;
                return self.say(reply);
            }
        }
        self.work = Work::Moving(transfer);
    }
    // ANCHOR_END: done

    /// A transfer is to end early, with this reply.
    fn give_up(&mut self, reply: &'static str) {
        let Work::Moving(transfer) = &mut self.work else { return };
        if self.job.is_some() {
            // The driver has not begun with it.
            self.job = None;
            if let Next::Job(job) = transfer.end(reply) {
                self.job = Some(job);
            }
        } else if !transfer.is_ending() {
            self.cut = Some(reply);
        }
    }

    fn listening(&mut self, done: Done, extended: bool) {
        match done {
            Done::Listening(Ok(address)) => {
                self.listens = true;
                let (port, ip) = (address.port(), address.ip().to_canonical());
                match ip {
                    IpAddr::V4(ip) if !extended => {
                        let [a, b, c, d] = ip.octets();
                        let (high, low) = (port >> 8, port & 255);
                        self.say(format_args!(
                            "227 Come in here ({a},{b},{c},{d},{high},{low})."
                        ));
                    }
                    _ => self.say(format_args!("229 Come in here (|||{port}|).")),
                }
            }
            _ => self.say("425 There is no port for you now."),
        }
    }

    fn looked(&mut self, question: Question, place: Place, done: Done) {
        let meta = match done {
            Done::Looked(Ok(meta)) => meta,
            Done::Looked(Err(error)) => return self.say(file_error(&error)),
            _ => return self.say("451 It could not be found out."),
        };
        match (question, meta.kind) {
            (Question::IsFolder, Kind::Folder) => {
                self.here = place;
                self.say("250 You are there.");
            }
            (Question::Fact(Fact::Size), Kind::File) => {
                self.say(format_args!("213 {}", meta.len));
            }
            (Question::Fact(Fact::Modified), Kind::File) => {
                self.say(format_args!("213 {}", listing::stamp(meta.modified)));
            }
            (Question::Fact(Fact::All), Kind::File | Kind::Folder) => {
                let facts = listing::facts(&meta);
                self.say(format_args!("250-It is:\r\n {facts} {place}\r\n250 End."));
            }
            (Question::IsFolder, _) => self.say("550 That is no folder."),
            (Question::Fact(_), _) => self.say("550 That is no file."),
        }
    }

    // ---------------------------------------------------------------------- commands

    /// Obeys what has arrived, as far as it is complete and it is its turn.
    // ANCHOR: run
    fn run(&mut self, now: Now) {
        while !self.is_over && self.goodbye_until.is_none() && self.output.len() <= OUTPUT {
            let is_busy = !matches!(self.work, Work::Nothing);
            if self.is_draining && !is_busy {
                return self.leave("421 The server is shutting down.", now);
            }
            if memchr(b'\n', &self.input).is_none() {
                if self.input.len() > LINE {
                    self.input.clear();
                    self.skips = true;
                }
                return;
            }
            if is_busy {
                return self.look_for_abort(); // all else has its turn later
            }
            let Some(end) = memchr(b'\n', &self.input) else { return };
            let command = parse(&self.input[..end]);
            self.input.drain(..=end);
            match std::mem::take(&mut self.skips) || end > LINE {
                true => self.say("500 That line is too long."),
                false => self.obey(command, now),
            }
        }
    }
    // ANCHOR_END: run

    /// ABOR is obeyed also behind other commands: a client that waits for its end may have
    /// said something else before, to keep the connection alive.
    fn look_for_abort(&mut self) {
        let Work::Moving(transfer) = &self.work else { return };
        if self.cut.is_some() || transfer.is_ending() {
            return;
        }
        let mut start = 0;
        while let Some(len) = memchr(b'\n', &self.input[start..]) {
            let end = start + len;
            if parse(&self.input[start..end]) == Command::Abor {
                self.input.drain(start..=end);
                return self.give_up("426 The transfer was given up.\r\n226 As you asked.");
            }
            start = end + 1;
        }
    }

    fn obey(&mut self, command: Command, now: Now) {
        if self.user == User::In {
            self.since = now.mono;
        }
        self.mistakes = if command == Command::Unknown { self.mistakes + 1 } else { 0 };
        match command {
            Command::User(name) => {
                (self.here, self.rest, self.only_extended) = (Place::root(), 0, false);
                let known = ["anonymous", "ftp"];
                self.user =
                    User::Named(known.iter().any(|known| name.eq_ignore_ascii_case(known)));
                self.say("331 And your password? Anything will do.");
            }
            Command::Pass if self.user == User::In => self.say("202 You are in."),
            Command::Pass if self.user == User::Named(true) => {
                self.user = User::In;
                self.say("230 Come in.");
            }
            Command::Pass => {
                self.user = User::Nobody;
                self.say("530 Only anonymous clients here.");
            }
            Command::Tell(reply) => self.say(reply.trim_end()),
            Command::Quit => self.leave("221 Goodbye.", now),
            Command::Unknown if self.mistakes >= MISTAKES => {
                self.leave("421 That is not FTP.", now);
            }
            Command::Unknown => self.say("500 What?"),
            Command::Wrong(reply) => self.say(reply),
            _ if self.user != User::In => self.say("530 Say who you are first."),
            command => self.obey_a_guest(command),
        }
    }

    fn obey_a_guest(&mut self, command: Command) {
        match command {
            Command::Want(what, how) => self.say(wanted(what, &how)),
            Command::Pasv if self.only_extended => self.say("503 You said EPSV ALL."),
            Command::Pasv if self.local.is_ipv6() => {
                self.say("425 Use EPSV: this is IPv6.")
            }
            Command::Pasv => self.begin(Work::Listening { extended: false }, Job::Listen),
            Command::Epsv(how) => match (how.trim(), self.local) {
                ("", _) | ("1", IpAddr::V4(_)) | ("2", IpAddr::V6(_)) => {
                    self.begin(Work::Listening { extended: true }, Job::Listen);
                }
                (all, _) if all.eq_ignore_ascii_case("ALL") => {
                    self.only_extended = true;
                    self.say("200 EPSV it is.");
                }
                (_, IpAddr::V4(_)) => self.say("522 Not over this connection (1)."),
                (_, IpAddr::V6(_)) => self.say("522 Not over this connection (2)."),
            },
            Command::Rest(at) => {
                self.rest = at;
                self.say(format_args!("350 The next transfer begins at {at}."));
            }
            Command::Move(what, name) => self.begin_to_move(what, &name),
            Command::Fact(fact, name) => self.ask(Question::Fact(fact), &name),
            Command::Cwd(name) => self.ask(Question::IsFolder, &name),
            Command::Pwd => {
                // A quote in a name is doubled (RFC 959, appendix II).
                let here = self.here.to_string().replace('"', "\"\"");
                self.say(format_args!("257 \"{here}\" is where you are."));
            }
            Command::Abor => self.say("225 There is nothing to give up."),
            Command::Refused(reply) => self.say(reply.trim_end()),
            _ => self.say("500 What?"),
        }
    }

    fn begin(&mut self, work: Work, job: Job) {
        self.work = work;
        self.job = Some(job);
    }

    fn ask(&mut self, question: Question, name: &str) {
        match self.here.join(name) {
            Some(place) => {
                self.begin(Work::Looking(question, place.clone()), Job::Look(place));
            }
            None => self.say(NOT_THERE),
        }
    }

    // ANCHOR: begin-to-move
    fn begin_to_move(&mut self, what: Move, name: &str) {
        let at = std::mem::take(&mut self.rest);
        let is_upload = matches!(what, Move::Store | Move::Append);
        if !self.listens {
            return self.say("425 Say PASV or EPSV first.");
        }
        let Some(place) = self.here.join(name) else { return self.refuse(NOT_THERE) };
        let uploads = self.settings.uploads.as_ref();
        if is_upload && !uploads.is_some_and(|folder| place.is_below(folder)) {
            return self.refuse("550 Nothing can be stored there.");
        }
        let writing = if is_upload { self.writers.enter(&place) } else { None };
        if is_upload && writing.is_none() {
            return self.refuse("450 Somebody else is writing that file.");
        }
        let mut transfer = Transfer::new(what, at, self.settings.upload_limit, writing);
        if what == Move::Store && at == 0 {
            transfer.empties(place.clone());
        }
        let job = match what {
            Move::List | Move::Names | Move::Facts => Job::List(place),
            Move::Retrieve => Job::Open(place),
            Move::Store | Move::Append => Job::Create { place, truncate: false },
        };
        self.begin(Work::Moving(Box::new(transfer)), job);
    }
    // ANCHOR_END: begin-to-move

    /// A transfer that does not take place. The listener goes with it.
    fn refuse(&mut self, reply: &'static str) {
        let mut transfer = Transfer::new(Move::List, 0, 0, None);
        let next = transfer.end(reply);
        self.go_on(Box::new(transfer), next);
    }

    fn say(&mut self, reply: impl Display) {
        use std::io::Write;
        // Writing to a Vec does not fail.
        let _ = write!(self.output, "{reply}\r\n");
    }

    /// Says goodbye, and hears nothing more.
    fn leave(&mut self, reply: &str, now: Now) {
        self.say(reply);
        self.input.clear();
        self.goodbye_until = Some(now.mono + GOODBYE);
    }
}

const NOT_THERE: &str = "550 There is no such file.";

fn parse(line: &[u8]) -> Command {
    let line = String::from_utf8(without_telnet(line));
    let line = line.as_deref().map(|line| line.trim_end_matches('\r'));
    line.map_or(Command::Wrong("501 That is no UTF-8."), Command::parse)
}

fn memchr(byte: u8, bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|b| *b == byte)
}

/// Files are sent as they are. TYPE A would have line ends translated; we answer as if we did,
/// as other servers do, because clients ask for it in front of every LIST.
fn wanted(what: char, how: &str) -> &'static str {
    match (what, how.to_ascii_uppercase().as_str()) {
        ('T', "A" | "A N" | "I" | "L 8") => "200 As you like.",
        ('M', "S") | ('S', "F") => "200 As always.",
        _ => "504 Not that one.",
    }
}

/// What a client is told when something about a file fails.
// ANCHOR: file-error
pub(crate) fn file_error(error: &io::Error) -> &'static str {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::NotFound | Kind::NotADirectory | Kind::InvalidFilename => NOT_THERE,
        Kind::PermissionDenied | Kind::IsADirectory | Kind::ReadOnlyFilesystem => {
            "550 You may not do that."
        }
        Kind::StorageFull | Kind::QuotaExceeded => "452 There is no room left.",
        Kind::FileTooLarge => "552 That is too much for one file.",
        _ => "451 It does not work now.",
    }
}
// ANCHOR_END: file-error

#[cfg(test)]
mod tests;
