//! One client, from its first byte to its last: the blocking worker's `serve`, with `.await`.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use guestbook::{Finish, Guest, Job, Out};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{Shutdown, shutdown};

use super::net::{Net, is_readable};
use super::{House, Seat};
use crate::{Sleep, race, yield_now};

/// How many steps a client may make before it is the next one's turn.
const TURN: u32 = 16;
/// A piece of a large file counts for so many.
const LARGE: u32 = 4;
/// A file of no more than this many bytes goes out together with its head.
const SMALL: u64 = 16 * 1024;
/// How much of a large file is read and sent in one go, in bytes.
const PIECE: u64 = 64 * 1024;
/// What deadlines are rounded up to, so that most moves end where they began.
const TICK: Duration = Duration::from_millis(100);

/// Serves a client to its end.
// ANCHOR: serve
pub async fn serve<N: Net>(house: Rc<House<N>>, socket: N::Socket) {
    let mut client = Client::new(house.enter().await, socket);
    let finish = loop {
        if let Some(finish) = client.finished() {
            break finish;
        } else if let Some(out) = client.guest.take_output() {
            client.send(out).await;
        } else if let Some(job) = client.guest.take_job() {
            client.work(job).await;
        } else {
            client.receive().await;
        }
        client.end_turn(1).await;
    };
    client.close(finish).await;
}
// ANCHOR_END: serve

/// What `serve` keeps while it waits: the locals of a blocking worker, in the task's memory.
struct Client<N: Net> {
    seat: Seat<N>,
    socket: N::Socket,
    guest: Guest<N::File>,
    limit: Limit<N>,
    has_ended: bool,
    /// The kernel has no memory to look at it, so nobody ever would.
    is_dismissed: bool,
    /// In which round its turn began, and how many steps it has made.
    turn: (u64, u32),
}

impl<N: Net> Client<N> {
    fn new(seat: Seat<N>, socket: N::Socket) -> Self {
        let house = &seat.house;
        let guest = Guest::new(house.settings, house.store.timeout(), house.now());
        let limit = Limit {
            house: Rc::clone(house),
            start: house.now().mono,
            sleep: house.net.timers().sleep(),
            hears_stop: false,
            has_heard: false,
        };
        Self {
            seat,
            socket,
            guest,
            limit,
            has_ended: false,
            is_dismissed: false,
            turn: (0, 0),
        }
    }

    /// How to close, once there is nothing left to say, or nobody who would hear it.
    fn finished(&mut self) -> Option<Finish> {
        self.has_ended |= self.is_dismissed;
        self.guest.finished().or(self.is_dismissed.then_some(Finish::Close))
    }

    /// Waits for bytes, no longer than until the deadline, or until the server is to stop.
    // ANCHOR: receive
    async fn receive(&mut self) {
        let (house, room) = (&self.seat.house, self.guest.room());
        let limit = self.limit.hearing_stop(self.guest.deadline());
        match house.net.recv(&self.socket, room, limit).await {
            Ok((bytes, n)) => {
                match n {
                    0 => self.guest.eof(house.now()),
                    n => self.guest.received(&bytes[..n], house.now()),
                }
                self.has_ended = n == 0;
                house.net.give_back(bytes);
            }
            Err(Errno::AGAIN) if self.limit.stop_is_news() => self.guest.drain(),
            Err(Errno::AGAIN) => self.guest.expired(house.now()),
            Err(Errno::INTR) => {}
            Err(Errno::NOMEM | Errno::NOSPC) => self.is_dismissed = true,
            Err(_) => self.guest.fail(),
        }
    }
    // ANCHOR_END: receive

    /// Sends a piece: bytes, or a part of a file, or a head and the small file behind it.
    // ANCHOR: send
    async fn send(&mut self, out: Out<N::File>) {
        let (mut bytes, file) = match out {
            Out::Bytes(bytes) => (bytes, self.guest.take_small_file(SMALL)),
            file => (Vec::new(), Some(file)),
        };
        let (net, head) = (&self.seat.house.net, bytes.len());
        let mut more = self.guest.has_more_output();
        if let Some(Out::File { file, at, len }) = &file {
            let now = (*len).min(PIECE);
            more |= now < *len;
            match net.read(file, *at, now as usize, &mut bytes).await {
                // The file is shorter than it was: what we have promised cannot be kept.
                Ok(0) | Err(_) => return self.guest.fail(),
                Ok(n) => more |= (n as u64) < now,
            }
        }
        let limit = self.limit.at(self.guest.deadline());
        let (sent, mut bytes) = net.send(&self.socket, bytes, more, limit).await;
        let (n, now) = (sent.unwrap_or(0) as u64, self.seat.house.now());
        if let Some(file) = file {
            self.guest.sent(file, n.saturating_sub(head as u64), now);
        }
        if head > 0 {
            bytes.truncate(head);
            self.guest.sent(Out::Bytes(bytes), n, now);
        }
        match sent {
            Ok(n) if n > SMALL as usize => self.end_turn(LARGE).await,
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => self.guest.expired(now),
            Err(_) => self.guest.fail(),
        }
    }
    // ANCHOR_END: send

    /// Has a job done, and waits for it.
    // ANCHOR: work
    async fn work(&mut self, job: Job) {
        let house = Rc::clone(&self.seat.house);
        match job {
            Job::Open(path) => {
                let opened = house.net.open(&path).await;
                house.expire_files();
                self.guest.opened(opened, house.now());
            }
            Job::Store(call) => {
                let reply = house.store.call(&call, house.now().mono);
                match race(reply, self.limit.at(self.guest.deadline())).await {
                    Ok(reply) => self.guest.stored(reply, house.now()),
                    // The store is late. Whatever it replies is for nobody.
                    Err(()) => self.guest.expired(house.now()),
                }
            }
        }
    }
    // ANCHOR_END: work

    /// Whoever never has to wait would be asked for ever: after so many steps in one round it
    /// is the next one's turn.
    // ANCHOR: end-turn
    async fn end_turn(&mut self, steps: u32) {
        let round = self.seat.house.net.timers().round();
        if self.turn.0 != round {
            self.turn = (round, 0);
        }
        self.turn.1 += steps;
        if self.turn.1 >= TURN {
            yield_now().await;
        }
    }
    // ANCHOR_END: end-turn

    /// Closes in the way that the connection asks for. The descriptor is closed with the task.
    async fn close(&mut self, finish: Finish) {
        let house = Rc::clone(&self.seat.house);
        // ANCHOR: close
        match finish {
            // Bytes that we have not read would make close reset the connection.
            Finish::Close if self.has_ended || !is_readable(&self.socket) => return,
            Finish::Reset => {
                // On a socket that is gone it fails, and then there is nothing to reset.
                let _ = set_socket_linger(&self.socket, Some(Duration::ZERO));
                return;
            }
            Finish::Close | Finish::Linger => {}
        }
        let until = house.now().mono + house.settings.linger;
        let mut is_open = shutdown(&self.socket, Shutdown::Write).is_ok();
        while is_open && house.now().mono < until {
            let limit = self.limit.at(Some(until));
            is_open = match house.net.recv(&self.socket, usize::MAX, limit).await {
                Ok((bytes, n)) => {
                    house.net.give_back(bytes);
                    n > 0
                }
                Err(error) => error == Errno::INTR,
            };
            self.end_turn(1).await;
        }
        // ANCHOR_END: close
    }
}

/// Is over when the client is late, or, where that is of interest, when the server is to stop.
// ANCHOR: limit
struct Limit<N> {
    house: Rc<House<N>>,
    start: Instant,
    sleep: Sleep,
    hears_stop: bool,
    has_heard: bool,
}

impl<N: Net> Limit<N> {
    fn at(&mut self, deadline: Option<Instant>) -> &mut Self {
        let ticks = deadline.map(|deadline| {
            let since = deadline.saturating_duration_since(self.start).as_nanos();
            u32::try_from(since.div_ceil(TICK.as_nanos())).unwrap_or(u32::MAX)
        });
        self.sleep.reset(ticks.map(|ticks| self.start + TICK * ticks));
        self.hears_stop = false;
        self
    }

    fn hearing_stop(&mut self, deadline: Option<Instant>) -> &mut Self {
        self.at(deadline).hears_stop = !self.has_heard;
        self
    }

    /// Whether the server is to stop, once.
    fn stop_is_news(&mut self) -> bool {
        self.house.is_stopping() && !std::mem::replace(&mut self.has_heard, true)
    }
}

impl<N: Net> Future for Limit<N> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.hears_stop && self.house.is_stopping() {
            return Poll::Ready(());
        }
        Pin::new(&mut self.sleep).poll(context)
    }
}
// ANCHOR_END: limit
