//! What all clients of a loop share, and everything about them that does not depend on the
//! call in which the loop waits.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use guestbook::{Guest, Meta, Now, RelPath, Settings};
use iterative::{File, Files};

use crate::client::SMALL;
use crate::disk::Found;
use crate::{Client, Clients, Disk, Interest, Next, Ready, StoreLink, Timers, Visit};

/// How many turns make a round.
const ROUND: usize = 256;

/// Clients, their deadlines, the files, the store, and who has the next turn.
#[derive(Debug)]
pub struct House {
    pub(crate) clients: Clients,
    timers: Timers,
    /// Whose turn it is although the kernel has nothing new about them.
    turns: VecDeque<usize>,
    /// The time at which the loop was woken. One look at the clock does for all clients that
    /// are served in a round.
    pub(crate) now: Now,
    pub(crate) files: Files,
    /// Who waits for the disk in our place; without it, we do.
    pub(crate) disk: Option<Disk>,
    /// How many clients have come in.
    visits: u64,
    pub(crate) store: StoreLink,
    pub(crate) settings: Settings,
    /// What was received, until the client has taken it: one buffer, since nobody waits with
    /// something in it.
    pub(crate) buffer: Vec<u8>,
    /// A head and the small file behind it.
    pub(crate) page: Vec<u8>,
    pub(crate) reads_until_eagain: bool,
    grace: Duration,
    stops_at: Option<Instant>,
}

/// What a loop has to do about a client after its turn.
#[derive(Debug)]
pub enum After {
    /// Wait for this.
    Arm(Interest),
    /// Close its socket, which nobody needs any more.
    Retire(OwnedFd),
    /// Nothing: it has another turn in the next round, or is not there.
    Nothing,
}

impl House {
    /// An empty house. After SIGTERM what was begun may take `grace`.
    pub fn new(
        files: Files,
        store: StoreLink,
        settings: Settings,
        grace: Duration,
    ) -> Self {
        let now = Now::read();
        Self {
            clients: Clients::default(),
            timers: Timers::new(now.mono),
            turns: VecDeque::new(),
            now,
            files,
            disk: None,
            visits: 0,
            store,
            settings,
            buffer: vec![0; http1::INPUT_CAP],
            page: Vec::with_capacity(SMALL as usize + 1024),
            reads_until_eagain: false,
            grace,
            stops_at: None,
        }
    }

    /// Reads each socket until it says EAGAIN, even if it gave less than it was asked for:
    /// who is told only about news must not leave anything behind.
    pub fn read_until_eagain(&mut self) {
        self.reads_until_eagain = true;
    }

    /// Has files opened and read by others. What has come of it is said by a descriptor:
    /// [`House::disk`].
    pub fn hand_files_to(&mut self, disk: Disk) {
        self.disk = Some(disk);
    }

    /// The descriptor that is readable when [`House::disk_is_ready`] is to be called.
    pub fn disk(&self) -> Option<BorrowedFd<'_>> {
        self.disk.as_ref().map(Disk::as_fd)
    }

    /// Opens a file, or has it opened: then there is no result yet.
    // ANCHOR: open
    pub(crate) fn open(
        &mut self,
        path: RelPath,
        who: Visit,
    ) -> Option<io::Result<(File, Meta)>> {
        match &mut self.disk {
            None => Some(self.files.open(path.as_str())),
            Some(disk) => disk.open(who, path, &mut self.files),
        }
    }
    // ANCHOR_END: open

    /// Files were opened and read. Who is still here goes on.
    // ANCHOR: disk-is-ready
    pub fn disk_is_ready(&mut self) {
        let Some(disk) = &mut self.disk else { return };
        let clients = &self.clients;
        let found = disk.take_found(|who| {
            clients.get(who.slot).is_some_and(|client| client.visit == who.number)
        });
        for (Visit { slot, number }, found) in found {
            let Some(client) = self.clients.get_mut(slot).filter(|c| c.visit == number)
            else {
                continue;
            };
            match found {
                Found::Opened(opened) => client.guest().opened(opened, self.now),
                Found::Read(at, read) => client.has_read(at, read, self.now),
            }
            self.queue(slot);
        }
    }
    // ANCHOR_END: disk-is-ready

    /// The time of this round.
    pub fn now(&self) -> Instant {
        self.now.mono
    }

    /// The clients.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// A client comes in. It has a turn at once, since its request may be there.
    pub fn admit(&mut self, socket: OwnedFd) -> usize {
        let guest = Guest::new(self.settings, self.store.timeout(), self.now);
        let mut client = Client::new(socket, guest);
        self.visits += 1;
        client.visit = self.visits;
        let slot = self.clients.insert(client);
        self.queue(slot);
        slot
    }

    /// Gives a client its turn.
    // ANCHOR: serve
    pub fn serve(&mut self, slot: usize, ready: Ready) -> After {
        let Some(mut client) = self.clients.take(slot) else { return After::Nothing };
        client.is_ready(ready);
        if client.is_queued && ready != Ready::NOTHING {
            // Its turn comes in this round as it is: nobody has two.
            self.clients.put_back(slot, client);
            return After::Nothing;
        }
        client.is_queued = false;
        let next = client.go_on(slot, self);
        if next == Next::Over {
            return After::Retire(self.leaves(slot, *client));
        }
        self.timers.set(slot, client.deadline());
        self.clients.put_back(slot, client);
        match next {
            Next::Wait(interest) => After::Arm(interest),
            _ => {
                self.queue(slot);
                After::Nothing
            }
        }
    }
    // ANCHOR_END: serve

    /// This client has a turn in the next round, and one only.
    fn queue(&mut self, slot: usize) {
        if let Some(client) = self.clients.get_mut(slot)
            && !client.is_queued
        {
            client.is_queued = true;
            self.turns.push_back(slot);
        }
    }

    /// Puts a client out, whatever it was doing. Its socket is to be closed.
    pub fn dismiss(&mut self, slot: usize) -> Option<OwnedFd> {
        let client = self.clients.take(slot)?;
        Some(self.leaves(slot, *client))
    }

    /// A client is gone, and its slot is free. If a reply is under way to it, it is for nobody.
    fn leaves(&mut self, slot: usize, client: Client) -> OwnedFd {
        self.timers.set(slot, None);
        self.clients.release(slot);
        client.into_socket()
    }

    /// Who is next without the kernel having said anything: whoever has just come in, has a
    /// reply of the store, is late, or has not finished its turn. Where they are too many the
    /// kernel is asked for others in between.
    // ANCHOR: round
    pub fn round(&mut self) -> Vec<usize> {
        self.hand_out();
        self.expire();
        self.hand_out();
        let turns = self.turns.len().min(ROUND);
        self.turns.drain(..turns).collect()
    }
    // ANCHOR_END: round

    /// How long the loop may wait; without limit, if nothing is due at all.
    // ANCHOR: time-left
    pub fn time_left(&self, door: Option<Instant>) -> Option<Duration> {
        if !self.turns.is_empty() || self.store.has_done() {
            return Some(Duration::ZERO);
        }
        let end = self.stops_at.map(|at| at + self.grace);
        let due =
            [self.timers.next(), self.store.deadline(), self.files.expires_at(), door, end];
        let next = due.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }
    // ANCHOR_END: time-left

    /// The loop is awake: reads the clock.
    pub fn wake(&mut self) {
        self.now = Now::read();
        self.files.expire(self.now.mono);
    }

    /// Looks who is late. Last in a round: if it was the loop that was late, everything that
    /// had arrived in time has been read by now.
    // ANCHOR: expire
    fn expire(&mut self) {
        self.store.expired(self.now.mono);
        while let Some(slot) = self.timers.late(self.now.mono) {
            if let Some(client) = self.clients.get_mut(slot) {
                client.guest().expired(self.now);
                self.queue(slot);
            }
        }
    }
    // ANCHOR_END: expire

    /// The store's socket and for what it waits.
    pub fn store(&self) -> &StoreLink {
        &self.store
    }

    /// The kernel says something about the store's socket.
    pub fn store_is_ready(&mut self, ready: Ready) {
        self.store.is_ready(ready, self.now.mono);
    }

    /// The store's connection cannot be waited for.
    pub fn give_up_store(&mut self) {
        self.store.give_up();
    }

    /// Hands out what came of calls to the store.
    // ANCHOR: hand-out
    fn hand_out(&mut self) {
        while let Some((name, result)) = self.store.next_done() {
            if let Some(client) = self.clients.who_made(name) {
                client.guest().stored(result, self.now);
                self.queue(name.slot);
            }
        }
    }
    // ANCHOR_END: hand-out

    /// The server is to stop: what was begun is finished, and no more.
    pub fn stop(&mut self) {
        self.stops_at.get_or_insert(self.now.mono);
        for slot in self.clients.slots().collect::<Vec<_>>() {
            if let Some(client) = self.clients.get_mut(slot) {
                // What has arrived before the signal is still read.
                client.is_ready(Ready { read: true, ..Ready::NOTHING });
            }
            self.queue(slot);
        }
    }

    /// Whether the server is to stop.
    pub fn is_stopping(&self) -> bool {
        self.stops_at.is_some()
    }

    /// Whether the time that was left for stopping is over.
    pub fn is_out_of_grace(&self) -> bool {
        self.stops_at.is_some_and(|at| self.now.mono >= at + self.grace)
    }

    /// Closes files that are only kept for later: descriptors are short.
    pub fn release_files(&mut self) {
        self.files.release();
    }
}
