//! What the kernel counted about the calling thread: processor time, context switches,
//! bytes from a disk.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};

/// The kernel's counts for the calling thread: since its start, or between two moments. See
/// getrusage(2).
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Time for which a processor ran this thread.
    pub cpu: Duration,
    /// Context switches because the thread had to wait.
    pub voluntary: u64,
    /// Context switches because the kernel gave the processor to someone else.
    pub involuntary: u64,
    /// Bytes that a disk had to deliver.
    pub from_disk: u64,
}

// ANCHOR: usage
impl Usage {
    /// The counts so far. The thread's and not the process's, so that a program's other
    /// threads do not disturb them.
    pub fn now() -> io::Result<Self> {
        // getrusage knows processor time too, but a running thread's may be a clock tick
        // behind. This clock is not.
        let cpu = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
        let counts = getrusage(UsageWho::RUSAGE_THREAD)?;
        Ok(Self {
            cpu: cpu.into(),
            voluntary: counts.voluntary_context_switches() as u64,
            involuntary: counts.involuntary_context_switches() as u64,
            from_disk: counts.block_reads() as u64 * 512,
        })
    }

    /// What was used since `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu - before.cpu,
            voluntary: self.voluntary - before.voluntary,
            involuntary: self.involuntary - before.involuntary,
            from_disk: self.from_disk - before.from_disk,
        }
    }
}
// ANCHOR_END: usage

/// How long something took by the clock on the wall, and what it used meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// From its start to its end.
    pub wall: Duration,
    /// The kernel's counts in between.
    pub used: Usage,
}

impl Cost {
    /// Runs `work` and says what it cost the calling thread.
    pub fn of(work: impl FnOnce() -> io::Result<()>) -> io::Result<Self> {
        let start = Instant::now();
        let before = Usage::now()?;
        work()?;
        let used = Usage::now()?.since(before);
        Ok(Self { wall: start.elapsed(), used })
    }
}

/// A duration in milliseconds.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Writes a table: a title with the names of the columns, and one line for each cost.
pub(crate) fn table(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    rows: &[(&str, Cost)],
) -> fmt::Result {
    write!(
        f,
        "{title}{:>12}{:>12}{:>12}{:>14}",
        "wall time", "CPU time", "voluntary", "involuntary"
    )?;
    for (label, Cost { wall, used }) in rows {
        let width = title.chars().count();
        write!(f, "\n{label:<width$}{:>9.1} ms{:>9.1} ms", ms(*wall), ms(used.cpu))?;
        write!(f, "{:>12}{:>14}", used.voluntary, used.involuntary)?;
    }
    Ok(())
}
