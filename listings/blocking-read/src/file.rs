//! The same file read twice: from the disk, and from the page cache.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::statfs;

use crate::usage::{Cost, table};

const MIB: usize = 1 << 20;

/// Two reads of one file.
#[derive(Clone, Debug)]
pub struct TwoReads {
    /// The file's size.
    pub mib: u64,
    /// The file system that holds it.
    pub file_system: String,
    /// The read after the kernel was asked to forget the file's pages.
    pub cold: Cost,
    /// The read right after that one.
    pub cached: Cost,
}

impl TwoReads {
    /// Why the first read was not a cold one, where it was not: no disk was asked for
    /// anything.
    pub fn not_cold(&self) -> Option<String> {
        (self.cold.used.from_disk == 0).then(|| {
            format!(
                "no disk took part: {} kept the file's pages or has none of its own, so both reads were cached; \
                 choose a folder on a disk with --dir",
                self.file_system
            )
        })
    }
}

/// Writes a file of `mib` MiB in `dir`, has it forgotten, and reads it twice. Nothing of it
/// stays in `dir`.
pub fn file(dir: &Path, mib: u64) -> io::Result<TwoReads> {
    let explain = |what: &str, error: io::Error| {
        let dir = dir.display();
        io::Error::new(
            error.kind(),
            format!("cannot {what} in {dir}: {error}; choose another folder with --dir"),
        )
    };
    let mut file = unnamed(dir).map_err(|error| explain("create a file", error))?;
    let mut buffer = vec![0x5a; MIB];
    // ANCHOR: forget
    for _ in 0..mib {
        file.write_all(&buffer).map_err(|error| explain("write a file", error))?;
    }
    // Only pages that the disk already has can be forgotten.
    file.sync_all()?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    // ANCHOR_END: forget

    // ANCHOR: twice
    let cold = Cost::of(|| read_all(&mut file, &mut buffer))?;
    let cached = Cost::of(|| read_all(&mut file, &mut buffer))?;
    Ok(TwoReads { mib, file_system: file_system(&file)?, cold, cached })
    // ANCHOR_END: twice
}

// ANCHOR: read-all
fn read_all(file: &mut File, buffer: &mut [u8]) -> io::Result<()> {
    file.rewind()?;
    while file.read(buffer)? > 0 {}
    Ok(())
}
// ANCHOR_END: read-all

/// A file without a name: it is gone when it is closed, however this program ends.
fn unnamed(dir: &Path) -> io::Result<File> {
    let path = dir.join(format!(
        "blocking-read-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// The name of the file system that holds `file`; a number where it is a rare one.
fn file_system(file: &File) -> io::Result<String> {
    let kind = statfs::fstatfs(file)?.filesystem_type();
    let known = [
        (statfs::EXT4_SUPER_MAGIC, "ext4"),
        (statfs::XFS_SUPER_MAGIC, "xfs"),
        (statfs::BTRFS_SUPER_MAGIC, "btrfs"),
        (statfs::F2FS_SUPER_MAGIC, "f2fs"),
        (statfs::OVERLAYFS_SUPER_MAGIC, "overlayfs"),
        (statfs::TMPFS_MAGIC, "tmpfs"),
        (statfs::NFS_SUPER_MAGIC, "nfs"),
        (statfs::FUSE_SUPER_MAGIC, "fuse"),
    ];
    let name =
        known.iter().find(|(magic, _)| *magic == kind).map(|(_, name)| (*name).to_string());
    Ok(name.unwrap_or_else(|| format!("0x{:x}", kind.0)))
}

impl fmt::Display for TwoReads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = format!(
            "{:<17}{:>11}",
            format!("{} MiB on {}", self.mib, self.file_system),
            "from disk"
        );
        let label = |name, cost: Cost| {
            format!("{name:<17}{:>7} MiB", cost.used.from_disk / MIB as u64)
        };
        let (cold, cached) = (label("cold", self.cold), label("cached", self.cached));
        table(f, &title, &[(&cold, self.cold), (&cached, self.cached)])?;
        self.not_cold().map_or(Ok(()), |note| write!(f, "\nnote: {note}"))
    }
}
