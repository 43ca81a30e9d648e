//! The files of the experiments: without a name, and cold when asked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{Advice, fadvise};

use crate::trouble::Trouble;

/// One file, open through the page cache.
#[derive(Debug)]
pub struct Scratch {
    /// Through the page cache.
    pub buffered: File,
    /// Past it, where the file system has such a way.
    pub direct: Result<File, io::Error>,
}

impl Scratch {
    /// Writes a file of so many bytes in `folder`. It is gone when it is closed, however
    /// this program ends.
    ///
    /// # Errors
    /// What keeps us from writing there.
    pub fn new(folder: &Path, bytes: usize) -> Result<Self, Trouble> {
        let explain = |error: io::Error| {
            let line = format!(
                "cannot write in {}: {error}; free space there, or set TMPDIR",
                folder.display()
            );
            io::Error::new(error.kind(), line)
        };
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("uring-read-{}-{number}", std::process::id()));
        let mut buffered = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(explain)?;
        let direct = open_direct(&path);
        fs::remove_file(&path).map_err(explain)?;
        let mut at = 0;
        while at < bytes {
            let length = (bytes - at).min(1 << 20);
            buffered.write_all(&pattern(at, length)).map_err(explain)?;
            at += length;
        }
        buffered.sync_all()?; // only pages that the disk has can be forgotten
        Ok(Self { buffered, direct })
    }

    /// Asks the kernel to forget what it has of the file in memory.
    pub fn forget(&self) -> io::Result<()> {
        Ok(fadvise(&self.buffered, 0, None, Advice::DontNeed)?)
    }
}

/// Opens a file past the page cache.
pub fn open_direct(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path)
}

/// What stands from here on in a file of ours: each byte says where it stands, as far as a
/// byte can.
pub fn pattern(from: usize, length: usize) -> Vec<u8> {
    (from..from + length)
        .map(|at| ((at as u64).wrapping_mul(0x9e37_79b9) >> 13) as u8)
        .collect()
}

/// Where the experiments put their files: TMPDIR, or a folder that is on a disk more often
/// than the one for temporary files.
pub fn folder() -> PathBuf {
    std::env::var_os("TMPDIR").map_or_else(|| "/var/tmp".into(), PathBuf::from)
}
