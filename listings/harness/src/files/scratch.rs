//! The file that is read: written first, on the disk, without a name, and cold or warm.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process;

use aio_direct::{Buffer, Target};
use file_stall::cold::Cold;
use rustix::fs::statvfs;

use super::places::{content, is_right};

/// Bytes that are written at a time.
const PIECE: usize = 1 << 20;
/// How often a file is read until all of it is in memory.
const WARMINGS: usize = 3;

/// A file of our own.
#[derive(Debug)]
pub struct Scratch {
    cold: Cold,
    /// In bytes.
    pub size: u64,
}

/// Why there is none: a folder that will not do, or something that went wrong in it.
#[derive(Debug)]
pub enum Trouble {
    /// Choose another folder or size.
    Refused(String),
    /// As it happened.
    Failed(String),
}

impl Scratch {
    /// Writes a file of so many bytes, a multiple of 8, and has the disk confirm it. It is
    /// gone when it is closed, however this program ends.
    ///
    /// # Errors
    /// There is no room, or what the file system answers.
    pub fn write(folder: &Path, size: u64) -> Result<Self, Trouble> {
        let dir = folder.display();
        let failed = |error| {
            Trouble::Failed(format!("cannot write in {dir}: {error}; choose another --dir"))
        };
        let space = statvfs(folder).map_err(|error| failed(error.into()))?;
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        if free < size {
            return Err(Trouble::Refused(format!(
                "{} MiB do not fit into {dir}, where {} MiB are free; choose a smaller --size, or another --dir",
                size >> 20,
                free >> 20
            )));
        }
        let path = folder.join(format!("who-waits-{}-{size}", process::id()));
        let cold = Cold::write(&path, 0).map_err(failed)?;
        // Without a name: a run that is interrupted leaves nothing behind.
        fs::remove_file(&path).map_err(failed)?;
        for from in (0..size).step_by(PIECE) {
            let length = (size - from).min(PIECE as u64) as usize;
            cold.file().write_all(&content(from, length)).map_err(failed)?;
        }
        cold.forget().map_err(failed)?;
        Ok(Self { cold, size })
    }

    /// The file, through the page cache.
    #[must_use]
    pub fn file(&self) -> &File {
        self.cold.file()
    }

    /// A path by which other processes can open it, as long as we have it open.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        let descriptor = self.file().as_raw_fd();
        format!("/proc/{}/fd/{descriptor}", process::id()).into()
    }

    /// The file past the page cache, for blocks of so many bytes, on a file system of this
    /// kind.
    ///
    /// # Errors
    /// One line: the file system has no such way, or says that it has one and goes through
    /// the page cache all the same.
    pub fn direct(&self, block: u32, file_system: &str) -> Result<Target, String> {
        let no_way = |why: String| {
            format!(
                "no direct reads (O_DIRECT): {why}; choose a folder on a disk with --dir"
            )
        };
        let target = match Target::open(&self.path(), false) {
            Ok(target) => target,
            Err(_) => return Err(no_way(format!("{file_system} refuses them"))),
        };
        let unit = target.alignment.file;
        if !(block as usize).is_multiple_of(unit) {
            return Err(no_way(format!(
                "{block} is no multiple of {unit}; change --block"
            )));
        }
        match self.goes_through_the_cache(unit.max(512)) {
            Ok(false) => Ok(target),
            Ok(true) => Err(no_way(format!(
                "{file_system} accepts them, and reads through the page cache"
            ))),
            Err(error) => Err(no_way(error.to_string())),
        }
    }

    /// Whether a direct read finds, or leaves, something in the page cache: tmpfs has nothing
    /// else, and accepts O_DIRECT since Linux 6.6.
    fn goes_through_the_cache(&self, unit: usize) -> io::Result<bool> {
        self.cold.forget()?;
        let before = self.cold.resident()?;
        let file = open_direct(&self.path())?;
        let mut buffer = Buffer::new(unit, unit.max(rustix::param::page_size()));
        for part in 0..16 {
            let at = self.size / 16 * part / unit as u64 * unit as u64;
            file.read_at(&mut buffer, at)?;
        }
        let after = self.cold.resident()?;
        Ok(before >= self.size || after > before)
    }

    /// Has the kernel forget what it has of it in memory.
    ///
    /// # Errors
    /// What fsync(2) and posix_fadvise(2) answer.
    pub fn forget(&self) -> io::Result<()> {
        self.cold.forget()
    }

    /// Reads all of it, so that it is in memory, and compares it with what was written. What has
    /// gone meanwhile, because others wanted memory, is read again.
    ///
    /// # Errors
    /// It cannot be read, is not what was written, or there is no memory for it.
    pub fn warm(&self) -> Result<(), String> {
        let mut resident = 0;
        for _ in 0..WARMINGS {
            self.read_all()?;
            let looked = self.cold.resident();
            resident =
                looked.map_err(|error| format!("cannot look at the file: {error}"))?;
            if resident >= self.size {
                return Ok(());
            }
        }
        Err(format!(
            "only {} of {} MiB stay in memory; choose a smaller --size",
            resident >> 20,
            self.size >> 20
        ))
    }

    fn read_all(&self) -> Result<(), String> {
        let failed = |error: io::Error| format!("cannot read the file again: {error}");
        let mut file = File::open(self.path()).map_err(failed)?;
        let mut piece = vec![0; PIECE];
        for from in (0..self.size).step_by(PIECE) {
            let length = (self.size - from).min(PIECE as u64) as usize;
            file.read_exact(&mut piece[..length]).map_err(failed)?;
            if !is_right(from, &piece[..length], length) {
                return Err(format!("at {from} stands something that nobody has written"));
            }
        }
        Ok(())
    }
}

/// Opens a file past the page cache.
pub fn open_direct(path: &Path) -> io::Result<File> {
    uring_read::scratch::open_direct(path)
}
