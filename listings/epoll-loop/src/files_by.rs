//! Who opens and reads files.

use std::io;

use select_loop::{Disk, House};

/// Who opens and reads files, and waits for the disk.
// ANCHOR: files-by
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilesBy {
    /// The loop itself, and every client with it.
    Loop,
    /// So many threads; the loop only what needs no waiting.
    Pool(usize),
    /// So many threads, always: to see what the pool costs.
    PoolAlways(usize),
}

impl FilesBy {
    /// Starts the threads.
    ///
    /// # Errors
    /// What eventfd(2) and clone(2) answer.
    pub fn set_up(self, house: &mut House) -> io::Result<()> {
        match self {
            Self::Loop => {}
            Self::Pool(threads) => house.hand_files_to(Disk::new(threads, true)?),
            Self::PoolAlways(threads) => house.hand_files_to(Disk::new(threads, false)?),
        }
        Ok(())
    }
}
// ANCHOR_END: files-by
