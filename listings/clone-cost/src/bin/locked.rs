//! fork in a program of two threads. The other one holds a lock, and in the child nobody will
//! ever give it back.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match locked::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            flags::fail(flags::FAILED, format_args!("locked: {error}; run it again"))
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("locked")
}

#[cfg(target_os = "linux")]
mod locked {
    use std::fs;
    use std::io::{self, Write};
    use std::sync::{Barrier, Mutex};
    use std::thread;
    use std::time::Duration;

    use forking::leave;
    use nix::unistd::{ForkResult, Pid, fork};
    use rustix::process::{Signal, WaitOptions, kill_process, waitpid};

    static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

    #[expect(unsafe_code, reason = "this is how it goes wrong")]
    pub fn run() -> io::Result<()> {
        let (locked, done) = (Barrier::new(2), Barrier::new(2));
        thread::scope(|scope| {
            // ANCHOR: locked
            scope.spawn(|| {
                let _log = LOG.lock();
                locked.wait();
                done.wait();
            });
            locked.wait();
            say(format_args!("parent: {} threads, one holds the lock", threads()?))?;
            // SAFETY: it is not. The child waits for a thread that it does not have.
            let outcome = match unsafe { fork() }? {
                ForkResult::Child => {
                    let said = child();
                    leave(i32::from(said.is_err()))
                }
                ForkResult::Parent { child } => give_it_a_second(child),
            };
            // ANCHOR_END: locked
            done.wait();
            outcome
        })?;
        let free = LOG.lock().is_ok();
        say(format_args!("parent: the lock is {}", if free { "free" } else { "poisoned" }))
    }

    // ANCHOR: child
    fn child() -> io::Result<()> {
        say(format_args!("child:  {} thread, and it wants the lock", threads()?))?;
        let _log = LOG.lock();
        say(format_args!("child:  has it"))
    }
    // ANCHOR_END: child

    /// Ends the child if a second was not enough.
    fn give_it_a_second(child: Pid) -> io::Result<()> {
        let child = rustix::process::Pid::from_raw(child.as_raw()).expect("a child's id");
        for _ in 0..10 {
            thread::sleep(Duration::from_millis(100));
            if waitpid(Some(child), WaitOptions::NOHANG)?.is_some() {
                return Ok(());
            }
        }
        say(format_args!("parent: it still waits after 1 s, and is killed"))?;
        kill_process(child, Signal::KILL)?;
        waitpid(Some(child), WaitOptions::empty())?;
        Ok(())
    }

    fn threads() -> io::Result<usize> {
        Ok(fs::read_dir("/proc/self/task")?.count())
    }

    /// A line, written at once: a child would inherit what is in the buffer.
    fn say(line: std::fmt::Arguments) -> io::Result<()> {
        let mut out = io::stdout();
        writeln!(out, "{line}")?;
        out.flush()
    }
}
