//! Files below the root, opened for each request.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use guestbook::{Kind, Meta};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use crate::fault::Fault;

/// The folder that is served.
#[derive(Debug)]
pub struct Files {
    root: OwnedFd,
    fault: Option<Fault>,
    believed: Mutex<HashMap<String, (Arc<File>, Meta)>>,
}

impl Files {
    /// Opens the folder.
    pub fn new(root: &Path, fault: Option<Fault>) -> io::Result<Self> {
        let root = openat(
            CWD,
            root,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(Self { root, fault, believed: Mutex::default() })
    }

    /// Opens a file and says what it is.
    pub fn open(&self, path: &str) -> io::Result<(Arc<File>, Meta)> {
        if self.fault != Some(Fault::CachesForEver) {
            return self.open_now(path);
        }
        let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((file, meta)) = believed.get(path) {
            return Ok((Arc::clone(file), *meta));
        }
        let (file, meta) = self.open_now(path)?;
        believed.insert(path.into(), (Arc::clone(&file), meta));
        Ok((file, meta))
    }

    fn open_now(&self, path: &str) -> io::Result<(Arc<File>, Meta)> {
        let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        flags.set(OFlags::NONBLOCK, self.fault != Some(Fault::OpensFifo));
        let opened = match self.fault {
            Some(Fault::FollowsLinks) => openat(&self.root, path, flags, Mode::empty()),
            _ => retry(|| {
                openat2(&self.root, path, flags, Mode::empty(), ResolveFlags::BENEATH)
            }),
        };
        // But for a shortage, whatever the reason, for the client there is no such file.
        let file = File::from(opened.map_err(|error| match error {
            Errno::MFILE | Errno::NFILE => io::Error::from(error),
            _ => io::ErrorKind::NotFound.into(),
        })?);
        let metadata = file.metadata()?;
        let kind = match metadata.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Folder,
            _ => Kind::Other,
        };
        let meta = Meta { kind, len: metadata.len(), modified: metadata.modified()? };
        Ok((Arc::new(file), meta))
    }
}

/// openat2(2) may ask to be called again.
fn retry(mut open: impl FnMut() -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Errno> {
    loop {
        match open() {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
}
