//! SIGTERM and SIGINT, looked for now and then: no handler, and no thread that a fork would
//! leave behind.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

static STOPPING: AtomicBool = AtomicBool::new(false);

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
            STOPPING.store(true, Ordering::SeqCst);
        }
        STOPPING.load(Ordering::SeqCst)
    }

    /// Whether one was taken already.
    pub fn is_known(&self) -> bool {
        STOPPING.load(Ordering::SeqCst)
    }
}
