//! The clients of a loop, each in a slot whose number stays the same while it is there.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::Client;

/// A client's slot, and which of the clients that the slot has had. A reply of the store may
/// come when its caller is gone and somebody else has the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Where it is.
    pub slot: usize,
    generation: u64,
}

/// Slots, taken and free. The lowest free one is the next, as with descriptors, so that what
/// is kept by slot stays short.
#[derive(Debug, Default)]
pub struct Clients {
    slots: Vec<(u64, Option<Box<Client>>)>,
    free: BinaryHeap<Reverse<usize>>,
}

impl Clients {
    /// Gives a client a slot.
    pub fn insert(&mut self, client: Client) -> Name {
        let slot = self.free.pop().map_or(self.slots.len(), |Reverse(slot)| slot);
        if slot == self.slots.len() {
            self.slots.push((0, None));
        }
        let (generation, place) = &mut self.slots[slot];
        *generation += 1;
        *place = Some(Box::new(client));
        Name { slot, generation: *generation }
    }

    /// Takes a client out. Whoever puts nothing back has to [`Clients::release`] the slot.
    pub(crate) fn take(&mut self, slot: usize) -> Option<(Name, Box<Client>)> {
        let (generation, place) = self.slots.get_mut(slot)?;
        place.take().map(|client| (Name { slot, generation: *generation }, client))
    }

    /// Puts a client back that was taken out.
    pub(crate) fn put_back(&mut self, slot: usize, client: Box<Client>) {
        self.slots[slot].1 = Some(client);
    }

    /// The slot is free for somebody else.
    pub(crate) fn release(&mut self, slot: usize) {
        self.free.push(Reverse(slot));
    }

    /// The client in a slot.
    pub fn get(&self, slot: usize) -> Option<&Client> {
        self.slots.get(slot)?.1.as_deref()
    }

    /// The client in a slot.
    pub fn get_mut(&mut self, slot: usize) -> Option<&mut Client> {
        self.slots.get_mut(slot)?.1.as_deref_mut()
    }

    /// The client that had this name, if it is still there.
    pub fn named(&mut self, name: Name) -> Option<&mut Client> {
        let (generation, place) = self.slots.get_mut(name.slot)?;
        place.as_deref_mut().filter(|_| *generation == name.generation)
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
        (0..self.slots.len()).filter(|slot| self.slots[*slot].1.is_some())
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
    fn whoever_has_the_slot_now_does_not_have_the_name() {
        let mut clients = Clients::default();
        let [first, second] = [clients.insert(client()), clients.insert(client())];
        assert_eq!((first.slot, second.slot, clients.len()), (0, 1, 2));
        drop(clients.take(0));
        clients.release(0);
        assert!(clients.named(first).is_none() && clients.named(second).is_some());
        let third = clients.insert(client());
        assert_eq!(third.slot, 0, "the lowest free slot");
        assert!(clients.named(first).is_none(), "somebody else has it");
        assert!(clients.named(third).is_some());
        assert_eq!(clients.slots().collect::<Vec<_>>(), [0, 1]);
    }
}
