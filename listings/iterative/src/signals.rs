//! SIGTERM and SIGINT: stop accepting, finish what was begun.
//!
//! A signal that comes while the process waits in a system call makes that call return
//! EINTR. A signal that comes just *before* the call does not: a process that looks at a
//! flag, sees that it is not set, and then calls accept may wait for ever. The handler
//! closes that gap by making the listener non-blocking. Whether accept was entered before
//! or after the signal, it returns.
//!
//! Two facts of Linux stand behind this: O_NONBLOCK belongs to the open file description,
//! so that it holds for every process that shares the listener; and an accepted connection
//! does not inherit it (accept(2)).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use rustix::fs::{OFlags, fcntl_setfl};

static STOPPING: AtomicBool = AtomicBool::new(false);
static LISTENER: OnceLock<OwnedFd> = OnceLock::new();

/// Whether SIGTERM or SIGINT has come.
pub fn stopping() -> bool {
    STOPPING.load(Ordering::Relaxed)
}

// ANCHOR: handler
/// Runs on top of whatever the process was doing, so it may do very little:
/// signal-safety(7) lists what. One store to an atomic and one fcntl(2), issued without the
/// C library so that `errno` is not touched.
extern "C" fn stop(_signal: std::ffi::c_int) {
    STOPPING.store(true, Ordering::Relaxed);
    if let Some(listener) = LISTENER.get() {
        let _ = fcntl_setfl(listener, OFlags::NONBLOCK);
    }
}
// ANCHOR_END: handler

/// Makes SIGTERM and SIGINT end the accepting on `listener`, which lives as long as the
/// process.
///
/// # Errors
/// `AlreadyExists` when called twice; what sigaction(2) answers.
// ANCHOR: install
#[expect(
    unsafe_code,
    reason = "a signal handler can interrupt anything, and only its author can know that it may"
)]
pub fn stop_accepting_on(listener: OwnedFd) -> io::Result<&'static OwnedFd> {
    LISTENER.set(listener).map_err(|_| io::ErrorKind::AlreadyExists)?;
    // No SA_RESTART: a call that waits is to return, not to go on waiting.
    let action =
        SigAction::new(SigHandler::Handler(stop), SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        // SAFETY: `stop` owns no memory and takes no lock. It reads two statics, which live
        // until the process ends, and LISTENER was set above, before any signal can reach
        // the handler.
        unsafe { sigaction(signal, &action) }?;
    }
    LISTENER.get().ok_or_else(|| io::ErrorKind::NotFound.into())
}
// ANCHOR_END: install
