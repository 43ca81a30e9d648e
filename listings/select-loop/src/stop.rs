//! SIGTERM and SIGINT as one more descriptor that becomes ready.
//!
//! A handler interrupts whatever the program does, and a signal that comes just before the
//! loop begins to wait is seen only when the wait ends. A loop has a better way. The signals
//! are blocked, so that they stay pending, and signalfd(2) gives a descriptor that is
//! readable while one is. There is no gap, since the kernel looks at it where it looks at
//! everything else.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Becomes readable when the server is asked to stop.
#[derive(Debug)]
pub struct Stop(SignalFd);

impl Stop {
    /// From now on SIGTERM and SIGINT arrive here. To be called before there is a second
    /// thread: it would have a mask of its own.
    ///
    /// # Errors
    /// What sigprocmask(2) and signalfd(2) answer.
    // ANCHOR: new
    pub fn new() -> io::Result<Self> {
        let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
        signals.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self(SignalFd::with_flags(&signals, flags)?))
    }
    // ANCHOR_END: new

    /// Whether a signal has come since this was asked last.
    pub fn has_come(&self) -> bool {
        matches!(self.0.read_signal(), Ok(Some(_)))
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
