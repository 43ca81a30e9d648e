//! SIGTERM and SIGINT: stop accepting, finish what was begun.
//!
//! A signal that comes while the process waits in a system call makes that call return EINTR
//! (with two exceptions: a handler that was installed with SA_RESTART, and a wait for a
//! disk). A signal that comes just *before* the call does not: a process that looks at a
//! flag, sees that it is not set, and then calls accept may wait for ever. The handler closes
//! that gap twice. It makes the listener non-blocking, so that accept returns whether it was
//! entered before or after the signal. And it asks for another signal a second later, and so
//! on, for a process that was just about to wait for something else.
//!
//! Two facts of Linux stand behind the first: O_NONBLOCK belongs to the open file
//! description, so that it holds for every process that shares the listener; and an accepted
//! connection does not inherit it (accept(2)).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::alarm;
use rustix::fs::{OFlags, fcntl_setfl};

/// What the handler works on.
#[derive(Debug)]
struct Watched {
    listener: OwnedFd,
    since: Instant,
}

static WATCHED: OnceLock<Watched> = OnceLock::new();
/// When the first signal came, in milliseconds since we began to watch, plus 1; 0: none came.
static STOPPED: AtomicU64 = AtomicU64::new(0);

/// When SIGTERM or SIGINT came, if it did.
pub fn stopped_at() -> Option<Instant> {
    let after = STOPPED.load(Ordering::Relaxed).checked_sub(1)?;
    Some(WATCHED.get()?.since + Duration::from_millis(after))
}

/// The deadline, or the end of the grace if we are to stop and that is earlier.
pub fn no_later(deadline: Option<Instant>, grace: Duration) -> Option<Instant> {
    [deadline, stopped_at().map(|at| at + grace)].into_iter().flatten().min()
}

// ANCHOR: handler
/// Runs on top of whatever the process was doing, so it may do very little: signal-safety(7)
/// lists what. Reading the clock, an atomic, fcntl(2) and alarm(2).
extern "C" fn stop(_signal: std::ffi::c_int) {
    if let Some(Watched { listener, since }) = WATCHED.get() {
        let now = since.elapsed().as_millis() as u64 + 1;
        // The first signal counts.
        let _ = STOPPED.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        let _ = fcntl_setfl(listener, OFlags::NONBLOCK);
        // Whoever is just about to wait is interrupted a second later.
        alarm::set(1);
    }
}
// ANCHOR_END: handler

/// Makes SIGTERM and SIGINT end the accepting on `listener`, which lives as long as the
/// process.
///
/// # Errors
/// `AlreadyExists` when called twice; what sigaction(2) answers.
// ANCHOR: install
#[expect(unsafe_code, reason = "only a handler's author can know that it may interrupt")]
pub fn stop_accepting_on(listener: OwnedFd) -> io::Result<&'static OwnedFd> {
    let watched = Watched { listener, since: Instant::now() };
    WATCHED.set(watched).map_err(|_| io::ErrorKind::AlreadyExists)?;
    // No SA_RESTART: a call that waits is to return, not to go on waiting.
    let action =
        SigAction::new(SigHandler::Handler(stop), SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGALRM] {
        // SAFETY: `stop` owns no memory and takes no lock. It uses two statics, which live
        // until the process ends; WATCHED was set above, before a signal can reach it.
        unsafe { sigaction(signal, &action) }?;
    }
    WATCHED.get().map(|watched| &watched.listener).ok_or(io::ErrorKind::NotFound.into())
}
// ANCHOR_END: install
