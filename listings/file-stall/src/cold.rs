//! A file that is on the disk and nowhere else.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, fadvise};

use crate::raw::resident;

/// A file that can be made cold. Removed when it is dropped.
#[derive(Debug)]
pub struct Cold {
    file: File,
    path: PathBuf,
}

impl Cold {
    /// Writes a file of so many bytes, has it written to the disk, and forgets it.
    ///
    /// # Errors
    /// What the file system answers.
    // ANCHOR: write
    pub fn write(path: &Path, bytes: u64) -> io::Result<Self> {
        let mut file =
            File::options().read(true).write(true).create_new(true).open(path)?;
        let cold = Self { file: file.try_clone()?, path: path.to_owned() };
        let piece = vec![0x5a; 1 << 20];
        let mut left = bytes;
        while left > 0 {
            let n = left.min(piece.len() as u64);
            file.write_all(&piece[..n as usize])?;
            left -= n;
        }
        cold.forget()?;
        Ok(cold)
    }

    /// Asks the kernel to forget what it has of the file in memory.
    ///
    /// # Errors
    /// What fsync(2) and posix_fadvise(2) answer.
    pub fn forget(&self) -> io::Result<()> {
        self.file.sync_all()?; // only what the disk has can be forgotten
        Ok(fadvise(&self.file, 0, None, Advice::DontNeed)?)
    }
    // ANCHOR_END: write

    /// How many of its bytes are in memory.
    ///
    /// # Errors
    /// What mincore(2) answers.
    pub fn resident(&self) -> io::Result<u64> {
        resident(&self.file)
    }

    /// The file, open.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Why the file is not cold, where the kernel did not forget it: it has no disk to read it
    /// from again.
    ///
    /// # Errors
    /// What mincore(2) answers.
    pub fn not_cold(&self) -> io::Result<Option<String>> {
        let bytes = self.resident()?;
        let mib = bytes >> 20;
        Ok((bytes > 0).then(|| {
            format!(
                "the kernel kept {mib} MiB of the file in memory, so no disk takes part; \
                 choose a folder on a disk with --dir"
            )
        }))
    }
}

impl Drop for Cold {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path); // where it is gone already, it is gone
    }
}
