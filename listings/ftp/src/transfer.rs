//! What is moved over a data connection, one step after the other.
//!
//! A download is: open, accept, and then read and send until the file ends. An upload is: open,
//! accept, and then receive and write until the connection ends. No step begins before the one
//! before it is done, so there is one buffer, and it has one owner.

use std::io;
use std::time::SystemTime;

use http1::{Kind, Meta};

use crate::command::Move;
use crate::listing;
use crate::path::Place;
use crate::session::{Done, Job, Piece, Writing, file_error};

/// How much is moved in one step, in bytes.
pub(crate) const PIECE: usize = 128 * 1024;

const COMPLETE: &str = "226 That was all.";
const BROKEN: &str = "426 The data connection has broken.";

/// What happens after a job is done.
#[derive(Debug)]
pub(crate) enum Next {
    Job(Job),
    /// The same, and the client is told that it begins.
    Begin(Job),
    /// The transfer is over, and this is the reply.
    Over(&'static str),
}

/// A transfer.
#[derive(Debug)]
pub(crate) struct Transfer {
    what: Move,
    /// Offset in the file of the next byte that is read or written.
    at: u64,
    /// How long the file was when it was opened, in bytes; or how long it may become.
    limit: u64,
    /// What is to be sent, if it is no file.
    text: Vec<u8>,
    /// The file whose old content goes, but not before the client is there.
    to_empty: Option<Place>,
    waits_for: WaitsFor,
    /// How it will end, once everything is closed.
    ending: Option<&'static str>,
    _writing: Option<Writing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitsFor {
    Us,
    /// Us as well: the file is opened a second time.
    Emptied,
    Connection,
    Peer,
}

impl Transfer {
    pub(crate) fn new(what: Move, at: u64, limit: u64, writing: Option<Writing>) -> Self {
        Self {
            what,
            at,
            limit,
            text: Vec::new(),
            to_empty: None,
            waits_for: WaitsFor::Us,
            ending: None,
            _writing: writing,
        }
    }

    /// It begins with an empty file, once the client has come in.
    pub(crate) fn empties(&mut self, place: Place) {
        self.to_empty = Some(place);
    }

    /// The client has the next move.
    pub(crate) fn waits_for_peer(&self) -> bool {
        matches!(self.waits_for, WaitsFor::Connection | WaitsFor::Peer)
    }

    /// The reply to a client that has not made it.
    pub(crate) fn why_late(&self) -> &'static str {
        match self.waits_for {
            WaitsFor::Connection => "425 You did not come in.",
            _ => "426 The data connection stood still for too long.",
        }
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// What to do, after this.
    pub(crate) fn next(&mut self, done: Done, wall: SystemTime) -> Next {
        let job = match done {
            Done::Ended => return Next::Over(self.ending.unwrap_or(COMPLETE)),
            Done::Listed(Ok(entries)) => {
                self.text = listing::lines(&entries, self.what, wall);
                return Next::Begin(self.accept());
            }
            Done::Opened(Ok(_)) if self.waits_for == WaitsFor::Emptied => {
                self.receive(Vec::new())
            }
            Done::Opened(Ok(meta)) => return self.opened(&meta),
            Done::Connected(Ok(())) => return self.first(),
            // ANCHOR: next
            // Less than there was: the client must not take it for the whole.
            Done::Read(Ok(bytes)) if bytes.is_empty() => {
                return self.end("451 It got shorter.");
            }
            Done::Read(Ok(mut bytes)) => {
                // What was added meanwhile is not what was asked for.
                bytes.truncate(usize::try_from(self.limit - self.at).unwrap_or(usize::MAX));
                self.at += bytes.len() as u64;
                self.send(Piece { bytes, from: 0 })
            }
            Done::Sent(piece, Ok(0)) if !piece.rest().is_empty() => {
                return self.end(BROKEN);
            }
            Done::Sent(mut piece, Ok(n)) => {
                piece.from += n;
                match (piece.rest().is_empty(), self.what) {
                    (false, _) => self.send(piece),
                    (true, Move::Retrieve) if self.at < self.limit => {
                        self.read(piece.bytes)
                    }
                    (true, _) => return self.end(COMPLETE),
                }
            }
            // In stream mode the end of the connection is the end of the file.
            Done::Received(Ok(bytes)) if bytes.is_empty() => return self.end(COMPLETE),
            Done::Received(Ok(bytes)) if self.at + bytes.len() as u64 > self.limit => {
                return self.end("552 That is too much for one file.");
            }
            Done::Received(Ok(bytes)) => self.write(Piece { bytes, from: 0 }),
            // ANCHOR_END: next
            Done::Wrote(piece, Ok(0)) if !piece.rest().is_empty() => {
                return self.end("452 Nothing more can be written.");
            }
            Done::Wrote(mut piece, Ok(n)) => {
                (piece.from, self.at) = (piece.from + n, self.at + n as u64);
                match piece.rest().is_empty() {
                    false => self.write(piece),
                    true => self.receive(piece.bytes),
                }
            }
            failed => return self.failed(failed),
        };
        Next::Job(job)
    }

    /// Something has failed; or it has not, and is to be done again.
    fn failed(&mut self, done: Done) -> Next {
        let job = match done {
            Done::Connected(Err(error)) if is_passing(&error) => self.accept(),
            Done::Sent(piece, Err(error)) if is_passing(&error) => self.send(piece),
            Done::Received(Err(error)) if is_passing(&error) => self.receive(Vec::new()),
            Done::Read(Err(error)) if is_passing(&error) => self.read(Vec::new()),
            Done::Wrote(piece, Err(error)) if is_passing(&error) => self.write(piece),
            Done::Connected(_) => return self.end("425 You could not come in."),
            Done::Sent(..) | Done::Received(_) => return self.end(BROKEN),
            Done::Listed(Err(error))
            | Done::Opened(Err(error))
            | Done::Read(Err(error))
            | Done::Wrote(_, Err(error)) => return self.end(file_error(&error)),
            _ => return self.end("451 It does not work now."),
        };
        Next::Job(job)
    }

    /// Closes everything, and then replies. If it is not complete, the client is to see that
    /// on the data connection, too: an orderly end would say that the file ends here.
    // ANCHOR: end
    pub(crate) fn end(&mut self, reply: &'static str) -> Next {
        self.ending = Some(reply);
        self.waits_for = WaitsFor::Us;
        Next::Job(Job::End { reset: reply != COMPLETE })
    }
    // ANCHOR_END: end

    fn opened(&mut self, meta: &Meta) -> Next {
        if meta.kind != Kind::File {
            return self.end("550 That is no file.");
        }
        match self.what {
            Move::Append => self.at = meta.len,
            _ if self.at > meta.len => return self.end("554 It is not that long."),
            Move::Retrieve => self.limit = meta.len,
            _ => {}
        }
        Next::Begin(self.accept())
    }

    fn first(&mut self) -> Next {
        Next::Job(match self.what {
            Move::Retrieve if self.at >= self.limit => return self.end(COMPLETE),
            Move::Retrieve => self.read(Vec::new()),
            Move::Store | Move::Append => match self.to_empty.take() {
                Some(place) => {
                    self.waits_for = WaitsFor::Emptied;
                    Job::Create { place, truncate: true }
                }
                None => self.receive(Vec::new()),
            },
            _ => {
                let bytes = std::mem::take(&mut self.text);
                self.send(Piece { bytes, from: 0 })
            }
        })
    }

    fn accept(&mut self) -> Job {
        self.waits_for = WaitsFor::Connection;
        Job::Accept
    }

    fn send(&mut self, piece: Piece) -> Job {
        self.waits_for = WaitsFor::Peer;
        Job::Send(piece)
    }

    fn receive(&mut self, buffer: Vec<u8>) -> Job {
        self.waits_for = WaitsFor::Peer;
        Job::Receive { into: emptied(buffer) }
    }

    fn read(&mut self, buffer: Vec<u8>) -> Job {
        self.waits_for = WaitsFor::Us;
        Job::Read { at: self.at, into: emptied(buffer) }
    }

    fn write(&mut self, piece: Piece) -> Job {
        self.waits_for = WaitsFor::Us;
        Job::Write { at: self.at, piece }
    }
}

/// The same buffer, with nothing in it and room for a piece.
fn emptied(mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    buffer.reserve_exact(PIECE);
    buffer
}

/// It has not failed, and is to be done again.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::Interrupted | Kind::WouldBlock | Kind::ConnectionAborted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: u64 = 10;

    /// A transfer whose file is open and whose client has come in, and what it does first.
    fn begun(what: Move, limit: u64) -> (Transfer, Job) {
        let mut transfer = Transfer::new(what, 0, limit, None);
        let modified = SystemTime::UNIX_EPOCH;
        let meta = Meta { kind: Kind::File, len: LEN, modified };
        let next = transfer.next(Done::Opened(Ok(meta)), modified);
        assert!(matches!(next, Next::Begin(Job::Accept)), "{next:?}");
        let first = go_on(&mut transfer, Done::Connected(Ok(())));
        (transfer, first)
    }

    fn go_on(transfer: &mut Transfer, done: Done) -> Job {
        match transfer.next(done, SystemTime::UNIX_EPOCH) {
            Next::Job(job) => job,
            other => panic!("{other:?}"),
        }
    }

    /// Says how many bytes of its piece were sent, until it is sent.
    fn sends(transfer: &mut Transfer, mut job: Job, at_a_time: usize) -> (Vec<u8>, Job) {
        let mut bytes = Vec::new();
        while let Job::Send(piece) = job {
            let n = piece.rest().len().min(at_a_time);
            bytes.extend_from_slice(&piece.rest()[..n]);
            job = go_on(transfer, Done::Sent(piece, Ok(n)));
        }
        (bytes, job)
    }

    #[test]
    fn a_download_ends_where_the_file_did_when_it_was_opened() {
        for at_a_time in 1..12 {
            let (mut transfer, first) = begun(Move::Retrieve, 0);
            assert!(matches!(first, Job::Read { at: 0, .. }), "{first:?}");
            let job = go_on(&mut transfer, Done::Read(Ok(vec![1; 4])));
            let (bytes, job) = sends(&mut transfer, job, at_a_time);
            assert_eq!(bytes, [1; 4], "{at_a_time} bytes at a time");
            assert!(matches!(job, Job::Read { at: 4, .. }), "{job:?}");
            // Meanwhile somebody has added to it.
            let job = go_on(&mut transfer, Done::Read(Ok(vec![2; 100])));
            let (bytes, job) = sends(&mut transfer, job, at_a_time);
            assert_eq!(bytes, [2; 6], "what was added is not what was asked for");
            assert!(matches!(job, Job::End { reset: false }), "{job:?}");
        }
    }

    #[test]
    fn a_file_that_got_shorter_and_a_connection_that_broke_are_not_complete() {
        let (mut transfer, _) = begun(Move::Retrieve, 0);
        let job = go_on(&mut transfer, Done::Read(Ok(Vec::new())));
        assert!(matches!(job, Job::End { reset: true }), "{job:?}");

        let (mut transfer, _) = begun(Move::Retrieve, 0);
        let job = go_on(&mut transfer, Done::Read(Ok(vec![1; 10])));
        let Job::Send(piece) = job else { panic!("{job:?}") };
        let job = go_on(&mut transfer, Done::Sent(piece, Ok(0)));
        assert!(matches!(job, Job::End { reset: true }), "{job:?}");
    }

    #[test]
    fn an_upload_ends_with_its_connection_and_no_later_than_it_may() {
        let (mut transfer, first) = begun(Move::Store, 5);
        assert!(matches!(first, Job::Receive { .. }), "{first:?}");
        let job = go_on(&mut transfer, Done::Received(Ok(vec![1; 5])));
        let Job::Write { at: 0, piece } = job else { panic!("{job:?}") };
        let job = go_on(&mut transfer, Done::Wrote(piece, Ok(5)));
        assert!(matches!(job, Job::Receive { .. }), "{job:?}");
        let job = go_on(&mut transfer, Done::Received(Ok(Vec::new())));
        assert!(matches!(job, Job::End { reset: false }), "{job:?}");

        for first in 1..=6 {
            let (mut transfer, _) = begun(Move::Store, 5);
            let mut job = go_on(&mut transfer, Done::Received(Ok(vec![1; first])));
            if let Job::Write { piece, .. } = job {
                let _ = go_on(&mut transfer, Done::Wrote(piece, Ok(first)));
                job = go_on(&mut transfer, Done::Received(Ok(vec![1; 6 - first])));
            }
            assert!(matches!(job, Job::End { reset: true }), "{first} and more: {job:?}");
        }
    }
}
