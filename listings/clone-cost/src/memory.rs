//! Memory of a known kind and size, of which every page is there.

use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::{Deref, DerefMut, Range};
use std::ptr::{null_mut, slice_from_raw_parts_mut};

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use rustix::param::page_size;
use serde::{Deserialize, Serialize};

use crate::counts;

/// A huge page of x86-64; on other processors it is as large or a multiple.
const HUGE: usize = 2 << 20;

/// How memory is mapped, which decides what fork has to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Private, in pages of the processor's ordinary size (4 KiB on x86-64)
    Private,
    /// Private, in huge pages (2 MiB on x86-64)
    Huge,
    /// Shared with every process that fork makes
    Shared,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Private => "private",
            Self::Huge => "huge",
            Self::Shared => "shared",
        })
    }
}

/// Memory that is mapped, and resident. Gone when it is dropped.
#[derive(Debug)]
pub struct Memory {
    mapped: *mut [u8],
    /// Where the part begins that is used, so that huge pages fit.
    from: usize,
    bytes: usize,
}

// SAFETY: it owns its mapping, as a Box does.
#[expect(unsafe_code, reason = "a pointer says nothing about who owns what it points to")]
unsafe impl Send for Memory {}

impl Memory {
    /// Maps `mib` MiB and writes to each page, so that it is there.
    ///
    /// # Errors
    /// Not so much memory; or `Unsupported`: the kernel gave no huge pages.
    #[expect(unsafe_code, reason = "mmap and madvise can take memory away that is in use")]
    pub fn new(kind: Kind, mib: usize) -> io::Result<Self> {
        let bytes = mib << 20;
        let length = bytes + HUGE;
        let flags = if kind == Kind::Shared { MapFlags::SHARED } else { MapFlags::PRIVATE };
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses a place where nothing is.
        let mapped = unsafe { mmap_anonymous(null_mut(), length, access, flags) }?;
        let from = mapped.addr().next_multiple_of(HUGE) - mapped.addr();
        let mapped = slice_from_raw_parts_mut(mapped.cast(), length);
        let mut memory = Self { mapped, from, bytes };

        let (advice, needed) = match kind {
            Kind::Huge => (Advice::LinuxHugepage, true),
            _ => (Advice::LinuxNoHugepage, false),
        };
        // SAFETY: the whole of our own mapping, and neither advice changes what it holds.
        match unsafe { madvise(mapped.cast(), length, advice) } {
            // A kernel without huge pages does not need to be told to use none.
            Err(Errno::INVAL) if !needed => {}
            result => result.map_err(|error| no_huge_pages(&error.to_string()))?,
        }
        memory.write(0..usize::MAX, 1);
        let huge = counts::huge()?;
        if needed && huge < bytes as u64 / 1024 {
            return Err(no_huge_pages(&format!(
                "{huge} KiB of {mib} MiB are in huge pages"
            )));
        }
        Ok(memory)
    }

    /// Writes one byte to each of these pages.
    // ANCHOR: write
    pub fn write(&mut self, pages: Range<usize>, value: u8) {
        let pages = self.iter_mut().step_by(page_size()).take(pages.end).skip(pages.start);
        pages.for_each(|byte| *byte = value);
    }
    // ANCHOR_END: write

    /// How many pages begin with `value`.
    pub fn pages_with(&self, value: u8) -> usize {
        self.iter().step_by(page_size()).filter(|byte| **byte == value).count()
    }
}

fn no_huge_pages(why: &str) -> io::Error {
    let enabled = "/sys/kernel/mm/transparent_hugepage/enabled";
    let line = format!("no huge pages here: {why}; see {enabled}, or leave them out");
    io::Error::new(ErrorKind::Unsupported, line)
}

impl Deref for Memory {
    type Target = [u8];

    #[expect(unsafe_code, reason = "a slice from a pointer")]
    fn deref(&self) -> &[u8] {
        // SAFETY: mapped as long as we are, and only reached through us.
        unsafe { &(&*self.mapped)[self.from..self.from + self.bytes] }
    }
}

impl DerefMut for Memory {
    #[expect(unsafe_code, reason = "a slice from a pointer")]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: mapped as long as we are, and only reached through us.
        unsafe { &mut (&mut *self.mapped)[self.from..self.from + self.bytes] }
    }
}

impl Drop for Memory {
    #[expect(unsafe_code, reason = "munmap can take memory away that is in use")]
    fn drop(&mut self) {
        // SAFETY: the whole mapping, and nobody has borrowed from it. It cannot fail then.
        let _ = unsafe { munmap(self.mapped.cast(), self.mapped.len()) };
    }
}
