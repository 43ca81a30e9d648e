//! Files in the current folder: their file system, `O_DIRECT`, `RWF_NOWAIT`, openat2(2).

use std::io::IoSliceMut;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags, openat, openat2, statfs, statx,
    unlinkat,
};
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2, pwrite};

use crate::chapters::*;
use crate::confinement::{Process, error_name};
use crate::finding::Finding;
use crate::numbers::grouped;

const DIRECT: &str = "O_DIRECT";
const NOWAIT: &str = "RWF_NOWAIT";
const FOR_DISK: &[&str] = &[READ, STALL, FILE_POOL];
const FOR_DIRECT: &[&str] = &[AIO, RINGS];
const FOR_NOWAIT: &[&str] = &[FILE_POOL];

const TMPFS: u32 = 0x0102_1994;
const OVERLAYFS: u32 = 0x794c_7630;

/// What a reader calls a file system, by the number that statfs(2) gives.
const FILE_SYSTEMS: [(u32, &str, Kind); 16] = [
    (0xef53, "ext4", Kind::Local),
    (0x5846_5342, "xfs", Kind::Local),
    (0x9123_683e, "btrfs", Kind::Local),
    (0xf2f5_2010, "f2fs", Kind::Local),
    (0xca45_1a4e, "bcachefs", Kind::Local),
    (0x2fc1_2fc1, "zfs", Kind::Local),
    (OVERLAYFS, "overlayfs", Kind::Local),
    (TMPFS, "tmpfs", Kind::Memory),
    (0x8584_58f6, "ramfs", Kind::Memory),
    (0x6969, "nfs", Kind::Elsewhere),
    (0xff53_4d42, "cifs", Kind::Elsewhere),
    (0xfe53_4d42, "smb2", Kind::Elsewhere),
    (0x00c3_6400, "ceph", Kind::Elsewhere),
    (0x0102_1997, "9p", Kind::Elsewhere),
    (0x6573_5546, "fuse", Kind::Elsewhere),
    (0x7461_636f, "ocfs2", Kind::Elsewhere),
];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// On a disk of this machine, real or virtual.
    Local,
    /// In memory: a file is never cold.
    Memory,
    /// Another machine or another process answers.
    Elsewhere,
}

/// Four findings.
pub fn look(folder: &Path, me: &Process) -> [Finding; 4] {
    let magic = statfs(folder).map(|found| found.f_type as u32).unwrap_or(0);
    [file_system(magic), direct(folder, magic), nowait(folder), open_beneath(folder, me)]
}

fn file_system(magic: u32) -> Finding {
    let name = "file system";
    let known = FILE_SYSTEMS.into_iter().find(|(number, ..)| *number == magic);
    let elsewhere = "Run in a folder on a local disk; only times and their causes differ.";
    match known {
        Some((OVERLAYFS, ..)) => Finding::yes(
            name,
            FOR_DISK,
            "overlayfs here: files lie on the file system below it",
        ),
        Some((_, kind, Kind::Local)) => {
            Finding::yes(name, FOR_DISK, format!("{kind} here"))
        }
        Some((_, kind, Kind::Memory)) => Finding::limited(
            name,
            FOR_DISK,
            format!("{kind} here: in memory, so no file is ever cold"),
            "Run in a folder on a disk, since nobody waits for a file in memory; everything else \
             is the same.",
        ),
        Some((_, kind, Kind::Elsewhere)) => Finding::limited(
            name,
            FOR_DISK,
            format!("{kind} here: another machine or process answers, not a disk"),
            elsewhere,
        ),
        None => Finding::limited(
            name,
            FOR_DISK,
            format!("unknown here (statfs(2) says {magic:#x})"),
            elsewhere,
        ),
    }
}

fn direct(folder: &Path, magic: u32) -> Finding {
    let tried = read_directly(folder);
    let remedy = "Run in a folder on ext4, xfs or btrfs, in a container on a volume (docker run \
                  -v); all chapters but these run without.";
    match tried {
        Ok(found) if magic == TMPFS => Finding::limited(
            DIRECT,
            FOR_DIRECT,
            format!("accepted ({found}), but tmpfs has no disk: proves nothing"),
            remedy,
        ),
        Ok(found) => Finding::yes(DIRECT, FOR_DIRECT, found),
        Err(Errno::INVAL) => {
            Finding::no(DIRECT, FOR_DIRECT, "EINVAL: this file system refuses it", remedy)
        }
        Err(error) => {
            Finding::no(DIRECT, FOR_DIRECT, no_file(error), no_file_remedy(error))
        }
    }
}

/// Writes and reads one aligned block past the page cache.
fn read_directly(folder: &Path) -> Result<String, Errno> {
    let file = temporary(folder, OFlags::DIRECT)?;
    // The alignments are known from 6.1 on, and where the file system tells.
    let known = statx(&file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN)
        .ok()
        .filter(|found| {
            StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::DIOALIGN)
        })
        .map(|found| {
            (found.stx_dio_mem_align as usize, found.stx_dio_offset_align as usize)
        });
    let (memory, offset) = known.unwrap_or((4096, 4096));
    let (memory, length) = (memory.max(4096), offset.max(4096));
    let mut block = vec![0; 2 * length + 2 * memory];
    let start = block.as_ptr().align_offset(memory);
    let (written, read) = block[start..].split_at_mut(length.next_multiple_of(memory));
    let (written, read) = (&mut written[..length], &mut read[..length]);
    written.fill(b'w');
    let (sent, received) = (pwrite(&file, &*written, 0)?, pread(&file, &mut *read, 0)?);
    if sent != length || received != length || written != read {
        return Err(Errno::IO);
    }
    let bytes = grouped(length as u64);
    Ok(match known {
        Some((memory, offset)) => {
            format!(
                "{bytes} bytes read; aligned to {memory} in memory, {offset} in the file"
            )
        }
        None => format!("{bytes} bytes read; the alignment needed is not told"),
    })
}

fn nowait(folder: &Path) -> Finding {
    let tried = temporary(folder, OFlags::empty()).and_then(|file| {
        pwrite(&file, &[b'n'; 64], 0)?;
        let mut bytes = [0; 64];
        preadv2(&file, &mut [IoSliceMut::new(&mut bytes)], 0, ReadWriteFlags::NOWAIT)
    });
    match tried {
        Ok(read) => {
            Finding::yes(NOWAIT, FOR_NOWAIT, format!("preadv2(2) read {read} cached bytes"))
        }
        // Answered, though the page left the cache meanwhile.
        Err(Errno::AGAIN) => {
            Finding::yes(NOWAIT, FOR_NOWAIT, "preadv2(2) would have waited, and says so")
        }
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Finding::limited(
            NOWAIT,
            FOR_NOWAIT,
            "preadv2(2): this file system does not know it",
            "Run in a folder on ext4, xfs or btrfs; without it every read goes to the pool, also \
             of what is cached.",
        ),
        Err(error) => {
            Finding::no(NOWAIT, FOR_NOWAIT, no_file(error), no_file_remedy(error))
        }
    }
}

fn open_beneath(folder: &Path, me: &Process) -> Finding {
    let name = "openat2";
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat2(CWD, folder, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS) {
        Ok(_) => Finding::yes(name, &[ITERATIVE], "openat2(2) opened this folder"),
        Err(error @ (Errno::MFILE | Errno::NFILE)) => {
            Finding::no(name, &[ITERATIVE], no_file(error), no_file_remedy(error))
        }
        Err(error) => Finding::limited(
            name,
            &[ITERATIVE],
            format!("openat2(2): {}: {}", error_name(error), me.refuser(error)),
            "Run Linux 5.6 or later, with a profile that allows it; without it the servers open \
             paths name by name, and follow no symbolic link.",
        ),
    }
}

fn no_file(error: Errno) -> String {
    format!("{}: no file could be tried in this folder", error_name(error))
}

fn no_file_remedy(error: Errno) -> &'static str {
    match error {
        Errno::MFILE | Errno::NFILE => "Raise ulimit -n, and look again.",
        Errno::NOSPC | Errno::DQUOT => "Make room on this file system, and look again.",
        _ => "Run it in a folder where you may write.",
    }
}

/// An empty file without a name in `folder`, gone when it is closed.
fn temporary(folder: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::RDWR | OFlags::CLOEXEC;
    let (read, write) = (Mode::RUSR, Mode::WUSR);
    match openat(CWD, folder, flags | OFlags::TMPFILE, read | write) {
        // Not every file system has files without names. One that is removed at once is the
        // next best thing.
        Err(Errno::OPNOTSUPP | Errno::ISDIR) => {
            let path = folder.join(format!(".doctor-{}", std::process::id()));
            let file =
                openat(CWD, &path, flags | OFlags::CREATE | OFlags::EXCL, read | write)?;
            unlinkat(CWD, &path, AtFlags::empty())?;
            Ok(file)
        }
        other => other,
    }
}
