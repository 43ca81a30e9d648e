//! Opening files below the root, and nowhere else.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use guestbook::{Kind, Meta};
use http1::FileCache;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

/// How many open files are kept.
const KEPT: usize = 256;
/// How long they are believed to be what they were.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// Not blocking in open: opening a FIFO for reading would wait for somebody to open it for
/// writing.
const FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// An open file that several connections may be sending.
#[derive(Clone, Debug)]
pub struct File(Arc<fs::File>);

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The folder that is served, and what is open of it. A clone knows the same open files, so
/// that threads that have one each open a file once.
#[derive(Clone, Debug)]
pub struct Files {
    root: Arc<OwnedFd>,
    kept: Arc<Kept>,
    has_openat2: bool,
    /// What openat2 is to see to: that the path stays below the root, for a start.
    resolve: ResolveFlags,
}

/// Below the root, and through no link of `/proc`.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// Errors with RESOLVE_CACHED that say nothing about the file: it would have to be waited for,
/// or the kernel does not know the flag.
const NOT_SAID: [Option<i32>; 3] = [
    Some(Errno::AGAIN.raw_os_error()),
    Some(Errno::INTR.raw_os_error()),
    Some(Errno::INVAL.raw_os_error()),
];

/// What is open, for all clones.
#[derive(Debug)]
struct Kept {
    cache: Mutex<FileCache<File>>,
    /// There is a file again, or no more is to be waited for.
    changed: Condvar,
    /// A thread is told so: in a program of one thread nobody is, and it costs a call.
    is_watched: AtomicBool,
}

impl Files {
    /// Serves the folder at `path`. `cached: false` opens a file for every request.
    pub fn new(path: &Path, cached: bool) -> io::Result<Self> {
        let root = openat(
            CWD,
            path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        // ENOSYS before Linux 5.6; EPERM where a container's seccomp filter does not know
        // the call.
        let probe = openat2(
            &root,
            ".",
            OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH,
        );
        let has_openat2 = !matches!(probe, Err(Errno::NOSYS | Errno::PERM));
        let cache = FileCache::new(if cached { KEPT } else { 0 }, FRESH_FOR);
        let kept = Kept {
            cache: Mutex::new(cache),
            changed: Condvar::new(),
            is_watched: AtomicBool::new(false),
        };
        Ok(Self {
            root: Arc::new(root),
            kept: Arc::new(kept),
            has_openat2,
            resolve: BENEATH,
        })
    }

    /// Opens the file at `path`, unless it was open a moment ago.
    // ANCHOR: open
    pub fn open(&mut self, path: &str) -> io::Result<(File, Meta)> {
        let now = Instant::now();
        let known = self.cache().get(path, now);
        if let Some(known) = known {
            return Ok(known);
        }
        let file = fs::File::from(self.open_or_make_room(path)?);
        let metadata = file.metadata()?;
        let kind = match metadata.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Folder,
            _ => Kind::Other,
        };
        let meta = Meta { kind, len: metadata.len(), modified: metadata.modified()? };
        let file = File(Arc::new(file));
        if kind == Kind::File {
            let mut cache = self.cache();
            if cache.expires_at().is_none() && self.kept.is_watched.load(Ordering::Relaxed)
            {
                self.kept.changed.notify_one();
            }
            cache.insert(path, file.clone(), meta, now);
        }
        Ok((file, meta))
    }
    // ANCHOR_END: open

    /// The same, for a loop: none if the disk would have to be waited for, or if the kernel
    /// cannot say so (RESOLVE_CACHED, since Linux 5.12).
    // ANCHOR: open-at-once
    pub fn open_at_once(&mut self, path: &str) -> Option<io::Result<(File, Meta)>> {
        if !self.has_openat2 {
            return self.cache().get(path, Instant::now()).map(Ok);
        }
        self.resolve = BENEATH | ResolveFlags::CACHED;
        let opened = self.open(path);
        self.resolve = BENEATH;
        match opened {
            Err(error) if NOT_SAID.contains(&error.raw_os_error()) => None,
            opened => Some(opened),
        }
    }
    // ANCHOR_END: open-at-once

    /// Closes what was kept for long enough. An idle server calls it at
    /// [`Files::expires_at`].
    pub fn expire(&self, now: Instant) {
        self.cache().expire(now);
    }

    /// When there will be something to close.
    pub fn expires_at(&self) -> Option<Instant> {
        self.cache().expires_at()
    }

    /// Closes what was kept for long enough, each file in its time, until it is `over`. For a
    /// thread that does nothing else. Where there is no file, it waits for the first.
    // ANCHOR: keep-expiring
    pub fn keep_expiring(&self, over: &AtomicBool) {
        let mut cache = self.cache();
        self.kept.is_watched.store(true, Ordering::Relaxed);
        while !over.load(Ordering::Relaxed) {
            let now = Instant::now();
            cache.expire(now);
            cache = match cache.expires_at() {
                None => {
                    self.kept.changed.wait(cache).unwrap_or_else(PoisonError::into_inner)
                }
                Some(due) => {
                    let waited = self.kept.changed.wait_timeout(cache, due - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Sets `over`, and wakes whoever [`Files::keep_expiring`].
    pub fn expire_no_more(&self, over: &AtomicBool) {
        // Under the lock: not between its look at `over` and its wait.
        let _cache = self.cache();
        over.store(true, Ordering::Relaxed);
        self.kept.changed.notify_all();
    }
    // ANCHOR_END: keep-expiring

    /// Closes what is only kept for later.
    pub fn release(&self) {
        self.cache().clear();
    }

    // ANCHOR: locked
    /// The cache, for a moment in which nobody else has it: long enough to look something up,
    /// and never for as long as open(2) takes.
    fn cache(&self) -> MutexGuard<'_, FileCache<File>> {
        self.kept.cache.lock().unwrap_or_else(|poisoned| {
            // A thread has panicked in here, and left it as it was at that moment. It is a
            // cache: an empty one is right, too.
            self.kept.cache.clear_poison();
            let mut cache = poisoned.into_inner();
            cache.clear();
            cache
        })
    }
    // ANCHOR_END: locked

    /// Without a descriptor for it, those go that are only kept for later.
    fn open_or_make_room(&self, path: &str) -> io::Result<OwnedFd> {
        let short = [Errno::MFILE, Errno::NFILE].map(|error| Some(error.raw_os_error()));
        match self.open_beneath(path) {
            Err(error) if short.contains(&error.raw_os_error()) => {
                self.release();
                self.open_beneath(path)
            }
            result => result,
        }
    }

    /// The kernel walks the path and refuses to leave the root, whatever `..` and symbolic
    /// links stand in it.
    // ANCHOR: beneath
    fn open_beneath(&self, path: &str) -> io::Result<OwnedFd> {
        let opened = if self.has_openat2 {
            let open = || openat2(&*self.root, path, FLAGS, Mode::empty(), self.resolve);
            // EAGAIN is an answer, then, and none that changes by asking again.
            if self.resolve.contains(ResolveFlags::CACHED) { open() } else { retry(open) }
        } else {
            self.open_step_by_step(path)
        };
        opened.map_err(|error| match error {
            // Out of the root, a loop of links, a socket: for the client they do not exist.
            Errno::XDEV | Errno::LOOP | Errno::NXIO | Errno::NODEV => {
                io::ErrorKind::NotFound.into()
            }
            other => other.into(),
        })
    }
    // ANCHOR_END: beneath

    /// Without openat2: name by name, and no symbolic link at all.
    fn open_step_by_step(&self, path: &str) -> Result<OwnedFd, Errno> {
        let (folders, name) = path
            .rsplit_once('/')
            .map_or((None, path), |(folders, name)| (Some(folders), name));
        let mut folder = self.root.try_clone().map_err(|_| Errno::MFILE)?;
        for step in folders.into_iter().flat_map(|folders| folders.split('/')) {
            let flags =
                OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            folder = openat(&folder, step, flags, Mode::empty())?;
        }
        openat(&folder, name, FLAGS | OFlags::NOFOLLOW, Mode::empty())
    }
}

/// openat2(2) answers EAGAIN when the path changed under it while `..` in a link was followed,
/// and leaves it to us to try again.
fn retry<T>(mut open: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    for _ in 0..8 {
        match open() {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    open()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn both_ways_of_opening_stay_below_the_root() {
        let folder =
            std::env::temp_dir().join(format!("who-waits-files-{}", std::process::id()));
        let root = folder.join("root");
        fs::create_dir_all(root.join("sub")).expect("a temporary folder");
        fs::write(folder.join("secret"), "x").expect("a file");
        fs::write(root.join("sub/page"), "x").expect("a file");
        symlink("../secret", root.join("out")).expect("a link");
        symlink("/etc", root.join("etc")).expect("a link");
        symlink("..", root.join("sub/up")).expect("a link");
        let mut files = Files::new(&root, false).expect("the root");
        for has_openat2 in [files.has_openat2, false] {
            files.has_openat2 = has_openat2;
            assert!(
                files.open("sub/page").is_ok_and(|(_, meta)| meta.kind == Kind::File),
                "openat2: {has_openat2}"
            );
            assert!(
                files.open("sub").is_ok_and(|(_, meta)| meta.kind == Kind::Folder),
                "openat2: {has_openat2}"
            );
            for path in [
                "out",
                "etc/passwd",
                "../secret",
                "sub/up/up/secret",
                "sub/../../secret",
                "/etc/passwd",
                "none",
            ] {
                let kind = files.open(path).map(|_| ()).map_err(|error| error.kind());
                // Where ".." is walked step by step the names decide, and RelPath has
                // refused such a path before.
                if has_openat2 || !path.contains("..") && !path.starts_with('/') {
                    assert!(kind.is_err(), "{path} was opened; openat2: {has_openat2}");
                }
            }
        }
        fs::remove_dir_all(&folder).expect("to clean up");
    }

    #[test]
    fn what_would_have_to_be_looked_up_is_not_opened_at_once() {
        let root =
            std::env::temp_dir().join(format!("who-waits-now-{}", std::process::id()));
        fs::create_dir_all(&root).expect("a temporary folder");
        fs::write(root.join("page"), "x").expect("a file");
        let mut files = Files::new(&root, false).expect("the root");
        // Nobody has asked for this name, so the kernel would have to look.
        assert!(files.open_at_once("none").is_none(), "it has no answer yet");
        assert!(files.open("none").is_err() && files.open("page").is_ok());
        // Before Linux 5.12 there is never an answer.
        if let Some(none) = files.open_at_once("none") {
            assert_eq!(none.map_err(|e| e.kind()).err(), Some(io::ErrorKind::NotFound));
            assert!(files.open_at_once("page").is_some_and(|page| page.is_ok()));
        }
        fs::remove_dir_all(&root).expect("to clean up");
    }

    #[test]
    fn a_panic_under_the_lock_empties_the_cache_for_all_clones_and_no_more() {
        let mut files =
            Files::new(Path::new(env!("CARGO_MANIFEST_DIR")), true).expect("it is there");
        files.open("Cargo.toml").expect("it is there");
        let clone = files.clone();
        let panicked = std::thread::spawn(move || {
            let _cache = clone.cache();
            panic!("on purpose");
        });
        assert!(panicked.join().is_err());
        assert_eq!(files.expires_at(), None, "what was kept is gone");
        files.open("Cargo.toml").expect("it is opened again");
        assert!(files.clone().expires_at().is_some(), "and kept again");
    }
}
