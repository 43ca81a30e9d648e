//! poll(2), behind a safe function: the only unsafe code of this server.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use libc::{POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, c_short, nfds_t, pollfd};
use select_loop::{Interest, Ready};

/// An entry that poll passes over: a descriptor below zero.
pub const NOBODY: pollfd = pollfd { fd: -1, events: 0, revents: 0 };

/// The entry of a descriptor. Its owner keeps it open until the entry is replaced; poll would
/// say POLLNVAL of one that is closed, or speak of another that was given the same number.
// ANCHOR: entry
pub fn entry(fd: BorrowedFd<'_>, interest: Interest) -> pollfd {
    pollfd { fd: fd.as_raw_fd(), events: events(interest), revents: 0 }
}

/// The bits that ask for this.
pub fn events(interest: Interest) -> c_short {
    let read = if interest.read { POLLIN } else { 0 };
    let write = if interest.write { POLLOUT } else { 0 };
    read | write
}

/// What the bits of an answer say, and takes them out. POLLHUP and POLLERR come unasked.
pub fn take(entry: &mut pollfd) -> Ready {
    let revents = std::mem::take(&mut entry.revents);
    Ready {
        read: revents & POLLIN != 0,
        write: revents & POLLOUT != 0,
        gone: revents & (POLLHUP | POLLERR | POLLNVAL) != 0,
    }
}
// ANCHOR_END: entry

/// Waits until something of what the entries ask for is there, for `time` at most. Says of
/// how many it is.
///
/// # Errors
/// What poll(2) answers. A signal is no error: nothing is ready then.
// ANCHOR: poll
#[expect(
    unsafe_code,
    reason = "the safe wrappers want an array that borrows every descriptor"
)]
pub fn poll(entries: &mut [pollfd], time: Option<Duration>) -> io::Result<usize> {
    // SAFETY: the entries are ours, and the kernel writes to them only until it returns. Their
    // descriptors are numbers to it: one that is closed is answered with POLLNVAL.
    let ready = unsafe {
        libc::poll(entries.as_mut_ptr(), entries.len() as nfds_t, milliseconds(time))
    };
    usize::try_from(ready).or_else(|_| match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        error => Err(error),
    })
}
// ANCHOR_END: poll

/// Rounded up, so that nobody is woken before there is something to do. -1: without limit.
fn milliseconds(time: Option<Duration>) -> c_int {
    time.map_or(-1, |time| {
        c_int::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX)
    })
}
