//! A run's guard: a process between the book's server and the program that it runs.
//!
//! The guard's standard input is a pipe whose other end only the server holds. When that
//! end closes, because somebody pressed Stop, the page went away, or the server died in
//! whatever way, SIGKILL included, the guard ends the program's whole process group. No
//! message has to arrive for that.

use std::ffi::OsString;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// Between SIGTERM and SIGKILL.
pub const GRACE: Duration = Duration::from_secs(3);
/// Exit code when the program cannot be started at all, as in a shell.
pub const NOT_STARTED: u8 = 127;

/// Runs `command` until it ends or standard input does, and ends in the way that the
/// program ended.
pub fn guard(command: &[OsString]) -> ExitCode {
    let Some((program, arguments)) = command.split_first() else {
        return flags::fail(flags::REFUSED, "guard needs a program to run");
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(std::process::Stdio::null());
    platform::run(command).unwrap_or_else(|error| {
        let program = program.to_string_lossy();
        flags::fail(
            NOT_STARTED,
            format_args!("cannot start {program}: {error}; install it and try again"),
        )
    })
}

#[cfg(unix)]
mod platform {
    use std::io;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, ExitCode};
    use std::sync::{Arc, Mutex, PoisonError};
    use std::thread;

    use rustix::io::Errno;
    use rustix::process::{
        Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, kill_process_group,
        waitid,
    };

    pub(super) fn run(mut command: Command) -> io::Result<ExitCode> {
        // A group of its own: the terminal's Ctrl-C reaches the server, and the server
        // decides.
        let mut child = command.process_group(0).spawn()?;
        let pid = Pid::from_child(&child);
        let group = Arc::new(Mutex::new(Some(pid)));
        let signal = |group: &Mutex<Option<Pid>>, signal| {
            if let Some(group) = *group.lock().unwrap_or_else(PoisonError::into_inner) {
                // It may have ended meanwhile.
                let _ = kill_process_group(group, signal);
            }
        };
        // ANCHOR: guard
        thread::spawn({
            let group = Arc::clone(&group);
            move || {
                let _ = io::copy(&mut io::stdin(), &mut io::sink());
                signal(&group, Signal::TERM);
                thread::sleep(super::GRACE);
                signal(&group, Signal::KILL);
            }
        });

        // NOWAIT leaves the zombie in place, and with it the group's number: nobody else
        // can be hit.
        let status = loop {
            match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Ok(Some(status)) => break status,
                Ok(None) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        signal(&group, Signal::KILL);
        *group.lock().unwrap_or_else(PoisonError::into_inner) = None;
        child.wait()?;
        // ANCHOR_END: guard
        if let Some(signal) = status.terminating_signal() {
            if let Some(signal) = Signal::from_named_raw(signal) {
                let _ = kill_process(getpid(), signal);
            }
            return Ok(ExitCode::from(128 + signal as u8));
        }
        Ok(ExitCode::from(status.exit_status().unwrap_or_default() as u8))
    }
}

#[cfg(not(unix))]
mod platform {
    use std::io;
    use std::process::{Command, ExitCode};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    pub(super) fn run(mut command: Command) -> io::Result<ExitCode> {
        let mut child = command.spawn()?;
        let (closed, wait) = mpsc::channel();
        thread::spawn(move || {
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            let _ = closed.send(());
        });
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(ExitCode::from(status.code().unwrap_or(1) as u8));
            }
            if wait.recv_timeout(Duration::from_millis(50)).is_ok() {
                child.kill()?;
            }
        }
    }
}
