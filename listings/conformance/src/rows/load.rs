//! What rows 16 and 17 share: clients that ask again and again while something happens to the
//! server, check every byte, and count what is lost.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::client::{End, listen, listen_until, open, send};
use crate::root::SMALL;

const GET: &[u8] = b"GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const PAGE: &[u8] = b"GET /guestbook HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const STAY: &[u8] = b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n";

/// What the clients have seen.
#[derive(Debug, Default)]
pub(super) struct Load {
    over: AtomicBool,
    answered: AtomicUsize,
    lost: Mutex<Vec<String>>,
}

impl Load {
    /// Runs `event` while `clients` ask; returns when they have their last answers.
    pub(super) fn during<T>(
        &self,
        address: SocketAddr,
        clients: usize,
        event: impl FnOnce() -> Result<T, String>,
    ) -> Result<T, String> {
        thread::scope(|scope| {
            for number in 0..clients {
                scope.spawn(move || self.ask(address, number));
            }
            let outcome = event();
            self.over.store(true, Ordering::Relaxed);
            outcome
        })
    }

    /// How many requests were answered right so far.
    pub(super) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Fails when more than `allowed` requests were not answered right, or none was.
    pub(super) fn lost_at_most(&self, allowed: usize) -> Result<(), String> {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        match (self.answered(), lost.len()) {
            (0, _) => Err("nobody was answered".into()),
            (_, number) if number > allowed => {
                let first = lost.first().map(String::as_str).unwrap_or_default();
                Err(format!("{number} requests were lost, the first: {first}"))
            }
            _ => Ok(()),
        }
    }

    /// One client: a file, a page, and a connection that is kept for some requests, in turn.
    fn ask(&self, address: SocketAddr, number: usize) {
        for turn in number.. {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            let outcome = match turn % 3 {
                0 => once(address, GET).and_then(|body| is_small(&body)),
                1 => once(address, PAGE).map(drop),
                _ => kept(address),
            };
            match outcome {
                Ok(()) => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    // Some thousand requests a second are load enough for what is tested.
                    thread::sleep(Duration::from_millis(1));
                }
                Err(why) => {
                    self.lost.lock().unwrap_or_else(PoisonError::into_inner).push(why);
                    // A server that is gone would be asked without end.
                    thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }
}

fn once(address: SocketAddr, request: &[u8]) -> Result<Vec<u8>, String> {
    let mut stream = open(address)?;
    send(&mut stream, request)?;
    let response = listen(&mut stream).response()?;
    match response.status {
        200 => Ok(response.body),
        status => Err(format!("answered {status}")),
    }
}

fn is_small(body: &[u8]) -> Result<(), String> {
    if body == SMALL.as_bytes() {
        Ok(())
    } else {
        Err(format!("{} bytes that are not the file's", body.len()))
    }
}

/// Up to four requests on one connection, with pauses. A server may close one that is idle,
/// so a later request to which there is no answer at all is not lost: the client has to ask
/// again (RFC 9112 section 9.3.1). Half an answer is.
fn kept(address: SocketAddr) -> Result<(), String> {
    let mut stream: TcpStream = open(address)?;
    for request in 0..4 {
        send(&mut stream, STAY)?;
        let heard = listen_until(&mut stream, |bytes| bytes.ends_with(SMALL.as_bytes()));
        if request > 0 && heard.bytes.is_empty() && heard.end != End::Open {
            return Ok(());
        }
        let response = heard.response()?;
        is_small(&response.body)?;
        if response.closes() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(3));
    }
    Ok(())
}
