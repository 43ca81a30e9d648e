//! Buffers that all clients share: the kernel takes one when there are bytes to put into it,
//! so an idle connection has none.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;
use rustix::param::page_size;

/// The only group of buffers that there is.
pub(super) const GROUP: u16 = 0;
/// For how many buffers there is room: a power of two.
const NUMBER: u16 = 2048;
/// How many the kernel gets to begin with. They are used in turn, so fewer of them stay in the
/// processor's caches.
const AT_FIRST: u16 = 256;
/// How large each is, in bytes: a request's head fits in most cases.
const SIZE: usize = 2048;

/// A ring of free buffers, of which the kernel takes from one end, and we add at the other
/// (io_uring_register_buf_ring(3)).
// ANCHOR: buffers
#[derive(Debug)]
pub(super) struct Buffers {
    /// Entries first, then the buffers. Ours until it is dropped, which is after the ring's
    /// last operation has completed.
    memory: NonNull<u8>,
    layout: Layout,
    tail: u16,
    /// How many the kernel has got so far. Nobody has touched the memory of the others.
    given: u16,
}
// ANCHOR_END: buffers

impl Buffers {
    /// Registers them.
    ///
    /// # Errors
    /// `EINVAL` before Linux 5.19; `ENOMEM`.
    pub(super) fn new(uring: &IoUring) -> io::Result<Self> {
        let bytes = usize::from(NUMBER) * (size_of::<BufRingEntry>() + SIZE);
        let layout =
            Layout::from_size_align(bytes, page_size()).map_err(io::Error::other)?;
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(layout) };
        let memory = NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout));
        let mut buffers = Self { memory, layout, tail: 0, given: 0 };
        let address = memory.as_ptr() as u64;
        // SAFETY: the entries are ours, aligned to a page, and are freed by `drop`, which runs
        // when the ring's descriptor, or its last operation, is gone.
        unsafe {
            uring.submitter().register_buf_ring_with_flags(address, NUMBER, GROUP, 0)
        }?;
        (0..AT_FIRST).for_each(|_| buffers.give_one_more());
        Ok(buffers)
    }

    /// A receive has found none: the kernel gets one more.
    // ANCHOR: more
    pub(super) fn give_one_more(&mut self) {
        if self.given < NUMBER {
            self.give_back(self.given);
            self.given += 1;
        }
    }
    // ANCHOR_END: more

    fn start(&self, id: u16) -> *mut u8 {
        let entries = usize::from(NUMBER) * size_of::<BufRingEntry>();
        let offset = entries + usize::from(id % NUMBER) * SIZE;
        self.memory.as_ptr().wrapping_add(offset)
    }

    /// What stands in a buffer that the kernel has taken, and filled with `n` bytes.
    pub(super) fn get(&self, id: u16, n: usize) -> &[u8] {
        // SAFETY: it lies in our memory, which was written when it was allocated. The kernel
        // has given this buffer to us with a completion, and leaves it alone until it is
        // given back, for which `self` must be borrowed exclusively.
        unsafe { std::slice::from_raw_parts(self.start(id), n.min(SIZE)) }
    }

    /// Gives it to the kernel: writes its entry, and then moves the tail.
    // ANCHOR: give-back
    pub(super) fn give_back(&mut self, id: u16) {
        let entries = self.memory.cast::<BufRingEntry>().as_ptr();
        let place = entries.wrapping_add(usize::from(self.tail % NUMBER));
        // SAFETY: the place is one of our entries. The kernel reads entries only up to the
        // tail, and this one is beyond it.
        let entry = unsafe { &mut *place };
        entry.set_addr(self.start(id) as u64);
        entry.set_len(SIZE as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies in the first entry, where nothing else writes.
        let tail = unsafe { BufRingEntry::tail(entries) };
        // SAFETY: it is aligned, and ours and the kernel's, which reads it.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
    // ANCHOR_END: give-back
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout. The ring drains its operations before
        // its fields are dropped, and the kernel keeps no other pointer to it than the
        // registration, through which it only writes for an operation.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) };
    }
}
