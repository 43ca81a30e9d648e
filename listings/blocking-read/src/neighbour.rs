//! A busy neighbour on our processor: we are stopped again and again, and never asked to
//! wait.

use std::fmt;
use std::hint::black_box;
use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use crate::child::Ended;
use crate::usage::{Cost, Usage, ms, table};

/// The processor time that our work needs.
pub const WORK: Duration = Duration::from_millis(500);

/// The same work twice.
#[derive(Clone, Copy, Debug)]
pub struct Preempted {
    /// Without the neighbour. Whatever else runs on this machine may still have stopped us.
    pub alone: Cost,
    /// With the neighbour.
    pub crowded: Cost,
    /// The processor time that the neighbour had during that.
    pub neighbour: Duration,
}

/// Does [`WORK`] alone, and again beside a process that never sleeps, both on one
/// processor.
pub fn neighbour() -> io::Result<Preempted> {
    let _pinned = Pinned::to_one_processor()?;
    // ANCHOR: neighbour
    let alone = Cost::of(work)?;

    // It spins for as long as we live, on the processor that it inherits from us.
    let spin = "while kill -0 $PPID; do :; done";
    let neighbour =
        Ended::start(Command::new("sh").args(["-c", spin]).stderr(Stdio::null()))?;
    let its_clock = ClockId::pid_cpu_clock_id(Pid::from_raw(neighbour.id() as i32))?;
    let before = clock_gettime(its_clock)?;
    let crowded = Cost::of(work)?;
    let neighbour = clock_gettime(its_clock)? - before;
    // ANCHOR_END: neighbour
    Ok(Preempted { alone, crowded, neighbour: neighbour.into() })
}

// ANCHOR: work
/// Computes until it has had [`WORK`] of a processor. No system call in here waits.
fn work() -> io::Result<()> {
    let before = Usage::now()?;
    while Usage::now()?.since(before).cpu < WORK {
        black_box((0..black_box(100_000)).sum::<u64>());
    }
    Ok(())
}
// ANCHOR_END: work

/// Holds the calling thread on one processor; dropped, it lets go.
struct Pinned {
    before: CpuSet,
}

impl Pinned {
    fn to_one_processor() -> io::Result<Self> {
        let this_thread = Pid::from_raw(0);
        let before = sched_getaffinity(this_thread)?;
        let allowed =
            (0..CpuSet::count()).rev().find(|cpu| before.is_set(*cpu) == Ok(true));
        let mut one = CpuSet::new();
        one.set(allowed.ok_or_else(|| io::Error::other("no processor is allowed to us"))?)?;
        sched_setaffinity(this_thread, &one)?;
        Ok(Self { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // Fails only when the processors that we came from were taken offline or forbidden
        // meanwhile.
        let _ = sched_setaffinity(Pid::from_raw(0), &self.before);
    }
}

impl fmt::Display for Preempted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = format!("{} ms of work ", WORK.as_millis());
        table(f, &title, &[("alone", self.alone), ("with a neighbour", self.crowded)])?;
        write!(f, "\nCPU time of the neighbour: {:.1} ms", ms(self.neighbour))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinned_is_one_processor() {
        let allowed = || {
            let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
            (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu) == Ok(true)).count()
        };
        let before = allowed();
        let pinned = Pinned::to_one_processor().unwrap();
        assert_eq!(allowed(), 1);
        drop(pinned);
        assert_eq!(allowed(), before);
    }
}
