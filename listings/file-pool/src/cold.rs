//! A file that is on the disk and not in memory.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{Advice, fadvise};

/// A file of so many bytes, without a name, that the kernel was asked to forget.
pub fn cold_file(dir: &Path, bytes: usize) -> io::Result<File> {
    let explain = |error: io::Error| {
        let dir = dir.display();
        io::Error::new(error.kind(), format!("no file in {dir}: {error}"))
    };
    let mut file = tempfile::tempfile_in(dir).map_err(explain)?;
    io::Write::write_all(&mut file, &vec![0x5a; bytes]).map_err(explain)?;
    forget(&file)?;
    Ok(file)
}

/// Has it written, and forgotten.
pub fn forget(file: &File) -> io::Result<()> {
    file.sync_all()?;
    Ok(fadvise(file, 0, None, Advice::DontNeed)?)
}
