//! Follows a program, its threads and its children, by ptrace(2).

#![expect(
    unsafe_code,
    reason = "a child asks to be traced between fork and exec, and what the kernel says of a stop is a union"
)]

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use syscalls::Sysno;

use crate::{About, Lane, Recorder, Stop, counters};

/// A program that is traced, by the thread that has started it and by no other.
#[derive(Debug)]
pub struct Tracer {
    child: Child,
    /// What times are counted from.
    zero: Instant,
    recorder: Recorder,
    /// Threads that have stopped once.
    seen: HashSet<Pid>,
    /// Who has made a thread that has not stopped yet.
    parents: HashMap<Pid, Pid>,
}

impl Tracer {
    /// Starts a program, which stands still before its first instruction.
    ///
    /// # Errors
    /// What fork(2), execve(2) or ptrace(2) answer. `EPERM`: it is forbidden, by a filter or
    /// by `kernel.yama.ptrace_scope`.
    // ANCHOR: start
    pub fn start(command: &mut Command) -> io::Result<Self> {
        // SAFETY: the closure runs between fork and exec, where only calls are allowed that
        // take no lock and no memory. It makes one system call.
        unsafe { command.pre_exec(|| ptrace::traceme().map_err(io::Error::from)) };
        let child = command.spawn()?;
        let first = Pid::from_raw(child.id() as i32);
        // A traced program stops at exec(2), with SIGTRAP.
        waitpid(first, Some(WaitPidFlag::__WALL))?;
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_EXITKILL;
        ptrace::setoptions(first, options)?;
        let mut tracer = Self {
            child,
            zero: Instant::now(),
            recorder: Recorder::default(),
            seen: HashSet::new(),
            parents: HashMap::new(),
        };
        tracer.begins(first)?;
        ptrace::syscall(first, None)?;
        Ok(tracer)
    }
    // ANCHOR_END: start

    /// The program, whose output is to be read by somebody else.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// What times are counted from.
    pub fn zero(&self) -> Instant {
        self.zero
    }

    /// Lets the program run, and looks on, until it has ended with all its threads and
    /// children. Returns what was seen, and how many connections were accepted.
    ///
    /// # Errors
    /// What ptrace(2) and wait(2) answer, where it is our mistake.
    // ANCHOR: run
    pub fn run(mut self) -> io::Result<(Vec<Lane>, usize)> {
        loop {
            // Children of ours that nobody traces are left to those who have started them.
            let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
                Ok(status) => status,
                Err(Errno::ECHILD) => break,
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            match self.look(status) {
                // It was killed while it stood still.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error.into()),
            }
            if self.seen.is_empty() {
                break;
            }
        }
        let end = self.now();
        Ok(self.recorder.end(end, |thread| counters::of(thread).ok()))
    }
    // ANCHOR_END: run

    /// One thread stands still, or is gone: looks, and lets it go on.
    // ANCHOR: look
    fn look(&mut self, status: WaitStatus) -> nix::Result<()> {
        match status {
            WaitStatus::PtraceSyscall(thread) => {
                self.call(thread)?;
                ptrace::syscall(thread, None)
            }
            // It is another program now. (Unasked, the kernel would say so by SIGTRAP.)
            WaitStatus::PtraceEvent(thread, _, libc::PTRACE_EVENT_EXEC) => {
                ptrace::syscall(thread, None)
            }
            // It has made another one, which may have stopped before we hear of it.
            WaitStatus::PtraceEvent(thread, _, _) => {
                let made = Pid::from_raw(ptrace::getevent(thread)? as i32);
                if !self.seen.contains(&made) {
                    self.parents.insert(made, thread);
                }
                ptrace::syscall(thread, None)
            }
            WaitStatus::Stopped(thread, signal) => {
                let is_new = !self.seen.contains(&thread);
                if is_new {
                    self.begins(thread).map_err(|_| Errno::ESRCH)?;
                }
                // A new one begins with a stop that nobody has asked for.
                let signal = Some(signal).filter(|s| !(is_new && *s == Signal::SIGSTOP));
                ptrace::syscall(thread, signal)
            }
            WaitStatus::Exited(thread, _) | WaitStatus::Signaled(thread, ..) => {
                self.seen.remove(&thread);
                self.recorder.gone(thread.as_raw(), self.now());
                Ok(())
            }
            _ => Ok(()),
        }
    }
    // ANCHOR_END: look

    fn begins(&mut self, thread: Pid) -> io::Result<()> {
        let (process, name) = counters::identity(thread.as_raw())?;
        self.seen.insert(thread);
        let parent = self.parents.remove(&thread).map(Pid::as_raw);
        self.recorder.begins(thread.as_raw(), process, parent, &name);
        Ok(())
    }

    /// A thread enters a call, or leaves it.
    // ANCHOR: call
    fn call(&mut self, thread: Pid) -> nix::Result<()> {
        let info = ptrace::syscall_info(thread)?;
        let counters = counters::of(thread.as_raw()).map_err(|_| Errno::ESRCH)?;
        let stop = match info.op {
            libc::PTRACE_SYSCALL_INFO_ENTRY => {
                // SAFETY: the kernel says that it has filled in this part of the union.
                let entry = unsafe { info.u.entry };
                let (number, args) = (entry.nr as usize, entry.args);
                let name = match Sysno::new(number) {
                    Some(call) => call.name().to_owned(),
                    None => format!("call {number}"),
                };
                let about = about(&name, &args);
                Stop::Enters { name, about }
            }
            libc::PTRACE_SYSCALL_INFO_EXIT => {
                // SAFETY: as above.
                let exit = unsafe { info.u.exit };
                Stop::Leaves(exit.sval)
            }
            _ => return Ok(()),
        };
        let at = self.now();
        self.recorder.stopped(thread.as_raw(), stop, at, counters);
        Ok(())
    }
    // ANCHOR_END: call

    fn now(&self) -> f64 {
        self.zero.elapsed().as_secs_f64() * 1e6
    }
}

/// A program that may not be traced, in one line: what, why, and what to do.
pub fn refused(error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            ": a seccomp filter (containers have one) or kernel.yama.ptrace_scope forbids it; \
             run outside the container, or look at the recorded timelines"
        }
        _ => "",
    };
    format!("cannot trace a program: {error}{why}")
}

/// What a call is about, by its name and its arguments.
fn about(name: &str, args: &[u64; 6]) -> About {
    match name {
        "read" | "write" | "readv" | "writev" | "recvfrom" | "recvmsg" | "sendto"
        | "sendmsg" | "sendfile" | "sendfile64" | "close" | "shutdown" | "setsockopt"
        | "getsockopt" | "fcntl" | "fcntl64" | "getpeername" => About::One(args[0] as i32),
        "epoll_ctl" => About::One(args[2] as i32),
        "accept" | "accept4" | "epoll_wait" | "epoll_pwait" | "epoll_pwait2" | "select"
        | "_newselect" | "pselect6" | "io_uring_enter" | "io_getevents" => About::Anybody,
        // The number of descriptors. For one of them it is a read with a deadline.
        "poll" | "ppoll" if args[1] > 1 => About::Anybody,
        _ => About::Nothing,
    }
}
