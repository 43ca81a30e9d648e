//! One run, from the first client to the outcome.

use std::fs;
use std::io;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

use crate::crew::{Crew, Rules};
use crate::outcome::{Generator, Outcome};
use crate::target::Target;
use crate::{over_epoll, over_uring};

/// What carries the connections.
#[derive(Debug)]
pub enum Over {
    /// epoll(7).
    Epoll,
    /// An io_uring.
    Ring(Box<uring_loop::Ring>),
}

/// With more clients than this, epoll is the faster of the two: it receives and sends on one
/// connection at a time, while a ring receives on all before we see the first.
const CROWD: usize = 1000;

impl Over {
    /// What needs less processor time for so many clients: an io_uring, where there is one, or
    /// epoll.
    #[must_use]
    pub fn best(clients: usize) -> Self {
        match clients {
            ..=CROWD => Self::ring().unwrap_or(Self::Epoll),
            _ => Self::Epoll,
        }
    }

    /// An io_uring.
    ///
    /// # Errors
    /// One line, where there is none.
    pub fn ring() -> Result<Self, String> {
        over_uring::ring().map(|ring| Self::Ring(Box::new(ring)))
    }
}

/// Has all clients come, ask and go.
///
/// # Errors
/// What epoll or the ring answers, if it is our mistake; what goes wrong with a connection is
/// counted.
pub fn run(over: Over, rules: Rules, target: &Target) -> io::Result<Outcome> {
    let clients = rules.clients;
    let mut crew = Crew::new(rules, processor, Instant::now());
    let end = match over {
        Over::Epoll => over_epoll::run(&mut crew, clients, target),
        Over::Ring(ring) => over_uring::run(*ring, &mut crew, clients, target),
    }?;
    let (measured, unsent) = crew.measured(end);
    Ok(Outcome {
        ramp: crew.ramp,
        seconds: measured.as_secs_f64(),
        answered: crew.counts.answered,
        connected: crew.counts.connected,
        received: crew.counts.received,
        errors: crew.counts.errors,
        retried: crew.counts.retried,
        unsent,
        unfinished: crew.in_flight() as u64,
        generator: Generator {
            processor: processor() - crew.processor_before,
            peak_kib: peak_kib().unwrap_or(0),
        },
        latency: crew.counts.latency,
    })
}

/// Processor time of this process so far, in seconds.
pub(crate) fn processor() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// VmHWM in proc_pid_status(5).
fn peak_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}
