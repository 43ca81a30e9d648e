//! One thread for all connections, over epoll(7).

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use guestbook::{Finish, Guest, Job, Now, Out, Reply, StoreCall, StoreError, StorePipe};
use rustix::event::{Timespec, epoll};

use crate::fault::Fault;
use crate::serve::{House, TICK};

/// How often a client is served in one turn before the next one is.
const TURN: usize = 16;
/// How long nobody is accepted when no descriptor is left, and how long the store is not
/// called when it did not answer.
const PAUSE: Duration = Duration::from_millis(100);

const LISTENER: u64 = 0;
const STOP: u64 = 1;
const STORE: u64 = 2;
/// Clients begin here.
const FIRST: u64 = 3;

/// A slot, its generation, and which of its calls: who asked the store for what.
type Name = (usize, u64, u64);

struct Client {
    stream: TcpStream,
    guest: Guest<Arc<File>>,
    generation: u64,
    /// How many calls to the store there were.
    calls: u64,
    /// The kernel took no more.
    is_full: bool,
    /// It has ended its side.
    has_ended: bool,
    /// Said everything, and reads on until then.
    lingers: Option<Instant>,
    armed: epoll::EventFlags,
}

/// The one connection to the store.
#[derive(Default)]
struct Link {
    stream: Option<TcpStream>,
    pipe: StorePipe<()>,
    /// Whose replies come next, and what they asked. None: for somebody who has gone.
    callers: VecDeque<(Option<Name>, StoreCall, Instant)>,
    /// It is not called before.
    not_before: Option<Instant>,
    is_full: bool,
}

struct Loop<'a> {
    house: &'a House,
    epoll: rustix::fd::OwnedFd,
    clients: Vec<Option<Client>>,
    generations: u64,
    link: Link,
    /// Who has something left to do although nothing happens.
    again: Vec<usize>,
    /// Nobody is accepted before.
    opens: Option<Instant>,
    stopped: Option<Instant>,
    /// When somebody was accepted last.
    last_client: Instant,
    /// The signal has come, and is put off.
    again_later: bool,
}

/// Serves until told to stop and everybody has been served.
pub fn run(house: &House) -> io::Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (fd, name) in [(house.listener.as_fd(), LISTENER), (house.stop.as_fd(), STOP)] {
        epoll::add(&epoll, fd, epoll::EventData::new_u64(name), epoll::EventFlags::IN)?;
    }
    let mut this = Loop {
        house,
        epoll,
        clients: Vec::new(),
        generations: 0,
        link: Link::default(),
        again: Vec::new(),
        opens: None,
        stopped: None,
        last_client: Instant::now(),
        again_later: false,
    };
    while this.stopped.is_none() || this.clients.iter().any(Option::is_some) {
        if this.stopped.is_some_and(|at| at.elapsed() >= house.grace) {
            break;
        }
        this.turn()?;
    }
    Ok(())
}

impl Loop<'_> {
    fn has(&self, fault: Fault) -> bool {
        self.house.fault == Some(fault)
    }

    fn turn(&mut self) -> io::Result<()> {
        if self.has(Fault::HangsUp) {
            // Slow enough that something has arrived from everybody when the signal comes.
            thread::sleep(20 * TICK);
        }
        let mut events = Vec::with_capacity(128);
        let timeout = self.timeout().map(|wait| Timespec {
            tv_sec: wait.as_secs().cast_signed(),
            tv_nsec: wait.subsec_nanos().into(),
        });
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut events),
            timeout.as_ref(),
        ) {
            Ok(_) => {}
            // What has arrived is looked at before the clock is.
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let again = std::mem::take(&mut self.again);
        if self.has(Fault::HangsUp) {
            events.sort_by_key(|event| event.data.u64() != STOP);
        }
        for event in events {
            match event.data.u64() {
                LISTENER if self.stopped.is_none() => self.accept()?,
                LISTENER => {}
                STOP => self.stop()?,
                STORE => self.store_is_ready()?,
                client => {
                    let slot = (client & 0xffff_ffff) - FIRST;
                    let slot = usize::try_from(slot).map_err(io::Error::other)?;
                    let known = self.clients[slot].as_ref();
                    if known.is_some_and(|known| known.generation == client >> 32) {
                        self.serve(slot)?;
                    }
                }
            }
        }
        for slot in again {
            self.serve(slot)?;
        }
        self.look_at_the_clock()
    }

    /// How long nothing can happen.
    fn timeout(&self) -> Option<Duration> {
        if !self.again.is_empty() {
            return Some(Duration::ZERO);
        }
        let clients = self.clients.iter().flatten();
        let deadlines = clients.filter_map(|c| c.lingers.or_else(|| c.guest.deadline()));
        let grace = self.stopped.map(|at| at + self.house.grace);
        let next = deadlines
            .chain(self.opens)
            .chain(grace)
            .chain(self.link.given_up_at(self.house))
            .min();
        let wait = next.map(|next| next.saturating_duration_since(Instant::now()) + TICK);
        match self.has(Fault::Ticks) || self.again_later {
            true => Some(wait.map_or(PAUSE, |wait| wait.min(PAUSE))),
            false => wait,
        }
    }

    fn look_at_the_clock(&mut self) -> io::Result<()> {
        let now = Now::read();
        if self.opens.is_some_and(|at| at <= now.mono) {
            self.open_door()?;
        }
        if self.again_later && self.stopped.is_none() {
            self.stop()?;
        }
        if self.link.given_up_at(self.house).is_some_and(|at| at <= now.mono) {
            self.link_broke(StoreError::Late)?;
        }
        for slot in 0..self.clients.len() {
            let Some(client) = &mut self.clients[slot] else { continue };
            if client.lingers.is_some_and(|at| at <= now.mono) {
                self.clients[slot] = None;
                self.open_door()?;
            } else if client.guest.deadline().is_some_and(|at| at <= now.mono) {
                let name = (slot, client.generation, client.calls);
                client.guest.expired(now);
                self.serve(slot)?;
                if !self.awaits(name) {
                    self.forget(name);
                }
            }
        }
        Ok(())
    }

    /// Whether somebody still waits for the reply to this call.
    fn awaits(&self, (slot, generation, call): Name) -> bool {
        self.clients[slot].as_ref().is_some_and(|client| {
            client.generation == generation
                && client.calls == call
                && client.guest.awaits_store()
        })
    }

    /// Those who wait, but not all of them in one turn: as fast as they are served, others
    /// come.
    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..TURN {
            match self.house.listener.accept() {
                Ok((stream, _)) => {
                    self.last_client = Instant::now();
                    self.admit(stream)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) if self.has(Fault::SpinsAtTheDoor) => return Ok(()),
                Err(_) => {
                    self.opens = Some(Instant::now() + PAUSE);
                    return Ok(epoll::delete(&self.epoll, &self.house.listener)?);
                }
            }
        }
        Ok(())
    }

    /// Those who wait at the end: all of them, and nobody is answered meanwhile, who would
    /// come again.
    fn last_round(&mut self) -> io::Result<Vec<TcpStream>> {
        let mut waiting = Vec::new();
        while !self.has(Fault::LeavesQueue) {
            match self.house.listener.accept() {
                Ok((stream, _)) => waiting.push(stream),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        Ok(waiting)
    }

    /// A descriptor may be free: the door, if it was closed, is opened.
    fn open_door(&mut self) -> io::Result<()> {
        if self.opens.take().is_some() && self.stopped.is_none() {
            let name = epoll::EventData::new_u64(LISTENER);
            epoll::add(&self.epoll, &self.house.listener, name, epoll::EventFlags::IN)?;
        }
        Ok(())
    }

    fn admit(&mut self, stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let slot = self.clients.iter().position(Option::is_none).unwrap_or_else(|| {
            self.clients.push(None);
            self.clients.len() - 1
        });
        self.generations = (self.generations + 1) & 0xffff_ffff;
        let name =
            epoll::EventData::new_u64(self.generations << 32 | (slot as u64 + FIRST));
        let armed = match self.has(Fault::ReadsOnce) {
            true => epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET,
            false => epoll::EventFlags::IN,
        };
        match epoll::add(&self.epoll, &stream, name, armed) {
            Ok(()) => {}
            Err(error) if self.has(Fault::EndsWithEpoll) => return Err(error.into()),
            Err(_) => return Ok(()),
        }
        let guest = Guest::new(self.house.settings, self.house.shop.timeout, Now::read());
        self.clients[slot] = Some(Client {
            stream,
            guest,
            generation: self.generations,
            calls: 0,
            is_full: false,
            has_ended: false,
            lingers: None,
            armed,
        });
        self.serve(slot)
    }

    fn stop(&mut self) -> io::Result<()> {
        if !self.house.stop.came() || self.stopped.is_some() {
            return Ok(());
        }
        if self.has(Fault::EndsAtOnce) {
            std::process::exit(0);
        }
        let somebody_comes = self.last_client.elapsed() < 10 * PAUSE;
        if self.has(Fault::AcceptsOn) && somebody_comes {
            // Not yet: the signal is seen again in a moment.
            self.again_later = true;
            return Ok(());
        }
        let waiting = self.last_round()?;
        if self.opens.is_none() {
            epoll::delete(&self.epoll, &self.house.listener)?;
        }
        self.stopped = Some(Instant::now());
        // Nobody is to connect any more.
        rustix::net::shutdown(&self.house.listener, rustix::net::Shutdown::Both)?;
        for stream in waiting {
            self.admit(stream)?;
        }
        for slot in 0..self.clients.len() {
            if !self.has(Fault::HangsUp) {
                self.serve(slot)?;
            }
            if let Some(client) = &mut self.clients[slot] {
                client.guest.drain();
                self.again.push(slot);
            }
        }
        Ok(())
    }

    /// A client's turn: as much as can be done now, but no more than its share.
    fn serve(&mut self, slot: usize) -> io::Result<()> {
        let turn = if self.has(Fault::Starves) { usize::MAX } else { TURN };
        for _ in 0..turn {
            let Some(client) = &mut self.clients[slot] else { return Ok(()) };
            if client.lingers.is_some() {
                return self.linger(slot);
            }
            let goes_on = if let Some(finish) = client.guest.finished() {
                return self.finish(slot, finish);
            } else if let Some(job) = client.guest.take_job() {
                client.calls += 1;
                let name = (slot, client.generation, client.calls);
                self.work(job, name)?;
                true
            } else if let Some(out) = client.guest.take_output() {
                client.send(out)
            } else {
                let at_most = if self.house.fault == Some(Fault::ReadsOnce) {
                    1000
                } else {
                    16 * 1024
                };
                let reads = client.receive(at_most);
                reads && self.house.fault != Some(Fault::ReadsOnce)
            };
            if !goes_on {
                return self.arm(slot);
            }
        }
        self.again.push(slot);
        self.arm(slot)
    }

    /// Tells the kernel what this client waits for.
    fn arm(&mut self, slot: usize) -> io::Result<()> {
        let forgets = self.has(Fault::ForgetsRest);
        let dies = self.has(Fault::EndsWithEpoll);
        let Some(client) = &mut self.clients[slot] else { return Ok(()) };
        if client.armed.contains(epoll::EventFlags::ET) {
            return Ok(());
        }
        let mut wanted = epoll::EventFlags::empty();
        let reads = client.guest.room() > 0 || client.lingers.is_some();
        wanted.set(epoll::EventFlags::IN, reads && !client.has_ended && !client.is_full);
        wanted.set(epoll::EventFlags::OUT, client.is_full && !forgets);
        if wanted == client.armed {
            return Ok(());
        }
        client.armed = wanted;
        let name =
            epoll::EventData::new_u64(client.generation << 32 | (slot as u64 + FIRST));
        match epoll::modify(&self.epoll, &client.stream, name, wanted) {
            Ok(()) => Ok(()),
            Err(error) if dies => Err(error.into()),
            Err(_) => self.retire(slot),
        }
    }

    fn retire(&mut self, slot: usize) -> io::Result<()> {
        if let Some(client) = self.clients[slot].take() {
            self.forget((slot, client.generation, client.calls));
        }
        self.open_door()
    }

    fn finish(&mut self, slot: usize, finish: Finish) -> io::Result<()> {
        let Some(client) = &mut self.clients[slot] else { return Ok(()) };
        match finish {
            Finish::Linger if client.stream.shutdown(Shutdown::Write).is_ok() => {
                client.lingers = Some(Instant::now() + self.house.settings.linger);
                client.is_full = false;
                self.linger(slot)
            }
            Finish::Reset => {
                // When the client is gone, there is nobody to tell.
                let _ = rustix::net::sockopt::set_socket_linger(
                    &client.stream,
                    Some(Duration::ZERO),
                );
                self.retire(slot)
            }
            Finish::Linger | Finish::Close => self.retire(slot),
        }
    }

    /// Reads on and forgets it, so that no reset overtakes the response.
    fn linger(&mut self, slot: usize) -> io::Result<()> {
        let Some(client) = &mut self.clients[slot] else { return Ok(()) };
        match client.stream.read(&mut [0; 16 * 1024]) {
            Ok(1..) => self.arm(slot),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::Interrupted
                ) =>
            {
                self.arm(slot)
            }
            _ => self.retire(slot),
        }
    }

    fn work(&mut self, job: Job, name: Name) -> io::Result<()> {
        match job {
            Job::Open(path) => {
                let opened = self.house.files.open(path.as_str());
                if let Some(client) = &mut self.clients[name.0] {
                    client.guest.opened(opened, Now::read());
                }
                Ok(())
            }
            Job::Store(call) if self.has(Fault::BlocksInStore) => {
                let reply = self.house.shop.call(&call);
                if let Some(client) = &mut self.clients[name.0] {
                    client.guest.stored(reply, Now::read());
                }
                Ok(())
            }
            Job::Store(call) => self.call(name, call),
        }
    }

    // The store.

    fn call(&mut self, name: Name, call: StoreCall) -> io::Result<()> {
        if self.link.stream.is_none() && !self.connect()? {
            self.reply(name, Err(StoreError::Gone));
            return Ok(());
        }
        self.link.pipe.submit((), &call);
        self.link.callers.push_back((Some(name), call, Instant::now()));
        self.say()
    }

    /// Calls the store, unless it was called in vain a moment ago. On this machine a
    /// connection is made or refused at once.
    fn connect(&mut self) -> io::Result<bool> {
        let now = Instant::now();
        if self.link.not_before.is_some_and(|at| now < at) && !self.has(Fault::Hammers) {
            return Ok(false);
        }
        let Ok(stream) = TcpStream::connect_timeout(&self.house.shop.address, PAUSE) else {
            self.link.not_before = Some(now + PAUSE);
            return Ok(false);
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let name = epoll::EventData::new_u64(STORE);
        match epoll::add(&self.epoll, &stream, name, epoll::EventFlags::IN) {
            Ok(()) => {}
            Err(error) if self.has(Fault::EndsWithEpoll) => return Err(error.into()),
            Err(_) => return Ok(false),
        }
        (self.link.stream, self.link.is_full) = (Some(stream), false);
        Ok(true)
    }

    fn say(&mut self) -> io::Result<()> {
        while let (Some(stream), Some(out)) =
            (&mut self.link.stream, self.link.pipe.take_output())
        {
            let sent = stream.write(&out);
            let n = *sent.as_ref().unwrap_or(&0);
            self.link.pipe.sent(out, n);
            match sent {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.arm_store(true);
                }
                Err(_) => return self.link_broke(StoreError::Gone),
            }
        }
        self.arm_store(false)
    }

    fn arm_store(&mut self, is_full: bool) -> io::Result<()> {
        let Some(stream) = &self.link.stream else { return Ok(()) };
        if is_full == self.link.is_full {
            return Ok(());
        }
        self.link.is_full = is_full;
        let mut wanted = epoll::EventFlags::IN;
        wanted.set(epoll::EventFlags::OUT, is_full);
        let name = epoll::EventData::new_u64(STORE);
        match epoll::modify(&self.epoll, stream, name, wanted) {
            Err(_) => self.link_broke(StoreError::Gone),
            Ok(()) => Ok(()),
        }
    }

    fn store_is_ready(&mut self) -> io::Result<()> {
        self.say()?;
        let mut buffer = [0; 16 * 1024];
        let Some(stream) = &mut self.link.stream else { return Ok(()) };
        match stream.read(&mut buffer) {
            Ok(0) => return self.link_broke(StoreError::Gone),
            Ok(n) => self.link.pipe.received(&buffer[..n]),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::Interrupted
                ) =>
            {
                return Ok(());
            }
            Err(_) => return self.link_broke(StoreError::Gone),
        }
        loop {
            match self.link.pipe.next_reply() {
                Ok(Some(((), reply))) => {
                    if let Some((Some(name), ..)) = self.link.callers.pop_front() {
                        self.reply(name, Ok(reply));
                    }
                }
                Ok(None) => return Ok(()),
                Err(_) => return self.link_broke(StoreError::Garbled),
            }
        }
    }

    /// Whoever waits is told so, or asks again, which he should not.
    fn link_broke(&mut self, why: StoreError) -> io::Result<()> {
        let callers = std::mem::take(&mut self.link.callers);
        self.link = Link { not_before: Some(Instant::now() + PAUSE), ..Link::default() };
        if self.has(Fault::AsksAgain) {
            self.link.not_before = None;
        }
        for (name, call, _) in callers {
            match name {
                Some(name) if self.has(Fault::AsksAgain) => self.call(name, call)?,
                Some(name) => self.reply(name, Err(why)),
                None => {}
            }
        }
        Ok(())
    }

    /// Its place is left behind: the reply will come all the same.
    fn forget(&mut self, name: Name) {
        let place = self.link.callers.iter().position(|(caller, ..)| *caller == Some(name));
        if let Some(place) = place {
            match self.has(Fault::MixesReplies) {
                true => drop(self.link.callers.remove(place)),
                false => self.link.callers[place].0 = None,
            }
        }
    }

    fn reply(&mut self, name: Name, reply: Result<Reply, StoreError>) {
        if !self.awaits(name) && !self.has(Fault::MixesReplies) {
            return;
        }
        if let Some(client) = &mut self.clients[name.0] {
            client.guest.stored(reply, Now::read());
            self.again.push(name.0);
        }
    }
}

impl Link {
    /// When a store that owes a reply has owed it for too long.
    fn given_up_at(&self, house: &House) -> Option<Instant> {
        self.callers.front().map(|(.., asked)| *asked + 2 * house.shop.timeout)
    }
}

impl Client {
    /// Sends a piece. `false` when nothing more can be done now.
    fn send(&mut self, out: Out<Arc<File>>) -> bool {
        let sent = match &out {
            Out::Bytes(bytes) => self.stream.write(bytes),
            Out::File { file, at, len } => {
                let most = usize::try_from(*len).map_or(1 << 16, |len| len.min(1 << 16));
                let mut piece = vec![0; most];
                file.read_at(&mut piece, *at).and_then(|n| self.stream.write(&piece[..n]))
            }
        };
        self.is_full = false;
        match sent {
            Ok(0) => self.guest.fail(),
            Ok(n) => self.guest.sent(out, n as u64, Now::read()),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => self.guest.sent(out, 0, Now::read()),
                ErrorKind::WouldBlock => {
                    self.guest.sent(out, 0, Now::read());
                    self.is_full = true;
                }
                _ => self.guest.fail(),
            },
        }
        !self.is_full
    }

    /// Reads once. `false` when nothing more can be done now.
    fn receive(&mut self, at_most: usize) -> bool {
        let mut buffer = [0; 16 * 1024];
        let room = self.guest.room().min(at_most);
        if room == 0 || self.has_ended {
            return false;
        }
        match self.stream.read(&mut buffer[..room]) {
            Ok(0) => {
                self.has_ended = true;
                self.guest.eof(Now::read());
            }
            Ok(n) => self.guest.received(&buffer[..n], Now::read()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.guest.fail(),
        }
        true
    }
}
