//! What io_submit(2) can be asked to do: nothing unsafe here.

use std::ffi::{c_int, c_short};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use super::Iocb;
use crate::buffer::Buffer;

const PREAD: u16 = 0;
const PWRITE: u16 = 1;
const POLL: u16 = 5;
/// IOCB_FLAG_RESFD: add one to an eventfd when it is done. Since Linux 2.6.22.
const RESFD: u32 = 1;

/// Something to do, with the buffer for it. The tag is the caller's, and comes back with the
/// event.
// ANCHOR: operation
#[derive(Debug)]
pub struct Operation<'fd, T> {
    pub(super) tag: T,
    pub(super) buffer: Buffer,
    pub(super) what: What<'fd>,
}
// ANCHOR_END: operation

/// The rest of an operation: all that the kernel only reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct What<'fd> {
    iocb: Iocb,
    /// Which part of the buffer.
    part: (usize, usize),
    file: BorrowedFd<'fd>,
    eventfd: Option<BorrowedFd<'fd>>,
}

impl<'fd, T> Operation<'fd, T> {
    /// Fills the buffer from here on in the file.
    pub fn read(tag: T, file: &'fd impl AsFd, offset: u64, buffer: Buffer) -> Self {
        Self::new(PREAD, tag, file, offset, buffer)
    }

    /// Writes the buffer there.
    pub fn write(tag: T, file: &'fd impl AsFd, offset: u64, buffer: Buffer) -> Self {
        Self::new(PWRITE, tag, file, offset, buffer)
    }

    /// Is done when the descriptor is ready for one of these events (`libc::POLLIN`, …).
    pub fn poll(tag: T, file: &'fd impl AsFd, events: c_short) -> Self {
        let mut poll = Self::new(POLL, tag, file, 0, Buffer::default());
        poll.what.iocb.buffer = u64::from(events as u16);
        poll
    }

    fn new(opcode: u16, tag: T, file: &'fd impl AsFd, offset: u64, buffer: Buffer) -> Self {
        let iocb = Iocb { opcode, offset: offset as i64, ..Iocb::default() };
        let part = (0, buffer.len());
        let what = What { iocb, part, file: file.as_fd(), eventfd: None };
        Self { tag, buffer, what }
    }

    /// Only this part of the buffer.
    ///
    /// # Panics
    /// If the buffer has no such part.
    pub fn part(mut self, part: Range<usize>) -> Self {
        assert!(part.start <= part.end && part.end <= self.buffer.len(), "{part:?}");
        self.what.part = (part.start, part.end);
        self
    }

    /// With a flag of preadv2(2): `libc::RWF_NOWAIT`.
    pub fn with(mut self, rw_flags: c_int) -> Self {
        self.what.iocb.rw_flags = rw_flags;
        self
    }

    /// Adds one to this eventfd when it is done.
    pub fn tell(mut self, eventfd: &'fd impl AsFd) -> Self {
        self.what.eventfd = Some(eventfd.as_fd());
        self
    }

    /// Gives the caller's parts back, of an operation that was not taken.
    pub fn into_parts(self) -> (T, Buffer) {
        (self.tag, self.buffer)
    }

    /// As the kernel wants it. The event will name the `place`.
    pub(super) fn iocb(&mut self, place: usize) -> Iocb {
        let mut iocb = Iocb { data: place as u64, ..self.what.iocb };
        iocb.fd = self.what.file.as_raw_fd() as u32;
        if let Some(eventfd) = self.what.eventfd {
            iocb.flags = RESFD;
            iocb.eventfd = eventfd.as_raw_fd() as u32;
        }
        if iocb.opcode != POLL {
            let (start, end) = self.what.part;
            let bytes = &mut self.buffer[start..end];
            iocb.bytes = bytes.len() as u64;
            iocb.buffer = bytes.as_mut_ptr().expose_provenance() as u64;
        }
        iocb
    }
}
