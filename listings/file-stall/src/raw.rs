//! Two calls that have no safe wrapper: the only unsafe code here.

use std::fs::File;
use std::io;
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

// ANCHOR: resident
/// How many of the file's bytes are in memory, in whole pages. Asking changes nothing: the
/// file is mapped and not touched. (The kernel tells those who may write to the file.)
///
/// # Errors
/// What mmap(2) and mincore(2) answer.
#[expect(unsafe_code, reason = "no safe wrapper asks which pages of a file are in memory")]
pub fn resident(file: &File) -> io::Result<u64> {
    let page = rustix::param::page_size();
    let Some(len) = usize::try_from(file.metadata()?.len()).ok().filter(|len| *len > 0)
    else {
        return Ok(0);
    };
    let mut pages = vec![0; len.div_ceil(page)];
    // SAFETY: the kernel chooses where; nobody has a pointer into it but us, and nothing is
    // read through ours. The mapping is ours until munmap below.
    let map =
        unsafe { mmap(ptr::null_mut(), len, ProtFlags::READ, MapFlags::SHARED, file, 0) }?;
    // SAFETY: the map is ours, as above; `pages` is ours, has a byte for each page of it, and
    // the kernel writes to it only until the call returns.
    let failed = unsafe { libc::mincore(map, len, pages.as_mut_ptr()) } != 0;
    let error = io::Error::last_os_error();
    // SAFETY: it is what mmap gave us, and the last use of it.
    unsafe { munmap(map, len) }?;
    if failed {
        return Err(error);
    }
    Ok(pages.iter().filter(|page| **page & 1 != 0).count() as u64 * page as u64)
}
// ANCHOR_END: resident

/// Lets this thread have a processor only when nobody else wants it (SCHED_IDLE). With the
/// lowest of the usual priorities it would still finish its slice, some milliseconds, while
/// another one waits.
///
/// # Errors
/// What sched_setscheduler(2) answers.
#[expect(unsafe_code, reason = "no safe wrapper sets the policy of a thread")]
pub fn be_idle() -> io::Result<()> {
    // SAFETY: plain numbers, for which zero is right.
    let nothing: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel reads `nothing`, which is ours, until the call returns. 0: this thread.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &nothing) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
