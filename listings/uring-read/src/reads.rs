//! Many reads of one file at a depth.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::buffer::Buffer;
use crate::ring::{How, Order, Place, Ring};
use crate::trouble::Trouble;

/// How blocks are read.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many reads are in flight at most: 1 to 4096.
    pub depth: u32,
    /// How many bytes each is to read.
    pub block: usize,
    /// The file is open past the page cache, so a read that is short and ends between two
    /// multiples of this is the file's last: 1 where it is not.
    pub unit: usize,
    /// Whether buffers and the file are registered beforehand.
    pub fixed: bool,
}

/// A read that is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// How many bytes are there already.
    pub filled: usize,
    /// How many are still wanted.
    pub left: usize,
    /// See [`Options::unit`].
    pub unit: usize,
}

/// What to do after a completion.
#[derive(Debug)]
pub enum Next {
    /// So many bytes are there, and no more will come: the block, or the file, is at its
    /// end.
    Over(usize),
    /// So many bytes are there, and the rest is to be asked for.
    Rest(usize),
    /// It has failed.
    Failed(io::Error),
}

// ANCHOR: apply
/// What a completion means for the read that it completes.
pub fn apply(read: Wanted, result: i32) -> Next {
    match usize::try_from(result) {
        // Nothing was read, and nothing is wrong: a signal, or no memory for the moment.
        Err(_) if [libc::EINTR, libc::EAGAIN].contains(&-result) => Next::Rest(read.filled),
        Err(_) => Next::Failed(io::Error::from_raw_os_error(-result)),
        Ok(0) => Next::Over(read.filled), // the end of the file
        Ok(n) if n > read.left => Next::Failed(io::ErrorKind::InvalidData.into()),
        Ok(n) => {
            let filled = read.filled + n;
            // Past the page cache one cannot go on between two units, and need not: only the
            // end of the file lies there.
            if n == read.left || !filled.is_multiple_of(read.unit) {
                Next::Over(filled)
            } else {
                Next::Rest(filled)
            }
        }
    }
}
// ANCHOR_END: apply

/// Reads of one file.
#[derive(Debug)]
pub struct Reads {
    ring: Ring,
    file: Place,
    free: Vec<Buffer>,
    /// How many reads were asked for since the last call, and how many are enough for one.
    queued: usize,
    enough: usize,
    /// When the read in a slot was asked for.
    asked: Vec<Instant>,
    options: Options,
}

/// What was read.
#[derive(Debug)]
pub struct Block {
    /// From where in the file.
    pub at: u64,
    /// How long it took from [`Reads::ask`] until it was taken.
    pub took: Duration,
    buffer: Buffer,
}

impl Block {
    /// The bytes: fewer than a block at the file's end.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.bytes()
    }
}

impl Reads {
    /// Gets ready to read this file.
    ///
    /// # Errors
    /// If the kernel makes no ring, or does not register the buffers.
    pub fn new(file: File, options: Options) -> Result<Self, Trouble> {
        let mut ring = Ring::new(options.depth)?;
        let unit = if options.unit > 1 { rustix::param::page_size() } else { 1 };
        let mut free: Vec<Buffer> =
            (0..options.depth).map(|_| Buffer::new(options.block, unit)).collect();
        let file = if options.fixed {
            ring.register_buffers(&mut free)?;
            ring.register_files(&[file.as_fd()])?.remove(0)
        } else {
            file.into()
        };
        // A cached read is done in the call, and calls are what there is to be saved.
        let enough = if options.unit > 1 { 1 } else { 1.max(options.depth as usize / 4) };
        Ok(Self { ring, file, free, queued: 0, enough, asked: Vec::new(), options })
    }

    /// How many more reads may be asked for.
    pub fn room(&self) -> usize {
        self.free.len()
    }

    /// How many calls of io_uring_enter(2) were made so far.
    pub fn calls(&self) -> u64 {
        self.ring.calls()
    }

    /// Asks for the block that begins here. The kernel is told by the next
    /// [`wait`](Self::wait). Without room it does nothing and says so: false.
    // ANCHOR: ask
    pub fn ask(&mut self, at: u64) -> bool {
        let Some(mut into) = self.free.pop() else { return false };
        into.set_filled(0);
        self.push(into, at, Instant::now());
        true
    }
    // ANCHOR_END: ask

    fn push(&mut self, into: Buffer, at: u64, asked: Instant) {
        let order = Order::Read { from: self.file.clone(), into, at };
        // The ring has as many entries as there are buffers.
        let token = self.ring.push(order, How::default()).expect("a place for each buffer");
        self.queued += 1;
        let slot = token.slot();
        if slot == self.asked.len() {
            self.asked.push(asked);
        }
        self.asked[slot] = asked;
    }

    /// Waits for any of the blocks that were asked for. `None`: none is.
    ///
    /// # Errors
    /// What a read or the ring answers. The other reads go on.
    // ANCHOR: wait
    pub fn wait(&mut self) -> io::Result<Option<Block>> {
        loop {
            // A device is to have something to do while we look at what it has brought.
            if self.queued >= self.enough {
                self.enter(0)?;
            }
            if let Some(done) = self.ring.take() {
                let Order::Read { mut into, at, .. } = done.order else { continue };
                let asked = self.asked[done.token.slot()];
                let unit = self.options.unit;
                let read = Wanted { filled: into.filled(), left: into.left(), unit };
                match apply(read, done.result) {
                    Next::Over(filled) => {
                        into.set_filled(filled);
                        return Ok(Some(Block { at, took: asked.elapsed(), buffer: into }));
                    }
                    Next::Rest(filled) => {
                        into.set_filled(filled);
                        self.push(into, at, asked);
                    }
                    Next::Failed(error) => {
                        self.free.push(into);
                        return Err(error);
                    }
                }
            } else if self.ring.flying() == 0 {
                return Ok(None);
            } else {
                self.enter(1)?;
            }
        }
    }
    // ANCHOR_END: wait

    /// One call for all that was asked for since the last one.
    fn enter(&mut self, wait: usize) -> io::Result<()> {
        self.queued = 0;
        match self.ring.enter(wait) {
            // EBUSY, EAGAIN: what is complete is to be taken first.
            Err(error)
                if [Some(libc::EBUSY), Some(libc::EAGAIN)]
                    .contains(&error.raw_os_error())
                    && self.ring.waiting().0 > 0 =>
            {
                Ok(())
            }
            result => result.map(drop),
        }
    }

    /// Gives a block's memory back, for another read.
    pub fn give_back(&mut self, block: Block) {
        self.free.push(block.buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(filled: usize, left: usize) -> Wanted {
        Wanted { filled, left, unit: 1 }
    }

    #[test]
    fn every_short_length_is_followed_by_the_rest() {
        for length in 1..4096 {
            let next = apply(wanted(100, 4096), length);
            assert!(
                matches!(next, Next::Rest(n) if n == 100 + length as usize),
                "{length}"
            );
        }
        assert!(matches!(apply(wanted(100, 4096), 4096), Next::Over(4196)));
        assert!(matches!(apply(wanted(100, 4096), 0), Next::Over(100)));
    }

    #[test]
    fn past_the_cache_an_odd_length_is_the_last() {
        for length in 1..=4096 {
            let next = apply(Wanted { filled: 0, left: 4096, unit: 512 }, length);
            let rest = length < 4096 && length % 512 == 0;
            assert_eq!(matches!(next, Next::Rest(_)), rest, "{length}");
            assert_eq!(matches!(next, Next::Over(n) if n == length as usize), !rest);
        }
    }

    #[test]
    fn every_error_is_told_but_two() {
        for errno in 1..4096 {
            match apply(wanted(5, 10), -errno) {
                Next::Rest(5) => assert!([libc::EINTR, libc::EAGAIN].contains(&errno)),
                Next::Failed(error) => {
                    assert_eq!(error.raw_os_error(), Some(errno));
                    assert!(![libc::EINTR, libc::EAGAIN].contains(&errno));
                }
                other => panic!("{errno}: {other:?}"),
            }
        }
        // More than there was room for: whoever says so has written over something.
        assert!(matches!(apply(wanted(5, 10), 11), Next::Failed(_)));
        assert!(matches!(apply(wanted(5, 10), i32::MIN + 1), Next::Failed(_)));
    }
}
