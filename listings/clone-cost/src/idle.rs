//! What stays in memory for a process, and for a thread, that waits.

use std::fmt;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::process;
use std::thread;

use forking::{ForkResult, fork, leave, wait_for};
use serde::{Deserialize, Serialize};

use crate::counts;

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// Processes, made by fork
    Processes,
    /// Threads of one process
    Threads,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Processes => "a process",
            Self::Threads => "a thread",
        })
    }
}

/// KiB for each of them.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Stays {
    /// Its stack in the kernel, on which its system calls run.
    pub kernel_stack: f64,
    /// Its page tables, or what it adds to those of its process.
    pub page_tables: f64,
    /// Memory of the program: its stack and what it has written to.
    pub user: f64,
}

impl Stays {
    /// All together.
    pub fn sum(&self) -> f64 {
        self.kernel_stack + self.page_tables + self.user
    }
}

// ANCHOR: amounts
/// KiB that some processes have.
struct Amounts {
    /// A page that several share counts once.
    user: u64,
    page_tables: u64,
    /// The whole machine's: the kernel does not say whose they are.
    kernel_stacks: u64,
}

impl Amounts {
    fn of(processes: &[u32]) -> io::Result<Self> {
        let sum = |of: fn(u32) -> io::Result<u64>| -> io::Result<u64> {
            processes.iter().map(|id| of(*id)).sum()
        };
        Ok(Self {
            user: sum(counts::proportional)?,
            page_tables: sum(counts::tables)?,
            kernel_stacks: counts::of_machine("KernelStack:")?,
        })
    }
    // ANCHOR_END: amounts

    fn since(&self, before: &Self, number: usize) -> Stays {
        let each = |now: u64, before: u64| (now as f64 - before as f64) / number as f64;
        Stays {
            kernel_stack: each(self.kernel_stacks, before.kernel_stacks),
            page_tables: each(self.page_tables, before.page_tables),
            user: each(self.user, before.user),
        }
    }
}

/// Makes `number` of them, lets them wait, and says what each has added. Others who begin
/// and end on this machine meanwhile are in the numbers.
pub fn idle(who: Who, number: usize) -> io::Result<Stays> {
    match who {
        Who::Processes => processes(number),
        Who::Threads => threads(number),
    }
}

/// One of them: says that it is there, and waits until nobody holds the other end.
fn wait(mut here: PipeWriter, mut end: PipeReader) -> io::Result<()> {
    here.write_all(b".")?;
    drop(here);
    end.read(&mut [0]).map(drop)
}

fn processes(number: usize) -> io::Result<Stays> {
    let (mut all_here, here) = io::pipe()?;
    let (end, held) = io::pipe()?;
    let before = Amounts::of(&[process::id()])?;
    let mut children = Vec::with_capacity(number);
    for _ in 0..number {
        match fork()? {
            ForkResult::Child => {
                drop(held);
                leave(i32::from(wait(here, end).is_err()))
            }
            ForkResult::Parent { child } => children.push(child),
        }
    }
    all_here.read_exact(&mut vec![0; number])?;
    let ids = children.iter().map(|child| child.as_raw_nonzero().get() as u32);
    let all: Vec<u32> = ids.chain([process::id()]).collect();
    let stays = Amounts::of(&all)?.since(&before, number);
    drop(held);
    children.into_iter().try_for_each(wait_for)?;
    Ok(stays)
}

fn threads(number: usize) -> io::Result<Stays> {
    let (mut all_here, here) = io::pipe()?;
    let (end, held) = io::pipe()?;
    let ends = (0..number)
        .map(|_| Ok((here.try_clone()?, end.try_clone()?)))
        .collect::<io::Result<Vec<_>>>()?;
    let before = Amounts::of(&[process::id()])?;
    let threads = ends
        .into_iter()
        .map(|(here, end)| thread::Builder::new().spawn(|| wait(here, end)))
        .collect::<io::Result<Vec<_>>>()?;
    all_here.read_exact(&mut vec![0; number])?;
    let stays = Amounts::of(&[process::id()])?.since(&before, number);
    drop(held);
    threads.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))?;
    Ok(stays)
}
