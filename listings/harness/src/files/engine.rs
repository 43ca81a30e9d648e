//! Reads at a depth, by each of the four that the book has, for a while.
//!
//! The engines are those of the listings. Here is only what they have in common: places to
//! read, a histogram, and that each block is looked at.

use std::fs::File;
use std::io;
use std::iter;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use aio_direct::bench::scramble;
use aio_direct::{Buffer, Reads, Target};
use file_pool::{Job, Pool};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::{ClockId, clock_gettime};

use super::places::Places;
use super::report::{Case, Engine, Round, Way};
use super::scratch::Scratch;
use super::seen::Seen;

/// What is to be read, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'s> {
    /// The file.
    pub scratch: &'s Scratch,
    /// The cell.
    pub case: Case,
    /// Which round.
    pub round: u32,
    /// For how long reads begin.
    pub time: Duration,
    /// Threads of the pool; as many as the depth if none is said.
    pub threads: Option<usize>,
    /// Other places for each.
    pub seed: u64,
}

/// Why there is no figure.
#[derive(Debug)]
pub enum Trouble {
    /// What the kernel answers.
    Refused(String),
    /// A block was not the one that was asked for.
    Wrong(String),
}

impl Trouble {
    /// The line.
    pub fn line(self) -> String {
        let (Self::Refused(line) | Self::Wrong(line)) = self;
        line
    }
}

/// One round of one cell.
///
/// # Errors
/// A read failed, or brought something else.
pub fn measure(plan: &Plan<'_>) -> Result<Round, Trouble> {
    let engine = match plan.case.engine {
        Engine::Blocking => blocking,
        Engine::Pool => pool,
        Engine::Aio => aio,
        Engine::IoUring => io_uring,
    };
    let name = plan.case.engine.name();
    let before = cpu();
    let seen = engine(plan).map_err(|why| Trouble::Refused(format!("{name}: {why}")))?;
    let used = cpu().saturating_sub(before);
    match seen.wrong {
        Some(at) => Err(Trouble::Wrong(format!(
            "{name}: what is read at {at} is not what is there"
        ))),
        None => Ok(seen.round(plan.case, plan.round, used)),
    }
}

/// Processor time of this process: its threads and, for a ring, the kernel's workers.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

impl Plan<'_> {
    /// The places of one of those who read.
    fn places(&self, who: u64) -> Places {
        Places::new(self.scratch.size, self.case.block, self.seed ^ scramble(who))
    }

    /// The file, open as the cell wants it.
    fn open(&self) -> io::Result<File> {
        match self.case.way {
            Way::Direct => super::scratch::open_direct(&self.scratch.path()),
            Way::Cached => File::open(self.scratch.path()),
        }
    }

    /// Memory for a block, in whole pages of its own.
    fn buffer(&self) -> Buffer {
        Buffer::new(self.case.block as usize, rustix::param::page_size())
    }
}

/// A thread for each read in flight. It waits in pread(2).
fn blocking(plan: &Plan<'_>) -> Result<Seen, String> {
    let file = plan.open().map_err(|error| error.to_string())?;
    let start = Barrier::new(plan.case.depth as usize);
    let one = |who: u64| {
        let (mut seen, mut buffer) = (Seen::new(plan.case.block), plan.buffer());
        start.wait();
        let begun = seen.begin();
        let mut before = begun;
        for at in plan.places(who) {
            file.read_exact_at(&mut buffer, at)?;
            let now = Instant::now();
            seen.read(at, &buffer, now - before);
            if now - begun >= plan.time {
                break;
            }
            before = now;
        }
        Ok::<_, io::Error>(seen.end())
    };
    thread::scope(|scope| {
        let one = &one;
        let threads: Vec<_> = (0..u64::from(plan.case.depth))
            .map(|who| scope.spawn(move || one(who)))
            .collect();
        let mut all: Option<Seen> = None;
        for thread in threads {
            let seen = thread.join().map_err(|_| "a thread panicked".to_owned())?;
            let seen = seen.map_err(|error| error.to_string())?;
            match &mut all {
                Some(all) => all.add(&seen),
                None => all = Some(seen),
            }
        }
        all.ok_or_else(|| "a depth of 0".into())
    })
}

/// A read for the pool.
struct Read {
    file: Arc<File>,
    into: Buffer,
    at: u64,
    asked: Instant,
}

impl Job for Read {
    type Done = io::Result<Self>;

    fn work(mut self) -> Self::Done {
        self.file.read_exact_at(&mut self.into, self.at)?;
        Ok(self)
    }
}

/// A loop that never waits for a disk, and threads that do.
fn pool(plan: &Plan<'_>) -> Result<Seen, String> {
    let reads = || -> io::Result<Seen> {
        let depth = plan.case.depth as usize;
        let file = Arc::new(plan.open()?);
        let mut pool = Pool::new(plan.threads.unwrap_or(depth), depth)?;
        let mut spare: Vec<Buffer> = (0..depth).map(|_| plan.buffer()).collect();
        let (mut seen, mut places) = (Seen::new(plan.case.block), plan.places(0));
        let begun = seen.begin();
        loop {
            while begun.elapsed() < plan.time
                && let Some(into) = spare.pop()
                && let Some(at) = places.next()
            {
                let read =
                    Read { file: Arc::clone(&file), into, at, asked: Instant::now() };
                pool.submit(read).map_err(|_| io::Error::other("the pool is full"))?;
            }
            if pool.outstanding() == 0 {
                return Ok(seen.end());
            }
            poll(&mut [PollFd::new(&pool, PollFlags::IN)], None)?;
            for done in pool.take_done() {
                let Read { into, at, asked, .. } = done?;
                seen.read(at, &into, asked.elapsed());
                spare.push(into);
            }
        }
    };
    reads().map_err(|error| error.to_string())
}

/// Linux AIO, as `aio-direct` reads.
fn aio(plan: &Plan<'_>) -> Result<Seen, String> {
    let is_cached = plan.case.way == Way::Cached;
    let target = plan.open().and_then(|file| Target::of(file, is_cached));
    let target = target.map_err(|error| error.to_string())?;
    let block = plan.case.block as usize;
    let mut reads =
        Reads::new(&target, plan.case.depth, block).map_err(|t| t.to_string())?;
    let (mut seen, mut places) = (Seen::new(plan.case.block), plan.places(0));
    let begun = seen.begin();
    let pieces = iter::from_fn(|| {
        let at = places.next().filter(|_| begun.elapsed() < plan.time)?;
        Some(target.piece(at, block))
    });
    reads
        .run(pieces, |piece, bytes| seen.read(piece.offset, bytes, piece.begun.elapsed()))
        .map_err(|trouble| trouble.to_string())?;
    Ok(seen.end())
}

/// io_uring, as `uring-read` reads.
fn io_uring(plan: &Plan<'_>) -> Result<Seen, String> {
    let file = plan.open().map_err(|error| error.to_string())?;
    let options = uring_read::Options {
        depth: plan.case.depth,
        block: plan.case.block as usize,
        unit: if plan.case.way == Way::Direct { 512 } else { 1 },
        fixed: false,
    };
    let mut reads = uring_read::Reads::new(file, options).map_err(|t| t.to_string())?;
    let (mut seen, mut places) = (Seen::new(plan.case.block), plan.places(0));
    let begun = seen.begin();
    loop {
        let is_over = begun.elapsed() >= plan.time;
        while !is_over
            && reads.room() > 0
            && let Some(at) = places.next()
        {
            reads.ask(at);
        }
        let Some(block) = reads.wait().map_err(|error| error.to_string())? else {
            return Ok(seen.end());
        };
        seen.read(block.at, block.bytes(), block.took);
        reads.give_back(block);
    }
}
