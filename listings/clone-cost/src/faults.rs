//! Somebody else writes to our memory: a thread, or a child. What does that make?

use std::fmt;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::process;
use std::thread;

use forking::{ForkResult, fork, leave, wait_for};

use crate::counts;
use crate::memory::{Kind, Memory};

/// How much memory there is.
pub const MIB: usize = 256;
/// How many of its pages are written to.
pub const PAGES: usize = 100;

/// What the writing made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// KiB of page tables that came into being for the writer.
    pub tables: u64,
    /// Page faults while it wrote.
    pub faults: i64,
    /// Pages in which we see afterwards what was written.
    pub seen: usize,
}

/// A thread writes to the first pages of `memory`.
// ANCHOR: thread
pub fn by_thread(memory: &mut Memory, pages: usize) -> io::Result<Made> {
    let before = counts::tables(process::id())?;
    let writer = || Ok((counts::tables(process::id())?, write(memory, pages)?));
    let (tables, faults) = thread::scope(|scope| {
        let wrote: io::Result<_> = scope.spawn(writer).join().expect("it does not panic");
        wrote
    })?;
    Ok(Made { tables: tables - before, faults, seen: memory.pages_with(2) })
}
// ANCHOR_END: thread

/// A child writes to the first pages of its copy of `memory`.
// ANCHOR: process
pub fn by_process(memory: &mut Memory, pages: usize) -> io::Result<Made> {
    let (mut answer, mut child_says) = io::pipe()?;
    match fork()? {
        ForkResult::Child => {
            let said = counts::tables(process::id()).and_then(|tables| {
                writeln!(child_says, "{tables} {}", write(memory, pages)?)
            });
            leave(i32::from(said.is_err()))
        }
        ForkResult::Parent { child } => {
            drop(child_says); // or the pipe would never end
            let mut text = String::new();
            answer.read_to_string(&mut text)?;
            wait_for(child)?;
            let (tables, faults) = parse(&text)
                .ok_or_else(|| io::Error::other("the child ended without an answer"))?;
            Ok(Made { tables, faults, seen: memory.pages_with(2) })
        }
    }
}
// ANCHOR_END: process

fn parse(text: &str) -> Option<(u64, i64)> {
    let (tables, faults) = text.trim_end().split_once(' ')?;
    Some((tables.parse().ok()?, faults.parse().ok()?))
}

// ANCHOR: write
/// Writes to these pages, and says how many faults that made.
pub fn of_writing(memory: &mut Memory, pages: Range<usize>, value: u8) -> io::Result<i64> {
    let before = counts::faults()?;
    memory.write(pages, value);
    Ok(counts::faults()? - before)
}

fn write(memory: &mut Memory, pages: usize) -> io::Result<i64> {
    // A warm-up: the code itself faults on its own stack the first time, and those faults are
    // not to be counted.
    of_writing(memory, pages..pages + 1, 1)?;
    of_writing(memory, 0..pages, 2)
}
// ANCHOR_END: write

/// The experiment, with both.
#[derive(Clone, Copy, Debug)]
pub struct Compared {
    /// A child wrote.
    pub process: Made,
    /// A thread wrote.
    pub thread: Made,
}

/// Runs it with [`MIB`] in pages of the ordinary size.
pub fn compare() -> io::Result<Compared> {
    let mut memory = Memory::new(Kind::Private, MIB)?;
    let process = by_process(&mut memory, PAGES)?;
    // After fork our own pages are read only, too, each until we write to it.
    memory.write(0..PAGES + 1, 1);
    let thread = by_thread(&mut memory, PAGES)?;
    Ok(Compared { process, thread })
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, thread } = self;
        let title = format!("beside {MIB} MiB");
        let kib = |made: &Made| format!("{} KiB", made.tables);
        let faults = |made: &Made| format!("{} faults", made.faults);
        let writes = format!("{PAGES} writes");
        writeln!(f, "{title:<15}{:>11}{:>11}", "a process", "a thread")?;
        writeln!(f, "{:<15}{:>11}{:>11}", "page tables", kib(process), kib(thread))?;
        writeln!(f, "{writes:<15}{:>11}{:>11}", faults(process), faults(thread))?;
        write!(f, "{:<15}{:>11}{:>11}", "the maker sees", process.seen, thread.seen)
    }
}
