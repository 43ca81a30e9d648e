//! One connection: read, execute, reply.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use redis_protocol::resp2::types::BorrowedFrame as Reply;

use crate::data::reply;
use crate::ledger::Ledger;
use crate::outbox::Outbox;
use crate::requests::{Broken, Requests};
use crate::serve::{STACK, Shared};

/// Bytes of replies that are collected before they are sent. A longer single reply is still
/// sent as a whole.
const BATCH: usize = 64 << 10;
/// How long we listen to a client that was told good-bye.
const LINGER: Duration = Duration::from_secs(1);

/// Why a conversation ended without a failure of the connection.
#[derive(PartialEq, Eq)]
enum End {
    /// The client has nothing more to say.
    Theirs,
    /// We said the last word: to `QUIT`, or to something that is no request.
    Ours,
}

/// Serves one connection until it ends. What goes wrong with it concerns nobody else.
pub fn serve(stream: &TcpStream, shared: &Shared) {
    let _ = stream.set_nodelay(true); // Slower without, not wrong.
    let ended = if shared.delay.is_zero() {
        converse(stream, &shared.ledger, |replies| {
            (&mut &*stream).write_all(replies)?;
            replies.clear();
            replies.shrink_to(BATCH);
            Ok(())
        })
    } else {
        serve_delayed(stream, shared)
    };
    if matches!(ended, Ok(End::Ours)) {
        linger(stream);
    }
}

fn serve_delayed(stream: &TcpStream, shared: &Shared) -> io::Result<End> {
    let outbox = Outbox::default();
    thread::scope(|scope| {
        thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || {
            if outbox.send_all(stream).is_err() {
                let _ = stream.shutdown(Shutdown::Both); // The other thread may be waiting for a request.
            }
        })?;
        let ended = converse(stream, &shared.ledger, |replies| {
            outbox.put(Instant::now() + shared.delay, std::mem::take(replies))
        });
        match shared.stopping.load(Ordering::Acquire) {
            true => outbox.abandon(),
            false => outbox.finish(),
        }
        ended
    })
}

// ANCHOR: converse
/// The blocking server at its plainest: read what is there, answer all of it, send the
/// answers with one write.
fn converse(
    mut stream: &TcpStream,
    ledger: &Ledger,
    mut send: impl FnMut(&mut Vec<u8>) -> io::Result<()>,
) -> io::Result<End> {
    let mut requests = Requests::default();
    let mut chunk = [0; 16 << 10];
    let mut replies = Vec::new();
    loop {
        let n = match stream.read(&mut chunk) {
            Ok(0) => return Ok(End::Theirs),
            Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        requests.push(&chunk[..n]);
        let more = answer(&mut requests, ledger, &mut replies, &mut send)?;
        if !replies.is_empty() {
            send(&mut replies)?;
        }
        if !more {
            return Ok(End::Ours);
        }
    }
}
// ANCHOR_END: converse

/// Answers the requests that are complete. Returns whether more may follow.
fn answer(
    requests: &mut Requests,
    ledger: &Ledger,
    replies: &mut Vec<u8>,
    send: &mut impl FnMut(&mut Vec<u8>) -> io::Result<()>,
) -> io::Result<bool> {
    loop {
        match requests.next_request() {
            Ok(None) => return Ok(true),
            Ok(Some(request)) => {
                if !ledger.execute(&request, replies) {
                    return Ok(false);
                }
            }
            Err(Broken(why)) => {
                reply(replies, &Reply::Error(&format!("ERR Protocol error: {why}")));
                return Ok(false);
            }
        }
        if replies.len() >= BATCH {
            send(replies)?;
        }
    }
}

/// A close with unread bytes resets the connection, and the client would lose our last
/// word. So we say that it was the last one, and wait until the client has closed, for a
/// while.
fn linger(mut stream: &TcpStream) {
    if stream.shutdown(Shutdown::Write).is_err()
        || stream.set_read_timeout(Some(LINGER)).is_err()
    {
        return;
    }
    let until = Instant::now() + LINGER;
    let mut chunk = [0; 16 << 10];
    while Instant::now() < until {
        match stream.read(&mut chunk) {
            Ok(0) => return,
            Err(why) if why.kind() != io::ErrorKind::Interrupted => return, // Time is over, or the client is gone.
            _ => {}
        }
    }
}
