//! A store inside the test that speaks enough of the Redis protocol for the guestbook, and
//! misbehaves when told to.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How the store treats those who ask it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It answers.
    Good,
    /// Nobody listens, and connections that existed are closed.
    Down,
    /// It reads, and says nothing.
    Silent,
    /// It says something that is not the protocol.
    Garbage,
    /// It announces a reply of 1 GB, and sends as much of it as is taken.
    Endless,
    /// It sends half of its reply, and no more.
    Half,
    /// It sends half of its reply, and closes.
    HalfThenCloses,
    /// It sends its reply one byte every 50 ms.
    Drips,
    /// It closes as soon as it is asked, without a word.
    ClosesWhenAsked,
    /// It closes what connects, without reading.
    ClosesAtOnce,
    /// It answers every command with an error.
    Refuses,
    /// It answers after this many milliseconds.
    Late(u64),
    /// It answers, and then closes the connection.
    ClosesAfterwards,
    /// It reads nothing, so that what is sent to it waits.
    Holds,
    /// It answers so many commands, and breaks in the reply to the next.
    Breaks(u32, Break),
}

/// How a store breaks in the middle of many replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// It says something that is not the protocol, and goes on.
    Garbage,
    /// It sends half of the reply, and nothing more on this connection.
    Half,
    /// It closes the connection.
    Closes,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    counters: HashMap<Vec<u8>, i64>,
    lists: HashMap<Vec<u8>, Vec<Vec<u8>>>,
    /// Everything that anybody ever sent here.
    heard: Vec<u8>,
    /// How many connections were accepted.
    accepted: usize,
    /// How many commands were answered in this mood.
    answered: u32,
}

/// The store; it ends when dropped.
#[derive(Debug)]
pub struct FakeStore {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    over: Arc<AtomicBool>,
    doorman: Option<JoinHandle<()>>,
}

impl FakeStore {
    /// Starts it, in a good mood.
    pub fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State {
            mood: Mood::Good,
            counters: HashMap::new(),
            lists: HashMap::new(),
            heard: Vec::new(),
            accepted: 0,
            answered: 0,
        }));
        let over = Arc::new(AtomicBool::new(false));
        let doorman = {
            let (state, over) = (Arc::clone(&state), Arc::clone(&over));
            thread::spawn(move || receive(listener, address, &state, &over))
        };
        Ok(Self { address, state, over, doorman: Some(doorman) })
    }

    /// What a server is told: `redis://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Changes its mood, for connections that exist too, and waits until the port follows.
    pub fn turn(&self, mood: Mood) {
        {
            let mut state = lock(&self.state);
            (state.mood, state.answered) = (mood, 0);
        }
        let open = || TcpStream::connect(self.address).is_ok();
        while open() != (mood != Mood::Down) {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// How many connections it has accepted.
    #[must_use]
    pub fn accepted(&self) -> usize {
        lock(&self.state).accepted
    }

    /// How often a counter was counted up.
    #[must_use]
    pub fn counter(&self, name: &str) -> i64 {
        lock(&self.state).counters.get(name.as_bytes()).copied().unwrap_or(0)
    }

    /// How often these bytes were sent to it.
    #[must_use]
    pub fn times_heard(&self, text: &str) -> usize {
        let state = lock(&self.state);
        state.heard.windows(text.len()).filter(|window| *window == text.as_bytes()).count()
    }
}

impl Drop for FakeStore {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(doorman) = self.doorman.take() {
            let _ = doorman.join();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Accepts, as long as the store is not down, and opens the same port again when it is
/// back.
fn receive(
    listener: TcpListener,
    address: SocketAddr,
    state: &Arc<Mutex<State>>,
    over: &Arc<AtomicBool>,
) {
    let mut listener = Some(listener);
    let mut callers = Vec::new();
    while !over.load(Ordering::Relaxed) {
        if lock(state).mood == Mood::Down {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).ok();
        }
        let accepted = listener
            .as_ref()
            .map(|listener| listener.set_nonblocking(true).and(listener.accept()));
        match accepted {
            Some(Ok((stream, _))) => {
                lock(state).accepted += 1;
                let (state, over) = (Arc::clone(state), Arc::clone(over));
                callers.push(thread::spawn(move || {
                    // A caller who leaves is no failure of the store.
                    let _ = serve(stream, &state, &over);
                }));
            }
            _ => thread::sleep(Duration::from_millis(2)),
        }
    }
    for caller in callers {
        let _ = caller.join();
    }
}

fn serve(
    mut stream: TcpStream,
    state: &Mutex<State>,
    over: &AtomicBool,
) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_millis(5)))?;
    stream.set_write_timeout(Some(Duration::from_millis(500)))?;
    let mut input = Vec::new();
    let mut buffer = [0; 16 * 1024];
    while !over.load(Ordering::Relaxed) {
        match lock(state).mood {
            Mood::Down | Mood::ClosesAtOnce => return Ok(()),
            Mood::Holds => {
                thread::sleep(Duration::from_millis(2));
                continue;
            }
            _ => {}
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                lock(state).heard.extend_from_slice(&buffer[..n]);
                input.extend_from_slice(&buffer[..n]);
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
            {
                continue;
            }
            Err(error) => return Err(error),
        }
        let mut broken = None;
        let (mood, reply) = {
            let mut state = lock(state);
            let mut reply = Vec::new();
            while let Some((command, used)) = command(&input) {
                input.drain(..used);
                let before = reply.len();
                state.obey(&command, &mut reply);
                state.answered += 1;
                if let Mood::Breaks(good, how) = state.mood
                    && state.answered == good + 1
                {
                    broken = match how {
                        Break::Garbage => {
                            reply.splice(before..before, *b"%no such type\r\n");
                            None
                        }
                        Break::Half => {
                            reply.truncate(before + (reply.len() - before) / 2);
                            Some(how)
                        }
                        Break::Closes => {
                            reply.truncate(before);
                            Some(how)
                        }
                    };
                    if broken.is_some() {
                        break;
                    }
                }
            }
            (state.mood, reply)
        };
        // What it read in the moment in which it began to hold waits as well.
        let mut mood = mood;
        while mood == Mood::Holds && !over.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(2));
            mood = lock(state).mood;
        }
        if !reply.is_empty() && !say(&mut stream, mood, &reply, over)? {
            return Ok(());
        }
        match broken {
            None | Some(Break::Garbage) => {}
            Some(Break::Closes) => return Ok(()),
            Some(Break::Half) => return be_silent(&mut stream, over),
        }
    }
    Ok(())
}

/// Reads, and says nothing more, until the caller has enough of it.
fn be_silent(stream: &mut TcpStream, over: &AtomicBool) -> std::io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    while !over.load(Ordering::Relaxed) {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends the reply as the mood has it; `false` when the connection is to be closed.
fn say(
    stream: &mut TcpStream,
    mood: Mood,
    reply: &[u8],
    over: &AtomicBool,
) -> std::io::Result<bool> {
    match mood {
        Mood::Good | Mood::Refuses | Mood::Breaks(..) => stream.write_all(reply)?,
        Mood::Silent | Mood::Holds => {}
        Mood::Garbage => stream.write_all(
            b"HTTP/1.1 200 OK\r\n\r\n\xff\xfe\x00 this is not the protocol\r\n",
        )?,
        Mood::Endless => {
            stream.write_all(b"$1073741824\r\n")?;
            let filling = vec![b'x'; 64 * 1024];
            for _ in 0..(1 << 14) {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                stream.write_all(&filling)?;
            }
        }
        Mood::Half => stream.write_all(&reply[..reply.len() / 2])?,
        Mood::HalfThenCloses => {
            stream.write_all(&reply[..reply.len() / 2])?;
            return Ok(false);
        }
        Mood::Drips => {
            for byte in reply {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                stream.write_all(&[*byte])?;
                thread::sleep(Duration::from_millis(50));
            }
        }
        Mood::ClosesWhenAsked | Mood::ClosesAtOnce | Mood::Down => return Ok(false),
        Mood::Late(ms) => {
            thread::sleep(Duration::from_millis(ms));
            stream.write_all(reply)?;
        }
        Mood::ClosesAfterwards => {
            stream.write_all(reply)?;
            return Ok(false);
        }
    }
    Ok(true)
}

impl State {
    fn obey(&mut self, command: &[Vec<u8>], reply: &mut Vec<u8>) {
        let word = |at: usize| command.get(at).cloned().unwrap_or_default();
        let number =
            |at: usize| String::from_utf8_lossy(&word(at)).parse::<i64>().unwrap_or(0);
        if self.mood == Mood::Refuses {
            reply.extend_from_slice(b"-ERR this store refuses everything\r\n");
            return;
        }
        match word(0).to_ascii_uppercase().as_slice() {
            b"PING" => reply.extend_from_slice(b"+PONG\r\n"),
            b"INCR" => {
                let count = self.counters.entry(word(1)).or_default();
                *count += 1;
                reply.extend_from_slice(format!(":{count}\r\n").as_bytes());
            }
            b"LPUSH" => {
                let list = self.lists.entry(word(1)).or_default();
                list.insert(0, word(2));
                reply.extend_from_slice(format!(":{}\r\n", list.len()).as_bytes());
            }
            b"LTRIM" => {
                let list = self.lists.entry(word(1)).or_default();
                list.truncate(usize::try_from(number(3) + 1).unwrap_or(usize::MAX));
                reply.extend_from_slice(b"+OK\r\n");
            }
            b"LRANGE" => {
                let list = self.lists.entry(word(1)).or_default();
                let end =
                    usize::try_from(number(3) + 1).unwrap_or(usize::MAX).min(list.len());
                reply.extend_from_slice(format!("*{end}\r\n").as_bytes());
                for item in &list[..end] {
                    reply.extend_from_slice(format!("${}\r\n", item.len()).as_bytes());
                    reply.extend_from_slice(item);
                    reply.extend_from_slice(b"\r\n");
                }
            }
            other => reply.extend_from_slice(
                format!("-ERR unknown command '{}'\r\n", other.escape_ascii()).as_bytes(),
            ),
        }
    }
}

/// One command off the front of the input, and how many bytes it took; none while it is
/// incomplete.
fn command(input: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let mut used = 0;
    let words = number(input, &mut used, b'*')?;
    let mut command = Vec::new();
    for _ in 0..words {
        let length = number(input, &mut used, b'$')?;
        command.push(input.get(used..used + length)?.to_vec());
        used += length + 2;
    }
    (used <= input.len()).then_some((command, used))
}

/// Reads `*N` or `$N` and its line end.
fn number(input: &[u8], at: &mut usize, sign: u8) -> Option<usize> {
    let line = input.get(*at..)?;
    let end = line.windows(2).position(|pair| pair == b"\r\n")?;
    let digits = line[..end].strip_prefix(&[sign])?;
    *at += end + 2;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(store: &FakeStore, command: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(store.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let words: Vec<&str> = command.split(' ').collect();
        let mut bytes = format!("*{}\r\n", words.len());
        for word in words {
            bytes += &format!("${}\r\n{word}\r\n", word.len());
        }
        stream.write_all(bytes.as_bytes()).unwrap();
        let mut reply = vec![0; 100];
        let n = stream.read(&mut reply).unwrap_or(0);
        reply.truncate(n);
        reply
    }

    #[test]
    fn it_keeps_what_it_is_given_and_goes_down_and_comes_back() {
        let store = FakeStore::start().unwrap();
        assert_eq!(ask(&store, "INCR visitors"), b":1\r\n");
        assert_eq!(ask(&store, "LPUSH remarks first"), b":1\r\n");
        assert_eq!(ask(&store, "LPUSH remarks second"), b":2\r\n");
        assert_eq!(ask(&store, "LTRIM remarks 0 99"), b"+OK\r\n");
        store.turn(Mood::Silent);
        assert_eq!(ask(&store, "INCR visitors"), b"");
        store.turn(Mood::Down);
        assert!(TcpStream::connect(store.address).is_err());
        store.turn(Mood::Good);
        assert_eq!(
            ask(&store, "LRANGE remarks 0 19"),
            b"*2\r\n$6\r\nsecond\r\n$5\r\nfirst\r\n"
        );
        assert_eq!(store.times_heard("second"), 1);
    }
}
