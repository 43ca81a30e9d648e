//! What fork copies, and when: page faults, counted by the kernel.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match copies::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot count: {error}; ulimit -u and ulimit -v show the limits"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("copies")
}

#[cfg(target_os = "linux")]
mod copies {
    use std::hint::black_box;
    use std::io;
    use std::process::exit;
    use std::time::Instant;

    use forking::{ForkResult, fork, wait_for};
    use nix::sys::resource::{UsageWho, getrusage};
    use rustix::thread::disable_transparent_huge_pages;

    /// What the parent has.
    const MIB: usize = 64;
    /// How much of it the child touches.
    const PAGES: usize = 1000;

    pub fn run() -> io::Result<()> {
        // A page of 2 MiB has one entry in the table, and is split at the first write to it.
        disable_transparent_huge_pages(true)?;
        let page = rustix::param::page_size();
        let mut memory = vec![1u8; MIB << 20];
        println!("the parent has {MIB} MiB: {} pages of {page} bytes", memory.len() / page);
        let start = Instant::now();
        // ANCHOR: copies
        match fork()? {
            ForkResult::Child => {
                println!("fork took {:.2} ms", start.elapsed().as_secs_f64() * 1000.0);
                report("reads", || {
                    memory.iter().step_by(page).take(PAGES).map(|x| *x as u64).sum()
                });
                report("writes", || write(&mut memory, page, 2));
                report("writes again", || write(&mut memory, page, 3));
                exit(0);
            }
            ForkResult::Parent { child } => wait_for(child)?,
        };
        let sum: u64 = memory.iter().step_by(page).take(PAGES).map(|x| u64::from(*x)).sum();
        println!("the parent's {PAGES} pages still hold {}", sum / PAGES as u64);
        // ANCHOR_END: copies
        Ok(())
    }

    /// Writes to the first pages; returns how many it wrote to.
    fn write(memory: &mut [u8], page: usize, value: u8) -> u64 {
        memory.iter_mut().step_by(page).take(PAGES).map(|x| *x = value).count() as u64
    }

    // ANCHOR: report
    /// Does something to the pages, and says how many faults that made.
    fn report(what: &str, touch: impl FnOnce() -> u64) {
        let before = faults();
        black_box(touch());
        println!(
            "the child {what:<12} {PAGES} pages: {:>4} page faults",
            faults() - before
        );
    }

    /// Faults of this process that needed no disk (getrusage(2)).
    fn faults() -> i64 {
        getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.minor_page_faults())
    }
    // ANCHOR_END: report
}
