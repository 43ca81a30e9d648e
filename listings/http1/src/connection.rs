//! The state machine between a driver, which moves bytes, and an application, which answers
//! requests.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant, SystemTime};

use crate::Method;
use crate::body::BodyReader;
use crate::head::{self, Framing, Head, MAX_HEAD, Request};
use crate::response::{Body, Response};

/// How much may be read ahead of the request that is being answered, in bytes.
pub const INPUT_CAP: usize = 16 * 1024;
/// While this many bytes wait to be sent, no further request is parsed.
pub const OUTPUT_CAP: usize = 64 * 1024;
/// Nor while this many pieces do: each may hold a file open.
const PIECES_CAP: usize = 16;
/// A file of no more than this many bytes has room behind its head.
const SMALL: u64 = 4096;
/// What a head has beside the application's fields: status, Date, Content-Length, Connection.
const STATUS_AND_MORE: usize = 160;
/// A reader is alive as long as it takes this many bytes (or all that is left) within
/// [`Settings::send_timeout`]. A driver whose call may block for the whole of that time asks
/// for no more at once: what came of a call is known when it returns.
pub const SEND_QUOTA: usize = 16 * 1024;

/// The time, told from outside.
// ANCHOR: now
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For deadlines: never jumps.
    pub mono: Instant,
    /// For the Date field.
    pub wall: SystemTime,
}
// ANCHOR_END: now

impl Now {
    /// Reads both clocks. For drivers; the core itself is told.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where a driver asks for the time"
    )]
    pub fn read() -> Self {
        Self { mono: Instant::now(), wall: SystemTime::now() }
    }
}

/// A piece of output on its way to the peer. It moves to the driver by value, because a
/// driver may lend it to the kernel.
// ANCHOR: out
#[derive(Debug)]
pub enum Out<F> {
    /// Send these.
    Bytes(Vec<u8>),
    /// Send `len` bytes of `file`, from offset `at` on.
    File {
        /// The driver's handle.
        file: F,
        /// Offset of the first byte.
        at: u64,
        /// How many bytes.
        len: u64,
    },
}

/// How a connection that has nothing more to say is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// `close(2)`: everything that arrived was read.
    Close,
    /// The peer may still be sending. Shut down the sending side, read and discard until
    /// its end or for [`Settings::linger`], then close: closing at once would reset the
    /// connection, and a reset can overtake the response (RFC 9112 section 9.6).
    Linger,
    /// The peer is gone, too slow, or was promised bytes that do not exist: reset, so that
    /// it cannot mistake a part for the whole.
    Reset,
}
// ANCHOR_END: out

/// Limits and deadlines of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Whether the connection may stay open after a response.
    pub keep_alive: bool,
    /// Longest body, in bytes; a longer one is answered 413.
    pub max_body: usize,
    /// From the first byte of a head (for the first request: from the start of the
    /// connection) to its last.
    pub header_timeout: Duration,
    /// From the end of a head to the end of its body.
    pub body_timeout: Duration,
    /// Between a response and the first byte of the next request.
    pub idle_timeout: Duration,
    /// While output waits: how long a peer may take for 16 KiB of it, or for the rest.
    pub send_timeout: Duration,
    /// How long a driver reads and discards after [`Finish::Linger`].
    pub linger: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keep_alive: true,
            max_body: 64 * 1024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            send_timeout: Duration::from_secs(10),
            linger: Duration::from_secs(2),
        }
    }
}

/// Where the connection stands with the request that it is reading.
#[derive(Debug)]
enum State {
    /// Between requests, or inside a head.
    Head,
    /// Inside a body.
    Body(Box<(Pending, BodyReader)>),
    /// A request waits for [`Connection::take_request`].
    Ready(Pending),
    /// The application has the request.
    Answering(Answering),
    /// No further request is read.
    Closing,
}

/// A request and what its head said about the response.
#[derive(Debug)]
struct Pending {
    /// In a box: it moves from here to the application and on.
    request: Box<Request>,
    answering: Answering,
}

#[derive(Clone, Copy, Debug)]
struct Answering {
    head_only: bool,
    keep_alive: bool,
    http_10: bool,
}

/// A server's end of one HTTP/1.1 connection. `F` is the driver's file handle.
#[derive(Debug)]
pub struct Connection<F> {
    settings: Settings,
    state: State,
    /// Bytes that arrived and could not be used yet.
    input: Vec<u8>,
    /// How much of `input` was searched for the end of a head.
    searched: usize,
    /// When the peer must have sent what we wait for.
    read_by: Option<Instant>,
    /// No head was complete yet: its deadline runs since the connection was made.
    first: bool,
    output: VecDeque<Out<F>>,
    /// Bytes in memory in `output`, the lent piece included.
    queued: usize,
    /// How many pieces are with the driver.
    lent: usize,
    /// Since when, and how much of, [`SEND_QUOTA`] the peer has taken.
    sending: Option<(Instant, u64)>,
    peer_ended: bool,
    draining: bool,
    last: bool,
    linger: bool,
    failed: bool,
}

impl<F> Connection<F> {
    /// A connection that was accepted just now.
    pub fn new(settings: Settings, now: Now) -> Self {
        Self {
            settings,
            state: State::Head,
            input: Vec::new(),
            searched: 0,
            read_by: Some(now.mono + settings.header_timeout),
            first: true,
            output: VecDeque::new(),
            queued: 0,
            lent: 0,
            sending: None,
            peer_ended: false,
            draining: false,
            last: false,
            linger: false,
            failed: false,
        }
    }

    /// How many bytes the driver may read now. At 0 it does not read: the peer has sent
    /// enough for the moment.
    pub fn room(&self) -> usize {
        match self.state {
            State::Closing => 0,
            _ if self.peer_ended || self.failed => 0,
            _ => INPUT_CAP.saturating_sub(self.input.len()),
        }
    }

    /// Bytes arrived. Legal in any state; what cannot be used yet is kept, what never will
    /// be is dropped.
    pub fn received(&mut self, bytes: &[u8], now: Now) {
        let mut held = mem::take(&mut self.input);
        if held.is_empty() {
            let used = self.advance(bytes, now);
            self.input = bytes[used..].to_vec();
        } else {
            held.extend_from_slice(bytes);
            let used = self.advance(&held, now);
            held.drain(..used);
            // An idle connection keeps no buffer.
            self.input = if held.is_empty() { Vec::new() } else { held };
        }
        self.settle();
    }

    /// The peer has ended its side. What it asked before is still answered (a half-closed
    /// connection is legal).
    pub fn eof(&mut self) {
        self.peer_ended = true;
        self.settle();
    }

    /// A complete request, once.
    pub fn take_request(&mut self) -> Option<Box<Request>> {
        match mem::replace(&mut self.state, State::Closing) {
            State::Ready(pending) => {
                self.state = State::Answering(pending.answering);
                Some(pending.request)
            }
            other => {
                self.state = other;
                None
            }
        }
    }

    /// The application's answer to the request that it took. Without one, the call does
    /// nothing.
    pub fn respond(&mut self, response: Response<F>, now: Now) {
        let State::Answering(answering) = self.state else { return };
        // Bytes of a next request that were read are answered too, so this response is not
        // the last.
        let last = self.last
            || !self.settings.keep_alive
            || !answering.keep_alive
            || (self.input.is_empty() && (self.draining || self.peer_ended));
        let connection = match (last, answering.http_10) {
            (true, _) => Some("close"),
            (false, true) => Some("keep-alive"),
            (false, false) => None,
        };
        self.queue(response, answering.head_only, connection, now);
        if last {
            self.close(!self.input.is_empty());
        } else {
            self.state = State::Head;
            self.searched = 0;
            self.read_by = Some(now.mono + self.settings.idle_timeout);
            self.received(&[], now);
        }
    }

    /// The next piece to send, if none is out. It belongs to the driver until
    /// [`Connection::sent`].
    pub fn take_output(&mut self) -> Option<Out<F>> {
        if self.lent > 0 || self.failed {
            return None;
        }
        let out = self.output.pop_front();
        self.lent = usize::from(out.is_some());
        out
    }

    /// The piece behind those that are out, if it is a file of which no more than `at_most`
    /// bytes are to be sent: a head and a small file go well in one call. What was taken last
    /// is given back first.
    pub fn take_small_file(&mut self, at_most: u64) -> Option<Out<F>> {
        let file = self
            .output
            .pop_front_if(|out| matches!(out, Out::File { len, .. } if *len <= at_most))?;
        self.lent += 1;
        Some(file)
    }

    /// More waits behind the piece that is out: the driver may tell the kernel so
    /// (`MSG_MORE`).
    pub fn has_more_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// The driver gives a piece back of which the kernel took `n` bytes. The rest is queued
    /// again.
    pub fn sent(&mut self, out: Out<F>, n: u64, now: Now) {
        self.lent = self.lent.saturating_sub(1);
        let n = match &out {
            Out::Bytes(bytes) => n.min(bytes.len() as u64),
            Out::File { len, .. } => n.min(*len),
        };
        let (rest, freed) = match out {
            Out::Bytes(mut bytes) => {
                let freed = usize::try_from(n).unwrap_or(bytes.len());
                bytes.drain(..freed);
                ((!bytes.is_empty()).then_some(Out::Bytes(bytes)), freed)
            }
            Out::File { file, at, len } => {
                ((n < len).then(|| Out::File { file, at: at + n, len: len - n }), 0)
            }
        };
        self.queued -= freed;
        if let Some(rest) = rest {
            self.output.push_front(rest);
        }
        if let Some((since, taken)) = &mut self.sending {
            *taken += n;
            if *taken >= SEND_QUOTA as u64 {
                (*since, *taken) = (now.mono, 0);
            }
        }
        if self.output.is_empty() && self.lent == 0 {
            self.sending = None;
            if matches!(self.state, State::Head) {
                let idle = self.input.is_empty();
                let wait = if idle {
                    self.settings.idle_timeout
                } else {
                    self.settings.header_timeout
                };
                self.read_by = Some(now.mono + wait);
            }
        }
        self.received(&[], now);
    }

    /// Sending or reading failed, or a file ended before its length: nothing more can be
    /// said on this connection.
    pub fn fail(&mut self) {
        self.failed = true;
        self.lent = 0;
        self.output.clear();
        // What was read ahead is nobody's request any more.
        self.input.clear();
        self.state = State::Closing;
        (self.sending, self.read_by) = (None, None);
    }

    /// When [`Connection::expired`] is to be called, if nothing else happens first.
    pub fn deadline(&self) -> Option<Instant> {
        match self.sending {
            Some((since, _)) => Some(since + self.settings.send_timeout),
            None => self.read_by,
        }
    }

    /// Tells the connection that time has passed. Does nothing before the deadline.
    pub fn expired(&mut self, now: Now) {
        if self.deadline().is_none_or(|deadline| now.mono < deadline) {
            return;
        }
        match &self.state {
            _ if self.sending.is_some() => self.fail(),
            State::Head if self.input.is_empty() => self.close(false),
            State::Head => self.refuse(408, asks_for_head(&self.input), now),
            State::Body(body) => self.refuse(408, body.0.answering.head_only, now),
            State::Ready(_) | State::Answering(_) | State::Closing => {}
        }
    }

    /// The server is shutting down: requests of which a byte was read are answered, then
    /// the connection closes.
    pub fn drain(&mut self) {
        self.draining = true;
        if self.input.is_empty() && matches!(self.state, State::Head) {
            self.close(false);
        }
    }

    /// Nothing was begun that is not finished: the peer has said nothing yet, or has all its
    /// answers and has said nothing since.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Head)
            && self.input.is_empty()
            && self.output.is_empty()
            && self.lent == 0
    }

    /// The response that is queued, or was sent, is the last. What still arrives is dropped.
    pub fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing)
    }

    /// Nothing was asked yet.
    pub fn is_new(&self) -> bool {
        self.first
    }

    /// The next response is the last, and says so. What the peer has sent beyond its request
    /// is not read: it knows from the response that it has to ask again.
    pub fn make_last(&mut self) {
        self.last = true;
    }

    /// How to close, once there is nothing left to say.
    pub fn finished(&self) -> Option<Finish> {
        match self.state {
            _ if self.failed => Some(Finish::Reset),
            State::Closing if self.output.is_empty() && self.lent == 0 => {
                Some(if self.linger && !self.peer_ended {
                    Finish::Linger
                } else {
                    Finish::Close
                })
            }
            _ => None,
        }
    }

    /// The limits and deadlines that the connection was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Uses as much of `input` as can be used now; returns how much that was.
    fn advance(&mut self, input: &[u8], now: Now) -> usize {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let output_is_full = self.output_is_full();
            match &mut self.state {
                State::Head if output_is_full => return used,
                State::Head => match self.read_head(rest, now) {
                    0 => return used,
                    n => used += n,
                },
                State::Body(pending) => match pending.1.take(rest) {
                    Ok(n) => {
                        used += n;
                        if !pending.1.is_done() {
                            return used;
                        }
                        self.body_complete();
                    }
                    Err(status) => {
                        let head_only = pending.0.answering.head_only;
                        self.refuse(status, head_only, now);
                    }
                },
                State::Ready(_) | State::Answering(_) => return used,
                State::Closing => {
                    self.linger |= !rest.is_empty();
                    return input.len();
                }
            }
        }
    }

    /// Reads one head from the start of `input`, if it is complete, and returns how many
    /// bytes were used. 0: more are needed first.
    fn read_head(&mut self, input: &[u8], now: Now) -> usize {
        // RFC 9112 section 2.2: an empty line in front of a request is forgiven.
        if input.starts_with(b"\r\n") {
            return 2;
        }
        if input.is_empty() || input == b"\r" {
            return 0;
        }
        if self.searched == 0 && !self.first {
            self.read_by = Some(now.mono + self.settings.header_timeout);
        }
        let could_be_head = &input[..input.len().min(MAX_HEAD)];
        let end = match head::end_of_head(could_be_head, self.searched.saturating_sub(1)) {
            Ok(Some(end)) => end,
            Ok(None) if input.len() < MAX_HEAD => {
                self.searched = input.len();
                return 0;
            }
            Ok(None) => return self.refused(431, input, now),
            Err(status) => return self.refused(status, input, now),
        };
        (self.searched, self.first) = (0, false);
        let body_is_coming = input.len() > end;
        match head::parse(&input[..end])
            .and_then(|parsed| self.begin(parsed, body_is_coming, now))
        {
            Ok(()) => end,
            Err(status) => self.refused(status, input, now),
        }
    }

    fn begin(&mut self, head: Head, body_is_coming: bool, now: Now) -> Result<(), u16> {
        let Head { request, framing, keep_alive, http_10, expects_continue } = head;
        let answering =
            Answering { head_only: request.method == Method::Head, keep_alive, http_10 };
        let pending = Pending { request: Box::new(request), answering };
        let reader = BodyReader::new(framing, self.settings.max_body)?;
        if framing == Framing::None {
            self.read_by = None;
            self.state = State::Ready(pending);
            return Ok(());
        }
        self.read_by = Some(now.mono + self.settings.body_timeout);
        self.state = State::Body(Box::new((pending, reader)));
        if expects_continue && !body_is_coming {
            self.queue_bytes(now, |out| {
                out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n")
            });
        }
        Ok(())
    }

    fn body_complete(&mut self) {
        self.state = match mem::replace(&mut self.state, State::Closing) {
            State::Body(body) => {
                let (mut pending, reader) = *body;
                pending.request.body = reader.into_body();
                State::Ready(pending)
            }
            other => other,
        };
        self.read_by = None;
    }

    /// Queues a response: head and bytes join what already waits in memory, a file stands
    /// for itself.
    fn queue(
        &mut self,
        response: Response<F>,
        head_only: bool,
        connection: Option<&str>,
        now: Now,
    ) {
        let body = match (&response.body, head_only) {
            (Body::Bytes(bytes), false) => bytes.len(),
            // A driver that takes a small file reads it behind its head.
            (Body::File { len: len @ ..=SMALL, .. }, false) => *len as usize,
            _ => 0,
        };
        self.queue_bytes(now, |out| {
            out.reserve(response.fields.len() + STATUS_AND_MORE + body);
            response.write_head(out, now.wall, connection);
            if let (Body::Bytes(bytes), false) = (&response.body, head_only) {
                out.extend_from_slice(bytes);
            }
        });
        if let (Body::File { file, at, len: len @ 1.. }, false) = (response.body, head_only)
        {
            self.output.push_back(Out::File { file, at, len });
        }
    }

    fn queue_bytes(&mut self, now: Now, write: impl FnOnce(&mut Vec<u8>)) {
        if !matches!(self.output.back(), Some(Out::Bytes(_))) {
            self.output.push_back(Out::Bytes(Vec::new()));
        }
        if let Some(Out::Bytes(bytes)) = self.output.back_mut() {
            let before = bytes.len();
            write(bytes);
            self.queued += bytes.len() - before;
        }
        self.sending.get_or_insert((now.mono, 0));
    }

    /// Refuses the head at the start of `input`. Returns the length of all that is there:
    /// none of it is used any more.
    fn refused(&mut self, status: u16, input: &[u8], now: Now) -> usize {
        self.refuse(status, asks_for_head(input), now);
        input.len()
    }

    /// Refuses what is being read: answers with the status, and closes.
    fn refuse(&mut self, status: u16, head_only: bool, now: Now) {
        self.queue(Response::plain(status), head_only, Some("close"), now);
        self.close(true);
    }

    fn output_is_full(&self) -> bool {
        self.queued >= OUTPUT_CAP || self.output.len() >= PIECES_CAP
    }

    fn close(&mut self, linger: bool) {
        self.state = State::Closing;
        self.linger |= linger;
        self.read_by = None;
        self.input = Vec::new();
    }

    /// What the peer's end means now: no head or body that is incomplete will ever be
    /// complete.
    fn settle(&mut self) {
        let stuck = match self.state {
            State::Head => !self.output_is_full(),
            State::Body(_) => true,
            _ => false,
        };
        if self.peer_ended && stuck {
            self.close(false);
        }
    }
}

/// Whether what begins here is a HEAD request, broken as it may be: its refusal has no body
/// either.
fn asks_for_head(input: &[u8]) -> bool {
    input.starts_with(b"HEAD ")
}
