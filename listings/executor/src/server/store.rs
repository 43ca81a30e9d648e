//! One connection to the store for all clients, kept by a task of its own.
//!
//! Calls go out one behind the other, and replies come back in the same order, so that a
//! [`StorePipe`] can tell whose is whose. A client waits for a [`Call`]; if it gives up, the
//! reply comes all the same, and is for nobody.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use guestbook::{Reply, StoreCall, StoreError, StorePipe};
use rustix::io::Errno;

use super::net::Net;
use crate::{Timers, race};

/// The pause after the first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// How much is received at a time, in bytes.
const ROOM: usize = 16 * 1024;

/// The store, as tasks see it.
#[derive(Clone)]
pub struct Store(Rc<Shared>);

struct Shared {
    address: SocketAddr,
    timeout: Duration,
    state: RefCell<State>,
}

struct State {
    pipe: StorePipe<u64>,
    /// Who waits, and what came of it.
    calls: HashMap<u64, Waiting>,
    number: u64,
    /// When each call in the pipe was made.
    made: VecDeque<Instant>,
    /// Since when the store owes us a reply and has given none.
    silent_since: Option<Instant>,
    /// Before this time no connection is tried.
    not_before: Option<Instant>,
    pause: Duration,
    /// This connection has given a reply.
    has_replied: bool,
    /// This connection is of no further use, and its callers were told.
    is_given_up: bool,
    /// The task that keeps the connection.
    keeper: Option<Waker>,
}

enum Waiting {
    For(Option<Waker>),
    Done(Result<Reply, StoreError>),
}

impl Store {
    /// The store at `address`, which may be silent for `timeout` while it owes a reply.
    pub fn new(address: SocketAddr, timeout: Duration) -> Self {
        let state = State {
            pipe: StorePipe::new(),
            calls: HashMap::new(),
            number: 0,
            made: VecDeque::new(),
            silent_since: None,
            not_before: None,
            pause: FIRST_PAUSE,
            has_replied: false,
            is_given_up: false,
            keeper: None,
        };
        Self(Rc::new(Shared { address, timeout, state: RefCell::new(state) }))
    }

    /// How long a reply may take.
    pub fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// Asks the store.
    // ANCHOR: call
    pub fn call(&self, call: &StoreCall, now: Instant) -> Call {
        let state = &mut *self.0.state.borrow_mut();
        let is_late =
            |made: Option<&Instant>| made.is_some_and(|at| now - *at >= self.0.timeout);
        let mut refused = None;
        if is_late(state.made.back()) {
            state.give_up(); // nobody waits for anything in there
            state.is_given_up = true;
        } else if is_late(state.made.front()) {
            refused = Some(StoreError::Late);
        }
        if state.not_before.is_some_and(|time| now < time) {
            refused = Some(StoreError::Gone);
        }
        state.number += 1;
        let number = state.number;
        match refused {
            Some(error) => drop(state.calls.insert(number, Waiting::Done(Err(error)))),
            None => {
                state.calls.insert(number, Waiting::For(None));
                state.pipe.submit(number, call);
                state.made.push_back(now);
                state.silent_since.get_or_insert(now);
                state.keeper.take().inspect(Waker::wake_by_ref);
            }
        }
        Call { store: self.clone(), number }
    }
    // ANCHOR_END: call

    /// Keeps the connection, for ever: connects when somebody calls, talks, and tells all
    /// callers when it has failed.
    // ANCHOR: keep
    pub async fn keep<N: Net>(self, net: N) {
        loop {
            self.until(|state| (state.pipe.depth() > 0).then_some(())).await;
            self.0.state.borrow_mut().has_replied = false;
            let outcome = race(self.talk(&net), self.is_silent(net.timers())).await;
            let state = &mut *self.0.state.borrow_mut();
            if std::mem::take(&mut state.is_given_up) {
                continue;
            }
            state.give_up();
            if outcome.is_ok() && !state.has_replied {
                // One that has never replied is not worth another at once.
                state.not_before = Some(net.timers().now() + state.pause);
                state.pause = (state.pause * 2).min(LAST_PAUSE);
            }
        }
    }
    // ANCHOR_END: keep

    // ANCHOR: talk
    /// One connection. Sending and receiving go on side by side, until one of them fails.
    async fn talk<N: Net>(&self, net: &N) -> Errno {
        let socket = match net.connect(self.0.address).await {
            Ok(socket) => socket,
            Err(error) => return error,
        };
        let (send, receive) = (self.send(net, &socket), self.receive(net, &socket));
        match race(send, receive).await {
            Ok(Err(error)) | Err(Err(error)) => error,
        }
    }
    // ANCHOR_END: talk

    async fn send<N: Net>(&self, net: &N, socket: &N::Socket) -> Result<Infallible, Errno> {
        loop {
            let bytes = self.until(State::take_output).await;
            let (sent, bytes) = net.send(socket, bytes, false, pending()).await;
            let n = match sent {
                Err(Errno::AGAIN | Errno::INTR) => 0,
                sent => sent?,
            };
            self.0.state.borrow_mut().pipe.sent(bytes, n);
        }
    }

    async fn receive<N: Net>(
        &self,
        net: &N,
        socket: &N::Socket,
    ) -> Result<Infallible, Errno> {
        loop {
            let (bytes, n) = match net.recv(socket, ROOM, pending()).await {
                Err(Errno::AGAIN | Errno::INTR) => continue,
                received => received?,
            };
            let result = match n {
                0 => Err(Errno::CONNRESET),
                n => self.0.state.borrow_mut().received(&bytes[..n], net.timers().now()),
            };
            net.give_back(bytes);
            result?;
        }
    }

    /// Is over when the store owes a reply and has been silent for too long, or was given up.
    async fn is_silent(&self, timers: &Timers) {
        let mut sleep = timers.sleep();
        poll_fn(|context| {
            let mut state = self.0.state.borrow_mut();
            if state.is_given_up {
                return Poll::Ready(());
            }
            state.keeper.get_or_insert_with(|| context.waker().clone());
            sleep.reset(state.silent_since.map(|since| since + self.0.timeout));
            Pin::new(&mut sleep).poll(context)
        })
        .await;
    }

    /// For the task that keeps the connection: waits until there is something.
    async fn until<T>(&self, mut find: impl FnMut(&mut State) -> Option<T>) -> T {
        poll_fn(|context| {
            let mut state = self.0.state.borrow_mut();
            match find(&mut state) {
                Some(found) => Poll::Ready(found),
                None => {
                    state.keeper = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl State {
    /// What is to be sent. It may be for the next connection.
    fn take_output(&mut self) -> Option<Vec<u8>> {
        if self.is_given_up { None } else { self.pipe.take_output() }
    }

    /// Replies have come; whoever waits is told.
    fn received(&mut self, bytes: &[u8], now: Instant) -> Result<(), Errno> {
        if self.is_given_up {
            return Err(Errno::CONNRESET);
        }
        self.pipe.received(bytes);
        while let Some((number, reply)) =
            self.pipe.next_reply().map_err(|_| Errno::PROTO)?
        {
            self.made.pop_front();
            self.silent_since = Some(now);
            self.has_replied = true;
            self.pause = FIRST_PAUSE;
            self.finish(number, Ok(reply));
        }
        self.silent_since.take_if(|_| self.pipe.depth() == 0);
        Ok(())
    }

    /// The connection is of no further use. Nobody is asked twice: a remark that was sent may
    /// have been added.
    fn give_up(&mut self) {
        for number in self.pipe.broken() {
            self.finish(number, Err(StoreError::Gone));
        }
        self.made.clear();
        self.silent_since = None;
    }

    fn finish(&mut self, number: u64, result: Result<Reply, StoreError>) {
        // If it is not there, its client has given it up.
        if let Some(waiting) = self.calls.get_mut(&number)
            && let Waiting::For(Some(waker)) =
                std::mem::replace(waiting, Waiting::Done(result))
        {
            waker.wake();
        }
    }
}

/// A call that was made, and a claim on its reply.
// ANCHOR: reply
pub struct Call {
    store: Store,
    number: u64,
}

impl Future for Call {
    type Output = Result<Reply, StoreError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let calls = &mut self.store.0.state.borrow_mut().calls;
        match calls.remove(&self.number) {
            Some(Waiting::Done(result)) => Poll::Ready(result),
            _ => {
                let waiting = Waiting::For(Some(context.waker().clone()));
                calls.insert(self.number, waiting);
                Poll::Pending
            }
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.store.0.state.borrow_mut().calls.remove(&self.number);
    }
}
// ANCHOR_END: reply
