//! The interest list, which stands in the kernel, and what we know of it.
//!
//! Every change is a system call of its own, so a loop remembers what it has asked for and
//! asks only for what is different. How often that is depends on the trigger.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use select_loop::Interest;

use crate::{CLIENTS, LISTENER, STORE};

/// When the kernel tells us about a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trigger {
    /// Whenever we ask, as long as there is something: level-triggered.
    #[default]
    Level,
    /// Once, when something new comes: edge-triggered.
    Edge,
    /// Once, and then no more until we arm it again.
    OneShot,
}

/// An epoll instance, and what we have told it.
#[derive(Debug)]
pub struct Interests {
    epoll: OwnedFd,
    trigger: Trigger,
    /// Others wait for the same listener, and one of us is enough.
    exclusive: bool,
    listener_is_in: bool,
    /// Which connection to the store is in, and for what.
    store: Option<(u64, Interest)>,
    /// For what the client in each slot is in.
    clients: Vec<Option<Interest>>,
}

impl Interests {
    /// An instance in which nobody is.
    ///
    /// # Errors
    /// What epoll_create1(2) answers.
    pub fn new(trigger: Trigger, exclusive: bool) -> Result<Self, Errno> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            trigger,
            exclusive,
            listener_is_in: false,
            store: None,
            clients: Vec::new(),
        })
    }

    /// Puts a descriptor in that stays in.
    ///
    /// # Errors
    /// What epoll_ctl(2) answers; so does each of the following.
    pub fn add(&self, who: u64, fd: impl AsFd) -> Result<(), Errno> {
        epoll::add(&self.epoll, fd, EventData::new_u64(who), EventFlags::IN)
    }

    /// Waits for this of a client from now on.
    // ANCHOR: arm
    pub fn arm(
        &mut self,
        slot: usize,
        client: impl AsFd,
        interest: Interest,
    ) -> Result<(), Errno> {
        if slot >= self.clients.len() {
            self.clients.resize(slot + 1, None);
        }
        let known = self.clients[slot].replace(interest);
        let flags = match self.trigger {
            Trigger::Level if known == Some(interest) => return Ok(()),
            Trigger::Level => flags(interest),
            Trigger::Edge if known.is_some() => return Ok(()),
            Trigger::Edge => flags(Interest::BOTH) | EventFlags::ET,
            Trigger::OneShot => flags(interest) | EventFlags::ONESHOT,
        };
        let who = EventData::new_u64(CLIENTS + slot as u64);
        match known {
            None => epoll::add(&self.epoll, client, who, flags),
            Some(_) => epoll::modify(&self.epoll, client, who, flags),
        }
    }
    // ANCHOR_END: arm

    /// The client of this slot is gone. Closing its socket takes it out of the instance, since
    /// nobody else has the socket open.
    pub fn forget(&mut self, slot: usize) {
        if let Some(known) = self.clients.get_mut(slot) {
            *known = None;
        }
    }

    /// Puts the listener in. It is never changed, only put in and taken out: what was put in
    /// with EPOLLEXCLUSIVE may not be changed.
    // ANCHOR: listener
    pub fn add_listener(&mut self, listener: impl AsFd) -> Result<(), Errno> {
        if self.listener_is_in {
            return Ok(());
        }
        let exclusive =
            if self.exclusive { EventFlags::EXCLUSIVE } else { EventFlags::empty() };
        let who = EventData::new_u64(LISTENER);
        epoll::add(&self.epoll, listener, who, EventFlags::IN | exclusive)?;
        self.listener_is_in = true;
        Ok(())
    }

    /// Takes the listener out. It has to be done while we have it open: if another process
    /// has it open, too, closing ours would leave it in there for ever.
    pub fn remove_listener(&mut self, listener: impl AsFd) {
        if std::mem::take(&mut self.listener_is_in) {
            // It is in, and open: there is nothing to fail.
            let _ = epoll::delete(&self.epoll, listener);
        }
    }
    // ANCHOR_END: listener

    /// Waits for this of the store's connection from now on.
    pub fn arm_store(
        &mut self,
        connection: u64,
        waits_for: Option<(BorrowedFd<'_>, Interest)>,
    ) -> Result<(), Errno> {
        let wanted = waits_for.map(|(_, interest)| (connection, interest));
        let known = std::mem::replace(&mut self.store, wanted);
        let Some((socket, interest)) = waits_for else { return Ok(()) };
        let who = EventData::new_u64(STORE);
        match known {
            _ if known == wanted => Ok(()),
            Some((number, _)) if number == connection => {
                epoll::modify(&self.epoll, socket, who, flags(interest))
            }
            _ => epoll::add(&self.epoll, socket, who, flags(interest)),
        }
    }
}

impl AsFd for Interests {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// The bits that ask for this. EPOLLHUP and EPOLLERR come unasked.
fn flags(interest: Interest) -> EventFlags {
    let read = if interest.read { EventFlags::IN } else { EventFlags::empty() };
    let write = if interest.write { EventFlags::OUT } else { EventFlags::empty() };
    read | write
}
