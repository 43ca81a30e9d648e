//! The guestbook, as tasks: one at the door, one for the store, and one for each client.

mod client;
mod disk;
mod net;
mod over_epoll;
mod over_ring;
pub mod start;
mod store;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use guestbook::{Now, Settings};
use iterative::{Complaints, how_many_wait, no_accept, somebody_waits};
use rustix::io::Errno;
use select_loop::Stop;

pub use client::serve;
pub use disk::Disk;
pub use net::Net;
pub use over_epoll::OverEpoll;
pub use over_ring::OverRing;
pub use store::Store;

use crate::{Spawner, race, yield_now};

/// How long nobody is accepted when accepting has failed for want of something.
const PAUSE: Duration = Duration::from_millis(100);
/// How many clients may come in before those who are in have their turn.
const AT_ONCE: u64 = 64;

/// What all tasks share.
pub struct House<N> {
    net: N,
    settings: Settings,
    store: Store,
    spawner: Spawner,
    /// How to wake whoever is in.
    seats: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<usize>>,
    /// For how many there is room.
    room: usize,
    /// How many are in.
    inside: Cell<usize>,
    /// How many have left, and how often somebody was accepted, or nobody.
    left: Cell<u64>,
    knocks: Cell<u64>,
    complaints: RefCell<Complaints>,
    /// The task at the door.
    door: RefCell<Option<Waker>>,
    stops_at: Cell<Option<Instant>>,
    /// The time of this round, and which round that is.
    now: Cell<(u64, Now)>,
    expires_files: Cell<bool>,
}

impl<N: Net> House<N> {
    /// An empty house, with room for so many clients.
    pub fn new(
        net: N,
        settings: Settings,
        store: Store,
        room: usize,
        spawner: Spawner,
    ) -> Rc<Self> {
        Rc::new(Self {
            net,
            settings,
            store,
            spawner,
            seats: RefCell::default(),
            free: RefCell::default(),
            room,
            inside: Cell::new(0),
            left: Cell::new(0),
            knocks: Cell::new(0),
            complaints: RefCell::default(),
            door: RefCell::default(),
            stops_at: Cell::new(None),
            now: Cell::new((0, Now::read())),
            expires_files: Cell::new(false),
        })
    }

    /// The time: both clocks are read once in a round.
    fn now(&self) -> Now {
        let round = self.net.timers().round();
        if self.now.get().0 != round {
            self.now.set((round, Now::read()));
        }
        self.now.get().1
    }

    /// Whether the server is to stop.
    pub fn is_stopping(&self) -> bool {
        self.stops_at.get().is_some()
    }

    /// The server is to stop: everybody is told, whatever they wait for.
    // ANCHOR: stop
    fn stop(&self) {
        if !self.is_stopping() {
            self.stops_at.set(Some(self.now().mono));
            self.seats.borrow().iter().flatten().for_each(Waker::wake_by_ref);
            self.wake_door();
        }
    }
    // ANCHOR_END: stop

    fn wake_door(&self) {
        if let Some(waker) = self.door.take() {
            waker.wake();
        }
    }

    /// For the task at the door: is over when this is so.
    async fn until(&self, is_so: impl Fn() -> bool) {
        poll_fn(|context| match is_so() {
            true => Poll::Ready(()),
            false => {
                self.door.replace(Some(context.waker().clone()));
                Poll::Pending
            }
        })
        .await;
    }

    /// Gives a client its task. Where there is none for want of a descriptor, nobody is
    /// accepted until somebody has left, or a moment is over.
    // ANCHOR: admit
    async fn admit(self: &Rc<Self>, accepted: Result<N::Socket, Errno>) {
        match accepted {
            Ok(client) => {
                self.inside.set(self.inside.get() + 1);
                self.spawner.spawn(serve(Rc::clone(self), client));
            }
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => {}
            Err(error) => {
                self.complaints.borrow_mut().say(no_accept(error));
                self.net.release_files();
                let (left, stopping) = (self.left.get(), self.is_stopping());
                let changed = || self.left.get() != left || self.is_stopping() != stopping;
                let moment = self.net.timers().sleep_until(self.now().mono + PAUSE);
                let _ = race(self.until(changed), moment).await;
            }
        }
        self.knocks.set(self.knocks.get() + 1);
        if self.knocks.get().is_multiple_of(AT_ONCE) {
            yield_now().await;
        }
    }
    // ANCHOR_END: admit

    /// Somebody comes in, and can be woken.
    async fn enter(self: &Rc<Self>) -> Seat<N> {
        poll_fn(|context| {
            let mut seats = self.seats.borrow_mut();
            let number = self.free.borrow_mut().pop().unwrap_or(seats.len());
            if number == seats.len() {
                seats.push(None);
            }
            seats[number] = Some(context.waker().clone());
            Poll::Ready(Seat { house: Rc::clone(self), number })
        })
        .await
    }

    /// Has files closed a second after they were opened. While there is none, nobody waits.
    fn expire_files(self: &Rc<Self>) {
        if self.expires_files.replace(true) {
            return;
        }
        let house = Rc::clone(self);
        self.spawner.spawn(async move {
            let timers = house.net.timers();
            while let Some(next) = house.net.expire_files(timers.now()) {
                timers.sleep_until(next).await;
            }
            house.expires_files.set(false);
        });
    }
}

/// A client's place. Whoever drops it has left.
struct Seat<N: Net> {
    house: Rc<House<N>>,
    number: usize,
}

impl<N: Net> Drop for Seat<N> {
    fn drop(&mut self) {
        let house = &self.house;
        house.seats.borrow_mut()[self.number] = None;
        house.free.borrow_mut().push(self.number);
        house.inside.set(house.inside.get() - 1);
        house.left.set(house.left.get() + 1);
        house.wake_door();
    }
}

/// Waits for SIGTERM or SIGINT.
pub async fn watch_signals<N: Net>(house: Rc<House<N>>, signals: Stop) {
    let Ok(descriptor) = signals.as_fd().try_clone_to_owned() else { return house.stop() };
    let watched = house.net.hold(descriptor);
    while !signals.has_come() {
        if house.net.readable(&watched).await.is_err() {
            // There is no memory for it: again in a moment.
            house.net.timers().sleep_until(house.now().mono + PAUSE).await;
        }
    }
    house.stop();
}

/// Accepts clients until the server is to stop, and then those who wait. Is over when all are
/// gone, or `grace` is.
// ANCHOR: door
pub async fn keep_door<N: Net>(house: Rc<House<N>>, listener: N::Socket, grace: Duration) {
    while !house.is_stopping() {
        let stop = house.until(|| house.is_stopping());
        house.admit(house.net.accept(&listener, stop).await).await;
        house.until(|| house.inside.get() < house.room || house.is_stopping()).await;
    }
    let last_round = async {
        // Those who wait at this moment, and nobody else.
        let mut left = how_many_wait(&listener).unwrap_or(0);
        while left > 0 && somebody_waits(&listener) {
            house.until(|| house.inside.get() < house.room).await;
            let accepted = house.net.accept(&listener, pending()).await;
            left -= u64::from(accepted.is_ok());
            house.admit(accepted).await;
        }
        drop(listener);
        house.until(|| house.inside.get() == 0).await;
    };
    let end = house.stops_at.get().map_or(house.now().mono, |at| at + grace);
    let _ = race(last_round, house.net.timers().sleep_until(end)).await;
}
// ANCHOR_END: door
