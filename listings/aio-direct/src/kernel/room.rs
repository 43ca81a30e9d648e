//! How many bytes the kernel copies, measured: memory ends right behind a structure, and if
//! it ends a byte earlier, the call answers EFAULT.

use std::ffi::{c_long, c_ulong};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;
use std::slice;

use super::{Context, IOCB_BYTES, IoEvent, Iocb, checked};

/// What the kernel copies for one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// io_submit reads an iocb of so many bytes,
    pub iocb: usize,
    /// which it finds by a pointer of so many,
    pub pointer: usize,
    /// and writes so many back into the iocb.
    pub written_back: usize,
    /// io_getevents writes an event of so many.
    pub event: usize,
}

/// Finds out how many.
///
/// # Errors
/// What io_setup(2) or mmap(2) answers.
pub fn copied() -> io::Result<Copied> {
    let null = File::open("/dev/null")?; // a read of it is done at once
    let context = Context::<()>::new(1)?;
    let id = context.id;
    let read = Iocb { key: !0, fd: null.as_raw_fd() as u32, ..Iocb::default() };
    let edge = Edge::new()?;
    // ANCHOR: copied
    let iocb = smallest(|room| {
        let iocb = edge.before(room, &read.bytes());
        // SAFETY: the pointer is ours for the call. The kernel reads where it leads and writes
        // the key there: in the edge's page, which nobody else has. The read is of 0 bytes.
        unsafe { submit(id, (&raw const iocb).cast()) }?;
        drain(id)
    })?;
    let mut whole = read;
    let address = (&raw mut whole).expose_provenance().to_ne_bytes();
    let pointer = smallest(|room| {
        // SAFETY: as above, with the pointer in the edge's page, and the iocb ours.
        unsafe { submit(id, edge.before(room, &address).cast()) }?;
        drain(id)
    })?;
    // ANCHOR_END: copied
    let event = smallest(|room| {
        if room == 0 {
            // SAFETY: as above.
            unsafe { submit(id, (&raw const address).cast()) }?;
        }
        // SAFETY: the kernel writes an event into the edge's page, or does not.
        unsafe { get(id, edge.before(room, &[]).cast()) }
    })?;
    // SAFETY: `whole` is ours, is initialized, and the kernel has written to it for the last
    // time before io_submit has returned.
    let after = unsafe { (&raw const whole).read_volatile() }.bytes();
    let written_back = read.bytes().iter().zip(after).filter(|(a, b)| *a != b).count();
    Ok(Copied { iocb, pointer, written_back, event })
}

/// The first number of bytes with which a call does not answer EFAULT.
fn smallest(mut call: impl FnMut(usize) -> io::Result<()>) -> io::Result<usize> {
    for room in 0..=4 * IOCB_BYTES {
        match call(room) {
            Err(error) if error.raw_os_error() == Some(libc::EFAULT) => {}
            result => return result.map(|()| room),
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

impl Iocb {
    fn bytes(&self) -> [u8; IOCB_BYTES] {
        // SAFETY: it has no padding, and bytes may have any value.
        unsafe { std::mem::transmute(*self) }
    }
}

/// # Safety
/// The kernel may read a pointer there, and read and write an iocb where that leads.
unsafe fn submit(id: c_ulong, pointers: *const *mut Iocb) -> io::Result<()> {
    let one: c_long = 1;
    // SAFETY: as the caller promises. The iocb names no buffer.
    checked(unsafe { libc::syscall(libc::SYS_io_submit, id, one, pointers) }).map(drop)
}

/// # Safety
/// The kernel may write an event there.
unsafe fn get(id: c_ulong, event: *mut IoEvent) -> io::Result<()> {
    let one: c_long = 1;
    let no_time: *const c_long = ptr::null();
    // SAFETY: as the caller promises.
    checked(unsafe { libc::syscall(libc::SYS_io_getevents, id, one, one, event, no_time) })
        .map(drop)
}

/// Takes an event, wherever it is to go.
fn drain(id: c_ulong) -> io::Result<()> {
    let mut event = IoEvent::default();
    // SAFETY: `event` is ours until the call returns.
    unsafe { get(id, &raw mut event) }
}

/// A page of memory that ends where nothing may be touched.
struct Edge {
    page: usize,
    start: *mut libc::c_void,
}

impl Edge {
    fn new() -> io::Result<Self> {
        let page = rustix::param::page_size();
        let (both, private) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: two new pages, at an address that the kernel chooses. They are ours until
        // they are dropped.
        let start = unsafe { libc::mmap(ptr::null_mut(), 2 * page, both, private, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let edge = Self { page, start };
        // SAFETY: the second of the two pages.
        let second = unsafe { start.byte_add(page) };
        // SAFETY: nobody has a reference to it.
        match unsafe { libc::mprotect(second, page, libc::PROT_NONE) } {
            0 => Ok(edge),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The address so many bytes before the edge, where as many of `bytes` stand as fit.
    fn before(&self, room: usize, bytes: &[u8]) -> *mut u8 {
        assert!(room <= self.page);
        // SAFETY: within the two pages.
        let at = unsafe { self.start.byte_add(self.page - room) }.cast::<u8>();
        // SAFETY: `room` bytes in front of the edge, which are ours, and of which there is no
        // other reference.
        let there = unsafe { slice::from_raw_parts_mut(at, room) };
        let n = bytes.len().min(room);
        there[..n].copy_from_slice(&bytes[..n]);
        at
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // SAFETY: the pages are ours, and nothing is in flight that names them.
        unsafe { libc::munmap(self.start, 2 * self.page) };
    }
}
