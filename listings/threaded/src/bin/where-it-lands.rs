//! A signal is sent to a process of four threads, again and again. In which of them does the
//! handler run?

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match lands::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot signal the threads: {error}; run it again"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("where-it-lands")
}

#[cfg(target_os = "linux")]
mod lands {
    use std::cell::Cell;
    use std::ffi::c_int;
    use std::io;
    use std::os::unix::thread::JoinHandleExt;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Barrier};
    use std::thread;
    use std::time::{Duration, Instant};

    use nix::sys::pthread::pthread_kill;
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
    use rustix::process::{Signal as ToProcess, getpid, kill_process};

    /// Threads, the main one included.
    const THREADS: usize = 4;
    const TIMES: u32 = 100;

    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(0) };
    }
    /// How often the handler has run in each.
    static HANDLED: [AtomicU32; THREADS] = [const { AtomicU32::new(0) }; THREADS];

    // ANCHOR: handler
    /// Counts in which thread it runs.
    extern "C" fn note(_: c_int) {
        HANDLED[NUMBER.get()].fetch_add(1, Ordering::Relaxed);
    }
    // ANCHOR_END: handler

    pub fn run() -> io::Result<()> {
        handle()?;
        let over = Arc::new(AtomicU32::new(0));
        let all_are_there = Arc::new(Barrier::new(THREADS));
        let mut threads = Vec::new();
        for number in 1..THREADS {
            let (over, all_are_there) = (Arc::clone(&over), Arc::clone(&all_are_there));
            threads.push(thread::spawn(move || {
                NUMBER.set(number);
                all_are_there.wait();
                while over.load(Ordering::Relaxed) == 0 {
                    thread::park();
                }
            }));
        }
        all_are_there.wait();
        println!("thread          main    1    2    3");
        // ANCHOR: lands
        let to_the_process = || Ok(kill_process(getpid(), ToProcess::USR1)?);
        print("to the process", to_the_process)?;
        SigSet::from(Signal::SIGUSR1).thread_block()?;
        print("main blocks it", to_the_process)?;
        let third = threads[2].as_pthread_t();
        print("to thread 3", || Ok(pthread_kill(third, Signal::SIGUSR1)?))?;
        // ANCHOR_END: lands
        over.store(1, Ordering::Relaxed);
        for thread in threads {
            thread.thread().unpark();
            thread.join().map_err(|_| io::Error::other("a thread panicked"))?;
        }
        Ok(())
    }

    /// Sends a signal in this way, a hundred times, and prints where they were handled. The
    /// next is sent when the last one was: signals of one kind that wait are one.
    fn print(name: &str, send: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let before = HANDLED.each_ref().map(|count| count.load(Ordering::Relaxed));
        let sum = || HANDLED.iter().map(|count| count.load(Ordering::Relaxed)).sum::<u32>();
        for _ in 0..TIMES {
            let (handled, begun) = (sum(), Instant::now());
            send()?;
            while sum() == handled {
                if begun.elapsed() > Duration::from_secs(10) {
                    return Err(io::Error::other("nobody handles it"));
                }
                thread::yield_now();
            }
        }
        let counts: Vec<String> = (0..THREADS)
            .map(|number| HANDLED[number].load(Ordering::Relaxed) - before[number])
            .map(|count| format!("{count:>4}"))
            .collect();
        println!("{name:<15} {}", counts.join(" "));
        Ok(())
    }

    /// Installs the handler.
    #[expect(
        unsafe_code,
        reason = "only a handler's author can know that it may interrupt"
    )]
    fn handle() -> io::Result<()> {
        let action =
            SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: `note` owns no memory and takes no lock. Its static lives until the process
        // ends; its thread-local needs no initialization and no destructor.
        unsafe { sigaction(Signal::SIGUSR1, &action) }?;
        Ok(())
    }
}
