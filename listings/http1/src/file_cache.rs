//! Open files, kept for a second.
//!
//! Opening a small file, asking for its length and closing it costs more than sending it
//! does. So a server keeps the handle, together with what it learned when it opened it, and
//! believes both for a short while. The cache does no I/O: it maps a path to a handle and
//! an age, and the driver opens what is missing or too old.
//!
//! What this costs: for at most [`FileCache::fresh_for`] after a file was replaced, the old
//! content is served. A file that was *truncated* meanwhile ends early, and the connection
//! that promised more bytes ends with it.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::Meta;

/// A bounded map from path to open file. `F` is cheap to clone: a reference-counted
/// descriptor, a ring's slot.
// ANCHOR: cache
#[derive(Debug)]
pub struct FileCache<F> {
    entries: HashMap<String, Entry<F>>,
    /// Paths by the time they were opened, oldest first. A path that was opened again
    /// stands here twice.
    by_age: VecDeque<(Instant, String)>,
    capacity: usize,
    fresh_for: Duration,
}

#[derive(Debug)]
struct Entry<F> {
    file: F,
    meta: Meta,
    opened: Instant,
    /// Somebody was sent to open it again.
    is_renewed: bool,
}

impl<F: Clone> FileCache<F> {
    /// A cache of at most `capacity` files; 0 turns it off.
    pub fn new(capacity: usize, fresh_for: Duration) -> Self {
        Self { entries: HashMap::new(), by_age: VecDeque::new(), capacity, fresh_for }
    }

    /// The file at `path`, if it was opened less than [`FileCache::fresh_for`] ago. In the
    /// second half of that time one of those who ask gets none, and is to open it again: else
    /// all who ask in the moment when it is too old would, a thousand at once.
    pub fn get(&mut self, path: &str, now: Instant) -> Option<(F, Meta)> {
        self.expire(now);
        let entry = self.entries.get_mut(path)?;
        let is_old = now.saturating_duration_since(entry.opened) >= self.fresh_for / 2;
        if is_old && !std::mem::replace(&mut entry.is_renewed, true) {
            return None;
        }
        Some((entry.file.clone(), entry.meta))
    }
    // ANCHOR_END: cache

    /// Keeps a file that was opened just now. The oldest goes if there is no room.
    pub fn insert(&mut self, path: &str, file: F, meta: Meta, now: Instant) {
        if self.capacity == 0 {
            return;
        }
        while self.by_age.len() >= self.capacity {
            self.drop_oldest();
        }
        self.by_age.push_back((now, path.to_owned()));
        self.entries
            .insert(path.to_owned(), Entry { file, meta, opened: now, is_renewed: false });
    }

    /// Lets go of everything that is too old, so that an idle server does not hold deleted
    /// files open for long: call it now and then where [`FileCache::get`] is not called.
    pub fn expire(&mut self, now: Instant) {
        while self.by_age.front().is_some_and(|(opened, _)| {
            now.saturating_duration_since(*opened) >= self.fresh_for
        }) {
            self.drop_oldest();
        }
    }

    /// When the next file becomes too old.
    pub fn expires_at(&self) -> Option<Instant> {
        self.by_age.front().map(|(opened, _)| *opened + self.fresh_for)
    }

    /// Lets go of every file: there are no descriptors left, or the folder is another one.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.by_age.clear();
    }

    /// How long a file is believed to be what it was.
    pub fn fresh_for(&self) -> Duration {
        self.fresh_for
    }

    fn drop_oldest(&mut self) {
        if let Some((opened, path)) = self.by_age.pop_front()
            && self.entries.get(&path).is_some_and(|entry| entry.opened == opened)
        {
            self.entries.remove(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::SystemTime;

    use super::*;
    use crate::Kind;

    const META: Meta = Meta { kind: Kind::File, len: 1, modified: SystemTime::UNIX_EPOCH };
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn a_file_is_kept_while_it_is_fresh_and_there_is_room() {
        let start = Instant::now();
        let mut cache = FileCache::new(2, SECOND);
        let (a, b, c) = (Rc::new('a'), Rc::new('b'), Rc::new('c'));
        cache.insert("a", a.clone(), META, start);
        cache.insert("b", b.clone(), META, start + SECOND / 2);
        assert_eq!(cache.get("a", start + SECOND * 4 / 10), Some((a.clone(), META)));
        assert_eq!(
            cache.get("a", start + SECOND / 2),
            None,
            "somebody is to open it again"
        );
        for hundredth in [50, 51, 99] {
            let now = start + SECOND * hundredth / 100;
            assert_eq!(cache.get("a", now), Some((a.clone(), META)), "and one only");
        }
        assert_eq!(
            cache.get("a", start + SECOND),
            None,
            "a second later it is to be opened again"
        );
        assert_eq!(Rc::strong_count(&a), 1, "and it is closed");
        cache.insert("a", a.clone(), META, start + SECOND);
        cache.insert("c", c.clone(), META, start + SECOND);
        assert_eq!(cache.get("b", start + SECOND), None, "the oldest makes room");
        cache.clear();
        assert_eq!([&a, &b, &c].map(Rc::strong_count), [1, 1, 1]);
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn opening_again_makes_a_file_young_again() {
        let start = Instant::now();
        let mut cache = FileCache::new(4, SECOND);
        cache.insert("a", 1, META, start);
        cache.insert("a", 2, META, start + SECOND * 3 / 4);
        assert_eq!(cache.get("a", start + SECOND), Some((2, META)));
        let mut off = FileCache::new(0, SECOND);
        off.insert("a", 1, META, start);
        assert_eq!(off.get("a", start), None);
    }
}
