//! The folder that is served, for whoever may wait for a disk.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http1::{Kind, Meta};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2,
    statat,
};
use rustix::io::Errno;

use crate::listing::Entry;
use crate::path::Place;

/// A folder with more entries than this is not listed: half a list would pass for all of it.
const ENTRIES: usize = 100_000;
/// Not through a link that leads out, and through no link of `/proc`.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);
/// Opening a FIFO without O_NONBLOCK would wait for somebody at its other end. (With O_PATH
/// nothing is opened, and openat2 refuses flags that would have no meaning.)
pub(crate) fn with_care(flags: OFlags) -> OFlags {
    match flags.contains(OFlags::PATH) {
        true => flags | OFlags::CLOEXEC,
        false => flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY,
    }
}

/// What is written is written where its name says: through no link at all, since one in the
/// upload folder could lead anywhere below the root.
pub(crate) fn which_links(flags: OFlags) -> ResolveFlags {
    match flags.contains(OFlags::CREATE) {
        true => BENEATH | ResolveFlags::NO_SYMLINKS,
        false => BENEATH,
    }
}

/// What a new file may: everybody may read it.
pub(crate) const NEW: Mode =
    Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP).union(Mode::ROTH);

/// A folder that nothing leads out of.
#[derive(Debug)]
pub struct Root(OwnedFd);

impl Root {
    /// The folder at `path`.
    ///
    /// # Errors
    /// What openat(2) answers; `Unsupported` if there is no openat2(2), which is of Linux 5.6
    /// and forbidden in some containers: without it, nobody watches where links lead.
    pub fn new(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = Self(openat(CWD, path, flags, Mode::empty())?);
        match root.open_at(&Place::root(), OFlags::PATH, Mode::empty()) {
            Err(Errno::NOSYS | Errno::PERM) => Err(io::ErrorKind::Unsupported.into()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(root),
        }
    }

    // ANCHOR: open-at
    fn open_at(&self, place: &Place, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        let (flags, resolve) = (with_care(flags), which_links(flags));
        for _ in 0..8 {
            let opened = openat2(&self.0, place.as_path(), flags, mode, resolve);
            match opened {
                // The path changed while it was walked; or a signal came.
                Err(Errno::AGAIN | Errno::INTR) => {}
                opened => return opened,
            }
        }
        Err(Errno::AGAIN)
    }
    // ANCHOR_END: open-at

    /// What is there.
    ///
    /// # Errors
    /// `NotFound`, also for what is not below the root; what open(2) answers otherwise.
    pub fn look(&self, place: &Place) -> io::Result<Meta> {
        let file = self.open_at(place, OFlags::PATH, Mode::empty()).map_err(refused)?;
        Ok(meta(&fstat(&file)?))
    }

    /// Opens a file to read from it.
    ///
    /// # Errors
    /// As [`Root::look`].
    pub fn open(&self, place: &Place) -> io::Result<(OwnedFd, Meta)> {
        let file = self.open_at(place, OFlags::RDONLY, Mode::empty()).map_err(refused)?;
        let meta = meta(&fstat(&file)?);
        Ok((file, meta))
    }

    /// Opens a file to write to it, and makes it if it is not there. `truncate`: what is in it
    /// goes.
    ///
    /// # Errors
    /// As [`Root::look`].
    pub fn create(&self, place: &Place, truncate: bool) -> io::Result<(OwnedFd, Meta)> {
        let file = self.open_at(place, for_writing(truncate), NEW).map_err(refused)?;
        let meta = meta(&fstat(&file)?);
        Ok((file, meta))
    }

    /// What is in a folder, by name; of a file, itself. Names that cannot stand in a line, that
    /// begin with a dot, or that lead nowhere, are left out.
    ///
    /// # Errors
    /// As [`Root::look`]; what getdents64(2) answers.
    // ANCHOR: list
    pub fn list(&self, place: &Place) -> io::Result<Vec<Entry>> {
        let itself = self.look(place)?;
        if itself.kind == Kind::Other {
            return Err(io::ErrorKind::NotFound.into());
        }
        if itself.kind != Kind::Folder {
            return Ok(vec![Entry { name: place.name().into(), meta: itself }]);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let folder = self.open_at(place, flags, Mode::empty()).map_err(refused)?;
        let mut entries = Vec::new();
        for (number, entry) in Dir::read_from(&folder)?.enumerate() {
            let entry = entry?;
            if number >= ENTRIES {
                return Err(io::Error::other("a folder with too many entries"));
            }
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name.starts_with('.') || name.contains(['\r', '\n']) {
                continue;
            }
            let Some(below) = place.join(name) else { continue };
            if let Some(meta) = self.meta_of(&folder, name, &below) {
                entries.push(Entry { name: name.into(), meta });
            }
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }
    // ANCHOR_END: list

    /// None: it is gone by now, or a link that leads nowhere or out, or neither file nor folder.
    fn meta_of(&self, folder: &OwnedFd, name: &str, place: &Place) -> Option<Meta> {
        let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let meta = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => self.look(place).ok()?,
            _ => meta(&stat),
        };
        (meta.kind != Kind::Other).then_some(meta)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How a file is opened that is to be written.
pub(crate) fn for_writing(truncate: bool) -> OFlags {
    let truncate = if truncate { OFlags::TRUNC } else { OFlags::empty() };
    OFlags::WRONLY | OFlags::CREATE | truncate
}

/// Out of the root, a loop of links, a socket or a FIFO: for a client they do not exist.
pub(crate) fn refused(error: Errno) -> io::Error {
    match error {
        Errno::XDEV | Errno::LOOP | Errno::NXIO | Errno::NODEV => {
            io::ErrorKind::NotFound.into()
        }
        error => error.into(),
    }
}

fn meta(stat: &Stat) -> Meta {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        _ => Kind::Other,
    };
    let modified = u64::try_from(stat.st_mtime)
        .ok()
        .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    let modified: SystemTime = modified.unwrap_or(UNIX_EPOCH);
    Meta { kind, len: u64::try_from(stat.st_size).unwrap_or(0), modified }
}
