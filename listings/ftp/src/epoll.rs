//! The first driver: one thread waits in epoll for all connections, and a pool of threads for
//! the disk.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use file_pool::Pool;
use http1::Now;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use select_loop::{Clients, Door, Stop, Timers};

use crate::client::{Client, Lane, Turn, Wire};
use crate::pool::{Task, What};
use crate::root::Root;
use crate::session::{Session, Settings, Writers};
use crate::start::{Ready, ends_of, set_up_control};

const LISTENER: u64 = 0;
const STOP: u64 = 1;
const POOL: u64 = 2;
/// A client's descriptors: its slot, and two bits for which of them it is.
const CLIENTS: u64 = 4;
/// How many events are taken at a time.
const EVENTS: usize = 256;
/// How many jobs may wait for a thread of the pool; others wait with us.
const ROOM: usize = 64;

/// What all clients share.
#[derive(Debug)]
pub(crate) struct House {
    epoll: OwnedFd,
    root: Arc<Root>,
    pool: Pool<Task>,
    /// What the pool had no room for.
    line: VecDeque<Task>,
    pub(crate) now: Now,
    pub(crate) buffer: Vec<u8>,
}

impl House {
    /// From now on the kernel tells us when there is something new about this descriptor.
    // ANCHOR: watch
    pub(crate) fn watch(&self, fd: impl AsFd, slot: usize, lane: Lane) -> io::Result<()> {
        let who = EventData::new_u64(CLIENTS + slot as u64 * 4 + lane as u64);
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, fd, who, flags)?)
    }
    // ANCHOR_END: watch

    pub(crate) fn hand_over(&mut self, slot: usize, what: What) {
        let task = Task { slot, root: Arc::clone(&self.root), what };
        if let Err(task) = self.pool.submit(task) {
            self.line.push_back(task);
        }
    }

    fn refill_pool(&mut self) {
        while let Some(task) = self.line.pop_front() {
            if let Err(task) = self.pool.submit(task) {
                return self.line.push_front(task);
            }
        }
    }
}

/// An FTP server that waits in epoll_wait(2).
#[derive(Debug)]
pub struct EpollFtp {
    house: House,
    door: Door,
    listener_is_in: bool,
    stop: Stop,
    clients: Clients<Client>,
    timers: Timers,
    /// Whose turn it is.
    turns: VecDeque<usize>,
    settings: Rc<Settings>,
    writers: Writers,
    grace: Duration,
    stops_at: Option<Instant>,
}

impl EpollFtp {
    /// A server without clients, with so many threads for files.
    ///
    /// # Errors
    /// What epoll_create1(2), eventfd(2), clone(2) and epoll_ctl(2) answer.
    pub fn new(ready: Ready, threads: usize) -> io::Result<Self> {
        let Ready { listener, room, root, stop, settings, grace, .. } = ready;
        rustix::io::ioctl_fionbio(&listener, true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let pool = Pool::new(threads, ROOM)?;
        epoll::add(&epoll, &stop, EventData::new_u64(STOP), EventFlags::IN)?;
        epoll::add(&epoll, &pool, EventData::new_u64(POOL), EventFlags::IN)?;
        let now = Now::read();
        let (line, buffer) = (VecDeque::new(), vec![0; 16 * 1024]);
        Ok(Self {
            house: House { epoll, root, pool, line, now, buffer },
            door: Door::new(listener, room),
            listener_is_in: false,
            stop,
            clients: Clients::default(),
            timers: Timers::new(now.mono),
            turns: VecDeque::new(),
            settings,
            writers: Writers::default(),
            grace,
            stops_at: None,
        })
    }

    /// Serves until SIGTERM or SIGINT, and then until what was begun is done.
    ///
    /// # Errors
    /// What epoll_wait(2) answers, if it is our mistake.
    // ANCHOR: run
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        while !self.is_done() {
            self.wait(&mut events)?;
            self.house.now = Now::read();
            self.door.expired(self.house.now.mono);
            let mut somebody_comes = false;
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => somebody_comes = true,
                    STOP => self.stop(),
                    POOL => self.pool_is_done(),
                    who => self.note(who - CLIENTS, event.flags),
                }
            }
            if somebody_comes || self.stops_at.is_some() {
                self.accept();
            }
            self.round();
        }
        Ok(())
    }
    // ANCHOR_END: run

    // ANCHOR: accept
    fn accept(&mut self) {
        for socket in self.door.accept(self.house.now.mono) {
            if self.admit(socket).is_err() {
                // It is gone already, or the kernel has no memory to watch it.
                self.door.somebody_left();
            }
        }
        if self.door.listener().is_none()
            && let Some(listener) = self.door.socket()
            && std::mem::take(&mut self.listener_is_in)
        {
            // It is in, and open: there is nothing to fail.
            let _ = epoll::delete(&self.house.epoll, listener);
        }
        self.door.close_if_last();
    }

    fn admit(&mut self, socket: OwnedFd) -> io::Result<()> {
        set_up_control(&socket)?;
        let ends = ends_of(&socket)?;
        let now = self.house.now;
        let mut session = Session::new(&self.settings, &self.writers, ends.0.ip(), now);
        if self.stops_at.is_some() {
            session.drain(now);
        }
        let client = Client::new(Wire::new(socket), ends, session);
        let slot = self.clients.insert(client);
        let client = self.clients.get_mut(slot).expect("it sits there");
        let watched = client.watch_control(slot, &self.house);
        if watched.is_ok() {
            self.queue(slot);
        } else {
            drop(self.clients.take(slot));
            self.clients.release(slot);
        }
        watched
    }
    // ANCHOR_END: accept

    // ANCHOR: wait
    fn wait(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        if let Some(listener) = self.door.listener()
            && !self.listener_is_in
        {
            let who = EventData::new_u64(LISTENER);
            match epoll::add(&self.house.epoll, listener, who, EventFlags::IN) {
                Ok(()) => self.listener_is_in = true,
                Err(error) => self.door.pause(error, self.house.now.mono),
            }
        }
        loop {
            let time = self.time_left();
            match epoll::wait(&self.house.epoll, spare_capacity(events), time.as_ref()) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    // ANCHOR_END: wait

    fn time_left(&self) -> Option<Timespec> {
        if !self.turns.is_empty() {
            return Some(Timespec { tv_sec: 0, tv_nsec: 0 });
        }
        let end = self.stops_at.map(|at| at + self.grace);
        let due = [self.timers.next(), self.door.opens_at(), end];
        let due = due.into_iter().flatten().min()?;
        let left = due.saturating_duration_since(Instant::now());
        Some(Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        })
    }

    /// What the kernel says about one of a client's descriptors. The descriptor may be another
    /// by now, with the same place: then a call will say EAGAIN, and no more is lost.
    // ANCHOR: note
    fn note(&mut self, who: u64, flags: EventFlags) {
        let slot = (who / 4) as usize;
        let lane = match who % 4 {
            0 => Lane::Control,
            1 => Lane::Listener,
            _ => Lane::Data,
        };
        let wire = self.clients.get_mut(slot).and_then(|client| client.wire(lane));
        let Some(wire) = wire else { return };
        wire.may_read |= !flags.difference(EventFlags::OUT).is_empty();
        wire.may_write |= !flags.difference(EventFlags::IN | EventFlags::RDHUP).is_empty();
        self.queue(slot);
    }
    // ANCHOR_END: note

    fn pool_is_done(&mut self) {
        for (slot, found) in self.house.pool.take_done() {
            if let Some(client) = self.clients.get_mut(slot) {
                client.found(found, &self.house);
                self.queue(slot);
            }
        }
        self.house.refill_pool();
    }

    fn queue(&mut self, slot: usize) {
        if let Some(client) = self.clients.get_mut(slot)
            && !client.is_queued
        {
            client.is_queued = true;
            self.turns.push_back(slot);
        }
    }

    /// A turn for each whose turn it is, and then those who are late: what has come in time is
    /// taken first, however long we were away.
    // ANCHOR: round
    fn round(&mut self) {
        for _ in 0..self.turns.len() {
            let Some(slot) = self.turns.pop_front() else { break };
            self.drain(slot);
        }
        let now = self.house.now;
        while let Some(slot) = self.timers.late(now.mono) {
            if let Some(client) = self.clients.get_mut(slot) {
                client.session.expired(now);
                self.drain(slot);
            }
        }
    }

    fn drain(&mut self, slot: usize) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        client.is_queued = false;
        let turn = client.turn(slot, &mut self.house);
        match turn {
            Turn::Over => return self.retire(slot),
            Turn::Again => self.queue(slot),
            Turn::Wait => {}
        }
        let deadline = self.clients.get(slot).and_then(|client| client.session.deadline());
        self.timers.set(slot, deadline);
    }
    // ANCHOR_END: round

    // ANCHOR: retire
    fn retire(&mut self, slot: usize) {
        self.timers.set(slot, None);
        // Closing its descriptors takes them out of the instance.
        drop(self.clients.take(slot));
        self.clients.release(slot);
        self.door.somebody_left();
    }
    // ANCHOR_END: retire

    fn stop(&mut self) {
        if !self.stop.has_come() || self.stops_at.is_some() {
            return;
        }
        self.stops_at = Some(self.house.now.mono);
        self.door.last_round();
        let slots: Vec<usize> = self.clients.slots().collect();
        for slot in slots {
            if let Some(client) = self.clients.get_mut(slot) {
                client.session.drain(self.house.now);
                self.queue(slot);
            }
        }
    }

    fn is_done(&self) -> bool {
        self.stops_at.is_some_and(|at| {
            self.house.now.mono >= at + self.grace
                || self.door.is_closed() && self.clients.is_empty()
        })
    }
}
