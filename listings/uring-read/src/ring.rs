//! A ring in which each operation owns its memory until its completion.
//!
//! What is handed in moves in by value, and comes back by value with the result. Nobody can
//! touch a buffer that the kernel may write to, and none is freed while it may: a ring that
//! is dropped, on whichever path, cancels what is in flight and waits for it.
#![expect(unsafe_code, reason = "the kernel reads and writes memory that it was lent")]

use std::fmt;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use io_uring::{IoUring, opcode, squeue, types};

use crate::buffer::Buffer;
use crate::trouble::Trouble;

// ANCHOR: order
/// Something to be done. It owns what the kernel needs for it.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are named like the words of the sentence")]
pub enum Order {
    /// Read from this place of a file into the free part of the buffer.
    Read { from: Place, into: Buffer, at: u64 },
    /// Write the bytes that have a meaning to this place of a file.
    Write { to: Place, bytes: Buffer, at: u64 },
    /// Complete with ETIME after this time.
    Timeout(Duration),
    /// Cancel the order before it, to which this one is linked, after this time.
    LinkedTimeout(Duration),
    /// Cancel an order.
    Cancel(Token),
    /// Nothing.
    Nop,
}

/// What an order has come to.
#[derive(Debug)]
pub struct Done {
    /// Which it was.
    pub token: Token,
    /// The order, with its buffer.
    pub order: Order,
    /// What the system call would have returned, or the error's number below zero.
    pub result: i32,
}
// ANCHOR_END: order

/// An open file, or the number of one that the ring knows beforehand.
#[derive(Clone, Debug)]
pub enum Place {
    /// Kept open by each order that uses it.
    Open(Arc<OwnedFd>),
    /// See [`Ring::register_files`].
    Registered(u32),
}

impl<F: Into<OwnedFd>> From<F> for Place {
    fn from(file: F) -> Self {
        Self::Open(Arc::new(file.into()))
    }
}

/// Names one order of a ring, and never another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(u64);

impl Token {
    /// The number of a place that no other order has while this one is in flight.
    pub fn slot(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }
}

/// How an order is to be done.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// The next order begins when this one has succeeded (IOSQE_IO_LINK).
    pub link: bool,
    /// By a worker thread, without trying first (IOSQE_ASYNC).
    pub worker: bool,
}

impl Done {
    /// The number of bytes, or the error.
    pub fn outcome(&self) -> io::Result<usize> {
        usize::try_from(self.result).map_err(|_| io::Error::from_raw_os_error(-self.result))
    }
}

/// A place for an order that is in flight.
struct Slot {
    order: Option<Order>,
    time: Box<types::Timespec>,
    generation: u32,
}

/// A submission ring, a completion ring, and what is in flight between them.
pub struct Ring {
    ring: IoUring,
    slots: Vec<Slot>,
    free: Vec<usize>,
    calls: u64,
}

/// What the cancellations of a ring that is dropped are marked with.
const DRAINING: u64 = u64::MAX;
/// How often a ring that is dropped asks a kernel that has no memory.
const TRIES: usize = 1000;

impl Ring {
    /// Makes a ring for so many submissions at a time.
    ///
    /// # Errors
    /// [`Trouble::Setup`], with what io_uring_setup(2) answers.
    pub fn new(entries: u32) -> Result<Self, Trouble> {
        // Nobody needs to interrupt us when something is complete: we come by anyway.
        let ring = IoUring::builder()
            .setup_coop_taskrun()
            .build(entries)
            .or_else(|error| match error.raw_os_error() {
                Some(libc::EINVAL) => IoUring::new(entries), // before Linux 5.19
                _ => Err(error),
            })
            .map_err(Trouble::Setup)?;
        Ok(Self { ring, slots: Vec::new(), free: Vec::new(), calls: 0 })
    }

    /// Puts an order into the submission ring. The kernel sees it with the next
    /// [`enter`](Self::enter).
    ///
    /// # Errors
    /// The order, if there is no room.
    pub fn push(&mut self, order: Order, how: How) -> Result<Token, Order> {
        if self.ring.submission().is_full() {
            return Err(order);
        }
        let n = self.free.pop().unwrap_or_else(|| {
            let time = Box::new(types::Timespec::new());
            self.slots.push(Slot { order: None, time, generation: 0 });
            self.slots.len() - 1
        });
        let slot = &mut self.slots[n];
        let token = Token(u64::from(slot.generation) << 32 | n as u64);
        let order = slot.order.insert(order);
        let entry = entry(order, &mut slot.time).user_data(token.0).flags(bits(how));
        // ANCHOR: push
        // SAFETY: what the entry names is in the slot, which is emptied in `take`, after the
        // completion: the buffer, the time, and a share of the open file. If it never comes,
        // `drop` leaves the slot's memory to the kernel for ever.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        // ANCHOR_END: push
        debug_assert!(pushed.is_ok(), "there was room");
        Ok(token)
    }

    /// Submits what was pushed, and waits until there are so many completions. A signal may
    /// end the wait before.
    ///
    /// # Errors
    /// What io_uring_enter(2) answers: EBUSY and EAGAIN ask for completions to be taken.
    pub fn enter(&mut self, wait: usize) -> io::Result<usize> {
        self.calls += 1;
        // Nothing in flight would never be complete.
        match self.ring.submit_and_wait(wait.min(self.flying())) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            result => result,
        }
    }

    /// The next completion that is there. It makes no system call.
    // ANCHOR: take
    pub fn take(&mut self) -> Option<Done> {
        loop {
            let cqe = self.ring.completion().next()?;
            if cqe.user_data() == DRAINING {
                continue;
            }
            let token = Token(cqe.user_data());
            let slot = &mut self.slots[token.slot()];
            let order = slot.order.take().expect("one completion for each order");
            slot.generation = slot.generation.wrapping_add(1) & 0x7fff_ffff;
            self.free.push(token.slot());
            return Some(Done { token, order, result: cqe.result() });
        }
    }
    // ANCHOR_END: take

    /// How many orders are pushed and not yet taken back.
    pub fn flying(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// How many calls of io_uring_enter(2) were made.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// How many entries the rings have: submissions, completions.
    pub fn sizes(&self) -> (u32, u32) {
        (self.ring.params().sq_entries(), self.ring.params().cq_entries())
    }

    /// How many completions are in the ring, and whether the kernel keeps more of them
    /// elsewhere (IORING_SQ_CQ_OVERFLOW).
    pub fn waiting(&mut self) -> (usize, bool) {
        let complete = self.ring.completion().len();
        (complete, self.ring.submission().cq_overflow())
    }

    /// Tells the kernel of these buffers beforehand. It pins their pages.
    ///
    /// # Errors
    /// [`Trouble::Buffers`]: ENOMEM if they are more than may be locked.
    pub fn register_buffers(&mut self, buffers: &mut [Buffer]) -> Result<(), Trouble> {
        let known: Vec<libc::iovec> = buffers
            .iter_mut()
            .map(|buffer| libc::iovec {
                iov_base: buffer.beginning().cast(),
                iov_len: buffer.whole().len(),
            })
            .collect();
        // SAFETY: the kernel pins the pages, and writes there only for an order, which owns
        // the buffer that it names until it is complete. A buffer that is freed before the
        // ring is in no order.
        unsafe { self.ring.submitter().register_buffers(&known) }
            .map_err(Trouble::Buffers)?;
        for (n, buffer) in buffers.iter_mut().enumerate() {
            buffer.registered = u16::try_from(n).ok();
        }
        Ok(())
    }

    /// Tells the kernel of these files beforehand, and gives the number of each. The ring
    /// keeps them open.
    ///
    /// # Errors
    /// What io_uring_register(2) answers.
    pub fn register_files(&mut self, files: &[BorrowedFd<'_>]) -> io::Result<Vec<Place>> {
        let numbers: Vec<_> = files.iter().map(AsRawFd::as_raw_fd).collect();
        self.ring.submitter().register_files(&numbers)?;
        Ok((0..files.len() as u32).map(Place::Registered).collect())
    }

    /// Cancels what is in flight, and waits until all of it is complete.
    // ANCHOR: drain
    fn drain(&mut self) -> io::Result<()> {
        // What was pushed and not submitted goes first, so that a cancellation is not linked
        // to it.
        while !self.ring.submission().is_empty() {
            self.enter_and_discard(0)?;
        }
        for n in 0..self.slots.len() {
            let slot = &self.slots[n];
            if slot.order.is_some() {
                let token = u64::from(slot.generation) << 32 | n as u64;
                self.push_cancel(token)?;
            }
        }
        while self.flying() > 0 {
            self.enter_and_discard(1)?;
        }
        Ok(())
    }
    // ANCHOR_END: drain

    fn push_cancel(&mut self, token: u64) -> io::Result<()> {
        let entry = opcode::AsyncCancel::new(token).build().user_data(DRAINING);
        loop {
            // SAFETY: the entry names no memory.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return Ok(());
            }
            self.enter_and_discard(0)?;
        }
    }

    fn enter_and_discard(&mut self, wait: usize) -> io::Result<()> {
        for _ in 0..TRIES {
            let result = self.enter(wait);
            let before = self.flying();
            while self.take().is_some() {}
            match result.map_err(|error| (error.raw_os_error(), error)) {
                Ok(_) => return Ok(()),
                // It wants completions to be taken first, or has no memory for the moment.
                Err((Some(libc::EBUSY | libc::EAGAIN), _)) if self.flying() < before => {
                    return Ok(());
                }
                Err((Some(libc::EBUSY | libc::EAGAIN), _)) => thread::yield_now(),
                Err((_, error)) => return Err(error),
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }
}

// ANCHOR: drop
impl Drop for Ring {
    fn drop(&mut self) {
        let none_in_the_kernel = self.flying() == self.ring.submission().len();
        if none_in_the_kernel || self.drain().is_ok() {
            return;
        }
        // The kernel has not given them back. Memory that is lost is better than memory that
        // somebody else writes to.
        mem::forget(mem::take(&mut self.slots));
    }
}
// ANCHOR_END: drop

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("flying", &self.flying()).finish_non_exhaustive()
    }
}

fn bits(how: How) -> squeue::Flags {
    let mut flags = squeue::Flags::empty();
    flags.set(squeue::Flags::IO_LINK, how.link);
    flags.set(squeue::Flags::ASYNC, how.worker);
    flags
}

/// The entry for an order that stays where it is.
fn entry(order: &mut Order, time: &mut Box<types::Timespec>) -> squeue::Entry {
    match order {
        Order::Read { from, into, at } => read(from, into, *at),
        Order::Write { to, bytes, at } => {
            let (start, length) = (bytes.beginning().cast_const(), bytes.filled() as u32);
            match to {
                Place::Open(file) => {
                    opcode::Write::new(types::Fd(file.as_raw_fd()), start, length)
                }
                Place::Registered(n) => opcode::Write::new(types::Fixed(*n), start, length),
            }
            .offset(*at)
            .build()
        }
        Order::Timeout(after) | Order::LinkedTimeout(after) => {
            **time = types::Timespec::from(*after);
            let time = &raw const **time;
            match order {
                Order::Timeout(_) => opcode::Timeout::new(time).build(),
                _ => opcode::LinkTimeout::new(time).build(),
            }
        }
        Order::Cancel(token) => opcode::AsyncCancel::new(token.0).build(),
        Order::Nop => opcode::Nop::new().build(),
    }
}

fn read(from: &Place, into: &mut Buffer, at: u64) -> squeue::Entry {
    let at = at.saturating_add(into.filled() as u64);
    let (start, length) = (into.free_part(), into.left() as u32);
    match (from, into.registered) {
        (Place::Open(file), None) => {
            opcode::Read::new(types::Fd(file.as_raw_fd()), start, length).offset(at).build()
        }
        (Place::Registered(n), None) => {
            opcode::Read::new(types::Fixed(*n), start, length).offset(at).build()
        }
        (Place::Open(file), Some(known)) => {
            let fd = types::Fd(file.as_raw_fd());
            opcode::ReadFixed::new(fd, start, length, known).offset(at).build()
        }
        (Place::Registered(n), Some(known)) => {
            let fd = types::Fixed(*n);
            opcode::ReadFixed::new(fd, start, length, known).offset(at).build()
        }
    }
}
