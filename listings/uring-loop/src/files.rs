//! Files below the root, and what was found out about them.

use std::ffi::CString;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use guestbook::{Kind, Meta};
use http1::FileCache;
use io_uring::types::OpenHow;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat};

use crate::op::{Fd, Op, ToClose};
use crate::ring::Answer;

/// How many open files are kept.
const KEPT: usize = 256;
/// How long they are believed to be what they were.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// The folder that is served, and what is open of it.
#[derive(Debug)]
pub struct Files {
    root: Fd,
    cache: FileCache<Fd>,
}

impl Files {
    /// Serves the folder at `path`. `cached: false` opens a file for every request.
    ///
    /// # Errors
    /// What openat(2) answers.
    pub fn new(path: &Path, cached: bool, to_close: &ToClose) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = to_close.hold(openat(CWD, path, flags, Mode::empty())?);
        Ok(Self { root, cache: FileCache::new(if cached { KEPT } else { 0 }, FRESH_FOR) })
    }

    /// The file at `path`, if it was opened a moment ago.
    pub fn get(&mut self, path: &str, now: Instant) -> Option<(Fd, Meta)> {
        self.cache.get(path, now)
    }

    /// The operation that opens the file at `path`, and leads nowhere out of the root.
    ///
    /// # Errors
    /// `NotFound` for a name that no file can have.
    // ANCHOR: open
    pub fn open(&self, path: &str) -> io::Result<Op> {
        // Without O_NONBLOCK, opening a FIFO for reading would wait for somebody who writes.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        Ok(Op::Open {
            root: self.root.clone(),
            path: CString::new(path).map_err(|_| io::ErrorKind::NotFound)?,
            how: Box::new(
                OpenHow::new().flags(flags.bits().into()).resolve(beneath.bits()),
            ),
        })
    }
    // ANCHOR_END: open

    /// The operation that asks what an open file is.
    pub fn look(&self, file: Fd) -> Op {
        Op::Look { file, answer: Answer::new() }
    }

    /// Keeps a file that was opened just now.
    pub fn keep(&mut self, path: &str, file: &Fd, meta: Meta, now: Instant) {
        if meta.kind == Kind::File {
            self.cache.insert(path, file.clone(), meta, now);
        }
    }

    /// Lets go of what was kept for long enough.
    pub fn expire(&mut self, now: Instant) {
        self.cache.expire(now);
    }

    /// When there will be something to let go of.
    pub fn expires_at(&self) -> Option<Instant> {
        self.cache.expires_at()
    }

    /// Lets go of everything: descriptors are short.
    pub fn release(&mut self) {
        self.cache.clear();
    }
}

/// What statx(2) has answered.
pub fn meta(answer: &libc::statx) -> Meta {
    let kind = match u32::from(answer.stx_mode) & libc::S_IFMT {
        libc::S_IFREG => Kind::File,
        libc::S_IFDIR => Kind::Folder,
        _ => Kind::Other,
    };
    let (seconds, rest) = (answer.stx_mtime.tv_sec, answer.stx_mtime.tv_nsec);
    let since = Duration::new(seconds.unsigned_abs(), 0);
    let modified = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(since)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(since + Duration::new(0, rest))
    };
    let modified = modified.unwrap_or(SystemTime::UNIX_EPOCH);
    Meta { kind, len: answer.stx_size, modified }
}
