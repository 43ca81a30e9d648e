//! Looks at the processes of a server while it is measured.
//!
//! Looking takes time from a processor that others need: every process under `/proc` is
//! opened, and for the memory of a process its page tables are walked. So the pause between
//! two looks is at least fifty times what a look has used: at most 2 % of one processor.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::record::Usage;
use crate::{network, proc};

/// The shortest pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// How many times as long as a look a pause is, at least.
const SPARING: u32 = 50;

/// Processor time so far, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Used {
    user: f64,
    system: f64,
    store: f64,
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Seen {
    used: Vec<(Instant, Used)>,
    usage: Usage,
    /// Both ends counted.
    established: u64,
}

/// A thread that looks.
#[derive(Debug)]
pub struct Watch {
    over: Sender<()>,
    thread: JoinHandle<Seen>,
}

/// What was seen from the beginning to the end.
#[derive(Debug)]
pub struct Watched {
    seen: Seen,
}

impl Watch {
    /// Begins to look at a process group, or, without one, at the network alone.
    #[must_use]
    pub fn begin(group: Option<u32>) -> Self {
        let (over, told) = channel();
        Self { over, thread: thread::spawn(move || look_on(group, &told)) }
    }

    /// Looks once more.
    #[must_use]
    pub fn end(self) -> Watched {
        // It looks once more when it hears this, and when we are gone.
        let _ = self.over.send(());
        // A thread that has panicked has seen nothing.
        Watched { seen: self.thread.join().unwrap_or_default() }
    }
}

impl Watched {
    /// What was used in so many seconds before `end`.
    #[must_use]
    pub fn usage(&self, end: Instant, seconds: f64) -> Usage {
        let Used { user, system, store } = used_before(&self.seen.used, end, seconds);
        Usage { processor: user + system, system, store, ..self.seen.usage }
    }

    /// The most connections that were established at a time, both ends counted.
    #[must_use]
    pub fn established(&self) -> u64 {
        self.seen.established
    }
}

fn look_on(group: Option<u32>, told: &Receiver<()>) -> Seen {
    let mut seen = Seen::default();
    // Which processes are the store: one does not become it later.
    let store: Vec<u32> = group.map(store_of).unwrap_or_default();
    loop {
        let before = used_by_us();
        look(group, &store, Instant::now(), &mut seen);
        let pause = PAUSE.max(used_by_us().saturating_sub(before) * SPARING);
        if told.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            look(group, &store, Instant::now(), &mut seen);
            return seen;
        }
    }
}

/// This thread's processor time.
fn used_by_us() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

/// The embedded store's process in a group.
#[must_use]
pub fn store_of(group: u32) -> Vec<u32> {
    let members = proc::group(group).into_iter().map(|stat| stat.pid);
    members.filter(|pid| proc::is_store(*pid)).collect()
}

fn look(group: Option<u32>, store: &[u32], now: Instant, seen: &mut Seen) {
    seen.established = seen.established.max(network::established());
    let Some(group) = group else { return };
    let all = proc::group(group);
    let (mut user, mut system, mut stores, mut kib) = (0, 0, 0, 0);
    let (mut processes, mut threads) = (0, 0);
    for stat in &all {
        if store.contains(&stat.pid) {
            stores += stat.user + stat.system;
            continue;
        }
        (user, system) = (user + stat.user, system + stat.system);
        (processes, threads) = (processes + 1, threads + stat.threads);
        kib += proc::memory(stat.pid);
    }
    let seconds = |ticks| proc::time(ticks).as_secs_f64();
    let used =
        Used { user: seconds(user), system: seconds(system), store: seconds(stores) };
    seen.used.push((now, used));
    let usage = &mut seen.usage;
    usage.looks += 1;
    usage.peak_kib = usage.peak_kib.max(kib);
    usage.processes = usage.processes.max(processes);
    usage.threads = usage.threads.max(threads);
}

/// What was used in so many seconds before `end`.
fn used_before(looks: &[(Instant, Used)], end: Instant, seconds: f64) -> Used {
    let Some((zero, _)) = looks.first() else { return Used::default() };
    let end = end.saturating_duration_since(*zero).as_secs_f64();
    let seconds_of = |at: &Instant| at.duration_since(*zero).as_secs_f64();
    let looks: Vec<(f64, Used)> =
        looks.iter().map(|(at, used)| (seconds_of(at), *used)).collect();
    difference(used_at(&looks, end), used_at(&looks, end - seconds))
}

/// What had been used at a time. Between two looks the processor is taken to have been used
/// evenly.
fn used_at(looks: &[(f64, Used)], time: f64) -> Used {
    let next = looks.partition_point(|(at, _)| *at <= time);
    match (looks[..next].last(), looks.get(next)) {
        (Some((from, before)), Some((to, after))) => {
            between(*before, *after, (time - from) / (to - from))
        }
        (Some((_, only)), None) | (None, Some((_, only))) => *only,
        (None, None) => Used::default(),
    }
}

fn between(from: Used, to: Used, share: f64) -> Used {
    let part = |from: f64, to: f64| from + (to - from) * share;
    Used {
        user: part(from.user, to.user),
        system: part(from.system, to.system),
        store: part(from.store, to.store),
    }
}

/// Never below nothing: a process that died took its time with it.
fn difference(last: Used, first: Used) -> Used {
    Used {
        user: (last.user - first.user).max(0.0),
        system: (last.system - first.system).max(0.0),
        store: (last.store - first.store).max(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_time_begins_between_two_looks() {
        let zero = Instant::now();
        let at = |ms, user, system| {
            let used = Used { user, system, store: user / 10.0 };
            (zero + Duration::from_millis(ms), used)
        };
        let looks =
            [at(0, 0.0, 0.0), at(1000, 1.0, 0.5), at(2000, 1.0, 1.0), at(3000, 1.5, 1.0)];
        let end = zero + Duration::from_millis(3000);
        let last = |seconds| used_before(&looks, end, seconds);
        assert_eq!((last(1.0).user, last(1.0).system), (0.5, 0.0));
        assert_eq!((last(1.5).user, last(1.5).system), (0.5, 0.25));
        assert_eq!((last(2.25).user, last(2.25).system), (0.75, 0.625));
        // Longer than was looked: all that was seen.
        assert_eq!((last(60.0).user, last(60.0).system), (1.5, 1.0));
        // It ended before the last look.
        let earlier = used_before(&looks, zero + Duration::from_millis(2500), 1.0);
        assert_eq!((earlier.user, earlier.system), (0.25, 0.25));
        assert_eq!(used_before(&[], end, 1.0), Used::default());
        assert_eq!(used_before(&looks[3..], end, 1.0), Used::default());
    }

    #[test]
    fn a_group_that_works_is_seen_working() {
        use std::os::unix::process::CommandExt;
        use std::process::Command;
        let mut shell = Command::new("sh");
        let mut child = shell
            .args(["-c", "i=0; while [ $i -lt 100000000 ]; do i=$((i+1)); done"])
            .process_group(0)
            .spawn()
            .unwrap();
        let watch = Watch::begin(Some(child.id()));
        // Until it has used what a tick can show, however busy the machine is.
        let used =
            || proc::group(child.id()).iter().map(|s| s.user + s.system).sum::<u64>();
        while used() < 20 {
            thread::sleep(Duration::from_millis(20));
        }
        let usage = watch.end().usage(Instant::now(), 3600.0);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(usage.processor > 0.0 && usage.looks >= 2, "{usage:?}");
        assert!(usage.peak_kib > 50 && usage.processes == 1 && usage.threads == 1);
    }
}
