//! What the kernel counts: page faults, context switches, page tables, memory.

use std::fs;
use std::io;

use nix::sys::resource::{Usage, UsageWho, getrusage};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Page faults of the calling thread that needed no disk (getrusage(2)).
// ANCHOR: faults
pub fn faults() -> io::Result<i64> {
    Ok(getrusage(UsageWho::RUSAGE_THREAD)?.minor_page_faults())
}
// ANCHOR_END: faults

/// Context switches: because a thread had to wait, and because the kernel gave its processor
/// to somebody else.
#[derive(Clone, Copy, Debug, Default)]
pub struct Switches {
    /// It had to wait.
    pub voluntary: i64,
    /// It could have gone on.
    pub involuntary: i64,
}

impl Switches {
    /// Those of the calling thread.
    pub fn mine() -> io::Result<Self> {
        Ok(getrusage(UsageWho::RUSAGE_THREAD)?.into())
    }

    /// Those of the children that were waited for.
    pub fn of_children() -> io::Result<Self> {
        Ok(getrusage(UsageWho::RUSAGE_CHILDREN)?.into())
    }

    /// What came since `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            voluntary: self.voluntary - before.voluntary,
            involuntary: self.involuntary - before.involuntary,
        }
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            voluntary: self.voluntary + other.voluntary,
            involuntary: self.involuntary + other.involuntary,
        }
    }
}

impl From<Usage> for Switches {
    fn from(usage: Usage) -> Self {
        Self {
            voluntary: usage.voluntary_context_switches(),
            involuntary: usage.involuntary_context_switches(),
        }
    }
}

/// KiB of page tables of a process, which all of its threads share (`VmPTE` in
/// `/proc/PID/status`).
pub fn tables(process: u32) -> io::Result<u64> {
    kib(&format!("/proc/{process}/status"), "VmPTE:")
}

/// KiB of this process's memory that are in huge pages.
pub fn huge() -> io::Result<u64> {
    kib("/proc/self/smaps_rollup", "AnonHugePages:")
}

/// KiB of memory of a process, in which a page that several share counts for each as its part
/// (`Pss`).
pub fn proportional(process: u32) -> io::Result<u64> {
    kib(&format!("/proc/{process}/smaps_rollup"), "Pss:")
}

/// KiB of private memory of this process that are resident.
pub fn resident() -> io::Result<u64> {
    kib("/proc/self/status", "RssAnon:")
}

/// KiB that the whole machine has of something (`/proc/meminfo`).
pub fn of_machine(field: &str) -> io::Result<u64> {
    kib("/proc/meminfo", field)
}

/// A line such as `VmPTE:      64 kB`.
fn kib(file: &str, field: &str) -> io::Result<u64> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| io::Error::other(format!("{file} does not say {field} here")))
}

/// The processors on which this program may run, the last ones first: the first one has the
/// machine's interrupts more often than not.
pub fn processors() -> io::Result<Vec<usize>> {
    let allowed = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).rev().filter(|cpu| allowed.is_set(*cpu)).collect())
}

/// Keeps the calling thread, and whom it makes, on these processors.
pub fn stay_on(processors: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    processors.iter().for_each(|processor| set.set(*processor));
    sched_setaffinity(None, &set)?;
    Ok(())
}
