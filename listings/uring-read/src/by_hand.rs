//! The two rings by hand: three system calls, two mappings, four counters.
//!
//! One read at a time, of a buffer that belongs to the rings until the read is complete.
#![expect(unsafe_code, reason = "memory that is shared with the kernel")]

use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

// ANCHOR: params
/// What io_uring_setup(2) is told, and tells: `struct io_uring_params`.
#[repr(C)]
#[derive(Debug, Default)]
struct Params {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle: u32,
    features: u32,
    wq_fd: u32,
    reserved: [u32; 3],
    sq: SqOffsets,
    cq: CqOffsets,
}

/// Where the submission ring's fields stand in the mapping, in bytes.
#[repr(C)]
#[derive(Debug, Default)]
struct SqOffsets {
    head: u32,
    tail: u32,
    mask: u32,
    entries: u32,
    flags: u32,
    dropped: u32,
    array: u32,
    reserved: u32,
    user_addr: u64,
}

/// Where the completion ring's fields stand in it.
#[repr(C)]
#[derive(Debug, Default)]
struct CqOffsets {
    head: u32,
    tail: u32,
    mask: u32,
    entries: u32,
    overflow: u32,
    cqes: u32,
    flags: u32,
    reserved: u32,
    user_addr: u64,
}
// ANCHOR_END: params

// ANCHOR: entries
/// A submission: `struct io_uring_sqe`, 64 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Sqe {
    opcode: u8,
    flags: u8,
    ioprio: u16,
    fd: i32,
    offset: u64,
    address: u64,
    length: u32,
    op_flags: u32,
    user_data: u64,
    buf_index: u16,
    personality: u16,
    splice_fd_in: i32,
    pad: [u64; 2],
}

/// A completion: `struct io_uring_cqe`, 16 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Cqe {
    /// What the submission was marked with.
    pub user_data: u64,
    /// What read(2) would have returned, or the error's number below zero.
    pub result: i32,
    /// Bits that a plain read does not use.
    pub flags: u32,
}
// ANCHOR_END: entries

const OP_READ: u8 = 22;
const OFFSET_OF_RINGS: libc::off_t = 0;
const OFFSET_OF_SQES: libc::off_t = 0x1000_0000;
const FEATURE_SINGLE_MMAP: u32 = 1;
const ENTER_GETEVENTS: u32 = 1;

/// Memory that is shared with the kernel.
#[derive(Debug)]
struct Mapping {
    base: NonNull<u8>,
    length: usize,
}

impl Mapping {
    fn new(fd: &OwnedFd, length: usize, offset: libc::off_t) -> io::Result<Self> {
        let (access, how) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_POPULATE);
        // SAFETY: a new mapping at an address that the kernel chooses. It is ours until
        // munmap in `drop`, and the kernel's other side of it lives as long as the ring.
        let base = unsafe {
            libc::mmap(ptr::null_mut(), length, access, how, fd.as_raw_fd(), offset)
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { base, length })
    }

    /// The place of a `T` so many bytes in, which lies in the mapping.
    fn place<T>(&self, offset: usize) -> *mut T {
        assert!(offset + size_of::<T>() <= self.length, "outside of the mapping");
        let place = self.base.as_ptr().wrapping_add(offset).cast::<T>();
        assert!(place.is_aligned(), "not where a value of this type may stand");
        place
    }

    /// A counter that two sides use at once.
    fn counter(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: `place` lies in the mapping and is aligned. The memory is the mapping's as
        // long as `self` is borrowed, and both sides access it by atomic operations only.
        unsafe { AtomicU32::from_ptr(self.place(offset as usize)) }
    }

    fn write<T: Copy>(&self, offset: usize, value: T) {
        // SAFETY: `place` lies in the mapping and is aligned. The entry is ours: the caller
        // has seen by the ring's head that the kernel is done with it.
        unsafe { self.place::<T>(offset).write(value) }
    }

    fn read<T: Copy>(&self, offset: usize) -> T {
        // SAFETY: `place` lies in the mapping and is aligned, and numbers of any value are
        // valid. The entry is ours: the caller has seen by the ring's tail that the kernel
        // has written it, and has not yet moved the head past it.
        unsafe { self.place::<T>(offset).read() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody has a reference into it: they borrow us.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.length) };
    }
}

/// The four counters. Each only grows; what is between head and tail is in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Up to where the kernel has taken submissions.
    pub sq_head: u32,
    /// Up to where we have written some.
    pub sq_tail: u32,
    /// Up to where we have taken completions.
    pub cq_head: u32,
    /// Up to where the kernel has written some.
    pub cq_tail: u32,
}

/// A submission ring and a completion ring.
#[derive(Debug)]
pub struct Rings {
    rings: Mapping,
    sqes: Mapping,
    params: Params,
    /// What the read in flight reads from, and into.
    lent: Option<(Option<File>, Vec<u8>)>,
    fd: OwnedFd,
}

impl Rings {
    /// Has the kernel make both, and maps them.
    ///
    /// # Errors
    /// What io_uring_setup(2) or mmap(2) answers.
    // ANCHOR: setup
    pub fn new(entries: u32) -> io::Result<Self> {
        let mut params = Params::default();
        // SAFETY: the kernel reads and writes `params` during the call and not later.
        let fd =
            unsafe { libc::syscall(libc::SYS_io_uring_setup, entries, &raw mut params) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has made this descriptor for us; nobody else has its number.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        if params.features & FEATURE_SINGLE_MMAP == 0 {
            return Err(io::Error::from_raw_os_error(libc::ENOSYS)); // before Linux 5.4
        }
        let sq = params.sq.array as usize + params.sq_entries as usize * size_of::<u32>();
        let cq = params.cq.cqes as usize + params.cq_entries as usize * size_of::<Cqe>();
        let rings = Mapping::new(&fd, sq.max(cq), OFFSET_OF_RINGS)?;
        let sqes = params.sq_entries as usize * size_of::<Sqe>();
        let sqes = Mapping::new(&fd, sqes, OFFSET_OF_SQES)?;
        Ok(Self { rings, sqes, params, lent: None, fd })
    }
    // ANCHOR_END: setup

    /// How many entries the rings have: submissions, completions.
    pub fn sizes(&self) -> (u32, u32) {
        (self.params.sq_entries, self.params.cq_entries)
    }

    /// Where heads and tails stand.
    pub fn ends(&self) -> Ends {
        let see = |offset| self.rings.counter(offset).load(Acquire);
        let (sq, cq) = (&self.params.sq, &self.params.cq);
        Ends {
            sq_head: see(sq.head),
            sq_tail: see(sq.tail),
            cq_head: see(cq.head),
            cq_tail: see(cq.tail),
        }
    }

    /// Writes a read of `length` bytes from here on into the submission ring.
    ///
    /// # Errors
    /// `ResourceBusy` while another read is in flight.
    // ANCHOR: queue
    pub fn queue_read(&mut self, file: File, length: u32, at: u64) -> io::Result<()> {
        if self.lent.is_some() {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let fd = file.as_raw_fd();
        let (_, buffer) = self.lent.insert((Some(file), vec![0; length as usize]));
        let address = buffer.as_mut_ptr().expose_provenance() as u64;
        let sqe = Sqe {
            opcode: OP_READ,
            fd,
            offset: at,
            address,
            length,
            user_data: 42,
            ..Sqe::default()
        };
        // The tail is ours: nobody else writes it. What the kernel has taken is free again, and
        // Acquire says that it had done so before it moved the head.
        let tail = self.rings.counter(self.params.sq.tail).load(Relaxed);
        let head = self.rings.counter(self.params.sq.head).load(Acquire);
        assert!(
            tail.wrapping_sub(head) < self.params.sq_entries,
            "one read, and room for it"
        );
        let index = tail & (self.params.sq_entries - 1);
        self.sqes.write(index as usize * size_of::<Sqe>(), sqe);
        self.rings.write(
            self.params.sq.array as usize + index as usize * size_of::<u32>(),
            index,
        );
        // Release: whoever sees the new tail sees the entry.
        self.rings.counter(self.params.sq.tail).store(tail.wrapping_add(1), Release);
        Ok(())
    }
    // ANCHOR_END: queue

    /// Hands over what stands in the submission ring, and waits for so many completions.
    /// Says how many the kernel has taken.
    ///
    /// # Errors
    /// What io_uring_enter(2) answers.
    // ANCHOR: enter
    pub fn enter(&mut self, submit: u32, wait: u32) -> io::Result<u32> {
        let flags = if wait > 0 { ENTER_GETEVENTS } else { 0 };
        let (fd, no_mask) = (self.fd.as_raw_fd(), ptr::null::<libc::sigset_t>());
        // SAFETY: the entries name memory of `lent`, which we keep until the completion. The
        // call itself is lent nothing.
        let taken = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                fd,
                submit,
                wait,
                flags,
                no_mask,
                0_usize,
            )
        };
        u32::try_from(taken).map_err(|_| io::Error::last_os_error())
    }
    // ANCHOR_END: enter

    /// Closes the descriptor of the read in flight, which it has no use for any more: the
    /// kernel has looked it up when it took the entry.
    pub fn close_file(&mut self) {
        if let Some((file, _)) = &mut self.lent {
            *file = None;
        }
    }

    /// Takes a completion, and with it the buffer back. `None`: there is none yet.
    // ANCHOR: take
    pub fn take(&mut self) -> Option<(Cqe, Vec<u8>)> {
        let head = self.rings.counter(self.params.cq.head).load(Relaxed); // ours
        // Acquire: whoever sees the new tail sees the completion, and the bytes of the read.
        let tail = self.rings.counter(self.params.cq.tail).load(Acquire);
        if head == tail {
            return None;
        }
        let index = head & (self.params.cq_entries - 1);
        let place = self.params.cq.cqes as usize + index as usize * size_of::<Cqe>();
        let cqe: Cqe = self.rings.read(place);
        // Release: we have read the entry before we say that it is free.
        self.rings.counter(self.params.cq.head).store(head.wrapping_add(1), Release);
        let (_file, mut buffer) =
            self.lent.take().unwrap_or_else(|| unreachable!("a read was in flight"));
        buffer.truncate(usize::try_from(cqe.result).unwrap_or(0));
        Some((cqe, buffer))
    }
    // ANCHOR_END: take
}

impl Drop for Rings {
    fn drop(&mut self) {
        // A read that is in flight goes on when the ring is closed, and the kernel owns its
        // buffer. Memory that is lost is better than memory that someone else writes to.
        mem::forget(self.lent.take());
    }
}
