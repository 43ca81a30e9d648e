//! Linux AIO by its system calls, and one call of the C library's: unsafe code of the claims
//! in `aio.rs`.
//!
//! What the kernel may write to is never freed: it is the kernel's until the process ends.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, c_long, c_ulong};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

use nix::errno::Errno;

/// Memory to read into or to write from, at a multiple of 64 KiB.
#[derive(Clone, Copy, Debug)]
pub struct Room(pub &'static [AtomicU8]);

impl Room {
    /// So many bytes, each with this value.
    pub fn new(bytes: usize, value: u8) -> Self {
        Self::beside(bytes, value, 0)
    }

    /// The same, but so many bytes behind a multiple.
    pub fn beside(bytes: usize, value: u8, by: usize) -> Self {
        let all: Vec<AtomicU8> =
            (0..bytes + 2 * 65_536).map(|_| AtomicU8::new(value)).collect();
        let all: &'static [AtomicU8] = all.leak();
        let start = all.as_ptr().addr().next_multiple_of(65_536) - all.as_ptr().addr() + by;
        Self(&all[start..start + bytes])
    }

    /// The last byte.
    pub fn last(self) -> u8 {
        self.0[self.0.len() - 1].load(SeqCst)
    }
}

/// struct iocb of linux/aio_abi.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Iocb {
    data: u64,
    #[cfg(target_endian = "little")]
    key: u32,
    rw_flags: c_int,
    #[cfg(target_endian = "big")]
    key: u32,
    opcode: u16,
    priority: i16,
    fd: c_int,
    buffer: u64,
    bytes: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    eventfd: c_int,
}

impl Iocb {
    /// IOCB_CMD_PREAD.
    pub fn read(file: impl AsFd, room: Room, offset: i64) -> Self {
        let fd = file.as_fd().as_raw_fd();
        let (buffer, bytes) = (room.0.as_ptr().expose_provenance() as u64, room.0.len());
        Self { fd, buffer, bytes: bytes as u64, offset, ..Self::default() }
    }

    /// IOCB_CMD_PWRITE.
    pub fn write(file: impl AsFd, room: Room, offset: i64) -> Self {
        Self { opcode: 1, ..Self::read(file, room, offset) }
    }

    /// IOCB_CMD_POLL for POLLIN.
    pub fn poll(file: impl AsFd) -> Self {
        let (fd, buffer) = (file.as_fd().as_raw_fd(), libc::POLLIN as u64);
        Self { opcode: 5, fd, buffer, ..Self::default() }
    }

    /// With a flag of preadv2(2).
    pub fn with(self, rw_flags: c_int) -> Self {
        Self { rw_flags, ..self }
    }

    /// IOCB_FLAG_RESFD.
    pub fn tell(self, eventfd: impl AsFd) -> Self {
        Self { flags: 1, eventfd: eventfd.as_fd().as_raw_fd(), ..self }
    }

    /// With something in the field that the kernel keeps for itself.
    pub fn with_key(self, key: u32) -> Self {
        Self { key, ..self }
    }

    fn raw(&self) -> [u8; 64] {
        // SAFETY: it has no padding, and bytes may have any value.
        unsafe { std::mem::transmute(*self) }
    }
}

/// An AIO context.
#[derive(Debug)]
pub struct Aio {
    id: c_ulong,
    last: Cell<*mut Iocb>,
}

impl Aio {
    /// io_setup(2).
    pub fn new(events: u32) -> nix::Result<Self> {
        let mut id: c_ulong = 0;
        // SAFETY: the kernel writes one word, which is ours, before it returns.
        Errno::result(unsafe {
            libc::syscall(libc::SYS_io_setup, c_ulong::from(events), &raw mut id)
        })?;
        Ok(Self { id, last: Cell::new(ptr::null_mut()) })
    }

    /// io_submit(2): how many were taken.
    pub fn submit(&self, iocbs: &[Iocb]) -> nix::Result<usize> {
        let iocbs = iocbs.to_vec().leak();
        let pointers: Vec<*mut Iocb> =
            iocbs.iter_mut().map(|iocb| &raw mut *iocb).collect();
        self.last.set(pointers[0]);
        self.submit_pointers(pointers.len(), pointers.leak().as_ptr().addr())
    }

    /// io_submit(2) of what the pointers at an address lead to: memory that is never freed,
    /// or none.
    fn submit_pointers(&self, number: usize, at: usize) -> nix::Result<usize> {
        let number = number as c_long;
        // SAFETY: iocbs, pointers and all that they name are the kernel's for ever.
        let taken = unsafe { libc::syscall(libc::SYS_io_submit, self.id, number, at) };
        Errno::result(taken).map(|taken| taken as usize)
    }

    /// How many bytes of the iocb that was submitted last have changed.
    pub fn changed(&self, before: &Iocb) -> usize {
        // SAFETY: it was leaked, and the kernel writes to it in io_submit(2) only.
        let after = unsafe { self.last.get().read_volatile() };
        before.raw().iter().zip(after.raw()).filter(|(a, b)| *a != b).count()
    }

    /// io_getevents(2): the results, in the order in which they come. Waits for so many, for
    /// so many milliseconds.
    pub fn events(&self, number: usize, ms: u64) -> nix::Result<Vec<i64>> {
        let events = vec![[0_i64; 4]; 256].leak();
        let got = self.get_events(number, 256, events.as_ptr().addr(), ms)?;
        Ok(events[..got].iter().map(|event| event[2]).collect())
    }

    /// As [`Self::submit_pointers`]: where the events go is never freed.
    fn get_events(
        &self,
        least: usize,
        most: usize,
        at: usize,
        ms: u64,
    ) -> nix::Result<usize> {
        let time = [(ms / 1000) as c_long, (ms % 1000 * 1_000_000) as c_long];
        let (least, most) = (least as c_long, most as c_long);
        // SAFETY: the events' memory is the kernel's for ever; it reads two words of ours.
        let got = unsafe {
            libc::syscall(libc::SYS_io_getevents, self.id, least, most, at, time.as_ptr())
        };
        Errno::result(got).map(|got| got as usize)
    }

    /// io_cancel(2) of the first iocb of the last io_submit(2).
    pub fn cancel(&self) -> nix::Result<()> {
        let unused = vec![[0_i64; 4]; 1].leak();
        // SAFETY: the kernel reads an iocb and may write an event, both of which are leaked.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_io_cancel,
                self.id,
                self.last.get(),
                unused.as_mut_ptr(),
            )
        };
        Errno::result(answer).map(drop)
    }

    /// Whether `number` reads of nothing are done, where readable memory ends `less` bytes
    /// before what they take: of 64 for the iocbs, a word for the pointers, 32 for the events.
    pub fn fits(
        &self,
        file: impl AsFd,
        number: usize,
        less: usize,
    ) -> nix::Result<[bool; 3]> {
        let iocb = Iocb { fd: file.as_fd().as_raw_fd(), ..Iocb::default() };
        let all = |result: nix::Result<usize>| match result {
            Err(Errno::EFAULT) => Ok(false),
            result => result.map(|n| n == number),
        };
        let close = edge(64 - less, &iocb.raw());
        let far = edge(64 * number, &iocb.raw().repeat(number));
        let word = size_of::<usize>();
        let lead_to = |first: usize| -> Vec<u8> {
            (0..number).flat_map(|n| (first + 64 * n).to_ne_bytes()).collect()
        };
        let first =
            all(self.submit_pointers(number, edge(word * number, &lead_to(close))))?;
        self.events(0, 0)?;
        let pointers = edge(word - less, &lead_to(far));
        let second = all(self.submit_pointers(number, pointers))?;
        self.events(0, 0)?;
        self.submit_pointers(number, edge(word * number, &lead_to(far)))?;
        let third = all(self.get_events(number, number, edge(32 - less, &[]), 0))?;
        Ok([first, second, third])
    }

    /// io_destroy(2).
    pub fn destroy(self) -> nix::Result<()> {
        let answer = self.call_destroy();
        std::mem::forget(self);
        answer
    }

    fn call_destroy(&self) -> nix::Result<()> {
        // SAFETY: a number; what the kernel might still write to is never freed.
        Errno::result(unsafe { libc::syscall(libc::SYS_io_destroy, self.id) }).map(drop)
    }
}

impl Drop for Aio {
    fn drop(&mut self) {
        let _ = self.call_destroy();
    }
}

/// The address so many bytes before the end of readable memory, where as many of `bytes`
/// stand as fit.
fn edge(room: usize, bytes: &[u8]) -> usize {
    let page = rustix::param::page_size();
    let (both, new) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: two new pages, which stay.
    let start = unsafe { libc::mmap(ptr::null_mut(), 2 * page, both, new, -1, 0) };
    assert!(start != libc::MAP_FAILED && room <= page);
    let at = start.wrapping_byte_add(page - room);
    // SAFETY: `room` bytes at the end of the first page.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), at.cast(), bytes.len().min(room)) };
    // SAFETY: the second page, of which nobody has a reference.
    let end =
        unsafe { libc::mprotect(start.wrapping_byte_add(page), page, libc::PROT_NONE) };
    assert_eq!(end, 0);
    at.expose_provenance()
}

/// aio_read(3) of a byte: what aio(7) is about.
pub fn posix_read(file: impl AsFd) -> nix::Result<()> {
    let room = Room::new(1, 0);
    // SAFETY: zeros are a valid one: no signal is asked for.
    let mut block: libc::aiocb = unsafe { std::mem::zeroed() };
    block.aio_fildes = file.as_fd().as_raw_fd();
    block.aio_buf = room.0.as_ptr().cast_mut().cast();
    block.aio_nbytes = 1;
    // SAFETY: the block and the byte that it names are never freed.
    Errno::result(unsafe { libc::aio_read(Box::leak(Box::new(block))) }).map(drop)
}
