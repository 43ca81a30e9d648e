//! A ring for the checks of io_uring(7). What the kernel is lent here it keeps: a check ends
//! soon, and its memory with it.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use io_uring::types::{Fd, Timespec};
use io_uring::{Builder, IoUring, opcode, squeue};
use nix::errno::Errno;

use crate::Cannot;

/// Flags of a submission.
pub use io_uring::squeue::Flags;

/// Where a read has put its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    first: *const u8,
    length: usize,
}

impl Place {
    /// The bytes that stand there, once the read is complete.
    pub fn bytes(self) -> Vec<u8> {
        // SAFETY: `length` bytes that were leaked and are valid for ever. The kernel has
        // written to them for the last time: the checks look after the completion.
        unsafe { std::slice::from_raw_parts(self.first, self.length) }.to_vec()
    }
}

/// A ring.
pub struct Ring(pub IoUring);

/// A completion: its mark and its result.
pub type Done = (u64, Result<u32, Errno>);

impl Ring {
    /// One of so many entries; a machine that forbids it cannot tell.
    pub fn new(entries: u32) -> Result<Self, Cannot> {
        Self::built(&IoUring::builder(), entries)
    }

    /// One with these options.
    pub fn built(builder: &Builder, entries: u32) -> Result<Self, Cannot> {
        let refused = |error| Cannot(format!("io_uring_setup: {error}"));
        builder.build(entries).map(Self).map_err(refused)
    }

    /// Puts a read into the submission ring.
    pub fn read(
        &mut self,
        file: impl AsFd,
        length: usize,
        flags: Flags,
        mark: u64,
    ) -> Place {
        self.read_nowait(file, length, flags, mark, 0)
    }

    /// The same, with flags of preadv2(2).
    pub fn read_nowait(
        &mut self,
        file: impl AsFd,
        length: usize,
        flags: Flags,
        mark: u64,
        rw_flags: i32,
    ) -> Place {
        // 1: so that the pages are there before the read.
        let into = Box::leak(vec![1; length].into_boxed_slice());
        let (first, fd) = (into.as_mut_ptr(), Fd(file.as_fd().as_raw_fd()));
        let entry = opcode::Read::new(fd, first, length as u32).rw_flags(rw_flags).build();
        self.push(&entry.flags(flags).user_data(mark));
        Place { first, length }
    }

    /// Puts in something that does nothing.
    pub fn nop(&mut self, flags: Flags, mark: u64) {
        self.push(&opcode::Nop::new().build().flags(flags).user_data(mark));
    }

    /// Puts in the cancellation of what is marked so.
    pub fn cancel(&mut self, whom: u64, mark: u64) {
        self.push(&opcode::AsyncCancel::new(whom).build().user_data(mark));
    }

    /// Puts in a timeout: for itself, until so many others are complete, or for the one before
    /// it.
    pub fn timeout(&mut self, time: Duration, count: u32, mark: u64) {
        let time: &Timespec = Box::leak(Box::new(time.into()));
        self.push(&opcode::Timeout::new(time).count(count).build().user_data(mark));
    }

    /// Puts in a timeout for the one before it.
    pub fn linked_timeout(&mut self, time: Duration, mark: u64) {
        let time: &Timespec = Box::leak(Box::new(time.into()));
        self.push(&opcode::LinkTimeout::new(time).build().user_data(mark));
    }

    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: whatever memory the entry names was leaked, and is valid for ever.
        unsafe { self.0.submission().push(entry) }.expect("the checks leave room");
    }

    /// Submits, and waits for so many completions. Says how many were submitted.
    pub fn enter(&mut self, wait: usize) -> io::Result<usize> {
        self.0.submit_and_wait(wait)
    }

    /// The completions that are there.
    pub fn take(&mut self) -> Vec<Done> {
        let errno =
            |result: i32| u32::try_from(result).map_err(|_| Errno::from_raw(-result));
        self.0.completion().map(|done| (done.user_data(), errno(done.result()))).collect()
    }

    /// Submits, and takes completions until there are so many, or five seconds are over.
    pub fn take_all(&mut self, number: usize) -> io::Result<Vec<Done>> {
        let (begun, mut all) = (Instant::now(), Vec::new());
        loop {
            self.enter(0)?;
            all.extend(self.take());
            if all.len() >= number || begun.elapsed() > Duration::from_secs(5) {
                return Ok(all);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether the kernel keeps completions that had no room (IORING_SQ_CQ_OVERFLOW).
    pub fn overflown(&mut self) -> bool {
        self.0.submission().cq_overflow()
    }

    /// Whether the thread that looks for submissions sleeps (IORING_SQ_NEED_WAKEUP).
    pub fn poller_sleeps(&mut self) -> bool {
        self.0.submission().need_wakeup()
    }

    /// Registers a buffer of so many bytes.
    pub fn register(&mut self, length: usize) -> io::Result<()> {
        let into = Box::leak(vec![1_u8; length].into_boxed_slice());
        let buffer = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: length };
        // SAFETY: memory that was leaked, and is valid for ever.
        unsafe { self.0.submitter().register_buffers(&[buffer]) }
    }
}
