//! Files behind the loop: what might wait for a disk is handed to a pool of threads.
//!
//! The loop tries first, in the two ways there are to try without waiting: `openat2` with
//! RESOLVE_CACHED, `preadv2` with RWF_NOWAIT. What would have waited becomes a job. A job owns
//! the handle and the buffer, so it does not matter to it whether its client is still there.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use file_pool::{Job, Now, Pool, read_now};
use guestbook::{Meta, RelPath};
use iterative::{File, Files};
use rustix::io::{Errno, pread};

/// How much of a file is read at a time, in bytes.
pub(crate) const PIECE: usize = 32 * 1024;
/// How many jobs may wait for a thread. Those beyond wait here, where they can be called off.
const ROOM: usize = 64;

/// Who has asked: a slot, and which of its clients. It may be gone when the answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// Where it sits, or sat.
    pub slot: usize,
    /// The first client of the house has 1, the next 2.
    pub number: u64,
}

/// What the pool does for a client.
#[derive(Debug)]
struct Task {
    who: Visit,
    what: What,
}

#[derive(Debug)]
enum What {
    Open(Files, RelPath),
    Read(File, u64, usize),
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Found {
    Opened(io::Result<(File, Meta)>),
    /// Bytes, and their place in the file.
    Read(u64, io::Result<Vec<u8>>),
}

// ANCHOR: work
impl Job for Task {
    type Done = (Visit, Found);

    fn work(self) -> Self::Done {
        let found = match self.what {
            What::Open(mut files, path) => Found::Opened(files.open(path.as_str())),
            What::Read(file, at, len) => Found::Read(at, read_whole(&file, at, len)),
        };
        (self.who, found)
    }
}
// ANCHOR_END: work

/// Reads until so many bytes are there, or the file ends. Here it may wait.
fn read_whole(file: &File, at: u64, len: usize) -> io::Result<Vec<u8>> {
    let (mut bytes, mut read) = (vec![0; len], 0);
    while read < len {
        match pread(file, &mut bytes[read..], at + read as u64) {
            Ok(0) => break,
            Ok(n) => read += n,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}

/// The pool, from the loop's side.
#[derive(Debug)]
pub struct Disk {
    pool: Pool<Task>,
    /// What the pool had no room for.
    line: VecDeque<Task>,
    tries: bool,
}

impl Disk {
    /// Starts so many threads. `tries`: what needs no waiting is done by the loop itself.
    ///
    /// # Errors
    /// What eventfd(2) and clone(2) answer.
    pub fn new(threads: usize, tries: bool) -> io::Result<Self> {
        Ok(Self { pool: Pool::new(threads, ROOM)?, line: VecDeque::new(), tries })
    }

    /// Opens a file, if nobody has to wait for that; otherwise it will be opened.
    // ANCHOR: open
    pub(crate) fn open(
        &mut self,
        who: Visit,
        path: RelPath,
        files: &mut Files,
    ) -> Option<io::Result<(File, Meta)>> {
        if self.tries
            && let Some(opened) = files.open_at_once(path.as_str())
        {
            return Some(opened);
        }
        self.hand_over(Task { who, what: What::Open(files.clone(), path) });
        None
    }
    // ANCHOR_END: open

    /// Reads what is in memory of a piece into the buffer; otherwise, or if it is not to be
    /// tried, it will be read.
    // ANCHOR: read
    pub(crate) fn read(
        &mut self,
        who: Visit,
        file: &File,
        at: u64,
        buffer: &mut [u8],
        tries: bool,
    ) -> Option<usize> {
        if self.tries
            && tries
            && let Now::Read(n) = read_now(file, buffer, at)
        {
            return Some(n);
        }
        let what = What::Read(file.clone(), at, buffer.len());
        self.hand_over(Task { who, what });
        None
    }
    // ANCHOR_END: read

    // ANCHOR: hand-over
    fn hand_over(&mut self, task: Task) {
        if let Err(task) = self.pool.submit(task) {
            self.line.push_back(task);
        }
    }

    /// What came of jobs. There is room again, then, for those who are still here.
    pub(crate) fn take_found(
        &mut self,
        is_here: impl Fn(Visit) -> bool,
    ) -> Vec<(Visit, Found)> {
        let found = self.pool.take_done();
        while let Some(task) = self.line.pop_front() {
            if !is_here(task.who) {
                continue;
            }
            if let Err(task) = self.pool.submit(task) {
                self.line.push_front(task);
                break;
            }
        }
        found
    }
    // ANCHOR_END: hand-over
}

impl AsFd for Disk {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pool.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    const MIB: usize = 1 << 20;
    const JOBS: usize = 200;

    /// A folder with a file of a MiB, and the file, open.
    fn files(name: &str) -> (std::path::PathBuf, Files, File) {
        let folder =
            std::env::temp_dir().join(format!("who-waits-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        std::fs::write(folder.join("page"), vec![7; MIB]).expect("a file");
        let mut files = Files::new(&folder, false).expect("the folder");
        let (file, _) = files.open("page").expect("the file");
        (folder, files, file)
    }

    /// Hands over many reads at a time, more than the pool takes, and counts what comes back.
    fn count(is_here: impl Fn(Visit) -> bool + Copy, name: &str) -> usize {
        let (folder, _, file) = files(name);
        let mut disk = Disk::new(1, false).expect("a thread");
        for slot in 0..JOBS {
            let read =
                disk.read(Visit { slot, number: 1 }, &file, 0, &mut vec![0; MIB], true);
            assert_eq!(read, None, "it was told not to try");
        }
        assert!(!disk.line.is_empty(), "one thread cannot have been as fast");
        let (mut found, since) = (0, Instant::now());
        while disk.pool.outstanding() > 0 && since.elapsed() < Duration::from_secs(20) {
            let second = Timespec { tv_sec: 1, tv_nsec: 0 };
            poll(&mut [PollFd::new(&disk, PollFlags::IN)], Some(&second)).expect("poll");
            for (_, what) in disk.take_found(is_here) {
                let Found::Read(0, Ok(bytes)) = what else { panic!("{what:?}") };
                assert!(bytes.len() == MIB && bytes.iter().all(|byte| *byte == 7));
                found += 1;
            }
        }
        std::fs::remove_dir_all(folder).expect("to clean up");
        found
    }

    #[test]
    fn what_the_pool_had_no_room_for_is_handed_over_later() {
        assert_eq!(count(|_| true, "line"), JOBS);
    }

    #[test]
    fn what_waits_for_room_is_called_off_when_its_client_is_gone() {
        let done = count(|who| who.slot % 2 == 0, "gone");
        assert!((JOBS / 2..JOBS).contains(&done), "{done} of {JOBS} were read");
    }

    #[test]
    fn what_needs_no_waiting_is_done_at_once() {
        let (folder, mut files, file) = files("at-once");
        let mut disk = Disk::new(1, true).expect("a thread");
        let who = Visit { slot: 0, number: 1 };
        let path = RelPath::from_target("/page").expect("a path");
        let opened = disk.open(who, path, &mut files);
        assert!(opened.is_none_or(|result| result.is_ok()), "EAGAIN is no result");
        let read = disk.read(who, &file, 0, &mut [0; 512], true);
        assert!(matches!(read, Some(512) | None), "None: this file system cannot say");
        std::fs::remove_dir_all(folder).expect("to clean up");
    }
}
