//! SIGTERM and SIGINT: stop accepting, finish what was begun.
//!
//! A signal that comes while the process waits in a system call makes that call return EINTR
//! (with two exceptions: a handler that was installed with SA_RESTART, and a wait for a
//! disk). A signal that comes just *before* the call does not: a process that looks at a
//! flag, sees that it is not set, and then calls accept may wait for ever. So the handler
//! asks for another signal a second later, and after a stop for another after that, until
//! the process has ended. No wait outlasts the next alarm. (A process that is forked off
//! inherits no alarm, fork(2); it inherits the note that the stop has come.)

use std::ffi::c_int;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask,
};
use nix::unistd::alarm;

/// When we began to watch.
static SINCE: OnceLock<Instant> = OnceLock::new();
/// When the first stop came, in milliseconds since then, plus 1; 0: none came.
static STOPPED: AtomicU64 = AtomicU64::new(0);

/// When SIGTERM or SIGINT came, if it did. A process that was forked off since then knows it,
/// too.
pub fn stopped_at() -> Option<Instant> {
    let after = STOPPED.load(Ordering::Relaxed).checked_sub(1)?;
    Some(*SINCE.get()? + Duration::from_millis(after))
}

/// The deadline, or the end of the grace if we are to stop and that is earlier.
pub fn no_later(deadline: Option<Instant>, grace: Duration) -> Option<Instant> {
    [deadline, stopped_at().map(|at| at + grace)].into_iter().flatten().min()
}

// ANCHOR: handler
/// Runs on top of whatever the process was doing, so it may do very little: signal-safety(7)
/// lists what. Reading the clock, an atomic, and alarm(2).
extern "C" fn notice(signal: c_int) {
    if [Signal::SIGTERM as c_int, Signal::SIGINT as c_int].contains(&signal) {
        let now = SINCE.get().map_or(0, |since| since.elapsed().as_millis() as u64) + 1;
        // The first one counts.
        let _ = STOPPED.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }
    // Whoever was just about to wait is interrupted a second later.
    if signal != Signal::SIGALRM as c_int || STOPPED.load(Ordering::Relaxed) != 0 {
        alarm::set(1);
    }
}
// ANCHOR_END: handler

/// From now on SIGTERM and SIGINT are noted ([`stopped_at`]), and each of `signals`, too,
/// interrupts what waits.
///
/// # Errors
/// What sigaction(2) answers.
// ANCHOR: install
#[expect(unsafe_code, reason = "only a handler's author can know that it may interrupt")]
pub fn watch_for(signals: &[Signal]) -> io::Result<()> {
    SINCE.get_or_init(Instant::now);
    // No SA_RESTART: a call that waits is to return, not to go on waiting.
    let action =
        SigAction::new(SigHandler::Handler(notice), SaFlags::empty(), SigSet::empty());
    let always = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGALRM];
    let watched: Vec<Signal> = always.iter().chain(signals).copied().collect();
    for signal in &watched {
        // SAFETY: `notice` owns no memory and takes no lock. It uses two statics, which live
        // until the process ends; SINCE was set above, before a signal can reach it.
        unsafe { sigaction(*signal, &action) }?;
    }
    // Whoever started us may have blocked them, and that is inherited.
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&SigSet::from_iter(watched)), None)?;
    Ok(())
}
// ANCHOR_END: install
