//! Readiness: who wants to be told of what, in one epoll instance.
//!
//! A future here is a wish to be told. It owns no bytes, so dropping it loses none: they are
//! still in the socket, for whoever asks next.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use crate::executor::Reactor;
use crate::timers::Timers;

/// What stands in the event of the executor's own descriptor. No slot is as high.
const TOLD: u64 = u64::MAX;
/// How many events one call may bring.
const EVENTS: usize = 256;

/// An epoll instance, and the tasks that wait for what is in it.
#[derive(Clone)]
pub struct Epoll(Rc<Inner>);

struct Inner {
    epoll: OwnedFd,
    places: RefCell<Vec<Place>>,
    free: RefCell<Vec<usize>>,
    events: RefCell<Vec<Event>>,
    timers: Timers,
}

// ANCHOR: place
/// What is known about one descriptor.
#[derive(Debug, Default)]
struct Place {
    descriptor: Option<Rc<OwnedFd>>,
    /// What the kernel was told to look for; none: it does not know this descriptor yet.
    armed: Option<EventFlags>,
    /// The peer is gone, and the kernel looks no more: every call returns at once.
    is_gone: bool,
    /// Who reads, and who writes.
    sides: [Side; 2],
}

#[derive(Debug, Default)]
enum Side {
    #[default]
    Idle,
    Waiting(Waker),
    Ready,
}
// ANCHOR_END: place

const READ: usize = 0;
const WRITE: usize = 1;
const FLAGS: [EventFlags; 2] = [EventFlags::IN, EventFlags::OUT];

impl Epoll {
    /// An instance in which nobody is.
    ///
    /// # Errors
    /// What epoll_create1(2) answers.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Rc::new(Inner {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            places: RefCell::default(),
            free: RefCell::default(),
            events: RefCell::new(Vec::with_capacity(EVENTS)),
            timers: Timers::default(),
        })))
    }

    /// The time.
    pub fn timers(&self) -> &Timers {
        &self.0.timers
    }

    /// A descriptor that can be waited for. It must not block, and nobody else may have it: its
    /// interest ends when it is closed. The kernel hears of it when it is first waited for.
    pub fn hold(&self, descriptor: OwnedFd) -> Source {
        let mut places = self.0.places.borrow_mut();
        let slot = self.0.free.borrow_mut().pop().unwrap_or(places.len());
        if slot == places.len() {
            places.push(Place::default());
        }
        let descriptor = Rc::new(descriptor);
        places[slot] =
            Place { descriptor: Some(Rc::clone(&descriptor)), ..Place::default() };
        Source { descriptor, slot, epoll: self.clone(), is_empty: Cell::new(false) }
    }

    /// Tells the kernel what to look for, where that is not what it looks for already.
    // ANCHOR: arm
    fn arm(
        &self,
        fd: BorrowedFd<'_>,
        slot: usize,
        wanted: EventFlags,
    ) -> Result<(), Errno> {
        let place = &mut self.0.places.borrow_mut()[slot];
        let who = EventData::new_u64(slot as u64);
        match place.armed {
            Some(armed) if armed.contains(wanted) => return Ok(()),
            Some(armed) => epoll::modify(&self.0.epoll, fd, who, armed | wanted)?,
            None => epoll::add(&self.0.epoll, fd, who, wanted)?,
        }
        place.armed = Some(place.armed.unwrap_or(EventFlags::empty()) | wanted);
        Ok(())
    }
    // ANCHOR_END: arm
}

/// A descriptor, and its place with the reactor.
pub struct Source {
    descriptor: Rc<OwnedFd>,
    slot: usize,
    epoll: Epoll,
    is_empty: Cell<bool>,
}

impl Source {
    /// Is over when a read would not wait, or now and then for nothing: the call decides.
    ///
    /// # Errors
    /// What epoll_ctl(2) answers.
    pub async fn readable(&self) -> Result<(), Errno> {
        poll_fn(|context| self.poll_side(READ, context)).await
    }

    /// The same for a write.
    ///
    /// # Errors
    /// What epoll_ctl(2) answers.
    pub async fn writable(&self) -> Result<(), Errno> {
        poll_fn(|context| self.poll_side(WRITE, context)).await
    }

    // ANCHOR: poll-side
    fn poll_side(&self, side: usize, context: &Context<'_>) -> Poll<Result<(), Errno>> {
        let mut places = self.epoll.0.places.borrow_mut();
        let place = &mut places[self.slot];
        if place.is_gone || matches!(place.sides[side], Side::Ready) {
            place.sides[side] = Side::Idle;
            return Poll::Ready(Ok(()));
        }
        place.sides[side] = Side::Waiting(context.waker().clone());
        drop(places);
        match self.epoll.arm(self.as_fd(), self.slot, FLAGS[side]) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
    // ANCHOR_END: poll-side

    /// A read has given less than it was asked for. The next begins with waiting, and saves the
    /// call that would have said EAGAIN.
    pub fn is_empty(&self) {
        self.is_empty.set(true);
    }

    /// Makes a call that reads, after each EAGAIN again when it may give something.
    ///
    /// # Errors
    /// What the call answers, and epoll_ctl(2).
    // ANCHOR: read-with
    pub async fn read_with<T>(
        &self,
        mut call: impl FnMut(BorrowedFd<'_>) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        if self.is_empty.take() {
            self.readable().await?;
        }
        loop {
            match call(self.as_fd()) {
                Err(Errno::AGAIN) => self.readable().await?,
                Err(Errno::INTR) => {}
                result => return result,
            }
        }
    }
    // ANCHOR_END: read-with

    /// Reads what is there, as soon as something is.
    ///
    /// # Errors
    /// What read(2) answers, and epoll_ctl(2).
    pub async fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.read_with(|fd| rustix::io::read(fd, &mut *buffer)).await
    }

    /// Makes a call that writes, in the same way.
    ///
    /// # Errors
    /// What the call answers, and epoll_ctl(2).
    pub async fn write_with<T>(
        &self,
        mut call: impl FnMut(BorrowedFd<'_>) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        loop {
            match call(self.as_fd()) {
                Err(Errno::AGAIN) => self.writable().await?,
                Err(Errno::INTR) => {}
                result => return result,
            }
        }
    }

    /// Writes what there is room for, as soon as there is some.
    ///
    /// # Errors
    /// What write(2) answers, and epoll_ctl(2).
    pub async fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.write_with(|fd| rustix::io::write(fd, bytes)).await
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // Closing it takes it out of the instance. Its slot may be given away at once: events
        // are taken and told in one go, with no task between them.
        self.epoll.0.places.borrow_mut()[self.slot] = Place::default();
        self.epoll.0.free.borrow_mut().push(self.slot);
    }
}

impl Reactor for Epoll {
    fn watch(&self, told: BorrowedFd<'_>) -> io::Result<()> {
        epoll::add(&self.0.epoll, told, EventData::new_u64(TOLD), EventFlags::IN)?;
        Ok(())
    }

    // ANCHOR: wait
    fn wait(&self, sleep: bool) -> io::Result<bool> {
        let mut is_told = self.0.ask(sleep)?;
        let now = Instant::now();
        if self.0.timers.is_late(now) {
            // We may have been stopped. Nobody is late before the kernel was asked for news
            // of him.
            is_told |= self.0.ask(false)?;
        }
        self.0.timers.fire(now);
        Ok(is_told)
    }
    // ANCHOR_END: wait
}

impl Inner {
    // ANCHOR: ask
    fn ask(&self, sleep: bool) -> io::Result<bool> {
        let mut events = self.events.borrow_mut();
        loop {
            let time = match sleep {
                true => self.timers.time_left().map(timespec),
                false => Some(Timespec::default()),
            };
            match epoll::wait(&self.epoll, spare_capacity(&mut events), time.as_ref()) {
                Ok(_) => break,
                Err(Errno::INTR) => {} // a stop, and it goes on
                Err(error) => return Err(error.into()),
            }
        }
        let mut is_told = false;
        for event in events.drain(..) {
            match event.data.u64() {
                TOLD => is_told = true,
                slot => self.tell(slot, event.flags),
            }
        }
        Ok(is_told)
    }
    // ANCHOR_END: ask

    // ANCHOR: tell
    /// Wakes whoever waits for this. What nobody waits for is looked for no more.
    fn tell(&self, slot: u64, flags: EventFlags) {
        let place = &mut self.places.borrow_mut()[slot as usize];
        let (Some(descriptor), Some(armed)) = (&place.descriptor, place.armed) else {
            return; // somebody else had it open, too
        };
        let is_gone = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        let mut unwanted = EventFlags::empty();
        for (side, flag) in place.sides.iter_mut().zip(FLAGS) {
            if is_gone || flags.contains(flag) {
                match std::mem::replace(side, Side::Ready) {
                    Side::Waiting(waker) => waker.wake(),
                    Side::Idle | Side::Ready => unwanted |= flag,
                }
            }
        }
        // If one of these fails, it is told again in the next round, and tried again.
        if is_gone && unwanted == FLAGS[READ] | FLAGS[WRITE] {
            // That is told to whoever asks for nothing, too.
            place.is_gone = epoll::delete(&self.epoll, descriptor).is_ok();
        } else if !is_gone && armed.intersects(unwanted) {
            let (who, rest) = (EventData::new_u64(slot), armed - unwanted);
            if epoll::modify(&self.epoll, descriptor, who, rest).is_ok() {
                place.armed = Some(rest);
            }
        }
    }
    // ANCHOR_END: tell
}

fn timespec(time: std::time::Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}
