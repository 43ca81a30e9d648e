//! Buffers that all clients share: the kernel takes one when there are bytes to put into it,
//! so an idle connection has none.

use std::io;
use std::ptr::null_mut;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// The only group of buffers that there is.
pub(super) const GROUP: u16 = 0;
/// For how many buffers there is room: a power of two. When more clients than these say
/// something in the same moment, the others cost a receive more.
const NUMBER: u16 = 1 << 14;
/// How many the kernel gets to begin with. They are used in turn, so fewer of them stay in the
/// processor's caches.
const AT_FIRST: u16 = 256;
/// How large each is, in bytes: a request's head fits in most cases. It is an odd number of
/// cache lines. With 2048 bytes the first lines of all buffers, where the requests are, would
/// share two of the 64 sets of a first-level cache.
const SIZE: usize = 2048 + 64;
/// Of so many that come back one is kept here, as long as the kernel has more than at first.
/// Then it goes round through few of them again when a crowd has left. (Their memory stays.)
const KEEP_ONE_OF: u16 = 256;

/// Room for the entries of the ring, and for the buffers behind them.
const BYTES: usize = NUMBER as usize * (size_of::<BufRingEntry>() + SIZE);

/// A ring of free buffers, of which the kernel takes from one end, and we add at the other
/// (io_uring_register_buf_ring(3)).
// ANCHOR: buffers
#[derive(Debug)]
pub(super) struct Buffers {
    /// [`BYTES`] of it: entries first, then the buffers. Ours until it is dropped, which is
    /// after the ring's last operation has completed.
    memory: *mut u8,
    tail: u16,
    /// How many have been used so far. Nobody has touched the memory of the others.
    touched: u16,
    /// Those of them that were kept.
    kept: Vec<u16>,
    /// How many have come back.
    returned: u16,
    /// Tells these buffers from those of another ring.
    mark: Rc<()>,
}
// ANCHOR_END: buffers

/// A buffer into which the kernel has received something. Only a ring makes one, and whoever gives
/// it back to this ring has it no more.
#[derive(Debug)]
pub struct Filled {
    id: u16,
    /// How many bytes stand in it.
    n: usize,
    of: Rc<()>,
}

impl Buffers {
    /// Registers them.
    ///
    /// # Errors
    /// `EINVAL` before Linux 5.19; `ENOMEM`.
    pub(super) fn new(uring: &IoUring) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // An allocator would write zeros to all of it, and then it would all be there.
        // SAFETY: the kernel chooses a place that nothing else has.
        let memory =
            unsafe { mmap_anonymous(null_mut(), BYTES, access, MapFlags::PRIVATE) }?;
        let memory = memory.cast::<u8>();
        let (tail, touched, kept, returned) = (0, 0, Vec::new(), 0);
        let mark = Rc::new(());
        let mut buffers = Self { memory, tail, touched, kept, returned, mark };
        let address = memory as u64;
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
        if let Some(id) = self.kept.pop() {
            self.add(id);
        } else if self.touched < NUMBER {
            self.touched += 1;
            self.add(self.touched - 1);
        }
    }

    /// The kernel has taken this one, and filled it with `n` bytes.
    pub(super) fn filled(&self, id: u16, n: usize) -> Filled {
        Filled { id, n, of: self.mark.clone() }
    }

    /// What was received is read: the kernel gets the buffer back.
    ///
    /// # Panics
    /// If it is of another ring: here the kernel may be writing to the one of that number.
    pub(super) fn give_back(&mut self, Filled { id, of, .. }: Filled) {
        assert!(Rc::ptr_eq(&of, &self.mark), "a buffer of another ring");
        self.returned = self.returned.wrapping_add(1);
        let is_crowd = usize::from(self.touched) > usize::from(AT_FIRST) + self.kept.len();
        if is_crowd && self.returned.is_multiple_of(KEEP_ONE_OF) {
            self.kept.push(id);
        } else {
            self.add(id);
        }
    }
    // ANCHOR_END: more

    fn start(&self, id: u16) -> *mut u8 {
        let entries = usize::from(NUMBER) * size_of::<BufRingEntry>();
        let offset = entries + usize::from(id % NUMBER) * SIZE;
        self.memory.wrapping_add(offset)
    }

    /// What stands in it.
    ///
    /// # Panics
    /// As above.
    pub(super) fn get<'a>(&'a self, Filled { id, n, of }: &'a Filled) -> &'a [u8] {
        assert!(Rc::ptr_eq(of, &self.mark), "a buffer of another ring");
        // SAFETY: it lies in our memory, all of which reads as zeros until it is written. The kernel
        // has given this buffer to us with a completion, and leaves it alone until it is
        // given back, for which `filled` would have to be moved.
        unsafe { std::slice::from_raw_parts(self.start(*id), (*n).min(SIZE)) }
    }

    /// Gives it to the kernel: writes its entry, and then moves the tail.
    // ANCHOR: add
    fn add(&mut self, id: u16) {
        let entries = self.memory.cast::<BufRingEntry>();
        let place = entries.wrapping_add(usize::from(self.tail % NUMBER));
        // SAFETY: the place is one of our entries. The kernel reads entries only up to the
        // tail, and this one is beyond it: no buffer stands in the ring twice, so no more than
        // all of them do.
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
    // ANCHOR_END: add
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length. The ring drains its operations before its
        // fields are dropped, and the kernel keeps no other pointer to it than the
        // registration, through which it only writes for an operation.
        let unmapped = unsafe { munmap(self.memory.cast(), BYTES) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_goes_back_to_its_own_ring_only() {
        let ring = || IoUring::new(8).and_then(|uring| Ok((Buffers::new(&uring)?, uring)));
        let (Ok((one, _uring)), Ok((mut other, _other))) = (ring(), ring()) else {
            return flags::skipped("there are no shared buffers here");
        };
        let filled = one.filled(0, 1);
        let panics = |run: &mut dyn FnMut()| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err()
        };
        assert_eq!(one.get(&filled), [0]);
        assert!(panics(&mut || _ = other.get(&filled).len()));
        let mut filled = Some(filled);
        assert!(panics(&mut || filled.take().into_iter().for_each(|f| other.give_back(f))));
    }

    #[test]
    fn the_buffers_of_a_crowd_are_kept_and_used_for_the_next() {
        let buffers = IoUring::new(8).and_then(|uring| Ok((Buffers::new(&uring)?, uring)));
        let Ok((mut buffers, _uring)) = buffers else {
            return flags::skipped("there are no shared buffers here");
        };
        let mut pages = vec![0; BYTES.div_ceil(rustix::param::page_size())];
        // SAFETY: the mapping is ours, and there is a byte for each of its pages.
        let asked =
            unsafe { libc::mincore(buffers.memory.cast(), BYTES, pages.as_mut_ptr()) };
        assert_eq!(asked, 0);
        let there = pages.iter().filter(|page| **page & 1 == 1).count();
        // The entries are, and with huge pages two megabytes where one byte was written.
        assert!(there < pages.len() / 4, "of {} pages {there} are there", pages.len());

        let out = |buffers: &Buffers| usize::from(buffers.touched) - buffers.kept.len();
        for _ in 0..3 {
            (0..100).for_each(|_| buffers.give_one_more());
            assert_eq!(out(&buffers), 356);
            for returned in 0..110 * KEEP_ONE_OF {
                let filled = buffers.filled(returned % AT_FIRST, 0);
                buffers.give_back(filled);
            }
            assert_eq!(out(&buffers), 256, "there are no fewer than at first");
        }
        assert_eq!(buffers.touched, 356, "those that were kept came first");
        (0..2 * NUMBER).for_each(|_| buffers.give_one_more());
        assert_eq!(buffers.touched, NUMBER, "and there is an end to it");
    }
}
