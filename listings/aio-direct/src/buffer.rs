//! Memory that begins at a multiple of something, which O_DIRECT asks for.

use std::ops::{Deref, DerefMut};

/// Bytes that begin where they were asked to. They do not move, whoever owns the buffer.
#[derive(Debug, Default)]
pub struct Buffer {
    /// Never grown, so it stays where it is.
    room: Vec<u8>,
    start: usize,
    length: usize,
}

impl Buffer {
    /// `length` bytes, of which the first stands at a multiple of `unit`.
    pub fn new(length: usize, unit: usize) -> Self {
        Self::beside(length, unit, 0)
    }

    /// The same, but so many bytes behind a multiple of `unit`: where O_DIRECT does not like
    /// it.
    pub fn beside(length: usize, unit: usize, by: usize) -> Self {
        let room = vec![0; length + by + unit - 1];
        let start = room.as_ptr().addr().next_multiple_of(unit) - room.as_ptr().addr();
        Self { room, start: start + by, length }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.room[self.start..self.start + self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.room[self.start..self.start + self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_begins_at_a_multiple_and_stays_there() {
        for unit in [1, 4, 512, 4096, 65_536] {
            for length in [0, 1, 511, 4096] {
                let buffer = Buffer::new(length, unit);
                let at = buffer.as_ptr();
                assert_eq!(at.addr() % unit, 0);
                assert_eq!(buffer.len(), length);
                let moved = Box::new(buffer);
                assert_eq!(moved.as_ptr(), at);
            }
        }
        assert_eq!(Buffer::beside(8, 512, 1).as_ptr().addr() % 512, 1);
    }
}
