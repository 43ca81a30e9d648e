//! The queue in front of accept: whether somebody is in it, and how many.

use std::fs;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstat;

/// Whether a connection is in the accept queue.
// ANCHOR: somebody-waits
pub fn somebody_waits(listener: impl AsFd) -> bool {
    let mut listener = [PollFd::new(&listener, PollFlags::IN)];
    poll(&mut listener, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}
// ANCHOR_END: somebody-waits

/// How many connections are in the accept queue, as `/proc/net/tcp` says; none when it does
/// not (no `/proc`, or no descriptor to read it with).
pub fn how_many_wait(listener: impl AsFd) -> Option<u64> {
    let inode = fstat(listener).ok()?.st_ino.to_string();
    ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().find_map(|table| {
        let table = fs::read_to_string(table).ok()?;
        table.lines().find_map(|line| {
            // sl, local, remote, state, send queue:receive queue, and five columns later the
            // inode.
            let columns: Vec<&str> = line.split_whitespace().collect();
            let (_, waiting) = columns.get(4)?.split_once(':')?;
            let is_ours = columns.get(9) == Some(&inode.as_str());
            is_ours.then(|| u64::from_str_radix(waiting, 16).ok())?
        })
    })
}
