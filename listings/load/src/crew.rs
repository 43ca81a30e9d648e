//! The clients, without I/O: what each is to do, and what what it hears means.
//!
//! A driver asks for [`Order`]s, carries them out, and says what came of them. It has the
//! sockets; the crew has the clients, the schedule and the counts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::answer::{Answer, Expected, LastHead, Progress, Wrong};
use crate::pace::{End, Pace, Schedule};
use crate::{Errors, Latency, Ramp};

/// So many clients come at the same time: fewer than the shortest accept queue that a server
/// in use has.
const AT_ONCE: usize = 100;
/// How long a client stays away that found no server.
const PAUSE: Duration = Duration::from_millis(100);
/// How often overdue responses are looked for. They are counted so much later at most.
const LOOK: Duration = Duration::from_millis(200);

/// What the clients are to do.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How many they are.
    pub clients: usize,
    /// When a request is sent.
    pub pace: Pace,
    /// How long.
    pub end: End,
    /// A new connection for each request.
    pub close: bool,
    /// How long a response may take.
    pub timeout: Duration,
    /// How long is waited until every client has had its first response.
    pub ramp: Duration,
    /// What each response must be.
    pub expected: Expected,
}

/// What a driver is to do next, for the client with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Connect, and say [`Crew::connected`] or [`Crew::failed`].
    Connect(usize),
    /// Send a request on its connection.
    Ask(usize),
    /// Close its connection, of which nothing more is to be said.
    HangUp(usize),
}

/// How it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// connect(2).
    Connect,
    /// send(2).
    Send,
    /// recv(2).
    Receive,
    /// The peer has ended the connection.
    Ended,
    /// The response took too long.
    Timeout,
    /// The response was wrong.
    Wrong(Wrong),
}

impl Errors {
    fn of(&mut self, failure: Failure) -> &mut u64 {
        match failure {
            Failure::Connect => &mut self.connect,
            Failure::Send => &mut self.send,
            Failure::Receive => &mut self.receive,
            Failure::Ended => &mut self.ended,
            Failure::Timeout => &mut self.timeout,
            Failure::Wrong(Wrong::Garbled) => &mut self.garbled,
            Failure::Wrong(Wrong::Status) => &mut self.status,
            Failure::Wrong(Wrong::Body) => &mut self.body,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has no connection.
    Away,
    Connecting,
    /// It has a connection, and nothing to say.
    Idle,
    /// Its response is to come.
    Asking,
}

#[derive(Debug)]
struct Client {
    state: State,
    /// Since when its request is due.
    since: Instant,
    /// Since when it is being carried out.
    begun: Instant,
    /// Its connection has carried a response before.
    reused: bool,
    answer: Answer,
}

/// What was counted since the last time that it was begun.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub answered: u64,
    pub connected: u64,
    pub received: u64,
    pub retried: u64,
    pub errors: Errors,
    pub latency: Latency,
}

/// All clients.
#[derive(Debug)]
pub struct Crew {
    rules: Rules,
    clients: Vec<Client>,
    /// Who may begin an exchange.
    ready: VecDeque<usize>,
    /// Who has had its first response, and waits for the others.
    arrived: VecDeque<usize>,
    /// Who found no server, and stays away until then.
    pausing: VecDeque<(Instant, usize)>,
    orders: VecDeque<Order>,
    last_head: LastHead,
    /// How many exchanges are being carried out.
    in_flight: usize,
    next_look: Instant,
    begun_at: Instant,
    /// None: the clients are still coming.
    schedule: Option<Schedule>,
    /// Tells how much processor time the generator has used, and what it told at the beginning.
    meter: fn() -> f64,
    pub(crate) processor_before: f64,
    pub(crate) ramp: Ramp,
    pub(crate) counts: Counts,
}

impl Crew {
    /// Nobody has come yet. `meter` says how many seconds of processor time were used so far.
    #[must_use]
    pub fn new(rules: Rules, meter: fn() -> f64, now: Instant) -> Self {
        let client = || Client {
            state: State::Away,
            since: now,
            begun: now,
            reused: false,
            answer: Answer::default(),
        };
        Self {
            clients: std::iter::repeat_with(client).take(rules.clients).collect(),
            ready: (0..rules.clients).collect(),
            arrived: VecDeque::with_capacity(rules.clients),
            pausing: VecDeque::new(),
            orders: VecDeque::new(),
            last_head: LastHead::default(),
            in_flight: 0,
            next_look: now + LOOK,
            begun_at: now,
            schedule: None,
            meter,
            processor_before: 0.0,
            ramp: Ramp::default(),
            counts: Counts::default(),
            rules,
        }
    }

    /// What is to be done next. None: nothing, before [`Crew::due`].
    // ANCHOR: order
    pub fn next_order(&mut self, now: Instant) -> Option<Order> {
        if let Some(order) = self.orders.pop_front() {
            return Some(order);
        }
        let slot = *self.ready.front()?;
        let since = match &mut self.schedule {
            Some(schedule) => schedule.take(now)?,
            None if self.in_flight < AT_ONCE => now,
            None => return None,
        };
        self.ready.pop_front();
        self.in_flight += 1;
        let client = &mut self.clients[slot];
        (client.since, client.begun) = (since, now);
        Some(match client.state {
            State::Idle => self.ask(slot),
            _ => self.connect(slot),
        })
    }
    // ANCHOR_END: order

    fn ask(&mut self, slot: usize) -> Order {
        self.clients[slot].state = State::Asking;
        Order::Ask(slot)
    }

    fn connect(&mut self, slot: usize) -> Order {
        let client = &mut self.clients[slot];
        client.state = State::Connecting;
        client.reused = false;
        Order::Connect(slot)
    }

    /// A client has its connection.
    pub fn connected(&mut self, slot: usize) {
        self.counts.connected += 1;
        let order = self.ask(slot);
        self.orders.push_back(order);
    }

    /// A client has received something.
    // ANCHOR: received
    pub fn received(&mut self, slot: usize, bytes: &[u8], now: Instant) {
        self.counts.received += bytes.len() as u64;
        let client = &mut self.clients[slot];
        if client.state != State::Asking {
            // Nobody has asked for that.
            return self.failed(slot, Failure::Wrong(Wrong::Garbled), now);
        }
        match client.answer.received(bytes, &mut self.last_head, &self.rules.expected) {
            Progress::Part => {}
            Progress::Whole { stays } => {
                // From when the request was due, which may be long before it was sent.
                let latency = now.saturating_duration_since(client.since).as_nanos();
                self.counts.latency.0.saturating_record(latency as u64);
                self.counts.answered += 1;
                self.conclude(slot, stays && !self.rules.close, now);
            }
            Progress::Wrong(wrong) => self.failed(slot, Failure::Wrong(wrong), now),
        }
    }
    // ANCHOR_END: received

    /// A client's connection is over, by its own doing or not. An order to hang up follows.
    pub fn failed(&mut self, slot: usize, failure: Failure, now: Instant) {
        let client = &mut self.clients[slot];
        match client.state {
            State::Away => return,
            // The server may end a connection on which it owes nothing.
            State::Idle => {
                client.state = State::Away;
                return self.orders.push_back(Order::HangUp(slot));
            }
            State::Connecting | State::Asking => {}
        }
        // The server has ended the connection while the request was under way: neither has seen
        // what the other did, and the client asks again (RFC 9112, section 9.3.1).
        let crossed = matches!(failure, Failure::Ended | Failure::Send | Failure::Receive)
            && client.reused
            && client.answer.is_untouched();
        if crossed {
            self.counts.retried += 1;
            self.orders.push_back(Order::HangUp(slot));
            let order = self.connect(slot);
            self.orders.push_back(order);
            return;
        }
        *self.counts.errors.of(failure) += 1;
        self.in_flight -= 1;
        client.answer = Answer::default();
        client.state = State::Away;
        self.orders.push_back(Order::HangUp(slot));
        match failure {
            Failure::Connect => self.pausing.push_back((now + PAUSE, slot)),
            _ => self.ready.push_back(slot),
        }
    }

    fn conclude(&mut self, slot: usize, stays: bool, now: Instant) {
        self.in_flight -= 1;
        let client = &mut self.clients[slot];
        client.reused = true;
        client.state = State::Idle;
        if !stays {
            client.state = State::Away;
            self.orders.push_back(Order::HangUp(slot));
        }
        if self.schedule.is_some() {
            return self.ready.push_back(slot);
        }
        self.arrived.push_back(slot);
        if self.arrived.len() == self.clients.len() {
            self.begin(now);
        }
    }

    /// The clients are there: from now on is measured.
    fn begin(&mut self, now: Instant) {
        let counts = std::mem::take(&mut self.counts);
        self.ramp = Ramp {
            seconds: (now - self.begun_at).as_secs_f64(),
            clients: self.arrived.len() as u64,
            errors: counts.errors,
        };
        self.ready.append(&mut self.arrived);
        self.begun_at = now;
        self.processor_before = (self.meter)();
        self.schedule = Some(Schedule::new(self.rules.pace, self.rules.end, now));
    }

    /// Looks at the clock. To be called in every round.
    pub fn look(&mut self, now: Instant) {
        while self.pausing.front().is_some_and(|(until, _)| *until <= now) {
            self.ready.extend(self.pausing.pop_front().map(|(_, slot)| slot));
        }
        if self.schedule.is_none() && now - self.begun_at >= self.rules.ramp {
            self.begin(now);
        }
        if now < self.next_look {
            return;
        }
        self.next_look = now + LOOK;
        for slot in 0..self.clients.len() {
            let client = &self.clients[slot];
            let busy = matches!(client.state, State::Asking | State::Connecting);
            if busy && now - client.begun >= self.rules.timeout {
                self.failed(slot, Failure::Timeout, now);
            }
        }
    }

    /// When there will be something to do though nothing happens.
    #[must_use]
    pub fn due(&self, now: Instant) -> Instant {
        let pausing = self.pausing.front().map(|(until, _)| *until);
        let request = match (&self.schedule, self.ready.is_empty()) {
            (Some(schedule), false) => schedule.next(now),
            _ => None,
        };
        let end = match (&self.schedule, self.rules.end) {
            (Some(schedule), End::After(time)) if !schedule.is_counted() => {
                Some(self.begun_at + time)
            }
            (None, _) => Some(self.begun_at + self.rules.ramp),
            _ => None,
        };
        let others = [pausing, request, end];
        others.into_iter().flatten().fold(self.next_look, Instant::min)
    }

    /// Whether everything was measured: the time is over, or every request that was due has
    /// come to its end.
    #[must_use]
    pub fn is_over(&self, now: Instant) -> bool {
        let Some(schedule) = &self.schedule else { return false };
        match self.rules.end {
            End::After(time) if !schedule.is_counted() => now - self.begun_at >= time,
            // In an open loop the late ones are the ones that matter, so they are waited for,
            // but not for ever.
            _ => {
                let all = schedule.left() == 0 && self.in_flight == 0;
                let given_up = schedule.last().map(|last| last + self.rules.timeout + LOOK);
                all || given_up.is_some_and(|by| now >= by)
            }
        }
    }

    /// How long was measured, and how many requests were due and never sent.
    pub(crate) fn measured(&self, now: Instant) -> (Duration, u64) {
        let left = self.schedule.as_ref().map_or(0, Schedule::left);
        (now - self.begun_at, left)
    }

    /// How many exchanges have begun and not ended.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }
}

#[cfg(test)]
mod tests;
