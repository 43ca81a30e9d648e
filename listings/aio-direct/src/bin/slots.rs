//! More direct reads than the device's queue has requests.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match experiment::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => trouble.exit("slots"),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("slots")
}

#[cfg(target_os = "linux")]
mod experiment {
    use std::fs;
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;
    use std::time::{Duration, Instant};

    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::stat::{major, minor};

    use aio_direct::scratch::{self, Scratch};
    use aio_direct::{Alignment, Buffer, Operation, Trouble, context};

    const BLOCK: usize = 4096;

    pub fn run() -> Result<(), Trouble> {
        let file = Scratch::new(&scratch::folder(), 64 << 20)?.direct;
        match slots(&file) {
            Some(slots) => println!("the device's queue has {slots} requests"),
            None => println!("the number of the device's requests is unknown here"),
        }
        println!(
            "{:>6} {:>12} {:>12} {:>16}",
            "reads", "io_submit", "waits in it", "over at return"
        );
        for depth in [16, 64, 256, 1024, 4096] {
            row(&file, depth)?;
        }
        Ok(())
    }

    fn row(file: &File, depth: u32) -> Result<(), Trouble> {
        let memory = Alignment::of(file)?.memory;
        let mut context = context(depth)?;
        // ANCHOR: row
        // Each third block, so that no two reads are merged into one request.
        let reads = (0..depth).map(|n| {
            let place = u64::from(n) * 3 * BLOCK as u64;
            let mut buffer = Buffer::new(BLOCK, memory);
            buffer.fill(1);
            Operation::read((), file, place, buffer)
        });
        let reads = reads.collect();
        let (start, before) = (Instant::now(), waits());
        context.submit(reads)?;
        let (submit, waited) = (start.elapsed(), waits() - before);
        let over = context.wait(0, Some(Duration::ZERO))?.len();
        // ANCHOR_END: row
        let ms = submit.as_secs_f64() * 1e3;
        println!("{depth:>6} {ms:>9.1} ms {waited:>12} {over:>16}");
        Ok(())
    }

    /// How many requests the queue of the file's device has (/sys, where it shows them).
    fn slots(file: &File) -> Option<u64> {
        let device = file.metadata().ok()?.dev();
        let path = format!("/sys/dev/block/{}:{}", major(device), minor(device));
        ["queue/nr_requests", "../queue/nr_requests"].iter().find_map(|name| {
            fs::read_to_string(format!("{path}/{name}")).ok()?.trim().parse().ok()
        })
    }

    /// How often this thread has had to wait for something.
    fn waits() -> i64 {
        let usage = getrusage(UsageWho::RUSAGE_THREAD);
        usage.map_or(0, |usage| usage.voluntary_context_switches())
    }
}
