//! Where a client is, and what its names mean.

use std::fmt;

/// Longest path, in bytes: what Linux takes (PATH_MAX).
const LONGEST: usize = 4096;

/// A file or a folder as the client sees it: below the root, by names that are names.
///
/// `..` is resolved here, by cutting the last name off, and ends at the root. What is left has
/// no `.`, no `..` and no empty name in it. Symbolic links are the kernel's to judge, when the
/// path is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place(String);

impl Place {
    /// The root.
    pub fn root() -> Self {
        Self::default()
    }

    /// What `name` means to a client who is here. None for what no client may name: a file
    /// whose name begins with a dot, a path that is too long, a NUL.
    // ANCHOR: join
    pub fn join(&self, name: &str) -> Option<Self> {
        let mut names: Vec<&str> = match name.starts_with('/') {
            true => Vec::new(),
            false => self.0.split('/').filter(|name| !name.is_empty()).collect(),
        };
        for name in name.split('/') {
            match name {
                "" | "." => {}
                ".." => drop(names.pop()),
                _ if name.starts_with('.') || name.contains('\0') => return None,
                _ => names.push(name),
            }
        }
        let path = names.join("/");
        (path.len() < LONGEST).then_some(Self(path))
    }
    // ANCHOR_END: join

    /// For the kernel: relative to the root, `.` for the root itself.
    pub fn as_path(&self) -> &str {
        if self.0.is_empty() { "." } else { &self.0 }
    }

    /// The last name; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or("")
    }

    /// Whether this is something in that folder, at any depth.
    pub fn is_below(&self, folder: &Self) -> bool {
        match self.0.strip_prefix(&folder.0) {
            Some(rest) => folder.0.is_empty() && !rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

/// As in a reply: from `/` on.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(here: &str, name: &str) -> Option<String> {
        let here = Place::root().join(here).expect("a place");
        here.join(name).map(|place| place.to_string())
    }

    #[test]
    fn names_are_resolved_and_end_at_the_root() {
        for (here, name, there) in [
            ("/", "a", "/a"),
            ("/a/b", "c", "/a/b/c"),
            ("/a/b", "..", "/a"),
            ("/a/b", "/c", "/c"),
            ("/a", "../../../etc/passwd", "/etc/passwd"),
            ("/a", "./b//c/.", "/a/b/c"),
            ("/", "", "/"),
            ("/a", "b/../..", "/"),
            ("/", "a b", "/a b"),
            ("/", "\u{e4}", "/\u{e4}"),
        ] {
            assert_eq!(from(here, name).as_deref(), Some(there), "{name} in {here}");
        }
        for name in [".git", "a/.ssh/id", "...", "a\0b", &"x/".repeat(3000)] {
            assert_eq!(from("/a", name), None, "{name}");
        }
    }

    #[test]
    fn what_counts_is_how_long_the_place_is() {
        let (long, longer) = ("x".repeat(LONGEST - 1), "x".repeat(LONGEST));
        assert!(from("/", &long).is_some() && from("/", &longer).is_none());
        assert!(from("/", &"a/../".repeat(1000)).is_some(), "it leads nowhere far");
        assert!(
            from(&"x/".repeat(2000), &"y".repeat(100)).is_none(),
            "a short name, far below"
        );
    }

    #[test]
    fn a_folder_does_not_hold_itself_nor_its_neighbours() {
        let place = |name| Place::root().join(name).expect("a place");
        let inbox = place("in");
        assert!(place("in/a").is_below(&inbox) && place("in/a/b").is_below(&inbox));
        assert!(!inbox.is_below(&inbox) && !place("inner").is_below(&inbox));
        assert!(!place("a/in/b").is_below(&inbox));
        assert!(place("a").is_below(&Place::root()));
        assert!(!Place::root().is_below(&Place::root()));
    }

    #[test]
    fn the_kernel_gets_a_relative_path() {
        assert_eq!(Place::root().as_path(), ".");
        let place = Place::root().join("/a/b").expect("a place");
        assert_eq!((place.as_path(), place.name()), ("a/b", "b"));
    }
}
