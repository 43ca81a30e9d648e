//! SIGTERM and SIGINT, looked for now and then: no handler, and no thread that a fork would
//! leave behind.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// When it came.
static STOPPED: OnceLock<Instant> = OnceLock::new();
/// On a busy machine, what a client sent before the signal is here so much later at most.
const MOMENT: Duration = Duration::from_millis(50);

/// Where the signals arrive, in each process its own.
#[derive(Debug)]
pub struct Stop(SignalFd);

impl Stop {
    /// Blocks the signals and makes them readable.
    pub fn new() -> nix::Result<Self> {
        let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
        signals.thread_block()?;
        SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .map(Self)
    }

    /// The descriptor that a signal makes readable.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Whether one came. Takes it, so that whoever waits for the descriptor must be the one
    /// who asks: another would take it away between the wakeup and poll(2)'s second look, and
    /// poll would sleep on.
    pub fn came(&self) -> bool {
        if matches!(self.0.read_signal(), Ok(Some(_))) {
            STOPPED.get_or_init(Instant::now);
        }
        self.is_known()
    }

    /// Whether one was taken already.
    pub fn is_known(&self) -> bool {
        STOPPED.get().is_some()
    }

    /// Whether one was taken, and everything from before it has arrived.
    pub fn is_over(&self) -> bool {
        STOPPED.get().is_some_and(|at| at.elapsed() > MOMENT)
    }
}
