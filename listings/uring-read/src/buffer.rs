//! Memory for one operation.

/// Bytes that stay where they are, whoever owns the buffer, and of which the first
/// [`filled`](Self::filled) have a meaning.
#[derive(Debug, Default)]
pub struct Buffer {
    /// Never grown, so it stays where it is.
    room: Vec<u8>,
    start: usize,
    length: usize,
    filled: usize,
    /// Its number among the buffers that a ring knows beforehand.
    pub(crate) registered: Option<u16>,
}

impl Buffer {
    /// Room for `length` bytes, the first of them at a multiple of `unit`.
    pub fn new(length: usize, unit: usize) -> Self {
        let unit = unit.max(1);
        let room = vec![0; length + unit - 1];
        let address = room.as_ptr().addr();
        let start = address.next_multiple_of(unit) - address;
        Self { room, start, length, filled: 0, registered: None }
    }

    /// A buffer that is full of these bytes.
    pub fn holding(bytes: &[u8]) -> Self {
        let mut buffer = Self::new(bytes.len(), 1);
        buffer.room.copy_from_slice(bytes);
        buffer.filled = bytes.len();
        buffer
    }

    /// What was read, or is to be written.
    pub fn bytes(&self) -> &[u8] {
        &self.room[self.start..self.start + self.filled]
    }

    /// All of it, with whatever stands there.
    pub fn whole(&self) -> &[u8] {
        &self.room[self.start..self.start + self.length]
    }

    /// How many bytes have a meaning.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Says how many bytes have a meaning: at most all.
    pub fn set_filled(&mut self, filled: usize) {
        self.filled = filled.min(self.length);
    }

    /// How many bytes there is room for behind those.
    pub fn left(&self) -> usize {
        self.length - self.filled
    }

    /// Writes to each page, so that all of them are in memory.
    pub fn touch(&mut self) {
        let (start, length) = (self.start, self.length);
        self.room[start..start + length].fill(1);
    }

    /// Where the first free byte stands. Nobody may write there while a shared reference to
    /// the buffer exists; the kernel is lent only buffers that it owns.
    pub(crate) fn free_part(&mut self) -> *mut u8 {
        self.room[self.start + self.filled..].as_mut_ptr()
    }

    /// Where the first byte stands.
    pub(crate) fn beginning(&mut self) -> *mut u8 {
        self.room[self.start..].as_mut_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_begins_at_a_multiple_and_stays_there() {
        for unit in [1, 512, 4096, 65_536] {
            for length in [0, 1, 511, 4096] {
                let mut buffer = Buffer::new(length, unit);
                let at = buffer.beginning();
                assert_eq!(at.addr() % unit, 0);
                assert_eq!((buffer.whole().len(), buffer.left()), (length, length));
                let mut moved = Box::new(buffer);
                assert_eq!(moved.beginning(), at);
            }
        }
    }

    #[test]
    fn what_is_filled_is_in_front_of_what_is_left() {
        let mut buffer = Buffer::new(10, 512);
        buffer.set_filled(4);
        assert_eq!((buffer.bytes().len(), buffer.left()), (4, 6));
        assert_eq!(buffer.free_part().addr() - buffer.beginning().addr(), 4);
        buffer.set_filled(11);
        assert_eq!((buffer.filled(), buffer.left()), (10, 0));
        assert_eq!(Buffer::holding(b"hello").bytes(), b"hello");
    }
}
