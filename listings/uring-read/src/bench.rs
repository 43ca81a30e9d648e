//! The loop that reads, and its figures.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use uring_read::scratch::{Scratch, folder, open_direct};
use uring_read::{Options, Reads, Trouble};

use crate::Command;

pub fn run(command: &Command) -> Result<(), Trouble> {
    let file = open(command)?;
    let (block, blocks) =
        (command.block as usize, file.metadata()?.len() / u64::from(command.block));
    if blocks == 0 {
        let line = format!(
            "the file has no block of {block} bytes; name a longer one, or a smaller --block"
        );
        return Err(io::Error::other(line).into());
    }
    let unit = if command.direct { 512 } else { 1 };
    if command.direct && !block.is_multiple_of(unit) {
        let line =
            format!("O_DIRECT reads multiples of {unit} bytes; choose such a --block");
        return Err(Trouble::Failed(io::Error::other(line)));
    }
    let options = Options { depth: command.depth, block, unit, fixed: command.fixed };
    let mut reads = Reads::new(file, options)?;

    let figures = read_for(&mut reads, command, blocks)?;
    print(command, blocks, &reads, figures);
    Ok(())
}

fn open(command: &Command) -> Result<File, Trouble> {
    let Some(path) = &command.file else {
        let scratch = Scratch::new(&folder(), 64 << 20)?;
        return if command.direct {
            scratch.direct.map_err(Trouble::Direct)
        } else {
            Ok(scratch.buffered)
        };
    };
    let explain = |error: io::Error| {
        io::Error::new(
            error.kind(),
            format!("cannot open {}: {error}; name another file", path.display()),
        )
    };
    if command.direct {
        open_direct(path).map_err(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => Trouble::Direct(error),
            _ => explain(error).into(),
        })
    } else {
        Ok(File::open(path).map_err(explain)?)
    }
}

/// How long it took, and each read of it, in nanoseconds.
struct Figures {
    took: Duration,
    each: Vec<u64>,
}

// ANCHOR: loop
fn read_for(reads: &mut Reads, command: &Command, blocks: u64) -> io::Result<Figures> {
    let mut places = Places { random: command.random, next: 0, blocks };
    let (start, mut each) = (Instant::now(), Vec::new());
    let limit = Duration::from_secs(command.seconds);
    loop {
        let over = start.elapsed() >= limit;
        while !over && reads.ask(places.next() * u64::from(command.block)) {}
        let Some(block) = reads.wait()? else { break };
        each.push(block.took.as_nanos() as u64);
        reads.give_back(block);
    }
    Ok(Figures { took: start.elapsed(), each })
}
// ANCHOR_END: loop

/// Which block comes next.
struct Places {
    random: bool,
    next: u64,
    blocks: u64,
}

impl Places {
    fn next(&mut self) -> u64 {
        self.next = self.next.wrapping_add(1);
        if !self.random {
            return self.next % self.blocks;
        }
        // Steps of splitmix64: the same order in every run.
        let mut z = self.next.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % self.blocks
    }
}

fn print(command: &Command, blocks: u64, reads: &Reads, mut figures: Figures) {
    let Figures { took, each } = &mut figures;
    each.sort_unstable();
    let rate = each.len() as f64 / took.as_secs_f64();
    let size = f64::from(command.block);
    println!(
        "{}, {}, {blocks} blocks of {} bytes, depth {}{}",
        if command.direct { "direct" } else { "buffered" },
        if command.random { "random" } else { "sequential" },
        command.block,
        command.depth,
        if command.fixed { ", registered" } else { "" },
    );
    println!("{rate:.0} reads a second, {:.1} MiB/s", rate * size / f64::from(1 << 20));
    println!(
        "{:.3} calls of io_uring_enter for each read",
        reads.calls() as f64 / each.len() as f64
    );
    let at = |part: f64| each[((each.len() - 1) as f64 * part) as usize] as f64 / 1e3;
    println!("latency in µs: p50 {:.0}, p99 {:.0}, max {:.0}", at(0.5), at(0.99), at(1.0));
}
