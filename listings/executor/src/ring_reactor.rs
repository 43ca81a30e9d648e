//! Completion: operations that are futures, over the ring of `uring-loop`.
//!
//! A future here is an operation in flight. The ring owns what the operation owns, and the
//! future is a claim on what comes of it. Dropping the future gives up the claim and recalls
//! the operation. It does not free anything: that is for its last completion to do.

use std::cell::RefCell;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use rustix::io::Errno;
use uring_loop::{
    Alarm, Done, Fd, Op, Received, Ring, Room, SendFlags, ToClose, Token, Wish,
};

use crate::executor::Reactor;
use crate::race;
use crate::timers::Timers;

/// The operation that waits for the earliest deadline.
const TIMER: usize = 0;
/// The one that waits for the executor's own descriptor.
const TOLD: usize = 1;

/// A ring, and the tasks that wait for its completions.
#[derive(Clone, Debug)]
pub struct Completions(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    state: RefCell<State>,
    to_close: ToClose,
    timers: Timers,
}

#[derive(Debug)]
struct State {
    ring: Ring,
    /// By the index of the operation's token.
    places: Vec<Place>,
    free: Vec<usize>,
    told: Option<Fd>,
    is_watching: bool,
    alarm: Alarm,
}

// ANCHOR: place
/// Where an operation is, seen from the task.
#[derive(Debug)]
enum Place {
    /// Nowhere.
    Free,
    /// With the kernel, and this one wants to know.
    InFlight(Option<Waker>),
    /// Back, and not collected yet.
    Over(Done),
    /// With the kernel still, and nobody wants to know.
    Dropped,
}
// ANCHOR_END: place

impl Completions {
    /// Takes a ring over.
    pub fn new(ring: Ring) -> Self {
        let places = vec![Place::Free, Place::Free];
        let (free, told, is_watching) = (Vec::new(), None, false);
        let alarm = Alarm::new(Token::at(TIMER));
        let state = State { ring, places, free, told, is_watching, alarm };
        let (to_close, timers) = (ToClose::default(), Timers::default());
        Self(Rc::new(Inner { state: RefCell::new(state), to_close, timers }))
    }

    /// The time.
    pub fn timers(&self) -> &Timers {
        &self.0.timers
    }

    /// A descriptor that operations can hold.
    pub fn hold(&self, descriptor: OwnedFd) -> Fd {
        self.0.to_close.hold(descriptor)
    }

    /// Descriptors that nobody holds any more are closed by the ring.
    pub fn to_close(&self) -> &ToClose {
        &self.0.to_close
    }

    /// How many operations the kernel has, those of dropped futures included.
    pub fn in_flight(&self) -> usize {
        self.0.state.borrow().ring.in_flight()
    }

    /// Room for a receive: a buffer that is taken when bytes come, or one of so many bytes that
    /// waits with it, where the kernel knows nothing else.
    pub fn room(&self, bytes: usize) -> Room {
        match self.0.state.borrow().ring.features().multishot_receive {
            true => Room::OneOfThem(bytes),
            false => Room::Own(Vec::with_capacity(bytes)),
        }
    }

    /// Hands an operation over. The kernel hears of it when the executor waits.
    // ANCHOR: begin
    pub fn begin(&self, op: Op) -> Operation {
        let mut state = self.0.state.borrow_mut();
        let slot = state.free.pop().unwrap_or(state.places.len());
        if slot == state.places.len() {
            state.places.push(Place::Free);
        }
        state.ring.begin(Token::at(slot), op);
        state.places[slot] = Place::InFlight(None);
        Operation { reactor: self.clone(), slot, is_recalled: false, is_over: false }
    }
    // ANCHOR_END: begin

    /// Accepts a client.
    ///
    /// # Errors
    /// What accept(2) answers; so for each of the following, and the call of its name.
    pub async fn accept(&self, listener: &Fd) -> Result<Fd, Errno> {
        let op = Op::Accept { listener: listener.clone(), many: false };
        self.opened(self.begin(op).await)
    }

    /// Receives into `buffer`, as much as it has room for, and gives it back.
    // ANCHOR: recv
    pub async fn recv(
        &self,
        socket: &Fd,
        buffer: Vec<u8>,
    ) -> (Result<usize, Errno>, Vec<u8>) {
        let op = Op::Receive { socket: socket.clone(), into: Room::Own(buffer) };
        received(self.begin(op).await)
    }
    // ANCHOR_END: recv

    /// Sends what it can, and gives the bytes back.
    pub async fn send(
        &self,
        socket: &Fd,
        bytes: Vec<u8>,
    ) -> (Result<usize, Errno>, Vec<u8>) {
        let op = Op::Send { socket: socket.clone(), bytes, flags: SendFlags::empty() };
        sent(self.begin(op).await)
    }

    /// Reads a part of a file into `buffer`, and gives it back.
    pub async fn read(
        &self,
        file: &Fd,
        at: u64,
        into: Vec<u8>,
    ) -> (Result<usize, Errno>, Vec<u8>) {
        let len = into.capacity();
        received(self.begin(Op::Read { file: file.clone(), at, len, into }).await)
    }

    /// The descriptor that an operation has opened.
    ///
    /// # Errors
    /// That it has not.
    pub fn opened(&self, done: Done) -> Result<Fd, Errno> {
        done.result?;
        done.descriptor.map(|opened| self.hold(opened)).ok_or(Errno::IO)
    }
}

/// What a receive or a read has brought, and its buffer.
pub fn received(done: Done) -> (Result<usize, Errno>, Vec<u8>) {
    let bytes = match (done.received, done.op) {
        (Received::Own(bytes), _) => bytes,
        (_, Some(Op::Read { into, .. })) => into,
        _ => Vec::new(),
    };
    (done.result.map(|n| n as usize), bytes)
}

/// How much was sent, and of what.
pub fn sent(done: Done) -> (Result<usize, Errno>, Vec<u8>) {
    let bytes = match done.op {
        Some(Op::Send { bytes, .. }) => bytes,
        _ => Vec::new(),
    };
    (done.result.map(|n| n as usize), bytes)
}

/// An operation that was begun: a claim on its completion.
#[derive(Debug)]
pub struct Operation {
    reactor: Completions,
    slot: usize,
    is_recalled: bool,
    is_over: bool,
}

// ANCHOR: operation
impl Future for Operation {
    type Output = Done;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Done> {
        let mut state = self.reactor.0.state.borrow_mut();
        match std::mem::replace(&mut state.places[self.slot], Place::Free) {
            Place::Over(done) => {
                state.free.push(self.slot);
                drop(state);
                self.is_over = true;
                Poll::Ready(done)
            }
            _ => {
                let waker = context.waker().clone();
                state.places[self.slot] = Place::InFlight(Some(waker));
                Poll::Pending
            }
        }
    }
}
// ANCHOR_END: operation

impl Operation {
    /// Asks for its end. It comes as a completion, which says how it has ended: without
    /// effect, or as it would have ended anyway.
    pub fn recall(&mut self) {
        if !std::mem::replace(&mut self.is_recalled, true) {
            self.reactor.0.state.borrow_mut().ring.cancel(Token::at(self.slot));
        }
    }

    // ANCHOR: within
    /// What comes of it, or of recalling it when `limit` is over: either way it has ended, and
    /// nothing that it has brought is lost.
    pub async fn within(mut self, limit: impl Future<Output = ()>) -> Done {
        match race(&mut self, limit).await {
            Ok(done) => done,
            Err(()) => {
                self.recall();
                self.await
            }
        }
    }
    // ANCHOR_END: within
}

// ANCHOR: drop
impl Drop for Operation {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let state = &mut *self.reactor.0.state.borrow_mut();
        let place = &mut state.places[self.slot];
        if let Place::Over(_) = place {
            // Nobody has collected it: bytes are lost, a descriptor is closed.
            *place = Place::Free;
            state.free.push(self.slot);
            return;
        }
        // The slot stays taken, and the buffer with the ring, until the completion is here.
        *place = Place::Dropped;
        if !self.is_recalled {
            state.ring.cancel(Token::at(self.slot));
        }
    }
}
// ANCHOR_END: drop

impl Reactor for Completions {
    fn watch(&self, told: BorrowedFd<'_>) -> io::Result<()> {
        let told = self.hold(told.try_clone_to_owned()?);
        self.0.state.borrow_mut().told = Some(told);
        Ok(())
    }

    // ANCHOR: wait
    fn wait(&self, sleep: bool) -> io::Result<bool> {
        let state = &mut *self.0.state.borrow_mut();
        while let Some(descriptor) = self.0.to_close.take() {
            state.ring.close(descriptor);
        }
        state.arm(self.0.timers.next());
        state.ask(usize::from(sleep))?;
        let now = Instant::now();
        if self.0.timers.is_late(now) {
            // We may have been stopped. Nobody is late before the kernel was asked for news
            // of him.
            state.ask(0)?;
        }
        self.0.timers.fire(now);
        // It was being watched, and is no longer: it can be read.
        Ok(!state.is_watching)
    }
    // ANCHOR_END: wait
}

impl State {
    fn ask(&mut self, want: usize) -> io::Result<()> {
        self.ring.wait(want)?;
        while let Some(done) = self.ring.next() {
            self.completed(done);
        }
        Ok(())
    }

    // ANCHOR: completed
    fn completed(&mut self, mut done: Done) {
        if let Received::Shared(..) = done.received {
            // The buffer goes back at once, whether somebody wants the bytes or not.
            let bytes = self.ring.bytes(&done.received).to_vec();
            let shared = std::mem::replace(&mut done.received, Received::Own(bytes));
            self.ring.give_back(shared);
        }
        let slot = done.token.index();
        match (slot, &mut self.places[slot]) {
            (TIMER, _) => self.alarm.is_over(),
            (TOLD, _) => self.is_watching = false,
            (_, place @ Place::Dropped) => {
                // `done` goes here, with all that it has owned or brought.
                *place = Place::Free;
                self.free.push(slot);
            }
            (_, place) => {
                let before = std::mem::replace(place, Place::Over(done));
                if let Place::InFlight(Some(waker)) = before {
                    waker.wake();
                }
            }
        }
    }
    // ANCHOR_END: completed

    /// The operations that are the reactor's own.
    fn arm(&mut self, due: Option<Instant>) {
        if let (false, Some(told)) = (self.is_watching, &self.told) {
            self.is_watching = true;
            let op = Op::Watch { descriptor: told.clone() };
            self.ring.begin(Token::at(TOLD), op);
        }
        match self.alarm.set(due) {
            Some(Wish::Begin(token, op)) => self.ring.begin(token, op),
            Some(Wish::Cancel(token)) => self.ring.cancel(token),
            None => {}
        }
    }
}
