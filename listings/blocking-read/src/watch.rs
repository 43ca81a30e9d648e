//! A waiting process seen from outside: what `/proc` tells any other process about it.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;

use crate::child::Ended;

/// What `/proc` said about a process that sleeps.
#[derive(Clone, Debug)]
pub struct Sleeper {
    /// `State` in `/proc/PID/status`, for example `S (sleeping)`.
    pub state: String,
    /// The descriptor, when it is inside read(2). From `/proc/PID/syscall`; not every
    /// kernel shows it.
    pub reading: Option<i32>,
    /// The kernel function in which it sleeps. From `/proc/PID/wchan`; not every kernel
    /// shows it.
    pub wchan: Option<String>,
    /// `voluntary_ctxt_switches` in `/proc/PID/status`, since the process started.
    pub voluntary: u64,
}

/// Starts a program, lets it come to rest within 10 s, and looks at it. The program is
/// ended afterwards.
pub fn watch(program: &mut Command) -> io::Result<Sleeper> {
    watch_for(program, Duration::from_secs(10))
}

/// The same with a time limit of one's own.
pub fn watch_for(program: &mut Command, limit: Duration) -> io::Result<Sleeper> {
    // ANCHOR: watch
    let child = Ended::start(program.stdout(Stdio::null()))?;
    let start = Instant::now();
    let mut before = look(child.id())?;
    while start.elapsed() < limit {
        thread::sleep(Duration::from_millis(20));
        let now = look(child.id())?;
        // Asleep, and not switched to since the last look: this is the long sleep, not one
        // on the way there.
        if now.state.starts_with('S') && now.voluntary == before.voluntary {
            return Ok(now);
        }
        before = now;
    }
    // ANCHOR_END: watch
    Err(io::Error::new(
        ErrorKind::TimedOut,
        format!("the program did not go to sleep within {limit:?}"),
    ))
}

// ANCHOR: look
/// Reads what `/proc` has to say about a process.
pub fn look(pid: u32) -> io::Result<Sleeper> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
    };
    // "0": it is not waiting, or we may not know.
    let wchan = fs::read_to_string(format!("/proc/{pid}/wchan"))
        .ok()
        .filter(|name| name != "0" && !name.is_empty());
    // The number of the system call, then its arguments: "0 0x3 0x7ffd…", or "running".
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let mut words = call.split(' ');
    let is_read =
        words.next().and_then(|number| number.parse().ok()) == Some(libc::SYS_read);
    let descriptor = words
        .next()
        .and_then(|word| i32::from_str_radix(word.trim_start_matches("0x"), 16).ok());
    Ok(Sleeper {
        state: field("State:").into(),
        reading: descriptor.filter(|_| is_read),
        wchan,
        voluntary: field("voluntary_ctxt_switches:").parse().map_err(io::Error::other)?,
    })
}
// ANCHOR_END: look

impl fmt::Display for Sleeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "state: {}", self.state)?;
        if let Some(descriptor) = self.reading {
            writeln!(f, "inside: read({descriptor}, ...)")?;
        }
        if let Some(wchan) = &self.wchan {
            writeln!(f, "sleeps in: {wchan}")?;
        }
        write!(f, "voluntary context switches since its start: {}", self.voluntary)
    }
}
