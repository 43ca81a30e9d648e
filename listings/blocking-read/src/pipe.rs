//! A read that blocks, and what the kernel says happened to us in the meantime.

use std::fmt;
use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::child::Ended;
use crate::usage::{Cost, Usage, ms};

/// For how long the other end of the pipe sleeps before it writes.
pub const SLEEP: Duration = Duration::from_millis(300);

/// A read that had to wait.
#[derive(Clone, Copy, Debug)]
pub struct Blocked {
    /// What read returned.
    pub bytes: usize,
    /// From the start of the other process to the end of the read, and what the read used.
    pub cost: Cost,
}

/// Reads from a pipe whose other end sleeps for [`SLEEP`] first.
pub fn pipe() -> io::Result<Blocked> {
    let script = format!("sleep {}; printf hello", SLEEP.as_secs_f64());
    // ANCHOR: pipe
    // The clock starts before the child does, so that the wait is never shorter than the
    // child's sleep.
    let start = Instant::now();
    let mut child =
        Ended::start(Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()))?;
    let mut pipe = child.stdout.take().expect("its standard output is our pipe");
    let mut buffer = [0; 64];

    let before = Usage::now()?;
    let bytes = pipe.read(&mut buffer)?;
    let used = Usage::now()?.since(before);
    let wall = start.elapsed();
    // ANCHOR_END: pipe
    Ok(Blocked { bytes, cost: Cost { wall, used } })
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost { wall, used } = self.cost;
        writeln!(f, "read returned {} bytes after {:.1} ms", self.bytes, ms(wall))?;
        writeln!(f, "CPU time used meanwhile: {:.2} ms", ms(used.cpu))?;
        writeln!(f, "voluntary context switches: {}", used.voluntary)?;
        write!(f, "involuntary context switches: {}", used.involuntary)
    }
}
