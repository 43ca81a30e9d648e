//! ptrace(2): a child is traced.

use std::io;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::io::Errno;

use crate::chapters::*;
use crate::confinement::{CAP_SYS_PTRACE, Process, errno, error_name};
use crate::finding::Finding;
use crate::proc;

const NAME: &str = "ptrace";
const FOR_TRACES: &[&str] = &[READ, TRACES, FRAMEWORK];
const INSTEAD: &str = "What strace showed us is in the text.";

pub fn look(me: &Process) -> Finding {
    let scope: Option<u32> = proc::value("/proc/sys/kernel/yama/ptrace_scope");
    let yama = match scope {
        Some(scope) => format!("yama's ptrace_scope is {scope}"),
        None => "yama is not there to forbid it".into(),
    };
    let error = match traced() {
        Ok(()) => {
            return Finding::yes(NAME, FOR_TRACES, format!("a child was stopped; {yama}"));
        }
        Err(error) => errno(&error),
    };
    let (why, remedy) = refused(error, scope, me);
    let found = format!("{}: {why}", error_name(error));
    Finding::no(NAME, FOR_TRACES, found, format!("{remedy} {INSTEAD}"))
}

/// Who refused, and what to do.
fn refused(error: Errno, scope: Option<u32>, me: &Process) -> (String, &'static str) {
    match (error, scope) {
        (Errno::PERM, _) if me.traced => {
            ("this program is itself traced".into(), "Run it without strace or a debugger.")
        }
        (Errno::PERM, Some(scope @ 3..)) => (
            format!("yama's ptrace_scope is {scope}"),
            "Only a restart takes that back; set kernel.yama.ptrace_scope=1 for the next.",
        ),
        (Errno::PERM, Some(2)) if !me.may(CAP_SYS_PTRACE) => (
            "yama's ptrace_scope is 2".into(),
            "An administrator allows it: sysctl kernel.yama.ptrace_scope=1.",
        ),
        (Errno::PERM | Errno::ACCESS | Errno::NOSYS, _) => (
            me.refuser(error).into(),
            "In a container: docker run --cap-add SYS_PTRACE, which also opens the profile.",
        ),
        (Errno::NOENT, _) => {
            ("there is no cat to trace".into(), "Install coreutils or busybox.")
        }
        _ => ("no child could be started or stopped".into(), "Raise ulimit -u and -n."),
    }
}

/// Starts a child that waits for input, stops it the way strace does, and ends it.
fn traced() -> io::Result<()> {
    let child = Ended(
        Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?,
    );
    let pid = Pid::from_raw(child.0.id() as i32);
    ptrace::seize(pid, ptrace::Options::PTRACE_O_EXITKILL)?;
    ptrace::interrupt(pid)?;
    let limit = Instant::now() + Duration::from_secs(1);
    while Instant::now() < limit {
        match waitpid(pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL))? {
            WaitStatus::StillAlive => thread::sleep(Duration::from_millis(1)),
            WaitStatus::PtraceEvent(..) | WaitStatus::Stopped(..) => return Ok(()),
            other => return Err(io::Error::other(format!("{other:?}"))),
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// A child that is killed and waited for, on every path.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // A failure here is a child that is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_forbids_it_is_said() {
        let plain = Process::default();
        let filtered = Process { filtered: true, ..Process::default() };
        let traced = Process { traced: true, ..Process::default() };
        let admin = Process { capabilities: 1 << CAP_SYS_PTRACE, ..filtered.clone() };
        let cases = [
            (Errno::PERM, Some(1), &traced, "itself traced"),
            (Errno::PERM, Some(3), &admin, "ptrace_scope is 3"),
            (Errno::PERM, Some(2), &plain, "ptrace_scope is 2"),
            (Errno::PERM, Some(2), &admin, "a seccomp filter forbids it"),
            (Errno::PERM, None, &filtered, "a seccomp filter forbids it"),
            (Errno::PERM, Some(1), &plain, "a security module forbids it"),
            (Errno::NOSYS, None, &filtered, "a seccomp filter hides it"),
            (Errno::AGAIN, None, &plain, "no child could be started"),
        ];
        for (error, scope, me, expected) in cases {
            let (found, _) = refused(error, scope, me);
            assert!(found.contains(expected), "{found}, not {expected}");
        }
    }
}
