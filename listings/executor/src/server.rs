//! The guestbook, as tasks: one at the door, one for the store, and one for each client.

mod client;
mod disk;
mod net;
mod over_epoll;
mod over_ring;
pub mod start;
mod store;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
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
const AT_ONCE: usize = 64;

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
    /// How many have left.
    left: Cell<u64>,
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
            break;
        }
    }
    house.stop();
}

/// Accepts clients until the server is to stop, and then those who wait. Is over when all are
/// gone, or `grace` is.
// ANCHOR: door
pub async fn keep_door<N: Net>(house: Rc<House<N>>, listener: N::Socket, grace: Duration) {
    let (mut complaints, mut at_once) = (Complaints::default(), 0);
    let mut last_round = None; // how many are still let in
    while last_round != Some(0) {
        if house.is_stopping() {
            let left =
                last_round.get_or_insert_with(|| how_many_wait(&listener).unwrap_or(0));
            if !somebody_waits(&listener) {
                *left = 0;
                continue;
            }
        }
        let limit = house.until(|| house.is_stopping() && last_round.is_none());
        match house.net.accept(&listener, limit).await {
            Ok(client) => {
                house.inside.set(house.inside.get() + 1);
                last_round = last_round.map(|left: u64| left.saturating_sub(1));
                house.spawner.spawn(serve(Rc::clone(&house), client));
            }
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => {}
            Err(error) => {
                complaints.say(no_accept(error));
                pause(&house).await;
            }
        }
        house.until(|| house.inside.get() < house.room).await;
        at_once += 1;
        if at_once % AT_ONCE == 0 {
            yield_now().await;
        }
    }
    drop(listener);
    let is_empty = || house.inside.get() == 0;
    let end = house.stops_at.get().map(|at| at + grace).unwrap_or(house.now().mono);
    let _ = race(house.until(is_empty), house.net.timers().sleep_until(end)).await;
}
// ANCHOR_END: door

/// There is no descriptor, or no memory: until somebody has left, or a moment is over.
async fn pause<N: Net>(house: &House<N>) {
    house.net.release_files();
    let (left, stopping) = (house.left.get(), house.is_stopping());
    let changed = || house.left.get() != left || house.is_stopping() != stopping;
    let moment = house.net.timers().sleep_until(house.now().mono + PAUSE);
    let _ = race(house.until(changed), moment).await;
}
