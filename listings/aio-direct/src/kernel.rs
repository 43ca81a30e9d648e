//! The five system calls of Linux AIO, behind a [`Context`] that owns every buffer the kernel
//! may still write to: the only unsafe code of this crate.
//!
//! The rule: a buffer moves in with its operation and comes back with its event. In between
//! it stands in the context's table. The context ends by io_destroy(2), which returns when
//! nothing is in flight any more, and only then is the table freed.
#![expect(unsafe_code, reason = "no crate of ours wraps io_submit(2) and its sisters")]

use std::ffi::{c_int, c_long, c_ulong};
use std::io;
use std::mem;
use std::ptr;
use std::time::Duration;

use crate::buffer::Buffer;

mod operation;
mod room;

pub use operation::Operation;
pub use room::{Copied, copied};

// ANCHOR: iocb
/// `struct iocb` of linux/aio_abi.h: what to do. The kernel copies it in io_submit(2).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Iocb {
    data: u64,
    #[cfg(target_endian = "little")]
    key: u32, // written back by io_submit, read by io_cancel
    rw_flags: c_int,
    #[cfg(target_endian = "big")]
    key: u32,
    opcode: u16,
    priority: i16,
    fd: u32,
    buffer: u64, // an address; 64 bits wide on every machine
    bytes: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    eventfd: u32,
}
// ANCHOR_END: iocb

// ANCHOR: event
/// `struct io_event`: what came of it. io_getevents(2) copies it out.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct IoEvent {
    data: u64,   // as in the iocb
    iocb: u64,   // the address at which it stood
    result: i64, // bytes, or an error below zero
    second: i64, // of no use for files
}
// ANCHOR_END: event

/// What io_submit reads for an operation, beside a pointer to it.
const IOCB_BYTES: usize = size_of::<Iocb>();
/// What io_getevents writes for an operation.
const EVENT_BYTES: usize = size_of::<IoEvent>();
const _: () = assert!(IOCB_BYTES == 64 && EVENT_BYTES == 32);

/// What came of an operation.
#[derive(Debug)]
pub struct Done<T> {
    /// The caller's.
    pub tag: T,
    /// The caller's again.
    pub buffer: Buffer,
    /// The number of bytes (of a poll: the events), or the error.
    pub result: io::Result<usize>,
}

/// What io_submit(2) did not take. The first is the one that it refused.
#[derive(Debug)]
pub struct Refused<'fd, T> {
    /// Why.
    pub error: io::Error,
    /// As they were.
    pub operations: Vec<Operation<'fd, T>>,
}

impl<T> From<Refused<'_, T>> for io::Error {
    fn from(refused: Refused<'_, T>) -> Self {
        refused.error
    }
}

/// An AIO context: room for so many operations in flight, and what they may write to.
// ANCHOR: context
#[derive(Debug)]
pub struct Context<T> {
    id: c_ulong,
    /// Places for operations. They do not move: io_cancel(2) goes by the address.
    iocbs: Box<[Iocb]>,
    /// What the kernel has at each place: the buffer, and the caller's tag beside it.
    held: Vec<Option<(T, Buffer)>>,
    free: Vec<usize>,
}
// ANCHOR_END: context

impl<T> Context<T> {
    /// Makes one with room for so many (io_setup(2)).
    ///
    /// # Errors
    /// ENOSYS: no AIO here. EAGAIN: more than fs.aio-max-nr leaves. EINVAL: none, or far too
    /// many.
    pub fn new(depth: u32) -> io::Result<Self> {
        let mut id: c_ulong = 0;
        let wanted = c_ulong::from(depth);
        // SAFETY: the kernel writes one word, `id`, which is ours, before it returns.
        checked(unsafe { libc::syscall(libc::SYS_io_setup, wanted, &raw mut id) })?;
        let depth = depth as usize;
        Ok(Self {
            id,
            iocbs: vec![Iocb::default(); depth].into_boxed_slice(),
            held: (0..depth).map(|_| None).collect(),
            free: (0..depth).rev().collect(),
        })
    }

    /// How many are in flight.
    pub fn in_flight(&self) -> usize {
        self.held.len() - self.free.len()
    }

    /// How many more it takes.
    pub fn room(&self) -> usize {
        self.free.len()
    }

    /// Hands operations to the kernel (io_submit(2)). What they write to is the kernel's from
    /// here on.
    ///
    /// # Errors
    /// What io_submit answers to the first that it does not take, or EAGAIN where there is no
    /// room. That one and those behind it come back; those before it are in flight.
    // ANCHOR: submit
    pub fn submit<'fd>(
        &mut self,
        mut operations: Vec<Operation<'fd, T>>,
    ) -> Result<(), Refused<'fd, T>> {
        let too_many = operations.split_off(self.room().min(operations.len()));
        let places = self.free.split_off(self.free.len() - operations.len());
        let (mut pointers, mut whats) = (Vec::new(), Vec::new());
        for (mut operation, &place) in operations.into_iter().zip(&places) {
            self.iocbs[place] = operation.iocb(place);
            pointers.push(&raw mut self.iocbs[place]);
            whats.push(operation.what);
            self.held[place] = Some((operation.tag, operation.buffer));
        }
        let (taken, mut error) = submit_all(self.id, &mut pointers);
        if !too_many.is_empty() {
            error = error.or(Some(io::Error::from_raw_os_error(libc::EAGAIN)));
        }
        let Some(error) = error else { return Ok(()) };
        // ANCHOR_END: submit
        let mut operations = Vec::new();
        for (&place, &what) in places[taken..].iter().zip(&whats[taken..]) {
            let (tag, buffer) = self.give_back(place);
            operations.push(Operation { tag, buffer, what });
        }
        operations.extend(too_many);
        Err(Refused { error, operations })
    }

    /// Waits until this many are done, or for `time` at most, and gives what is done by then
    /// (io_getevents(2)). It never waits for more than are in flight, and a signal ends it.
    ///
    /// # Errors
    /// What io_getevents answers, which would be our mistake.
    // ANCHOR: wait
    pub fn wait(
        &mut self,
        at_least: usize,
        time: Option<Duration>,
    ) -> io::Result<Vec<Done<T>>> {
        let mut events = vec![IoEvent::default(); self.in_flight()];
        let n = get_events(self.id, at_least.min(events.len()), &mut events, time)?;
        let done = events[..n].iter().map(|event| {
            let (tag, buffer) = self.give_back(event.data as usize);
            Done { tag, buffer, result: in_words(event.result) }
        });
        Ok(done.collect())
    }
    // ANCHOR_END: wait

    /// Has the kernel give up the first operation whose tag is like this (io_cancel(2)). Its
    /// event comes nevertheless, and its buffer with it.
    ///
    /// # Errors
    /// EINVAL: it is not there, is done, or is of a kind that cannot be given up. A read of a
    /// file is.
    pub fn cancel(&mut self, like: impl Fn(&T) -> bool) -> io::Result<()> {
        let is_like =
            |held: &Option<(T, Buffer)>| held.as_ref().is_some_and(|h| like(&h.0));
        let place = self.held.iter().position(is_like);
        let place = place.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        let iocb = &raw mut self.iocbs[place];
        let mut unused = IoEvent::default();
        // SAFETY: the kernel reads the key of an iocb that is ours, and compares its address.
        // `unused` is ours until the call returns; today's kernels do not write to it.
        let answer =
            unsafe { libc::syscall(libc::SYS_io_cancel, self.id, iocb, &raw mut unused) };
        match checked(answer) {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
            Err(error) => Err(error),
            // It was so before Linux 3.12, and the event was in `unused`. The place stays
            // taken: a buffer too much is kept, none too few.
            Ok(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Takes what is held out of a place of which the kernel knows nothing any more.
    fn give_back(&mut self, place: usize) -> (T, Buffer) {
        self.free.push(place);
        self.held[place].take().expect("an event comes once, for what was submitted")
    }
}

/// On every way out, a panic and `?` included.
// ANCHOR: drop
impl<T> Drop for Context<T> {
    fn drop(&mut self) {
        // SAFETY: gives up the context, which nobody can name after us. The call returns when
        // nothing is in flight; until then the buffers stand in `held`, which is freed after.
        let answer = unsafe { libc::syscall(libc::SYS_io_destroy, self.id) };
        if answer != 0 {
            // The kernel has not told us that it is done: what it may write to is not freed.
            mem::forget(mem::take(&mut self.held));
        }
    }
}
// ANCHOR_END: drop

/// How many were taken; and unless all were, why the next one was not.
fn submit_all(id: c_ulong, pointers: &mut [*mut Iocb]) -> (usize, Option<io::Error>) {
    let mut taken = 0;
    while taken < pointers.len() {
        let rest = &mut pointers[taken..];
        let number = rest.len() as c_long;
        // SAFETY: the kernel reads the pointers and copies the iocbs, which the context owns,
        // before it returns. What an iocb points to is a buffer that stands in `held` until
        // its event is there, or until io_destroy has returned.
        let answer =
            unsafe { libc::syscall(libc::SYS_io_submit, id, number, rest.as_mut_ptr()) };
        match checked(answer) {
            Ok(0) => return (taken, Some(io::Error::from_raw_os_error(libc::EAGAIN))),
            Ok(n) => taken += n,
            Err(error) => return (taken, Some(error)),
        }
    }
    (taken, None)
}

fn get_events(
    id: c_ulong,
    at_least: usize,
    events: &mut [IoEvent],
    time: Option<Duration>,
) -> io::Result<usize> {
    // The kernel's timespec for this call: two words, whatever the C library calls a time_t.
    let words = |time: Duration| {
        let seconds = c_long::try_from(time.as_secs()).unwrap_or(c_long::MAX);
        [seconds, time.subsec_nanos() as c_long]
    };
    let time = time.map(words);
    let time = time.as_ref().map_or(ptr::null(), |words| words.as_ptr());
    let (least, most) = (at_least as c_long, events.len() as c_long);
    // SAFETY: the kernel writes up to `most` events into `events` and reads two words, all
    // ours, before it returns.
    let answer = unsafe {
        libc::syscall(libc::SYS_io_getevents, id, least, most, events.as_mut_ptr(), time)
    };
    match checked(answer) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        other => other,
    }
}

/// The number in an event's `result`.
fn in_words(result: i64) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| {
        let errno = c_int::try_from(result.wrapping_neg()).unwrap_or(libc::EIO);
        io::Error::from_raw_os_error(errno)
    })
}

/// What libc::syscall answers.
fn checked(answer: c_long) -> io::Result<usize> {
    usize::try_from(answer).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_bytes_or_an_error() {
        assert_eq!(in_words(4096).unwrap(), 4096);
        assert_eq!(in_words(0).unwrap(), 0);
        for errno in 1..=133 {
            let error = in_words(-i64::from(errno)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(errno));
        }
        assert_eq!(in_words(i64::MIN).unwrap_err().raw_os_error(), Some(libc::EIO));
    }
}
