//! fork(2) and _exit(2), behind safe functions: the only unsafe code of the forking servers.

use std::io;

use nix::unistd;
use rustix::process::{Pid, WaitOptions, waitpid};

/// Who we are, after [`fork`].
#[derive(Clone, Copy, Debug)]
pub enum ForkResult {
    /// The new process.
    Child,
    /// The process that called.
    Parent {
        /// The id of the new one.
        child: Pid,
    },
}

/// Makes a second process that goes on from here, as this one does, with a copy of its
/// memory and of its table of descriptors. Returns in both.
///
/// For programs of one thread. In debug builds a second one is a panic.
///
/// # Errors
/// `EAGAIN`: a limit on the number of processes is reached (`RLIMIT_NPROC`, the pids
/// controller of a cgroup). `ENOMEM`: the kernel has no memory for the tables.
// ANCHOR: fork
#[expect(unsafe_code, reason = "only the caller can know that it has one thread")]
pub fn fork() -> io::Result<ForkResult> {
    debug_assert!(
        threads().is_none_or(|number| number == 1),
        "fork copies one thread only"
    );
    // SAFETY: fork copies the calling thread and no other; a lock that another thread held
    // would stay locked in the child for ever, and what it protects half changed. There is no
    // other thread, so the child's copy of all memory is whole, and the child's own.
    let forked = unsafe { unistd::fork() }?;
    Ok(match forked {
        unistd::ForkResult::Child => ForkResult::Child,
        unistd::ForkResult::Parent { child } => ForkResult::Parent { child: known(child) },
    })
}
// ANCHOR_END: fork

/// Waits until this child has ended (waitpid(2)).
///
/// # Errors
/// `ECHILD`: it is no child, or was waited for.
pub fn wait_for(child: Pid) -> io::Result<()> {
    waitpid(Some(child), WaitOptions::empty())?;
    Ok(())
}

/// Ends a child at once. Unlike [`std::process::exit`] it leaves alone what the parent has
/// registered for its own end (_exit(2)), and does not touch the memory for it: each page
/// would be copied.
#[expect(unsafe_code, reason = "the end of a process skips every destructor")]
pub fn leave(code: i32) -> ! {
    // SAFETY: the kernel takes back all memory and descriptors; nothing of ours runs after
    // this. Standard output has no line of the child's in its buffer, as a server's child
    // prints none.
    unsafe { libc::_exit(code) }
}

/// A process id of nix as one of rustix, which also understands how a process ended that was
/// ended by a real-time signal.
fn known(pid: unistd::Pid) -> Pid {
    Pid::from_raw(pid.as_raw()).expect("a child's id is positive")
}

/// How many threads this process has, if there is a descriptor left to look with.
fn threads() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}
