//! A server that answers as it is told, and counts.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A right response.
pub const RIGHT: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// What a request is answered.
pub enum Answer {
    Right,
    /// And then the connection ends, without having said so.
    RightAndEnd,
    /// Everybody waits for so long.
    After(Duration),
    /// 404.
    Status,
    /// Five other bytes.
    Body,
    /// The first half, and the end.
    Half,
    Garbled,
    /// Nothing, and the connection stays.
    Never,
}

struct Shared {
    requests: AtomicU64,
    sources: Mutex<BTreeSet<IpAddr>>,
    /// Whoever answers has it.
    turn: Mutex<()>,
    stops: AtomicBool,
    answer: fn(u64) -> Answer,
}

pub struct Server {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    door: Option<JoinHandle<()>>,
}

impl Server {
    /// A server that answers the request with this number, from 0, so.
    pub fn start(answer: fn(u64) -> Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            requests: AtomicU64::new(0),
            sources: Mutex::default(),
            turn: Mutex::default(),
            stops: AtomicBool::new(false),
            answer,
        });
        let inside = Arc::clone(&shared);
        let door = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if inside.stops.load(Ordering::SeqCst) {
                    return;
                }
                let inside = Arc::clone(&inside);
                thread::spawn(move || inside.serve(stream));
            }
        });
        Self { address, shared, door: Some(door) }
    }

    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    pub fn sources(&self) -> Vec<IpAddr> {
        let sources = self.shared.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.iter().copied().collect()
    }

    /// From now on nobody is there.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.stops.store(true, Ordering::SeqCst);
        if let Some(door) = self.door.take() {
            // It waits for one more.
            let _ = TcpStream::connect(self.address);
            door.join().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        if let Ok(peer) = stream.peer_addr() {
            self.sources.lock().unwrap_or_else(PoisonError::into_inner).insert(peer.ip());
        }
        let (mut head, mut room) = (Vec::new(), [0; 1024]);
        loop {
            match stream.read(&mut room) {
                Ok(0) | Err(_) => return,
                Ok(n) => head.extend_from_slice(&room[..n]),
            }
            if !head.ends_with(b"\r\n\r\n") {
                continue;
            }
            let closes = String::from_utf8_lossy(&head).contains("Connection: close");
            head.clear();
            let goes_on = self.answer(&mut stream);
            if closes || !goes_on {
                // Read to the end, so that no reset overtakes what was sent.
                let _ = stream.shutdown(Shutdown::Write);
            }
        }
    }

    /// Whether the connection goes on.
    fn answer(&self, stream: &mut TcpStream) -> bool {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let answer = (self.answer)(number);
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Answer::After(time) = answer {
            thread::sleep(time);
        }
        drop(turn);
        let (bytes, goes_on): (&[u8], bool) = match answer {
            Answer::Right | Answer::After(_) => (RIGHT, true),
            Answer::RightAndEnd => (RIGHT, false),
            Answer::Status => {
                (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", true)
            }
            Answer::Body => (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhallo", true),
            Answer::Half => (&RIGHT[..RIGHT.len() - 2], false),
            Answer::Garbled => (b"* OK IMAP4rev1 ready\r\n", true),
            Answer::Never => return true,
        };
        // Whoever has left gets nothing.
        let _ = stream.write_all(bytes);
        goes_on
    }
}
