//! The second driver: one thread waits in io_uring_enter, for connections and files alike.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use file_pool::Pool;
use http1::Now;
use select_loop::{Clients, Stop, Timers};
use uring_loop::{
    Alarm, Done as Completed, Door, Fd, Features, Op, Part, Ring, ToClose, Token, Wish,
};

use crate::pool::{Task, What};
use crate::ring_client::Client;
use crate::root::Root;
use crate::session::{Session, Settings, Writers};
use crate::start::{Ready, ends_of, set_up_control};

const STOP: Token = Token { slot: Door::SLOT + 1, part: Part::Receive };
const TIMER: Token = Token { slot: Door::SLOT + 2, part: Part::Work };
const POOL: Token = Token { slot: Door::SLOT + 3, part: Part::Receive };
/// The slots before those of the clients.
const CLIENTS: usize = Door::SLOT + 4;

/// What all clients share.
#[derive(Debug)]
pub(crate) struct House {
    to_close: ToClose,
    folder: Fd,
    root: Arc<Root>,
    /// One thread, for folders: no operation reads them.
    pool: Pool<Task>,
    pub(crate) features: Features,
    pub(crate) now: Now,
    wishes: Vec<Wish>,
}

impl House {
    pub(crate) fn hold(&self, descriptor: OwnedFd) -> Fd {
        self.to_close.hold(descriptor)
    }

    pub(crate) fn root(&self) -> Fd {
        self.folder.clone()
    }

    pub(crate) fn begin(&mut self, slot: usize, part: Part, op: Op) {
        self.wishes.push(Wish::Begin(Token { slot: CLIENTS + slot, part }, op));
    }

    pub(crate) fn cancel(&mut self, slot: usize, part: Part) {
        self.wishes.push(Wish::Cancel(Token { slot: CLIENTS + slot, part }));
    }

    /// Nobody has more than one folder read at a time, so there is room.
    pub(crate) fn hand_over(&mut self, slot: usize, what: What) {
        let handed = self.pool.submit(Task { slot, root: Arc::clone(&self.root), what });
        debug_assert!(handed.is_ok(), "one job for each client");
    }
}

/// An FTP server that waits in io_uring_enter(2).
#[derive(Debug)]
pub struct RingFtp {
    house: House,
    door: Door,
    stop: Stop,
    /// The descriptors of `stop` and of the pool, and whether the ring watches them.
    watched: [(Token, Fd, bool); 2],
    alarm: Alarm,
    clients: Clients<Client>,
    timers: Timers,
    settings: Rc<Settings>,
    writers: Writers,
    grace: Duration,
    stops_at: Option<Instant>,
    ring: Ring,
}

impl RingFtp {
    /// A server without clients.
    ///
    /// # Errors
    /// What eventfd(2), clone(2) and fcntl(2) answer.
    pub fn new(ready: Ready, ring: Ring) -> io::Result<Self> {
        let Ready { listener, room, root, stop, settings, grace, .. } = ready;
        let to_close = ToClose::default();
        let pool = Pool::new(1, room)?;
        let hold = |fd: &dyn AsFd| -> io::Result<Fd> {
            Ok(to_close.hold(fd.as_fd().try_clone_to_owned()?))
        };
        let (folder, signals, told) = (hold(&*root)?, hold(&stop)?, hold(&pool)?);
        let now = Now::read();
        Ok(Self {
            door: Door::new(to_close.hold(listener), room),
            house: House {
                to_close,
                folder,
                root,
                pool,
                features: ring.features(),
                now,
                wishes: Vec::new(),
            },
            stop,
            watched: [(STOP, signals, false), (POOL, told, false)],
            alarm: Alarm::new(TIMER),
            clients: Clients::default(),
            timers: Timers::new(now.mono),
            settings,
            writers: Writers::default(),
            grace,
            stops_at: None,
            ring,
        })
    }

    /// Serves until SIGTERM or SIGINT, and then until what was begun is done.
    ///
    /// # Errors
    /// What io_uring_enter(2) answers, if it is our mistake.
    // ANCHOR: run
    pub fn run(mut self) -> io::Result<()> {
        while !self.is_done() {
            self.arm();
            self.ring.wait(1)?;
            self.house.now = Now::read();
            self.door.expired(self.house.now.mono);
            while let Some(done) = self.ring.next() {
                self.drain(done);
            }
            while let Some(slot) = self.timers.late(self.house.now.mono) {
                if let Some(client) = self.clients.get_mut(slot) {
                    client.session.expired(self.house.now);
                    self.go_on(slot);
                }
            }
        }
        Ok(())
    }
    // ANCHOR_END: run

    fn accept(&mut self, done: Completed) {
        // What is short is not ours to give up: no file is kept open here.
        let _ = self.door.completed(&done, &mut self.house.features, self.house.now.mono);
        let Some(socket) = done.descriptor else { return };
        let ends = set_up_control(&socket).and_then(|()| ends_of(&socket));
        let Ok(ends) = ends else { return self.door.have_left(1) };
        let mut session =
            Session::new(&self.settings, &self.writers, ends.0.ip(), self.house.now);
        if self.stops_at.is_some() {
            session.drain(self.house.now);
        }
        let client = Client::new(self.house.hold(socket), ends, session);
        let slot = self.clients.insert(client);
        self.go_on(slot);
    }

    fn arm(&mut self) {
        let mut wishes = std::mem::take(&mut self.house.wishes);
        self.door.go_on(self.house.features, &mut wishes);
        for (token, descriptor, is_watched) in &mut self.watched {
            if !std::mem::replace(is_watched, true) {
                let descriptor = descriptor.clone();
                wishes.push(Wish::Begin(*token, Op::Watch { descriptor }));
            }
        }
        let end = self.stops_at.map(|at| at + self.grace);
        let due = [self.timers.next(), self.door.opens_at(), end];
        wishes.extend(self.alarm.set(due.into_iter().flatten().min()));
        for wish in wishes {
            match wish {
                Wish::Begin(token, op) => self.ring.begin(token, op),
                Wish::Cancel(token) => self.ring.cancel(token),
            }
        }
        while let Some(descriptor) = self.house.to_close.take() {
            self.ring.close(descriptor);
        }
    }

    // ANCHOR: drain
    fn drain(&mut self, mut done: Completed) {
        match done.token {
            Token { slot: Door::SLOT, .. } => self.accept(done),
            TIMER => self.alarm.is_over(),
            STOP => {
                self.watched[0].2 = false;
                self.stop();
            }
            POOL => {
                self.watched[1].2 = false;
                for (slot, found) in self.house.pool.take_done() {
                    if let Some(client) = self.clients.get_mut(slot) {
                        client.found(found, &self.house);
                        self.go_on(slot);
                    }
                }
            }
            Token { slot, part } => {
                let slot = slot - CLIENTS;
                let Some(client) = self.clients.get_mut(slot) else { return };
                // The bytes of a job are its own; those of the control connection are looked at.
                let received = match part {
                    Part::Receive => std::mem::take(&mut done.received),
                    _ => Default::default(),
                };
                let bytes = self.ring.bytes(&received);
                client.completed(done, bytes, slot, &mut self.house);
                self.go_on(slot);
            }
        }
    }
    // ANCHOR_END: drain

    fn go_on(&mut self, slot: usize) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        if client.go_on(slot, &mut self.house) {
            self.timers.set(slot, None);
            drop(self.clients.take(slot));
            self.clients.release(slot);
            self.door.have_left(1);
        } else {
            let deadline = client.session.deadline();
            self.timers.set(slot, deadline);
        }
    }

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
                self.go_on(slot);
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
