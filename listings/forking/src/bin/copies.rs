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
                report("reads", &mut |pages| read(&memory, page, pages));
                report("writes", &mut |pages| write(&mut memory, page, pages, 2));
                report("writes again", &mut |pages| write(&mut memory, page, pages, 3));
                exit(0);
            }
            ForkResult::Parent { child } => wait_for(child)?,
        };
        let sum = read(&memory, page, PAGES);
        println!("the parent's {PAGES} pages still hold {}", sum / PAGES as u64);
        // ANCHOR_END: copies
        Ok(())
    }

    /// Reads the first pages; returns the sum of what stands at their beginnings.
    fn read(memory: &[u8], page: usize, pages: usize) -> u64 {
        memory.iter().step_by(page).take(pages).map(|byte| u64::from(*byte)).sum()
    }

    /// Writes to the first pages; returns how many it wrote to.
    fn write(memory: &mut [u8], page: usize, pages: usize, value: u8) -> u64 {
        memory.iter_mut().step_by(page).take(pages).map(|x| *x = value).count() as u64
    }

    // ANCHOR: report
    /// Does something to the pages, and says how many faults that made. First to none of them:
    /// what a child runs for the first time faults, too.
    fn report(what: &str, touch: &mut dyn FnMut(usize) -> u64) {
        let mut made = 0;
        for pages in [0, PAGES] {
            let before = faults();
            black_box(touch(pages));
            made = faults() - before;
        }
        println!("the child {what:<12} {PAGES} pages: {made:>4} page faults");
    }

    /// Faults of this process that needed no disk (getrusage(2)).
    fn faults() -> i64 {
        getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.minor_page_faults())
    }
    // ANCHOR_END: report
}
