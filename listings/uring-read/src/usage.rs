//! Processor time: ours, and that of the workers that the kernel has given us.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// What has been used so far.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    at: Instant,
    cpu: Duration,
    workers: Duration,
}

/// What was used between two moments.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// Time by the clock on the wall.
    pub wall: Duration,
    /// Time for which a processor ran this thread, in the kernel too.
    pub cpu: Duration,
    /// Time for which processors ran the workers of io_uring.
    pub workers: Duration,
}

impl Usage {
    /// Looks at the clocks.
    pub fn now() -> io::Result<Self> {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        let cpu = Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32);
        Ok(Self { at: Instant::now(), cpu, workers: workers()?.1 })
    }

    /// What has been used since this moment.
    pub fn so_far(self) -> io::Result<Used> {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        let wall = self.at.elapsed();
        let cpu = Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32);
        // One that has ended takes its time along.
        let workers = workers()?.1.saturating_sub(self.workers);
        Ok(Used { wall, cpu: cpu - self.cpu, workers })
    }

    /// What has been used until now, and by the workers until they sleep: of a thread that is
    /// on a processor the kernel has counted up to the last tick of its clock, and a worker may
    /// be there for a moment after its completion is.
    pub fn in_the_end(self) -> io::Result<Used> {
        let used = self.so_far()?;
        let waited = Instant::now();
        while a_worker_runs()? && waited.elapsed() < Duration::from_secs(1) {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(Used { workers: workers()?.1.saturating_sub(self.workers), ..used })
    }
}

fn a_worker_runs() -> io::Result<bool> {
    for task in fs::read_dir("/proc/self/task")? {
        // The thread's number, its name in parentheses, its state (proc_pid_stat(5)).
        let stat = fs::read_to_string(task?.path().join("stat")).unwrap_or_default();
        if stat.contains("(iou-wrk") && stat.contains(") R ") {
            return Ok(true);
        }
    }
    Ok(false)
}

// ANCHOR: workers
/// How many workers of io_uring this process has, and how long they have run. They are
/// threads of ours, with a name that the kernel gave them.
pub fn workers() -> io::Result<(usize, Duration)> {
    let (mut number, mut ran) = (0, 0);
    for task in fs::read_dir("/proc/self/task")? {
        let folder = task?.path();
        // One that has ended meanwhile has no name any more.
        let comm = fs::read_to_string(folder.join("comm")).unwrap_or_default();
        if comm.starts_with("iou-wrk") {
            number += 1;
            let times = fs::read_to_string(folder.join("schedstat")).unwrap_or_default();
            ran += times.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
        }
    }
    Ok((number, Duration::from_nanos(ran)))
}
// ANCHOR_END: workers
