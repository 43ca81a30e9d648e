//! Tasks that wait for the time: one tree for all of them, whoever their reactor is.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Deadlines, in order, and whom to wake.
#[derive(Clone, Debug)]
pub struct Timers(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    in_order: RefCell<BTreeMap<(Instant, u64), Waker>>,
    /// The time at which the kernel was asked last: one look at the clock for all.
    now: Cell<Instant>,
    /// How often it was asked.
    round: Cell<u64>,
    begun: Cell<u64>,
}

impl Default for Timers {
    fn default() -> Self {
        Self(Rc::new(Inner {
            in_order: RefCell::default(),
            now: Cell::new(Instant::now()),
            round: Cell::new(0),
            begun: Cell::new(0),
        }))
    }
}

impl Timers {
    /// When the kernel was asked last.
    pub fn now(&self) -> Instant {
        self.0.now.get()
    }

    /// How often it was asked: two calls within one turn of a task have the same answer.
    pub fn round(&self) -> u64 {
        self.0.round.get()
    }

    /// A timer that is not set.
    pub fn sleep(&self) -> Sleep {
        self.0.begun.set(self.0.begun.get() + 1);
        let number = self.0.begun.get();
        Sleep { timers: self.clone(), number, until: None, waker: None }
    }

    /// A timer that ends at this time.
    pub fn sleep_until(&self, until: Instant) -> Sleep {
        let mut sleep = self.sleep();
        sleep.reset(Some(until));
        sleep
    }

    /// The earliest deadline for which somebody waits.
    pub fn next(&self) -> Option<Instant> {
        self.0.in_order.borrow().first_key_value().map(|((until, _), _)| *until)
    }

    /// How long a reactor may sleep for the earliest.
    pub fn time_left(&self) -> Option<Duration> {
        self.next().map(|next| next.saturating_duration_since(Instant::now()))
    }

    /// Whether somebody's time has come.
    pub fn is_late(&self, now: Instant) -> bool {
        self.next().is_some_and(|next| next <= now)
    }

    /// The kernel was asked after this time: wakes those who were late by then.
    // ANCHOR: fire
    pub fn fire(&self, now: Instant) {
        let inner = &self.0;
        inner.round.set(inner.round.get() + 1);
        inner.now.set(now);
        let mut in_order = inner.in_order.borrow_mut();
        while let Some(first) = in_order.first_entry()
            && first.key().0 <= inner.now.get()
        {
            first.remove().wake();
        }
    }
    // ANCHOR_END: fire
}

/// Is over when its time has come. Dropping it takes it out of the tree.
// ANCHOR: sleep
#[derive(Debug)]
pub struct Sleep {
    timers: Timers,
    number: u64,
    until: Option<Instant>,
    /// Who is woken, while it stands in the tree.
    waker: Option<Waker>,
}

impl Sleep {
    /// Another time, or none: then it is never over.
    pub fn reset(&mut self, until: Option<Instant>) {
        if self.until != until {
            self.take_out();
            self.until = until;
        }
    }

    fn take_out(&mut self) {
        if self.waker.take().is_some()
            && let Some(until) = self.until
        {
            self.timers.0.in_order.borrow_mut().remove(&(until, self.number));
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.until else { return Poll::Pending };
        if until <= self.timers.now() {
            self.take_out();
            return Poll::Ready(());
        }
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            self.waker = Some(context.waker().clone());
            let key = (until, self.number);
            self.timers.0.in_order.borrow_mut().insert(key, context.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.take_out();
    }
}
// ANCHOR_END: sleep
