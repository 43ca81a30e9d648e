//! What `/proc` says about a server and everything that it started. Source: proc(5).

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

use crate::patience::patience;

/// The lines of `/proc/PID/stat` that the suite reads.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its process id.
    pub pid: u32,
    /// The process that started it, or that took it over.
    pub parent: u32,
    /// `R` running, `S` sleeping, `Z` zombie, and the rest of proc(5).
    pub state: char,
    /// User and system time so far.
    pub cpu: Duration,
}

impl Process {
    /// Reads one process; none when it has ended and was waited for.
    #[must_use]
    pub fn read(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses and may hold anything, so count from the last one.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks =
            fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        let a_second = rustix::param::clock_ticks_per_second();
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            state: fields.first()?.chars().next()?,
            cpu: Duration::from_millis(ticks * 1000 / a_second),
        })
    }

    /// Whether it is the embedded store, which is the server's own program in another role.
    #[must_use]
    pub fn is_store(&self) -> bool {
        fs::read(format!("/proc/{}/cmdline", self.pid)).is_ok_and(|words| {
            words.split(|byte| *byte == 0).nth(1) == Some(b"embedded-store")
        })
    }
}

/// Sends a signal to a process.
pub fn signal(pid: u32, signal: Signal) -> Result<(), String> {
    let known = Pid::from_raw(pid.cast_signed());
    known
        .ok_or_else(|| format!("{pid} is no process id"))
        .and_then(|pid| kill_process(pid, signal).map_err(|error| format!("kill: {error}")))
}

/// A process and its descendants, the process itself first; zombies are among them.
#[must_use]
pub fn tree(root: u32) -> Vec<Process> {
    let mut found: Vec<Process> = Process::read(root).into_iter().collect();
    let mut next = 0;
    while let Some(process) = found.get(next) {
        let Some(children) = children(process.pid) else { return tree_of_all(root) };
        found.extend(children.into_iter().filter_map(Process::read));
        next += 1;
    }
    found
}

/// Kills a process and all that it has started, as far as they are there.
pub fn end_tree(root: u32) {
    let started: Vec<u32> = tree(root).iter().map(|process| process.pid).collect();
    for pid in started {
        // It may have ended by itself in the meantime.
        let _ = signal(pid, Signal::KILL);
    }
}

/// The children of a process, by `/proc/PID/task/TID/children`. None where the kernel does not
/// have it (`CONFIG_PROC_CHILDREN`).
fn children(pid: u32) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for thread in threads(pid) {
        match fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")) {
            Ok(text) => {
                all.extend(
                    text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()),
                );
            }
            // A thread that has ended meanwhile has none.
            Err(_) if Path::new("/proc/thread-self/children").exists() => {}
            Err(_) => return None,
        }
    }
    Some(all)
}

/// The same by a look at every process that there is.
fn tree_of_all(root: u32) -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut all: Vec<Process> = entries
        .filter_map(|entry| Process::read(entry.ok()?.file_name().to_str()?.parse().ok()?))
        .collect();
    let mut found: Vec<Process> = Vec::new();
    let mut generation = vec![root];
    if let Some(at) = all.iter().position(|process| process.pid == root) {
        found.push(all.swap_remove(at));
    }
    while !generation.is_empty() {
        let (children, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|p| generation.contains(&p.parent));
        generation = children.iter().map(|child| child.pid).collect();
        found.extend(children);
        all = others;
    }
    found
}

/// Stops all of these, and waits until each of their threads stands still: for a moment
/// after the signal one may still take what has come.
pub fn stop(processes: &[Process]) -> Result<(), String> {
    processes.iter().try_for_each(|process| signal(process.pid, Signal::STOP))?;
    let stands_still = |pid: u32, thread: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/task/{thread}/stat"));
        let state = stat.map(|stat| {
            stat.rsplit_once(')')
                .is_some_and(|(_, rest)| rest.trim_start().starts_with(['T', 'Z']))
        });
        // One that has ended does no more either.
        state.unwrap_or(true)
    };
    let begun = Instant::now();
    while !processes.iter().all(|process| {
        threads(process.pid).into_iter().all(|thread| stands_still(process.pid, thread))
    }) {
        if begun.elapsed() > patience() {
            return Err("the server does not stop".into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// The threads of a process.
#[must_use]
pub fn threads(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// How many sockets a process has.
#[must_use]
pub fn sockets(pid: u32) -> usize {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return 0 };
    let targets = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

/// How often the threads of a process and its descendants have been given a processor or
/// taken off it, and for how long they had one: what must not grow while nothing is to be
/// done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Times that a thread waited for something, and was woken.
    pub waits: u64,
    /// Times that a thread lost the processor to another one.
    pub preemptions: u64,
    /// Clock ticks of processor time.
    pub ticks: Duration,
}

impl Effort {
    /// Reads it from `/proc/PID/task/TID/status`.
    #[must_use]
    pub fn of(root: u32) -> Self {
        let all = tree(root);
        let mut effort =
            Self { ticks: all.iter().map(|process| process.cpu).sum(), ..Self::default() };
        for process in &all {
            for thread in threads(process.pid) {
                let file = format!("/proc/{}/task/{thread}/status", process.pid);
                let count = |field| number(&file, field, "").unwrap_or(0);
                effort.waits += count("voluntary_ctxt_switches:");
                effort.preemptions += count("nonvoluntary_ctxt_switches:");
            }
        }
        effort
    }

    /// What has been done since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            waits: self.waits.saturating_sub(before.waits),
            preemptions: self.preemptions.saturating_sub(before.preemptions),
            ticks: self.ticks.saturating_sub(before.ticks),
        }
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ticks = self.ticks.as_millis();
        write!(
            f,
            "{} wake-ups, {} preemptions, {ticks} ms of processor time",
            self.waits, self.preemptions
        )
    }
}

/// User and system time of a process and its descendants.
#[must_use]
pub fn cpu(root: u32) -> Duration {
    tree(root).iter().map(|process| process.cpu).sum()
}

/// For how long each thread of a process and its descendants has had a processor or queued
/// for one. On a busy machine somebody who never waits has little of the first and much of the
/// second. (`/proc/PID/task/TID/schedstat`; nothing where the kernel keeps none.)
#[must_use]
pub fn wanted(root: u32) -> HashMap<u32, Duration> {
    let of = |pid: u32, thread: u32| {
        let text =
            fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat")).ok()?;
        let times = text.split_whitespace().take(2).map(|time| time.parse::<u64>().ok());
        Some((thread, Duration::from_nanos(times.sum::<Option<u64>>()?)))
    };
    let all = tree(root);
    all.iter()
        .flat_map(|process| {
            threads(process.pid).into_iter().map(|thread| (process.pid, thread))
        })
        .filter_map(|(pid, thread)| of(pid, thread))
        .collect()
}

/// Memory of a process and its descendants, in KiB: what several share is counted once
/// (`Pss` in `/proc/PID/smaps_rollup`).
#[must_use]
pub fn memory(root: u32) -> u64 {
    let of = |pid: u32| kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:");
    tree(root).iter().filter_map(|process| of(process.pid)).sum()
}

/// Peak resident memory of a process, in KiB.
fn peak(pid: u32) -> Option<u64> {
    kib(&format!("/proc/{pid}/status"), "VmHWM:")
}

fn kib(file: &str, field: &str) -> Option<u64> {
    number(file, field, " kB")
}

/// The number in the line of a file that begins with `field` and ends with `unit`.
fn number(file: &str, field: &str, unit: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix(unit)?.trim().parse().ok()
}

/// Watches the peak memory of a server's processes, of those too that come and go.
#[derive(Debug)]
pub struct Watch {
    root: u32,
    before: HashMap<u32, u64>,
    grown: Arc<Mutex<u64>>,
    over: Arc<AtomicBool>,
}

impl Watch {
    /// Begins to watch a process and its descendants.
    #[must_use]
    pub fn begin(root: u32) -> Self {
        let peaks = |process: &Process| Some((process.pid, peak(process.pid)?));
        let before: HashMap<u32, u64> = tree(root).iter().filter_map(peaks).collect();
        let watch = Self { root, before, grown: Arc::default(), over: Arc::default() };
        let (before, grown, over) =
            (watch.before.clone(), Arc::clone(&watch.grown), Arc::clone(&watch.over));
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                look(root, &before, &grown);
                thread::sleep(Duration::from_millis(20));
            }
        });
        watch
    }

    /// By how much the peak of any one process has grown since the beginning, in KiB. A
    /// process that was not there then began as a copy of the first.
    #[must_use]
    pub fn grown(&self) -> u64 {
        look(self.root, &self.before, &self.grown)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn look(root: u32, before: &HashMap<u32, u64>, grown: &Mutex<u64>) -> u64 {
    let first = before.get(&root).copied().unwrap_or(0);
    let growth = |process: &Process| {
        let before = before.get(&process.pid).copied().unwrap_or(first);
        Some(peak(process.pid)?.saturating_sub(before))
    };
    let now = tree(root).iter().filter_map(growth).max().unwrap_or(0);
    let mut grown = grown.lock().unwrap_or_else(PoisonError::into_inner);
    *grown = now.max(*grown);
    *grown
}

/// A soft limit on processes that run; each gets its own back when this is dropped.
#[derive(Debug)]
pub struct Limit(Vec<(Option<Pid>, Resource, Rlimit)>);

impl Limit {
    /// Sets the limit of each process to what `value` says about it.
    pub fn set(
        pids: impl Iterator<Item = u32>,
        resource: Resource,
        value: impl Fn(u32) -> u64,
    ) -> Result<Self, String> {
        let mut limit = Self(Vec::new());
        // The hard limit stays, and is ours, which the server inherited: whoever lowers it
        // may not be able to raise it again.
        let maximum = getrlimit(resource).maximum;
        for (pid, known) in pids.map(|pid| (pid, Pid::from_raw(pid.cast_signed()))) {
            let wanted = Rlimit { current: Some(value(pid)), maximum };
            match prlimit(known, resource, wanted) {
                Ok(before) => limit.0.push((known, resource, before)),
                // It has ended meanwhile.
                Err(Errno::SRCH) => {}
                Err(error) => return Err(format!("prlimit: {error}")),
            }
        }
        Ok(limit)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        for (pid, resource, before) in self.0.drain(..) {
            // Of a process that died of the limit its row tells.
            let _ = prlimit(pid, resource, before);
        }
    }
}

/// How many descriptors of each kind a process and its descendants hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptors {
    /// Sockets, listening ones included.
    pub sockets: usize,
    /// Pipes.
    pub pipes: usize,
    /// Epoll instances, rings, timers and the like.
    pub anonymous: usize,
    /// Everything that was opened by a path. A cache of open files lives here.
    pub files: usize,
    /// Living processes.
    pub processes: usize,
    /// Their threads, the embedded store's left out but for one.
    pub threads: usize,
    /// Processes that ended and that nobody waited for.
    pub zombies: usize,
}

impl Descriptors {
    /// Counts them.
    #[must_use]
    pub fn of(root: u32) -> Self {
        let mut count = Self::default();
        for process in tree(root) {
            if process.state == 'Z' {
                count.zombies += 1;
                continue;
            }
            count.processes += 1;
            // The store has one for each worker that has called it.
            count.threads += match process.is_store() {
                true => 1,
                false => threads(process.pid).len(),
            };
            let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", process.pid)) else {
                continue;
            };
            for target in entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            {
                let target = target.to_string_lossy();
                match target.split(':').next() {
                    Some("socket") => count.sockets += 1,
                    Some("pipe") => count.pipes += 1,
                    Some("anon_inode") => count.anonymous += 1,
                    _ => count.files += 1,
                }
            }
        }
        count
    }
}

impl fmt::Display for Descriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sockets, pipes, anonymous, files, processes, threads, zombies } = self;
        write!(
            f,
            "{sockets} sockets, {pipes} pipes, {anonymous} anonymous, {files} files, {processes} processes, {threads} threads, {zombies} zombies"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_child_a_pipe_and_a_zombie_are_seen() {
        let me = std::process::id();
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        for tree in [tree(me), tree_of_all(me)] {
            assert_eq!(tree[0].pid, me);
            assert!(tree.iter().any(|process| process.pid == child.id()));
        }
        assert!(tree(child.id()).len() == 1, "cat has no children");
        assert!(Descriptors::of(child.id()).pipes >= 1, "its stdin is a pipe");
        drop(child.stdin.take());
        let begun = Instant::now();
        while Descriptors::of(child.id()).zombies == 0 {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "a child that ended and was not waited for is a zombie"
            );
            thread::sleep(Duration::from_millis(5));
        }
        child.wait().unwrap();
        assert!(Process::read(child.id()).is_none_or(|process| process.state != 'Z'));
    }

    #[test]
    fn who_sleeps_makes_no_effort() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        assert_eq!(threads(child.id()), [child.id()]);
        thread::sleep(Duration::from_millis(300));
        let before = Effort::of(child.id());
        thread::sleep(Duration::from_millis(300));
        assert_eq!(Effort::of(child.id()).since(before), Effort::default());
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, b"woken\n").unwrap();
        thread::sleep(Duration::from_millis(300));
        assert!(Effort::of(child.id()).since(before).waits > 0, "it was woken");
        drop(stdin);
        child.wait().unwrap();
    }

    #[test]
    fn what_this_process_takes_is_seen() {
        let me = std::process::id();
        assert!(memory(me) > 500);
        let watch = Watch::begin(me);
        let taken = vec![1_u8; 64 * 1024 * 1024];
        assert!(watch.grown() > 20_000, "{} KiB for {} bytes", watch.grown(), taken.len());
    }
}
