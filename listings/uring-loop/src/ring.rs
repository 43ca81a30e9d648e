//! The ring, behind safe functions: the only unsafe code of this server.
//!
//! Its promise: what an operation owns is neither moved, changed nor freed before its last
//! completion. It keeps the operations that are in flight in a table, one place for each
//! token, gives one back with its completion, and cancels and waits for all of them before it
//! goes away.
#![expect(
    unsafe_code,
    reason = "the kernel reads and writes what submitted entries point to"
)]

mod buffers;
mod entries;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};

use io_uring::types::Fd as Number;
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};
use rustix::io::Errno;

use self::buffers::Buffers;
pub use self::buffers::Filled;
use crate::setup::{Features, Setup};
use crate::{Op, Room, Token};

/// What stands in an entry for whose completion nobody waits.
const NOBODY: u64 = u64::MAX;
/// Stands in an entry that cancels, together with the mark of what it cancels.
const CANCEL: u64 = 1 << 63;
/// What stands in an entry that does nothing but complete.
const ASKED: u64 = NOBODY - 1;

/// A ring, and the operations that are in flight on it.
// ANCHOR: ring
#[derive(Debug)]
pub struct Ring {
    uring: Uring,
    features: Features,
    /// What multishot receives fill.
    buffers: Option<Buffers>,
    /// Why there are none, if it is not the kernel's age.
    no_buffers: Option<io::Error>,
    /// By the index of their tokens.
    flying: Vec<Option<Flying>>,
    in_flight: usize,
    /// Entries for which the submission queue had no room yet.
    waiting: VecDeque<squeue::Entry>,
    /// Completions that were taken from the queue and not looked at.
    done: VecDeque<cqueue::Entry>,
}
// ANCHOR_END: ring

/// An operation of which the kernel knows.
#[derive(Debug)]
struct Flying {
    op: Op,
    /// We have asked for its end.
    is_recalled: bool,
}

/// [`IoUring`] says nothing about itself.
struct Uring(IoUring);

impl std::fmt::Debug for Uring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IoUring")
    }
}

/// What came of an operation.
// ANCHOR: done
#[derive(Debug)]
pub struct Done {
    /// Which one.
    pub token: Token,
    /// What the system call of that name would have returned.
    pub result: Result<u32, Errno>,
    /// The operation, with all that it owned. None: it goes on, and more will come.
    pub op: Option<Op>,
    /// The descriptor that was accepted or opened.
    pub descriptor: Option<OwnedFd>,
    /// What a receive has brought. It is to be given back.
    pub received: Received,
}
// ANCHOR_END: done

/// Where received bytes are.
#[derive(Debug, Default)]
pub enum Received {
    /// There are none.
    #[default]
    Nothing,
    /// In a buffer that all share.
    Shared(Filled),
    /// Here.
    Own(Vec<u8>),
}

/// Room for what statx(2) answers.
#[derive(Debug)]
pub struct Answer(Box<libc::statx>);

impl Answer {
    /// An empty one.
    pub fn new() -> Self {
        // SAFETY: it consists of numbers, for which zero is a value.
        Self(Box::new(unsafe { std::mem::zeroed() }))
    }

    /// What would be answered about a file of so many bytes.
    #[cfg(test)]
    pub(crate) fn of_file(bytes: u64) -> Self {
        let mut answer = Self::new();
        answer.0.stx_mode = libc::S_IFREG as u16;
        answer.0.stx_size = bytes;
        answer
    }

    /// What was answered.
    pub fn get(&self) -> &libc::statx {
        &self.0
    }
}

impl Default for Answer {
    fn default() -> Self {
        Self::new()
    }
}

impl Ring {
    /// Sets a ring up, with what the kernel offers and `setup` does not forbid.
    ///
    /// # Errors
    /// What io_uring_setup(2) and io_uring_register(2) answer.
    pub fn new(setup: &Setup) -> io::Result<Self> {
        let (uring, mut features) = setup.build()?;
        let asked = features.multishot_receive.then(|| Buffers::new(&uring)).transpose();
        let (buffers, mut no_buffers) = match asked {
            Ok(buffers) => (buffers, None),
            Err(error) => (None, Some(error)),
        };
        no_buffers.take_if(|error| Errno::from_io_error(error) == Some(Errno::INVAL));
        features.multishot_receive = buffers.is_some();
        Ok(Self {
            uring: Uring(uring),
            features,
            buffers,
            no_buffers,
            flying: Vec::new(),
            in_flight: 0,
            waiting: VecDeque::new(),
            done: VecDeque::new(),
        })
    }

    /// What it can do.
    pub fn features(&self) -> Features {
        self.features
    }

    /// Why clients share no buffers, although this kernel knows how to.
    pub fn no_buffers(&self) -> Option<&io::Error> {
        self.no_buffers.as_ref()
    }

    /// How many operations are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Takes an operation over. The kernel hears of it at the next [`Ring::wait`].
    ///
    /// # Panics
    /// If this token has an operation in flight: its memory would be freed under the kernel.
    // ANCHOR: begin
    pub fn begin(&mut self, token: Token, op: Op) {
        let index = token.index();
        if index >= self.flying.len() {
            self.flying.resize_with(index + 1, || None);
        }
        assert!(self.flying[index].is_none(), "{token:?} is in flight");
        // What the entry points to is on the heap, and stays there when the table grows.
        let flying = self.flying[index].insert(Flying { op, is_recalled: false });
        let entry = entries::of(&mut flying.op).user_data(index as u64);
        self.in_flight += 1;
        self.queue(entry);
    }
    // ANCHOR_END: begin

    /// Asks the kernel to give an operation up. It ends with `ECANCELED`, or as it would have
    /// ended anyway: its completion says which.
    // ANCHOR: cancel
    pub fn cancel(&mut self, token: Token) {
        if let Some(Some(flying)) = self.flying.get_mut(token.index()) {
            flying.is_recalled = true;
            self.queue(entries::cancel(token.index() as u64));
        }
    }
    // ANCHOR_END: cancel

    /// A cancellation has found nothing. What it was for may be over. Or the kernel is about to
    /// try it again, when our thread asks for completions: then once more. What a device is at
    /// work on ends by itself.
    // ANCHOR: once-more
    fn once_more(&mut self, index: usize) {
        if let Some(Some(Flying { op, is_recalled: true })) = self.flying.get(index)
            && !matches!(op, Op::Read { .. } | Op::Write { .. })
        {
            self.queue(entries::cancel(index as u64));
        }
    }
    // ANCHOR_END: once-more

    /// Closes a descriptor that nothing in flight uses.
    pub fn close(&mut self, descriptor: OwnedFd) {
        let number = Number(descriptor.into_raw_fd());
        let entry = opcode::Close::new(number).build().user_data(NOBODY);
        self.queue(entry);
    }

    /// Submits what has been taken over, and waits until there are `want` completions: not at
    /// all if there are some.
    ///
    /// # Errors
    /// What io_uring_enter(2) answers, if it is our mistake.
    // ANCHOR: wait
    pub fn wait(&mut self, want: usize) -> io::Result<()> {
        loop {
            let is_all = self.fill();
            let want = if is_all && self.done.is_empty() { want } else { 0 };
            let queued = self.uring.0.submission().len();
            let entered = self.uring.0.submit_and_wait(want);
            self.done.extend(self.uring.0.completion());
            match entered.map_err(|error| Errno::from_io_error(&error)) {
                // Completions for which there was no room are fetched by another call, and one
                // that has found an entry to refuse has not looked at those behind it.
                Ok(taken) => {
                    let is_rest = taken < queued || !is_all;
                    if !is_rest && !self.uring.0.submission().cq_overflow() {
                        return Ok(());
                    }
                }
                // A signal came; the loop looks at what is there, and waits again.
                Err(Some(Errno::INTR)) => return Ok(()),
                // Completions that have found no room wait in the kernel until some are taken;
                // or there is no memory for a request, until something was let go.
                Err(Some(Errno::BUSY | Errno::AGAIN)) if !self.done.is_empty() => {
                    return Ok(());
                }
                Err(Some(Errno::BUSY | Errno::AGAIN)) => std::thread::yield_now(),
                Err(error) => return Err(error.unwrap_or(Errno::IO).into()),
            }
        }
    }
    // ANCHOR_END: wait

    /// Submits what has been taken over, and takes all that has come, without waiting. With
    /// IORING_SETUP_DEFER_TASKRUN a call does the work of some events and leaves that of the
    /// others for later: so the kernel is asked until there is nothing new.
    ///
    /// # Errors
    /// What io_uring_enter(2) answers, if it is our mistake.
    // ANCHOR: take-all
    pub fn take_all(&mut self) -> io::Result<()> {
        self.wait(0)?;
        if self.uring.0.params().is_setup_sqpoll() {
            return self.take_all_of_the_thread();
        }
        for _ in 0..=self.in_flight {
            let before = self.done.len();
            let flags = EnterFlags::GETEVENTS.bits();
            // SAFETY: it submits nothing, and has no argument.
            let entered = unsafe {
                self.uring.0.submitter().enter::<libc::sigset_t>(0, 0, flags, None)
            };
            self.done.extend(self.uring.0.completion());
            // What was done may have brought no completion, and something to do.
            let is_new = self.done.len() > before || self.uring.0.submission().taskrun();
            match entered.map_err(|error| Errno::from_io_error(&error)) {
                Ok(_) if !is_new => break,
                Ok(_) | Err(Some(Errno::INTR | Errno::BUSY | Errno::AGAIN)) => {}
                Err(error) => return Err(error.unwrap_or(Errno::IO).into()),
            }
        }
        Ok(())
    }
    // ANCHOR_END: take-all

    /// A thread of the kernel submits (IORING_SETUP_SQPOLL), and does the work of events after
    /// that, in turns. What has happened before we ask it something is here when it has answered
    /// the next question. So two answers in a row bring nothing else.
    fn take_all_of_the_thread(&mut self) -> io::Result<()> {
        let mut quiet = 0;
        for _ in 0..self.in_flight + 2 {
            let before = self.done.len();
            self.queue(opcode::Nop::new().build().user_data(ASKED));
            self.wait(0)?;
            let is_answered = |ring: &Self| {
                ring.done.iter().skip(before).any(|entry| entry.user_data() == ASKED)
            };
            while !is_answered(self) {
                let entered = self.uring.0.submit_and_wait(1);
                self.done.extend(self.uring.0.completion());
                match entered.map_err(|error| Errno::from_io_error(&error)) {
                    Ok(_) | Err(Some(Errno::INTR | Errno::BUSY | Errno::AGAIN)) => {}
                    Err(error) => return Err(error.unwrap_or(Errno::IO).into()),
                }
            }
            quiet = if self.done.len() == before + 1 { quiet + 1 } else { 0 };
            if quiet == 2 {
                break;
            }
        }
        Ok(())
    }

    /// Moves entries into the submission queue, as many as there is room for, and says
    /// whether that was all.
    // ANCHOR: fill
    fn fill(&mut self) -> bool {
        while let Some(entry) = self.waiting.pop_front() {
            if !self.push(&entry) {
                self.waiting.push_front(entry);
                return false;
            }
        }
        true
    }

    /// Puts an entry into the submission queue, or behind those that wait for room in it.
    fn queue(&mut self, entry: squeue::Entry) {
        if !self.waiting.is_empty() || !self.push(&entry) {
            self.waiting.push_back(entry);
        }
    }

    fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: what the entry points to is owned by its operation in `flying`, until its
        // last completion has been taken, or is static. (A cancel and a close point to nothing,
        // and shared buffers are there as long as the ring.)
        unsafe { self.uring.0.submission().push(entry) }.is_ok()
    }
    // ANCHOR_END: fill

    /// How many completions there are that were not looked at.
    pub fn ready(&self) -> usize {
        self.done.len()
    }

    /// The next completion.
    // ANCHOR: next
    #[expect(
        clippy::should_implement_trait,
        reason = "it is no iterator: it goes on later"
    )]
    pub fn next(&mut self) -> Option<Done> {
        while let Some(entry) = self.done.pop_front() {
            if entry.user_data() == NOBODY {
                continue;
            }
            if entry.user_data() & CANCEL != 0 {
                if entry.result() == -libc::ENOENT {
                    self.once_more((entry.user_data() & !CANCEL) as usize);
                }
                continue;
            }
            let result = u32::try_from(entry.result())
                .map_err(|_| Errno::from_raw_os_error(-entry.result()));
            if let (Err(Errno::NOBUFS), Some(buffers)) = (result, &mut self.buffers) {
                buffers.give_one_more();
            }
            return Some(self.finish(entry.user_data() as usize, result, entry.flags()));
        }
        None
    }
    // ANCHOR_END: next

    fn finish(&mut self, index: usize, result: Result<u32, Errno>, flags: u32) -> Done {
        let place = &mut self.flying[index];
        let flying = place.as_ref().expect("it is in flight");
        let is_new = matches!(flying.op, Op::Accept { .. } | Op::Open { .. });
        let descriptor = result.ok().filter(|_| is_new).and_then(|number| {
            let number = i32::try_from(number).ok()?;
            // SAFETY: the kernel has opened this descriptor for this operation, and nobody
            // else knows of it.
            Some(unsafe { OwnedFd::from_raw_fd(number) })
        });
        let is_over = !cqueue::more(flags);
        let mut op = place.take_if(|_| is_over).map(|flying| flying.op);
        self.in_flight -= usize::from(op.is_some());
        let n = result.unwrap_or(0) as usize;
        let received = match &mut op {
            Some(Op::Receive { into: Room::Own(buffer), .. }) => {
                // SAFETY: the kernel has written `n` bytes, no more than its capacity, and
                // does not use it any more.
                unsafe { buffer.set_len(n.min(buffer.capacity())) };
                Received::Own(std::mem::take(buffer))
            }
            Some(Op::Read { into, .. }) => {
                let end = into.len() + n;
                // SAFETY: as above, behind what was there.
                unsafe { into.set_len(end.min(into.capacity())) };
                Received::Nothing
            }
            _ => match (cqueue::buffer_select(flags), &self.buffers) {
                (Some(id), Some(buffers)) => Received::Shared(buffers.filled(id, n)),
                _ => Received::Nothing,
            },
        };
        Done { token: Token::at(index), result, op, descriptor, received }
    }

    /// The bytes that were received.
    pub fn bytes<'a>(&'a self, received: &'a Received) -> &'a [u8] {
        match (received, &self.buffers) {
            (Received::Own(bytes), _) => bytes,
            (Received::Shared(filled), Some(buffers)) => buffers.get(filled),
            _ => &[],
        }
    }

    /// Gives the kernel a shared buffer back.
    pub fn give_back(&mut self, received: Received) {
        if let (Received::Shared(filled), Some(buffers)) = (received, &mut self.buffers) {
            buffers.give_back(filled);
        }
    }
}

/// Nothing that the kernel may still write to is freed: everything is cancelled, and waited
/// for, however we have come here.
// ANCHOR: drop
impl Drop for Ring {
    fn drop(&mut self) {
        for index in 0..self.flying.len() {
            if self.flying[index].is_some() {
                self.cancel(Token::at(index));
            }
        }
        // A descriptor that is to be closed is nobody's any more, and in flight it is not.
        let is_done = |ring: &mut Self| {
            ring.in_flight == 0
                && ring.waiting.is_empty()
                && ring.uring.0.submission().is_empty()
        };
        while !is_done(self) {
            if self.wait(usize::from(self.in_flight > 0)).is_err() {
                // Nobody can say when the kernel will have done. What it uses is never freed.
                std::mem::forget(std::mem::take(&mut self.flying));
                std::mem::forget(self.buffers.take());
                return;
            }
            while let Some(done) = self.next() {
                self.give_back(done.received);
            }
        }
    }
}
// ANCHOR_END: drop
