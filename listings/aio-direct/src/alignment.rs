//! What O_DIRECT wants of a file: multiples of what, in memory and in the file.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{AtFlags, StatxFlags, statx};

use crate::buffer::Buffer;

/// Where direct reads may begin and how long they may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// A buffer begins at a multiple of this.
    pub memory: usize,
    /// An offset in the file and a length are multiples of this.
    pub file: usize,
    /// How we know.
    pub told_by: Teller,
}

/// How an alignment was found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teller {
    /// statx(2) said so.
    Statx,
    /// A read of that size was accepted, and smaller ones were not.
    Trial,
    /// The file is not read directly.
    Nobody,
}

impl Alignment {
    /// Of a file that is read through the page cache: none.
    pub const NONE: Self = Self { memory: 1, file: 1, told_by: Teller::Nobody };

    /// Of a file that was opened with O_DIRECT.
    ///
    /// # Errors
    /// EOPNOTSUPP: it takes no direct reads. Otherwise what the file answers.
    // ANCHOR: of
    pub fn of(file: &File) -> io::Result<Self> {
        match from_statx(file)? {
            Some((0, _) | (_, 0)) => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
            Some((memory, file)) => Ok(Self { memory, file, told_by: Teller::Statx }),
            None => tried(file),
        }
    }
    // ANCHOR_END: of
}

/// What statx(2) says, if it says anything: the bit in the mask tells, not the numbers. An
/// older kernel leaves both out, and a file system that does not know its own, too.
// ANCHOR: statx
pub fn from_statx(file: &File) -> io::Result<Option<(usize, usize)>> {
    let found = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN)?;
    let told = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::DIOALIGN);
    let numbers = (found.stx_dio_mem_align as usize, found.stx_dio_offset_align as usize);
    Ok(told.then_some(numbers))
}
// ANCHOR_END: statx

/// What is found by trying, where nobody tells.
///
/// # Errors
/// As [`by_trial`].
fn tried(file: &File) -> io::Result<Alignment> {
    let unit = by_trial(|buffer| file.read_at(buffer, 0))?;
    Ok(Alignment { memory: unit, file: unit, told_by: Teller::Trial })
}

/// The smallest power of two, in bytes and from 512 up, at which `read` is not refused. It is a
/// direct read into a buffer that stands at a multiple of it and is so many long; what is true
/// of lengths is taken to be true of offsets.
///
/// # Errors
/// EOPNOTSUPP: all were refused, up to 64 KiB or a page. Otherwise what `read` answers.
// ANCHOR: trial
pub fn by_trial(mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
    let page = rustix::param::page_size();
    let mut unit = 512;
    while unit <= page.max(65_536) {
        // Where it begins and how long it is are odd multiples, so nothing is aligned better
        // than asked. And a page ends in it: some kernels look at the address only there.
        let length = ((page / unit + 1) | 1) * unit;
        let mut buffer = Buffer::beside(length, 2 * unit, unit);
        match read(&mut buffer) {
            Ok(_) => return Ok(unit),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => unit *= 2,
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP))
}
// ANCHOR_END: trial

impl fmt::Display for Alignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory, file, told_by } = self;
        let teller = match told_by {
            Teller::Statx => "says statx",
            Teller::Trial => "found by trial",
            Teller::Nobody => "not direct",
        };
        write!(f, "multiples of {file} in the file, of {memory} in memory ({teller})")
    }
}
