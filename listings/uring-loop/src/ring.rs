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
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};

use io_uring::types::Fd as Number;
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::io::Errno;

use self::buffers::Buffers;
use crate::setup::{Features, Setup};
use crate::{Op, Room, Token};

/// What stands in an entry for whose completion nobody waits.
const NOBODY: u64 = u64::MAX;
/// Stands in an entry that cancels, together with the mark of what it cancels.
const CANCEL: u64 = 1 << 63;

/// A ring, and the operations that are in flight on it.
// ANCHOR: ring
#[derive(Debug)]
pub struct Ring {
    uring: Uring,
    features: Features,
    /// What multishot receives fill.
    buffers: Option<Buffers>,
    /// By the index of their tokens.
    flying: Vec<Option<Flying>>,
    in_flight: usize,
    /// Entries for which the submission queue had no room yet. Two of them are a link.
    waiting: VecDeque<(squeue::Entry, Option<squeue::Entry>)>,
    /// Completions that were taken from the queue and not looked at.
    done: VecDeque<cqueue::Entry>,
}

/// An operation of which the kernel knows.
#[derive(Debug)]
struct Flying {
    op: Op,
    /// How many completions are still to come: two, if a read is linked to a send.
    left: u8,
    /// What came of that read.
    read: Option<Result<u32, Errno>>,
    /// And of the other, if it is first.
    result: Option<Result<u32, Errno>>,
    /// We have asked for its end.
    is_recalled: bool,
}
// ANCHOR_END: ring

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
    /// What the read in front of a send has returned.
    pub read: Option<Result<u32, Errno>>,
    /// The operation, with all that it owned. None: it goes on, and more will come.
    pub op: Option<Op>,
    /// The descriptor that was accepted or opened.
    pub descriptor: Option<OwnedFd>,
    /// What was received. It is to be given back.
    pub received: Received,
}
// ANCHOR_END: done

/// Where received bytes are.
#[derive(Debug, Default)]
pub enum Received {
    /// There are none.
    #[default]
    Nothing,
    /// In the shared buffer with this number: so many.
    Shared(u16, usize),
    /// Here.
    Own(Vec<u8>),
}

/// Room for what statx(2) answers.
#[derive(Debug)]
pub struct Answer(Box<MaybeUninit<libc::statx>>);

impl Answer {
    /// An empty one.
    pub fn new() -> Self {
        Self(Box::new(MaybeUninit::zeroed()))
    }

    /// What would be answered about a file of so many bytes.
    #[cfg(test)]
    pub(crate) fn of_file(bytes: u64) -> Self {
        let mut answer = Self::new();
        // SAFETY: it consists of numbers, for which zero is a value; no operation has it.
        let stat = unsafe { answer.0.assume_init_mut() };
        stat.stx_mode = libc::S_IFREG as u16;
        stat.stx_size = bytes;
        answer
    }

    /// What was answered.
    pub fn get(&self) -> &libc::statx {
        // SAFETY: it consists of numbers, for which zero is a value, and whoever can call this
        // has it back from the kernel.
        unsafe { self.0.assume_init_ref() }
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
        let buffers =
            if features.multishot_receive { Buffers::new(&uring).ok() } else { None };
        features.multishot_receive = buffers.is_some();
        Ok(Self {
            uring: Uring(uring),
            features,
            buffers,
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
        let (left, read, result, is_recalled) = (1, None, None, false);
        let flying = Flying { op, left, read, result, is_recalled };
        let flying = self.flying[index].insert(flying);
        // What the entries point to is on the heap, and stays there when the table grows.
        let (first, second) = entries::of(&mut flying.op, (index as u64) << 1);
        flying.left += u8::from(second.is_some());
        self.in_flight += 1;
        self.queue(first, second);
    }
    // ANCHOR_END: begin

    /// Asks the kernel to give an operation up. It ends with `ECANCELED`, or as it would have
    /// ended anyway: its completion says which.
    // ANCHOR: cancel
    pub fn cancel(&mut self, token: Token) {
        let Some(Some(flying)) = self.flying.get_mut(token.index()) else { return };
        flying.is_recalled = true;
        let send_or_only = (token.index() as u64) << 1;
        if flying.left == 2 {
            self.queue(entries::cancel(send_or_only | 1), None);
        }
        self.queue(entries::cancel(send_or_only), None);
    }
    // ANCHOR_END: cancel

    /// A cancellation has found nothing. What it was for may be over. Or it is a send whose
    /// read is, and which the kernel has put aside to start it later: then once more.
    // ANCHOR: once-more
    fn once_more(&mut self, user_data: u64) {
        let flying = usize::try_from(user_data >> 1).ok().and_then(|i| self.flying.get(i));
        if let Some(Some(flying)) = flying
            && flying.is_recalled
            && flying.left == 1
            && user_data & 1 == 0
        {
            self.queue(entries::cancel(user_data), None);
        }
    }
    // ANCHOR_END: once-more

    /// Closes a descriptor that nothing in flight uses.
    pub fn close(&mut self, descriptor: OwnedFd) {
        let number = Number(descriptor.into_raw_fd());
        let entry = opcode::Close::new(number).build().user_data(NOBODY);
        self.queue(entry, None);
    }

    /// Submits what has been taken over, and waits until there are `want` completions, or
    /// some.
    ///
    /// # Errors
    /// What io_uring_enter(2) answers, if it is our mistake.
    // ANCHOR: wait
    pub fn wait(&mut self, want: usize) -> io::Result<()> {
        loop {
            let is_all = self.fill();
            let want = if is_all && self.done.is_empty() { want } else { 0 };
            let entered = self.uring.0.submit_and_wait(want);
            self.done.extend(self.uring.0.completion());
            match entered.map_err(|error| Errno::from_io_error(&error)) {
                // Completions for which there was no room are fetched by another call.
                Ok(_) if is_all && !self.uring.0.submission().cq_overflow() => {
                    return Ok(());
                }
                Ok(_) => {}
                // A signal came; the loop looks at what is there, and waits again.
                Err(Some(Errno::INTR)) => return Ok(()),
                // Completions that have found no room wait in the kernel until some are taken.
                Err(Some(Errno::BUSY)) if !self.done.is_empty() => return Ok(()),
                // There is no memory for a request at the moment.
                Err(Some(Errno::BUSY | Errno::AGAIN)) => std::thread::yield_now(),
                Err(error) => return Err(error.unwrap_or(Errno::IO).into()),
            }
        }
    }
    // ANCHOR_END: wait

    /// Moves entries into the submission queue, as many as there is room for, and says
    /// whether that was all. A link is not divided: its end would be the end of a submission.
    // ANCHOR: fill
    fn fill(&mut self) -> bool {
        while let Some((first, second)) = self.waiting.pop_front() {
            if !self.push(&first, second.as_ref()) {
                self.waiting.push_front((first, second));
                return false;
            }
        }
        true
    }

    /// Puts entries into the submission queue, or behind those that wait for room in it.
    fn queue(&mut self, first: squeue::Entry, second: Option<squeue::Entry>) {
        if !self.waiting.is_empty() || !self.push(&first, second.as_ref()) {
            self.waiting.push_back((first, second));
        }
    }

    fn push(&mut self, first: &squeue::Entry, second: Option<&squeue::Entry>) -> bool {
        let mut queue = self.uring.0.submission();
        let wanted = 1 + usize::from(second.is_some());
        if queue.capacity() - queue.len() < wanted {
            return false;
        }
        for entry in [Some(first), second].into_iter().flatten() {
            // SAFETY: what the entry points to is owned by its operation in `flying`, until
            // its last completion has been taken. (A cancel and a close point to nothing.)
            let pushed = unsafe { queue.push(entry) };
            pushed.expect("there is room");
        }
        true
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
                    self.once_more(entry.user_data() & !CANCEL);
                }
                continue;
            }
            let index = usize::try_from(entry.user_data() >> 1).unwrap_or(usize::MAX);
            let is_read = entry.user_data() & 1 == 1;
            let result = u32::try_from(entry.result())
                .map_err(|_| Errno::from_raw_os_error(-entry.result()));
            let flying = self.flying[index].as_mut().expect("it is in flight");
            let goes_on = cqueue::more(entry.flags());
            if let (Err(Errno::NOBUFS), Some(buffers)) = (result, &mut self.buffers) {
                buffers.give_one_more();
            }
            let place = if is_read { &mut flying.read } else { &mut flying.result };
            *place = Some(result);
            flying.left -= u8::from(!goes_on);
            if flying.left > 0 && !goes_on {
                if flying.is_recalled && is_read {
                    self.once_more(entry.user_data() & !1);
                }
                continue;
            }
            let result = flying.result.unwrap_or(result);
            return Some(self.finish(index, result, &entry, goes_on));
        }
        None
    }
    // ANCHOR_END: next

    fn finish(
        &mut self,
        index: usize,
        result: Result<u32, Errno>,
        entry: &cqueue::Entry,
        goes_on: bool,
    ) -> Done {
        let place = &mut self.flying[index];
        let is_new = matches!(
            place.as_ref().map(|flying| &flying.op),
            Some(Op::Accept { .. } | Op::Open { .. })
        );
        let descriptor = result.ok().filter(|_| is_new).and_then(|number| {
            let number = i32::try_from(number).ok()?;
            // SAFETY: the kernel has opened this descriptor for this operation, and nobody
            // else knows of it.
            Some(unsafe { OwnedFd::from_raw_fd(number) })
        });
        let read = place.as_ref().and_then(|flying| flying.read);
        let op = if goes_on { None } else { place.take().map(|flying| flying.op) };
        self.in_flight -= usize::from(op.is_some());
        let n = result.unwrap_or(0) as usize;
        let (op, received) = match (op, cqueue::buffer_select(entry.flags())) {
            (Some(Op::Receive { socket, into: Room::Own(mut buffer) }), _) => {
                // SAFETY: the kernel has written `n` bytes, no more than its capacity, and
                // does not use it any more.
                unsafe { buffer.set_len(n.min(buffer.capacity())) };
                let into = Room::Own(Vec::new());
                (Some(Op::Receive { socket, into }), Received::Own(buffer))
            }
            (Some(Op::Read { file, at, mut into }), _) => {
                // SAFETY: as above.
                unsafe { into.set_len(n.min(into.capacity())) };
                (Some(Op::Read { file, at, into: Vec::new() }), Received::Own(into))
            }
            (op, Some(id)) => (op, Received::Shared(id, n)),
            (op, None) => (op, Received::Nothing),
        };
        Done { token: Token::at(index), result, read, op, descriptor, received }
    }

    /// The bytes that were received.
    pub fn bytes<'a>(&'a self, received: &'a Received) -> &'a [u8] {
        match (received, &self.buffers) {
            (Received::Own(bytes), _) => bytes,
            (Received::Shared(id, n), Some(buffers)) => buffers.get(*id, *n),
            _ => &[],
        }
    }

    /// Gives the kernel a shared buffer back.
    pub fn give_back(&mut self, received: &Received) {
        if let (Received::Shared(id, _), Some(buffers)) = (received, &mut self.buffers) {
            buffers.give_back(*id);
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
        while self.in_flight > 0 || !self.waiting.is_empty() {
            if self.wait(usize::from(self.in_flight > 0)).is_err() {
                // Nobody can say when the kernel will have done. What it uses is never freed.
                std::mem::forget(std::mem::take(&mut self.flying));
                std::mem::forget(self.buffers.take());
                return;
            }
            while let Some(done) = self.next() {
                self.give_back(&done.received);
            }
        }
    }
}
// ANCHOR_END: drop
