//! A process, a thread and another program, made and ended beside memory of a known size.

use std::io;
use std::process::Command;
use std::thread;
use std::time::Instant;

use forking::{leave, wait_for};
use nix::unistd::{self, ForkResult};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use crate::counts::{processors, stay_on};
use crate::data::median;
use crate::memory::{Kind, Memory};

/// How long it took, in microseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Took {
    /// The call that makes it.
    pub call: f64,
    /// The same, and until it has ended and was waited for.
    pub whole: f64,
}

/// Medians of some of each.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Created {
    /// fork(2), and a child that leaves at once.
    pub fork: Took,
    /// A thread that does nothing.
    pub thread: Took,
    /// `Command::spawn` of `true`: another program, which has to be loaded.
    pub spawn: Took,
}

/// Makes some of each in a process that has `mib` MiB of this kind: on one processor, and what
/// is spawned on any.
pub fn create(kind: Kind, mib: usize) -> io::Result<Created> {
    let processors = processors()?;
    stay_on(&processors[..1])?;
    let mut memory = Memory::new(kind, mib)?;
    let times = if mib >= 256 { 5 } else { 15 };
    // Forks first: only a program of one thread may.
    let fork = typical(times, &mut memory, forked)?;
    let thread = typical(4 * times, &mut memory, threaded)?;
    // The maker goes on when the child has called execve. On the same processor it might have
    // to wait until the program is at its end, and that is not the call.
    stay_on(&processors)?;
    let spawn = typical(times, &mut memory, spawned)?;
    Ok(Created { fork, thread, spawn })
}

fn typical(
    times: usize,
    memory: &mut Memory,
    once: fn() -> io::Result<Took>,
) -> io::Result<Took> {
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        // As a program does that works. What would change without it is an exercise of the
        // chapter.
        memory.write(0..usize::MAX, 1);
        took.push(once()?);
    }
    let of = |part: fn(&Took) -> f64| median(&took.iter().map(part).collect::<Vec<_>>());
    Ok(Took { call: of(|took| took.call), whole: of(|took| took.whole) })
}

fn us(start: Instant) -> f64 {
    start.elapsed().as_nanos() as f64 / 1e3
}

/// `forking::fork` looks for other threads in a debug build, and that would be in the time.
#[expect(unsafe_code, reason = "only the caller can know that it has one thread")]
fn forked() -> io::Result<Took> {
    let start = Instant::now();
    // SAFETY: `create` has made no thread yet, and the child leaves at once.
    match unsafe { unistd::fork() }? {
        ForkResult::Child => leave(0),
        ForkResult::Parent { child } => {
            let call = us(start);
            wait_for(Pid::from_raw(child.as_raw()).expect("the id of a child"))?;
            Ok(Took { call, whole: us(start) })
        }
    }
}

// ANCHOR: thread
fn threaded() -> io::Result<Took> {
    let start = Instant::now();
    let thread = thread::Builder::new().spawn(|| ())?;
    let call = us(start);
    thread.join().expect("it does nothing");
    Ok(Took { call, whole: us(start) })
}
// ANCHOR_END: thread

fn spawned() -> io::Result<Took> {
    let start = Instant::now();
    let mut program = Command::new("true").spawn()?;
    let call = us(start);
    program.wait()?;
    Ok(Took { call, whole: us(start) })
}
