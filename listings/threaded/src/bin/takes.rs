//! What two hundred threads that wait take: of the address space, and of the memory.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match takes::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!(
                "cannot start the threads: {error}; ulimit -u, pids.max and ulimit -v limit them"
            ),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("takes")
}

#[cfg(target_os = "linux")]
mod takes {
    use std::sync::{Arc, Barrier};
    use std::{fs, io, thread};

    use threaded::STACK;

    const THREADS: u64 = 200;

    // ANCHOR: takes
    pub fn run() -> io::Result<()> {
        println!("one of {THREADS} waiting threads takes");
        println!("stack size   reserved   resident");
        // The first threads of a process also make the C library set up memory to allocate
        // from, for several threads to share. That is not what is counted here.
        try_with(64 * 1024)?;
        for stack in [2 * 1024 * 1024, STACK] {
            let (reserved, resident) = try_with(stack)?;
            println!("{:>6} KiB {reserved:>6} KiB {resident:>6} KiB", stack / 1024);
        }
        Ok(())
    }

    /// Starts them with stacks of this size; returns what one takes, in KiB.
    fn try_with(stack: usize) -> io::Result<(u64, u64)> {
        let before = (status("VmSize:")?, status("VmRSS:")?);
        let (started, over) = (barrier(), barrier());
        let mut threads = Vec::new();
        for _ in 0..THREADS {
            let (started, over) = (Arc::clone(&started), Arc::clone(&over));
            let wait = move || (started.wait(), over.wait());
            threads.push(thread::Builder::new().stack_size(stack).spawn(wait)?);
        }
        started.wait();
        let reserved = (status("VmSize:")? - before.0) / THREADS;
        let resident = (status("VmRSS:")?.saturating_sub(before.1)) / THREADS;
        over.wait();
        for thread in threads {
            thread.join().map_err(|_| io::Error::other("a thread panicked"))?;
        }
        Ok((reserved, resident))
    }
    // ANCHOR_END: takes

    /// For the threads, and for us.
    fn barrier() -> Arc<Barrier> {
        Arc::new(Barrier::new(THREADS as usize + 1))
    }

    /// A line of `/proc/self/status`, in KiB (proc_pid_status(5)).
    fn status(field: &str) -> io::Result<u64> {
        let status = fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        kib.ok_or_else(|| io::Error::other(format!("/proc/self/status has no {field}")))
    }
}
