//! TCP_DEFER_ACCEPT, behind a safe function: the only unsafe code of this server.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// Asks the kernel to keep a connection to itself until its first bytes are there. Whoever
/// says nothing is handed over all the same when the time is up, which the kernel rounds up
/// to 1, 3, 7, 15, 31 … seconds (tcp(7)).
///
/// # Errors
/// What setsockopt(2) answers.
// ANCHOR: defer
#[expect(unsafe_code, reason = "neither rustix nor nix knows this option")]
pub fn defer_accept(listener: &OwnedFd, time: Duration) -> io::Result<()> {
    let seconds = libc::c_int::try_from(time.as_secs().max(1)).unwrap_or(libc::c_int::MAX);
    // SAFETY: the kernel reads the four bytes of `seconds`, which is ours and outlives the
    // call, and keeps no pointer to it.
    let result = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            (&raw const seconds).cast(),
            size_of_val(&seconds) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
// ANCHOR_END: defer
