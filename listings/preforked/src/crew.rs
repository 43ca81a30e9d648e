//! A handful of workers for the experiments: each answers its number, and that is all.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::process::exit;
use std::time::{Duration, Instant};
use std::{fs, thread};

use forking::{ForkResult, fork};
use rustix::io::read;
use rustix::net::{SendFlags, accept, send};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// What a client sends to make a worker sleep before it answers.
pub const SLEEP: &[u8] = b"sleep\n";
/// How long that is.
pub const NAP: Duration = Duration::from_secs(1);

/// Worker processes; ended when dropped.
#[derive(Debug)]
pub struct Crew(Vec<Pid>);

impl Crew {
    /// Forks `size` workers. The number of each, from 1, says which listener it accepts from.
    pub fn start<'a>(
        size: usize,
        listener: impl Fn(usize) -> &'a OwnedFd,
    ) -> io::Result<Self> {
        let mut crew = Self(Vec::new());
        for number in 1..=size {
            match fork()? {
                ForkResult::Child => {
                    let _ = answer(listener(number), number);
                    exit(1);
                }
                ForkResult::Parent { child } => crew.0.push(child),
            }
        }
        Ok(crew)
    }

    /// Their process ids.
    pub fn pids(&self) -> &[Pid] {
        &self.0
    }

    /// Waits until all of them sleep, which without clients means: in accept.
    pub fn sleep_in_accept(&self) -> io::Result<()> {
        let begun = Instant::now();
        for pid in &self.0 {
            loop {
                let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
                if stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S')) {
                    break;
                }
                if begun.elapsed() > Duration::from_secs(10) {
                    return Err(io::Error::other("a worker does not come to rest"));
                }
                thread::sleep(Duration::from_millis(1));
            }
        }
        // From the end of its answer to accept it is a moment in which it may sleep, too.
        thread::sleep(Duration::from_millis(5));
        Ok(())
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = kill_process(*pid, Signal::KILL);
            let _ = waitpid(Some(*pid), WaitOptions::empty());
        }
    }
}

/// The worker: accepts, reads a line, answers its number.
// ANCHOR: answer
fn answer(listener: impl AsFd, number: usize) -> io::Result<()> {
    loop {
        let client = accept(&listener)?;
        let mut line = [0; 16];
        let n = read(&client, &mut line)?;
        if &line[..n] == SLEEP {
            thread::sleep(NAP);
        }
        send(&client, number.to_string().as_bytes(), SendFlags::NOSIGNAL)?;
    }
}
// ANCHOR_END: answer

/// A client that has said something and waits for the number of who served it.
#[derive(Debug)]
pub struct Asked(TcpStream);

impl Asked {
    /// Connects and sends a line.
    pub fn new(address: SocketAddr, line: &[u8]) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(line)?;
        Ok(Self(stream))
    }

    /// Whether the answer is there.
    pub fn is_answered(&self) -> io::Result<bool> {
        self.0.set_nonblocking(true)?;
        let answered = self.0.peek(&mut [0]);
        self.0.set_nonblocking(false)?;
        Ok(matches!(answered, Ok(1)))
    }

    /// Waits for the answer: the worker's number.
    pub fn answer(mut self) -> io::Result<usize> {
        let mut number = String::new();
        self.0.read_to_string(&mut number)?;
        number.parse().map_err(|_| io::Error::new(ErrorKind::InvalidData, number))
    }
}
