//! Linux AIO by its system calls: reads that are in flight while the program does something
//! else, where the file was opened with O_DIRECT.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `lib.rs` | [`Target`], [`Reads`]: many reads of one file at a depth; [`judge`]: what an event means |
//! | `kernel.rs` | [`Context`]: io_setup, io_submit, io_getevents, io_cancel, io_destroy, and who owns the buffers |
//! | `kernel/` | what may be asked for; what the kernel copies |
//! | `buffer.rs`, `alignment.rs` | memory that begins where O_DIRECT wants it, and where that is |
//! | `scratch.rs`, `trouble.rs` | a file to try it on; the line that is printed where a machine refuses |
//! | `bench.rs`, `bin/` | how many a second; one experiment each |
#![cfg(target_os = "linux")]

mod alignment;
pub mod bench;
mod buffer;
mod kernel;
pub mod scratch;
mod trouble;

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Instant;

pub use alignment::{Alignment, Teller, by_trial, from_statx};
pub use buffer::Buffer;
pub use kernel::{Context, Copied, Done, Operation, Refused, copied};
pub use trouble::{Refusal, Trouble, context};

/// A file to read, and how it wants to be read.
// ANCHOR: target
#[derive(Debug)]
pub struct Target {
    file: File,
    /// In bytes, when it was opened.
    pub size: u64,
    /// What buffers, offsets and lengths are multiples of.
    pub alignment: Alignment,
}
// ANCHOR_END: target

impl Target {
    /// Opens a file past the page cache, or through it if it is `buffered`.
    ///
    /// # Errors
    /// It cannot be opened, or not with O_DIRECT.
    // ANCHOR: open
    pub fn open(path: &Path, buffered: bool) -> Result<Self, Trouble> {
        let flags = if buffered { 0 } else { libc::O_DIRECT };
        OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path)
            .and_then(|file| Self::of(file, buffered))
            .map_err(|error| Refusal::open(path, error))
    }
    // ANCHOR_END: open

    /// Takes a file that is open.
    ///
    /// # Errors
    /// Unsupported: it is not `buffered`, and takes no direct reads.
    pub fn of(mut file: File, buffered: bool) -> io::Result<Self> {
        let size = file.seek(SeekFrom::End(0))?; // of a device, too
        let alignment = if buffered { Alignment::NONE } else { Alignment::of(&file)? };
        Ok(Self { file, size, alignment })
    }

    /// The piece of the file at a place: of this length, or to the file's end.
    pub fn piece(&self, offset: u64, length: usize) -> Piece {
        let expected = self.size.saturating_sub(offset).min(length as u64) as usize;
        Piece::new(offset, expected, self.alignment.file)
    }

    /// All pieces of the file, from its start to its end.
    pub fn pieces(&self, block: usize) -> impl Iterator<Item = Piece> {
        (0..self.size).step_by(block).map(move |offset| self.piece(offset, block))
    }
}

/// A read that is wanted, is under way, or is over.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Where it begins: a multiple of the alignment.
    pub offset: u64,
    /// How long the read is: a multiple.
    pub asked: usize,
    /// How many bytes of the file there are: at its end fewer.
    pub expected: usize,
    /// How many have come.
    pub have: usize,
    tries: u32,
    /// When it was begun.
    pub begun: Instant,
}

// ANCHOR: piece
impl Piece {
    /// A read of so many bytes, rounded up to a multiple of `unit`. Behind the end of the file
    /// there is nothing, but one may ask.
    pub fn new(offset: u64, expected: usize, unit: usize) -> Self {
        let asked = expected.next_multiple_of(unit);
        Self { offset, asked, expected, have: 0, tries: 0, begun: Instant::now() }
    }
}
// ANCHOR_END: piece

/// What is to be done about a piece after an event.
#[derive(Debug)]
pub enum Next {
    /// All of it is there.
    Whole,
    /// Ask for the rest.
    Again,
    /// Give up.
    Failed(io::Error),
}

/// How often in a row a read is tried that gets nowhere.
const TRIES: u32 = 8;

/// What an event means for the piece that it is about.
// ANCHOR: judge
pub fn judge(piece: &mut Piece, result: io::Result<usize>, unit: usize) -> Next {
    let why = match result {
        Ok(n) if n > piece.asked - piece.have => {
            return Next::Failed(ErrorKind::InvalidData.into());
        }
        Ok(n) if piece.have + n >= piece.expected => return Next::Whole,
        // The file has become shorter since it was opened.
        Ok(0) => return Next::Failed(ErrorKind::UnexpectedEof.into()),
        // Fewer than asked for. A direct read goes on at a multiple, and reads some twice.
        Ok(n) => {
            let before = piece.have;
            piece.have = (before + n) / unit * unit;
            if piece.have > before {
                piece.tries = 0;
                return Next::Again;
            }
            ErrorKind::UnexpectedEof.into()
        }
        Err(error) => match error.kind() {
            ErrorKind::Interrupted | ErrorKind::WouldBlock => error,
            _ => return Next::Failed(error),
        },
    };
    // It has not come any further.
    piece.tries += 1;
    if piece.tries < TRIES { Next::Again } else { Next::Failed(why) }
}
// ANCHOR_END: judge

/// Reads of one file, so many in flight.
// ANCHOR: reads
#[derive(Debug)]
pub struct Reads<'t> {
    target: &'t Target,
    context: Context<Piece>,
    /// The buffers that the kernel does not have.
    spare: Vec<Buffer>,
    again: VecDeque<(Piece, Buffer)>,
}
// ANCHOR_END: reads

impl<'t> Reads<'t> {
    /// Room for `depth` reads of up to `block` bytes: a multiple of the alignment.
    ///
    /// # Errors
    /// What io_setup(2) answers.
    pub fn new(target: &'t Target, depth: u32, block: usize) -> Result<Self, Trouble> {
        let context = context(depth)?;
        let block = block.next_multiple_of(target.alignment.file);
        // In whole pages, so that a block is not spread over one more than it needs.
        let unit = target.alignment.memory.max(rustix::param::page_size());
        let buffer = |_| Buffer::new(block, unit);
        let spare = (0..depth).map(buffer).collect();
        Ok(Self { target, context, spare, again: VecDeque::new() })
    }

    /// Reads all these pieces, in whatever order they come, and shows each to `see`.
    ///
    /// # Errors
    /// The first that cannot be read. What is in flight then ends with `self`.
    // ANCHOR: run
    pub fn run(
        &mut self,
        pieces: impl Iterator<Item = Piece>,
        mut see: impl FnMut(&Piece, &[u8]),
    ) -> Result<(), Trouble> {
        let mut pieces = pieces.fuse();
        loop {
            self.fill(&mut pieces)?;
            if self.context.in_flight() == 0 {
                return Ok(());
            }
            for Done { mut tag, buffer, result } in self.context.wait(1, None)? {
                match judge(&mut tag, result, self.target.alignment.file) {
                    Next::Whole => {
                        see(&tag, &buffer[..tag.expected]);
                        self.spare.push(buffer);
                    }
                    Next::Again => self.again.push_back((tag, buffer)),
                    Next::Failed(error) => return Err(error.into()),
                }
            }
        }
    }
    // ANCHOR_END: run

    /// Submits what there is to read, as long as there are buffers. One at a time: of more than
    /// two in one call, the device hears when the last has been looked at.
    // ANCHOR: fill
    fn fill(&mut self, pieces: &mut impl Iterator<Item = Piece>) -> Result<(), Trouble> {
        while let Some((piece, buffer)) = self.next(pieces) {
            let at = piece.offset + piece.have as u64;
            let read = Operation::read(piece, &self.target.file, at, buffer);
            self.context.submit(vec![read.part(piece.have..piece.asked)])?;
        }
        Ok(())
    }
    // ANCHOR_END: fill

    fn next(
        &mut self,
        pieces: &mut impl Iterator<Item = Piece>,
    ) -> Option<(Piece, Buffer)> {
        if let Some(unfinished) = self.again.pop_front() {
            return Some(unfinished);
        }
        let buffer = self.spare.pop()?;
        let Some(piece) = pieces.next() else {
            self.spare.push(buffer);
            return None;
        };
        Some((piece, buffer))
    }
}
