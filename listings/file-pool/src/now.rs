//! A read that does not wait.

use std::io::IoSliceMut;
use std::os::fd::AsFd;

use rustix::io::{ReadWriteFlags, preadv2};

/// What can be said about bytes of a file without waiting for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Now {
    /// So many are in memory, from the place on, and stand in the buffer.
    Read(usize),
    /// Somebody would have to wait, or nobody can tell.
    WouldWait,
}

/// Reads what is in the page cache, and does not wait for what is not (`RWF_NOWAIT`).
///
/// The kernel may answer in several ways that all mean "not without waiting": EAGAIN, since
/// the first page is not there; EOPNOTSUPP, since this file system cannot say (tmpfs,
/// overlayfs); ENOSYS or EINVAL, since it is older than the call (4.6) or the flag (4.14).
/// 0 is either the end of the file or, on some kernels, a page that is not there. Whoever
/// waits will find out which.
// ANCHOR: read-now
pub fn read_now(file: impl AsFd, buffer: &mut [u8], at: u64) -> Now {
    let mut parts = [IoSliceMut::new(buffer)];
    match preadv2(file, &mut parts, at, ReadWriteFlags::NOWAIT) {
        Ok(n @ 1..) => Now::Read(n),
        Ok(0) | Err(_) => Now::WouldWait,
    }
}
// ANCHOR_END: read-now
