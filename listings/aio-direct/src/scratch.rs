//! A file for an experiment: without a name, on a disk where it matters, and cold when asked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use crate::trouble::{Refusal, Trouble};

/// One file, open twice.
#[derive(Debug)]
pub struct Scratch {
    /// Through the page cache.
    pub buffered: File,
    /// Past it.
    pub direct: File,
}

impl Scratch {
    /// Writes a file of so many bytes in `dir`, and has the kernel forget its own copy. The
    /// file is gone when it is closed, however this program ends.
    ///
    /// # Errors
    /// What keeps us from writing there, or from opening it with O_DIRECT.
    pub fn new(dir: &Path, bytes: usize) -> Result<Self, Trouble> {
        let explain = |error: io::Error| {
            let dir = dir.display();
            let line = format!("cannot write in {dir}: {error}; choose another --dir");
            Trouble::Failed(io::Error::new(error.kind(), line))
        };
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("aio-direct-{}-{number}", std::process::id()));
        let open = |flags| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .custom_flags(flags)
                .open(&path)
        };
        let mut buffered = open(libc::O_EXCL).map_err(explain)?;
        let direct = open(libc::O_DIRECT);
        fs::remove_file(&path).map_err(explain)?;
        let direct = direct.map_err(|error| Refusal::open(dir, error))?;
        for block in (0..bytes).step_by(BLOCK) {
            let length = BLOCK.min(bytes - block);
            buffered.write_all(&pattern(block as u64, length)).map_err(explain)?;
        }
        let scratch = Self { buffered, direct };
        scratch.forget()?;
        Ok(scratch)
    }

    /// Has the kernel forget what it has of the file in memory. It is a request, and nobody
    /// says whether it was heeded; the bytes that are read from a disk afterwards do.
    // ANCHOR: forget
    pub fn forget(&self) -> io::Result<()> {
        self.buffered.sync_all()?; // what the disk does not have cannot be forgotten
        posix_fadvise(&self.buffered, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        Ok(())
    }
    // ANCHOR_END: forget
}

const BLOCK: usize = 1 << 20;

/// What stands from here on in a file of ours.
pub fn pattern(from: u64, length: usize) -> Vec<u8> {
    // A prime, so that no block looks like one at another multiple of a power of two.
    const PERIOD: usize = 65_521;
    static ONE: OnceLock<Vec<u8>> = OnceLock::new();
    let one = ONE.get_or_init(|| {
        (0..PERIOD as u32).map(|n| (n.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect()
    });
    let mut bytes = Vec::with_capacity(length + PERIOD);
    bytes.extend_from_slice(&one[(from % PERIOD as u64) as usize..]);
    while bytes.len() < length {
        bytes.extend_from_slice(one);
    }
    bytes.truncate(length);
    bytes
}

/// Where the experiments put their files: the first argument, or a folder that is on a disk
/// more often than the one for temporary files.
pub fn folder() -> PathBuf {
    std::env::args_os().nth(1).map_or_else(|| "/var/tmp".into(), PathBuf::from)
}
