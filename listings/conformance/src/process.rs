//! What `/proc` says about a server and everything that it started. Source: proc(5).

use std::fmt;
use std::fs;
use std::time::Duration;

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
}

/// A process and its descendants, the process itself first; zombies are among them.
#[must_use]
pub fn tree(root: u32) -> Vec<Process> {
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

/// User and system time of a process and its descendants.
#[must_use]
pub fn cpu(root: u32) -> Duration {
    tree(root).iter().map(|process| process.cpu).sum()
}

/// Peak resident memory (`VmHWM`) of a process and its descendants, in KiB.
#[must_use]
pub fn peak_memory(root: u32) -> u64 {
    tree(root).iter().filter_map(|process| high_water(process.pid)).sum()
}

fn high_water(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
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
        let Self { sockets, pipes, anonymous, files, processes, zombies } = self;
        write!(
            f,
            "{sockets} sockets, {pipes} pipes, {anonymous} anonymous, {files} files, {processes} processes, {zombies} zombies"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::time::Instant;

    #[test]
    fn a_child_a_pipe_and_a_zombie_are_seen() {
        let me = std::process::id();
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        assert!(tree(me).iter().any(|process| process.pid == child.id()));
        assert!(tree(child.id()).len() == 1, "cat has no children");
        assert!(Descriptors::of(child.id()).pipes >= 1, "its stdin is a pipe");
        drop(child.stdin.take());
        let begun = Instant::now();
        while Descriptors::of(child.id()).zombies == 0 {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "a child that ended and was not waited for is a zombie"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        child.wait().unwrap();
        assert!(Process::read(child.id()).is_none_or(|process| process.state != 'Z'));
    }

    #[test]
    fn this_process_has_memory() {
        assert!(peak_memory(std::process::id()) > 500);
    }
}
