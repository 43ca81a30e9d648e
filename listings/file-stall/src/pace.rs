//! Requests at their time, whatever became of the others.
//!
//! A client that waits for each answer before it asks again stops asking while the server
//! stalls, and so hardly notices: one slow answer, where a hundred others would have wanted
//! theirs. Users do not wait for each other. So each request here has a time, and its latency
//! counts from that time, not from when it could be sent.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::set_current_timer_slack;

/// How often, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Requests a second.
    pub rate: u32,
    /// How long requests are sent.
    pub time: Duration,
    /// How many connections take turns.
    pub connections: usize,
}

/// How long answers took, in order.
#[derive(Clone, Debug)]
pub struct Latencies(Vec<Duration>, Duration);

impl Latencies {
    /// The latency below which this part of all answers stayed: 0.99 for the 99th percentile.
    pub fn quantile(&self, part: f64) -> Duration {
        let last = self.0.len().saturating_sub(1);
        let place = (part * self.0.len() as f64).ceil() as usize;
        self.0.get(place.saturating_sub(1).min(last)).copied().unwrap_or_default()
    }

    /// How late requests were sent, that is: how late *we* were. Of a hundred, one was later.
    pub fn own_lateness(&self) -> Duration {
        self.1
    }

    /// How many answers there were.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// A connection, and the times of the requests whose answers are still to come.
struct Line {
    stream: TcpStream,
    asked: std::collections::VecDeque<Instant>,
    /// Bytes of an answer that is not complete.
    part: Vec<u8>,
}

/// Asks for a file at this pace, until its time is up or `over`, and waits for the answers
/// that are still to come then.
///
/// # Errors
/// What the network answers, and an answer that is not the file.
// ANCHOR: ask
pub fn ask(
    server: SocketAddr,
    name: &str,
    pace: Pace,
    over: &AtomicBool,
) -> io::Result<Latencies> {
    let request = format!("GET /{name} HTTP/1.1\r\nHost: stall\r\n\r\n");
    // A sleep may end this much late, and that would count as the server's: usually 50 us.
    set_current_timer_slack(NonZeroU64::new(1))?;
    let (mut lines, answer) = connect(server, request.as_bytes(), pace.connections)?;
    let (mut latencies, mut late) = (Vec::new(), Vec::new());
    let (begun, step) = (Instant::now(), Duration::from_secs(1) / pace.rate);
    let mut sent = 0;
    loop {
        let is_over = begun.elapsed() >= pace.time || over.load(Relaxed);
        if is_over && lines.iter().all(|line| line.asked.is_empty()) {
            break;
        }
        // The next request's time does not depend on any answer.
        while !is_over && begun + step * sent <= Instant::now() {
            let line = &mut lines[sent as usize % pace.connections];
            line.stream.write_all(request.as_bytes())?;
            line.asked.push_back(begun + step * sent);
            late.push((begun + step * sent).elapsed());
            sent += 1;
        }
        let next = (begun + step * sent).saturating_duration_since(Instant::now());
        wait(&lines, if is_over { Duration::from_secs(10) } else { next })?;
        for line in &mut lines {
            line.take_answers(answer, &mut latencies)?;
        }
    }
    latencies.sort_unstable();
    late.sort_unstable();
    let late = Latencies(late, Duration::ZERO).quantile(0.99);
    Ok(Latencies(latencies, late))
}
// ANCHOR_END: ask

/// Connects, and asks once on each connection: that fetches the file into memory, and shows
/// how long an answer is.
fn connect(
    server: SocketAddr,
    request: &[u8],
    connections: usize,
) -> io::Result<(Vec<Line>, usize)> {
    let (mut lines, mut answer) = (Vec::new(), 0);
    for _ in 0..connections {
        let mut stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(request)?;
        let mut buffer = [0; 4096];
        answer = 0;
        while !buffer[..answer].ends_with(b"in memory.\n") {
            match stream.read(&mut buffer[answer..])? {
                0 => return Err(io::Error::other("the server does not serve the file")),
                n => answer += n,
            }
        }
        stream.set_nonblocking(true)?;
        lines.push(Line { stream, asked: [].into(), part: Vec::new() });
    }
    Ok((lines, answer))
}

/// Waits for an answer, for so long at most.
fn wait(lines: &[Line], time: Duration) -> io::Result<()> {
    let mut entries: Vec<PollFd<'_>> =
        lines.iter().map(|line| PollFd::new(&line.stream, PollFlags::IN)).collect();
    let time = Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    };
    match poll(&mut entries, Some(&time)) {
        Err(error) if error != rustix::io::Errno::INTR => Err(error.into()),
        _ => Ok(()),
    }
}

impl Line {
    /// Takes what has arrived, and notes how long each answer took. They come in the order of
    /// the requests, and each has the same length.
    fn take_answers(&mut self, len: usize, took: &mut Vec<Duration>) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => self.part.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        let now = Instant::now();
        while self.part.len() >= len {
            if !self.part.starts_with(b"HTTP/1.1 200 ") {
                return Err(io::Error::other("an answer is not the file"));
            }
            self.part.drain(..len);
            let asked = self.asked.pop_front();
            let asked = asked.ok_or_else(|| io::Error::other("nobody asked for that"))?;
            took.push(now.saturating_duration_since(asked));
        }
        Ok(())
    }
}
