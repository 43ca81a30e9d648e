//! Follows a program, its threads and its children, by ptrace(2).

#![expect(
    unsafe_code,
    reason = "a child asks to be traced between fork and exec, and what the kernel says of a stop is a union"
)]

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Instant;

use libc::c_int;
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use syscalls::Sysno;

use crate::about::about;
use crate::details;
use crate::lines::{Lines, Sources};
use crate::rings::{self, Rings};
use crate::stack::{Stack, Stacks};
use crate::{Counters, Lane, Recorder, Stop, counters};

/// A program that is traced, by the thread that has started it and by no other.
#[derive(Debug)]
pub struct Tracer {
    child: Child,
    /// What times are counted from.
    zero: Instant,
    recorder: Recorder,
    /// Whose lines are looked for, and what is kept for that.
    lines: Option<(Sources, Stacks)>,
    rings: Rings,
    /// The calls that threads are in, with their arguments, if somebody asks what they say.
    told: Option<HashMap<Pid, (String, [u64; 6])>>,
    /// How many calls it has made, and how many it may make.
    calls: usize,
    most: usize,
    /// The threads that we know of.
    known: HashSet<Pid>,
    /// New threads of which we have heard, and whose first stop has not come.
    due: HashSet<Pid>,
    /// New threads that stand still already, and of which we have not heard.
    early: HashSet<Pid>,
}

/// Whether a call's line can be found: whether we know how this machine keeps its registers, and
/// makes its calls in code that is in a file.
pub const FINDS_LINES: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// What was seen of a program, from its beginning to its end.
#[derive(Debug)]
pub struct Seen {
    /// All threads, with all their calls.
    pub lanes: Vec<Lane>,
    /// How many connections were accepted.
    pub accepted: usize,
    /// Why nothing is known of the operations in its rings, if it has rings.
    pub no_operations: Option<String>,
    /// How its first process has ended, as wait(2) says it; 0: well.
    pub status: i32,
    /// It was ended, since it has made too many calls ([`Tracer::at_most`]).
    pub too_many: bool,
}

/// What was seen beside a call.
struct More {
    stack: Option<Stack>,
    ring: Option<rings::Seen>,
}

/// What wait(2) says of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Halt {
    /// It is gone, with this status.
    Gone(c_int),
    /// It stands still at the entry of a call, or at its end.
    Call,
    /// It stands still within a call, which has made another thread or program.
    Event(c_int),
    /// It stands still before a signal is delivered.
    Signal(c_int),
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
        // A traced program stops at exec(2).
        wait(first.as_raw())?;
        // SYSGOOD: a stop at a call can be told from one for SIGTRAP. EXITKILL: they end with
        // us. The others: whoever is made by a traced thread is traced as well.
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACEEXIT
            | Options::PTRACE_O_EXITKILL;
        ptrace::setoptions(first, options)?;
        // ANCHOR_END: start
        let (known, due, early) = (HashSet::new(), HashSet::new(), HashSet::new());
        let (zero, recorder) = (Instant::now(), Recorder::default());
        let mut tracer = Self {
            child,
            zero,
            recorder,
            lines: None,
            rings: Rings::default(),
            told: None,
            calls: 0,
            most: usize::MAX,
            known,
            due,
            early,
        };
        tracer.begins(first, None);
        go_on(first, 0)?;
        Ok(tracer)
    }

    /// The program, whose output is to be read by somebody else.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// What times are counted from.
    pub fn zero(&self) -> Instant {
        self.zero
    }

    /// Finds out for each call which line of a listing has made it: of those in the workspace at
    /// `root`. It makes each stop at an entry longer, by some microseconds.
    pub fn name_lines(&mut self, root: &Path) {
        self.name_lines_in(Sources::listings(root));
    }

    /// The same for other sources.
    pub fn name_lines_in(&mut self, sources: Sources) {
        self.lines = Some((sources, Stacks::default()));
    }

    /// Notes what calls are told and answer that wait for others ([`Call::details`](crate::Call)).
    pub fn note_details(&mut self) {
        self.told = Some(HashMap::new());
    }

    /// Ends the program, with all its threads and children, when it has made more than so many
    /// calls.
    pub fn at_most(&mut self, calls: usize) {
        self.most = calls;
    }

    /// Lets the program run, and looks on, until it has ended with all its threads and
    /// children.
    ///
    /// # Errors
    /// What ptrace(2) and wait(2) answer, where it is our mistake.
    pub fn run(mut self) -> io::Result<Seen> {
        let first = Pid::from_raw(self.child.id() as i32);
        let mut status = 0;
        while !self.known.is_empty() || !self.early.is_empty() {
            let (thread, halt) = match wait(-1) {
                Ok(halted) => halted,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if let (Halt::Gone(how), true) = (halt, thread == first) {
                status = how;
            }
            match self.look(thread, halt) {
                // It was killed while it stood still.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error.into()),
            }
            if self.calls > self.most {
                self.end();
            }
        }
        let stacks = self.recorder.take_stacks();
        let now = self.now();
        let (mut lanes, by_calls) = self.recorder.end();
        let (operations, by_rings, why) = self.rings.end(now);
        for (lane, operation) in operations {
            lanes[lane].operations.push(operation);
        }
        if let Some((sources, _)) = self.lines {
            let mut lines = Lines::new(sources);
            for (lane, call, stack) in stacks {
                let call = &mut lanes[lane].calls[call];
                (call.at, call.within) = lines.find(&stack).unzip();
            }
        }
        let accepted = by_calls + by_rings;
        let too_many = self.calls > self.most;
        Ok(Seen {
            lanes,
            accepted,
            no_operations: why.map(str::to_owned),
            status,
            too_many,
        })
    }

    /// Kills all of it. That they are gone is heard like anything else.
    fn end(&self) {
        for thread in &self.known {
            // It may be gone already.
            let _ = kill(*thread, Signal::SIGKILL);
        }
    }

    /// One thread stands still, or is gone: looks, and lets it go on.
    // ANCHOR: look
    fn look(&mut self, thread: Pid, halt: Halt) -> nix::Result<()> {
        match halt {
            Halt::Call => self.call(thread)?,
            Halt::Event(event) => self.event(thread, event)?,
            // A new thread begins with SIGSTOP, so that it does nothing before it is traced.
            // Until we hear who has made it, it stands.
            Halt::Signal(_) if !self.known.contains(&thread) => {
                self.early.insert(thread);
                return Ok(());
            }
            Halt::Signal(libc::SIGSTOP) if self.due.remove(&thread) => {}
            Halt::Signal(signal) => return go_on(thread, signal),
            Halt::Gone(_) => {
                let now = self.now();
                self.recorder.gone(thread.as_raw(), now, None);
                self.forget_lines(thread);
                for list in [&mut self.known, &mut self.due, &mut self.early] {
                    list.remove(&thread);
                }
                return Ok(());
            }
        }
        go_on(thread, 0)
    }
    // ANCHOR_END: look

    /// A thread has made another one, has become another program, or ends.
    fn event(&mut self, thread: Pid, event: c_int) -> nix::Result<()> {
        let (now, other) = (self.now(), Pid::from_raw(ptrace::getevent(thread)? as i32));
        self.recorder.has_stopped_once_more(thread.as_raw());
        if event == libc::PTRACE_EVENT_EXEC {
            self.forget_lines(thread);
        }
        match event {
            libc::PTRACE_EVENT_CLONE
            | libc::PTRACE_EVENT_FORK
            | libc::PTRACE_EVENT_VFORK => {
                // While its maker stands: what is open now, is open in both.
                let is_there = self.begins(other, Some(thread));
                if self.early.remove(&other) {
                    // If it was killed meanwhile, its maker is to go on all the same.
                    let _ = go_on(other, 0);
                } else if is_there {
                    self.due.insert(other);
                }
            }
            // All other threads are gone. This one goes by the first one's number now.
            libc::PTRACE_EVENT_EXEC if other != thread => {
                self.recorder.goes_by(other.as_raw(), thread.as_raw(), now);
                self.known.remove(&other);
            }
            libc::PTRACE_EVENT_EXIT => {
                let counters = count(thread)?;
                self.recorder.gone(thread.as_raw(), now, Some(counters));
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether it is there. One that is gone already, and was waited for, will not be heard of
    /// any more.
    fn begins(&mut self, thread: Pid, maker: Option<Pid>) -> bool {
        let Ok((process, name)) = counters::identity(thread.as_raw()) else { return false };
        self.recorder.begins(thread.as_raw(), process, maker.map(Pid::as_raw), &name);
        self.known.insert(thread)
    }

    /// A thread enters a call, or leaves it. What we do ourselves is to be outside: at the end
    /// we look at the clock first, and at the entry last.
    // ANCHOR: call
    fn call(&mut self, thread: Pid) -> nix::Result<()> {
        let woken = self.now();
        // It has stopped, and may still have its processor. This waits until it has not.
        let info = ptrace::syscall_info(thread)?;
        let counters = count(thread)?;
        match info.op {
            libc::PTRACE_SYSCALL_INFO_ENTRY => {
                // SAFETY: the kernel says that it has filled in this part of the union.
                let entry = unsafe { info.u.entry };
                self.calls += 1;
                let name = match Sysno::new(entry.nr as usize) {
                    Some(call) => call.name().to_owned(),
                    None => format!("call {}", entry.nr),
                };
                let told = self.told.as_mut().and_then(|told| {
                    told.insert(thread, (name.clone(), entry.args));
                    details::told(thread, &name, &entry.args)
                });
                let more = self.look_further(thread, &name, &entry.args);
                let about = about(&name, &entry.args);
                let enters = Stop::Enters { name, about };
                let now = self.now();
                self.recorder.stopped(thread.as_raw(), enters, now, counters);
                told.iter().for_each(|told| self.recorder.says(thread.as_raw(), told));
                self.keep(thread, more, now);
            }
            libc::PTRACE_SYSCALL_INFO_EXIT => {
                // SAFETY: as above.
                let exit = unsafe { info.u.exit };
                let leaves = Stop::Leaves(exit.sval);
                let told = self.told.as_mut().and_then(|told| told.remove(&thread));
                let says = told.and_then(|(name, args)| {
                    details::answered(thread, &name, &args, exit.sval)
                });
                says.iter().for_each(|says| self.recorder.says(thread.as_raw(), says));
                self.recorder.stopped(thread.as_raw(), leaves, woken, counters);
                self.look_back(thread, exit.sval, woken);
            }
            _ => {}
        }
        Ok(())
    }
    // ANCHOR_END: call

    /// What a call does not say itself: who has made it, and what lies in a ring before it.
    fn look_further(&mut self, thread: Pid, name: &str, args: &[u64; 6]) -> More {
        let stack = self.lines.as_mut().and_then(|(_, stacks)| stacks.take(thread));
        let (_, process) = self.recorder.place(thread.as_raw());
        More { stack, ring: self.rings.enters((thread, process), name, args) }
    }

    fn keep(&mut self, thread: Pid, more: More, at: f64) {
        let (lane, _) = self.recorder.place(thread.as_raw());
        self.recorder.came_from(thread.as_raw(), more.stack);
        self.rings.note(more.ring, lane, at);
    }

    /// And what lies in a ring after it.
    fn look_back(&mut self, thread: Pid, result: i64, at: f64) {
        let (lane, process) = self.recorder.place(thread.as_raw());
        let ring = self.rings.leaves((thread, process), result);
        self.rings.note(ring, lane, at);
    }

    /// What is mapped in this thread is so no longer.
    fn forget_lines(&mut self, thread: Pid) {
        if let Some((_, stacks)) = &mut self.lines {
            stacks.forget(thread);
        }
    }

    fn now(&self) -> f64 {
        self.zero.elapsed().as_secs_f64() * 1e6
    }
}

/// The counters of a thread that stands still, unless it was killed meanwhile.
fn count(thread: Pid) -> nix::Result<Counters> {
    counters::of(thread.as_raw()).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Errno::ESRCH,
        _ => error.raw_os_error().map_or(Errno::EIO, Errno::from_raw),
    })
}

/// Waits until a thread stands still or is gone: this one, or any that we trace (-1); not the
/// children of other threads of ours. (nix knows no real-time signals, with which a thread may
/// stop as well.)
fn wait(id: c_int) -> io::Result<(Pid, Halt)> {
    let (mut status, flags) = (0, libc::__WALL | libc::__WNOTHREAD);
    // SAFETY: the kernel writes an integer there, which is ours, until it returns.
    let thread = unsafe { libc::waitpid(id, &mut status, flags) };
    let halt = match libc::WIFSTOPPED(status).then(|| libc::WSTOPSIG(status)) {
        None => Halt::Gone(status),
        Some(signal) if signal == libc::SIGTRAP | 0x80 => Halt::Call,
        Some(libc::SIGTRAP) if status >> 16 != 0 => Halt::Event(status >> 16),
        Some(signal) => Halt::Signal(signal),
    };
    Ok((Pid::from_raw(Errno::result(thread)?), halt))
}

/// Lets a thread go on to its next call, with a signal, or with none (0).
fn go_on(thread: Pid, signal: c_int) -> nix::Result<()> {
    let (nowhere, signal) = (std::ptr::null_mut::<libc::c_void>(), signal as usize);
    let signal = std::ptr::without_provenance_mut::<libc::c_void>(signal);
    // SAFETY: this request takes two numbers, and no memory.
    let done =
        unsafe { libc::ptrace(libc::PTRACE_SYSCALL, thread.as_raw(), nowhere, signal) };
    Errno::result(done).map(drop)
}

/// A program that may not be traced, in one line: what, why, and what to do.
pub fn refused(error: &io::Error) -> String {
    let why = match error.raw_os_error() {
        Some(libc::EPERM) => {
            ": a seccomp filter (containers have one) or kernel.yama.ptrace_scope forbids it; \
             run outside the container, or look at the recorded timelines"
        }
        _ => "",
    };
    format!("cannot trace a program: {error}{why}")
}
