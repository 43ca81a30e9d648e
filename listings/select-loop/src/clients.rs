//! The clients of a loop, each in a slot whose number stays the same while it is there.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::Client;

/// A call to the store: the slot of the client that makes it, and a number. Its reply may come
/// when the client has given it up and asked again, or is gone and somebody else has the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Whose call it is.
    pub slot: usize,
    number: u64,
}

/// Slots, taken and free. The lowest free one is the next, as with descriptors, so that what
/// is kept by slot stays short.
#[derive(Debug)]
pub struct Clients<C = Client> {
    slots: Vec<Slot<C>>,
    free: BinaryHeap<Reverse<usize>>,
}

#[derive(Debug)]
struct Slot<C> {
    /// How many calls were made from here, and clients admitted.
    number: u64,
    client: Option<Box<C>>,
}

impl<C> Default for Clients<C> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: BinaryHeap::new() }
    }
}

impl<C> Clients<C> {
    /// Gives a client a slot.
    pub fn insert(&mut self, client: C) -> usize {
        let slot = self.free.pop().map_or(self.slots.len(), |Reverse(slot)| slot);
        if slot == self.slots.len() {
            self.slots.push(Slot { number: 0, client: None });
        }
        self.slots[slot].number += 1;
        self.slots[slot].client = Some(Box::new(client));
        slot
    }

    /// A name for a call that the client in this slot makes now. The names of all earlier ones
    /// are void.
    pub fn new_call(&mut self, slot: usize) -> Name {
        self.slots[slot].number += 1;
        Name { slot, number: self.slots[slot].number }
    }

    /// The client that waits for this call.
    pub fn who_made(&mut self, call: Name) -> Option<&mut C> {
        let slot = self.slots.get_mut(call.slot)?;
        slot.client.as_deref_mut().filter(|_| slot.number == call.number)
    }

    /// Takes a client out. Whoever puts nothing back has to [`Clients::release`] the slot.
    pub fn take(&mut self, slot: usize) -> Option<Box<C>> {
        self.slots.get_mut(slot)?.client.take()
    }

    /// Puts a client back that was taken out.
    pub fn put_back(&mut self, slot: usize, client: Box<C>) {
        self.slots[slot].client = Some(client);
    }

    /// The slot is free for somebody else.
    pub fn release(&mut self, slot: usize) {
        self.free.push(Reverse(slot));
    }

    /// The client in a slot.
    pub fn get(&self, slot: usize) -> Option<&C> {
        self.slots.get(slot)?.client.as_deref()
    }

    /// The client in a slot.
    pub fn get_mut(&mut self, slot: usize) -> Option<&mut C> {
        self.slots.get_mut(slot)?.client.as_deref_mut()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers of the slots that are taken.
    pub fn slots(&self) -> impl Iterator<Item = usize> {
        (0..self.slots.len()).filter(|slot| self.slots[*slot].client.is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use guestbook::{Guest, Now, Settings};
    use rustix::pipe::pipe;

    use super::*;

    fn client() -> Client {
        let (socket, _) = pipe().expect("a descriptor");
        let now = Now::read();
        Client::new(socket, Guest::new(Settings::default(), Duration::ZERO, now))
    }

    #[test]
    fn a_reply_is_for_who_made_the_call_and_waits_for_no_later_one() {
        let mut clients = Clients::default();
        assert_eq!([clients.insert(client()), clients.insert(client())], [0, 1]);
        let [first, other] = [clients.new_call(0), clients.new_call(1)];
        assert!(clients.who_made(first).is_some() && clients.who_made(other).is_some());
        let second = clients.new_call(0);
        assert!(clients.who_made(first).is_none(), "it was given up");
        assert!(clients.who_made(second).is_some());

        drop(clients.take(0));
        clients.release(0);
        assert!(clients.who_made(second).is_none() && clients.len() == 1);
        assert_eq!(clients.insert(client()), 0, "the lowest free slot");
        assert!(clients.who_made(second).is_none(), "somebody else has it");
        assert!(clients.who_made(other).is_some());
        assert_eq!(clients.slots().collect::<Vec<_>>(), [0, 1]);
    }
}
