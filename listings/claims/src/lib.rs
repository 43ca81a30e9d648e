//! The ledger: every sentence of the book about the kernel that can be false, each with a
//! test that makes the system calls itself.
//!
//! A claim's check is run twice, each time in a process of its own. In the situation that
//! the sentence speaks of it must hold. In a *counter-situation*, which differs in the one
//! thing that matters (a pipe in place of the regular file), the sentence is false, and the
//! same assertion must say so: a check that cannot fail is found out.
//!
//! `cargo test -p claims` runs both and prints a line for each claim; `cargo run -p claims`
//! says what holds on this kernel.

#[cfg(target_os = "linux")]
mod kit;
#[cfg(target_os = "linux")]
mod raw;
#[cfg(target_os = "linux")]
mod raw_aio;
#[cfg(target_os = "linux")]
mod raw_costs;
#[cfg(target_os = "linux")]
mod raw_ring;
#[cfg(target_os = "linux")]
mod raw_uring;

mod judge;

pub use judge::{
    Says, Verdict, complaint, judge, judge_all, line, recorded, release, stale,
    told_to_check,
};

/// A check, where there is a Linux to ask. Elsewhere the ledger can be read, and no more.
#[cfg(target_os = "linux")]
macro_rules! linux {
    ($check:expr) => {
        $check
    };
}
#[cfg(not(target_os = "linux"))]
macro_rules! linux {
    ($($check:tt)*) => {
        |_| Err($crate::Cannot("this is not Linux".to_owned()))
    };
}

mod aio;
mod descriptors;
mod epoll;
mod files;
mod ftp;
mod listeners;
mod memory;
mod poll;
mod processes;
mod regular_files;
mod ring_costs;
mod rings;
mod select;
mod sockets;
mod tasks;
mod threads;
mod tracing;
mod uring;
mod waiting;

/// A sentence about the kernel, and how to find out whether it is true.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Its name, by which chapters link to it: `claims.md#id`.
    pub id: &'static str,
    /// The sentence.
    pub sentence: &'static str,
    /// The file in `src/` of the chapter that states it; others may mention it.
    pub chapter: &'static str,
    /// Where it holds.
    pub kernels: Kernels,
    /// Where it is written: a page of the manual, an RFC, or the kernel's source.
    pub source: &'static str,
    /// What is different in the counter-situation.
    pub counter: &'static str,
    /// Sets up the situation, makes the calls, and says what was seen.
    pub check: fn(Case) -> Outcome,
}

/// The kernels that a sentence is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// All that the book was tried on, from 5.10.
    All,
    /// This version and later ones.
    Since {
        /// Version and patch level, as in `uname -r`.
        version: (u32, u32),
        /// What is so before.
        before: &'static str,
    },
    /// This version and later ones, up to another.
    Between {
        /// The first.
        version: (u32, u32),
        /// The first on which it is not so any more.
        until: (u32, u32),
        /// What is so before and after.
        otherwise: &'static str,
    },
}

impl Kernels {
    /// Whether the sentence is to hold on this version.
    pub fn include(self, running: (u32, u32)) -> bool {
        match self {
            Self::All => true,
            Self::Since { version, .. } => version <= running,
            Self::Between { version, until, .. } => version <= running && running < until,
        }
    }
}

/// Which situation a check is to set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// The one that the sentence speaks of.
    Claimed,
    /// One in which it is false.
    Counter,
}

impl Case {
    /// One thing for the sentence's situation, another for the counter-situation.
    pub fn pick<T>(self, claimed: T, counter: T) -> T {
        match self {
            Self::Claimed => claimed,
            Self::Counter => counter,
        }
    }

    /// Whether this is the counter-situation.
    pub fn is_counter(self) -> bool {
        self == Self::Counter
    }
}

/// What came of a check.
pub type Outcome = Result<Seen, Cannot>;

/// What a check saw.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Whether it is what the sentence says.
    pub holds: bool,
    /// In words.
    pub what: String,
}

/// Why this machine cannot tell.
#[derive(Clone, Debug)]
pub struct Cannot(pub String);

impl<E: std::error::Error> From<E> for Cannot {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// The claims, by the file of `src/` that they stand in.
pub const TOPICS: &[(&str, &[Claim])] = &[
    ("waiting.rs", waiting::CLAIMS),
    ("files.rs", files::CLAIMS),
    ("processes.rs", processes::CLAIMS),
    ("listeners.rs", listeners::CLAIMS),
    ("sockets.rs", sockets::CLAIMS),
    ("memory.rs", memory::CLAIMS),
    ("threads.rs", threads::CLAIMS),
    ("tracing.rs", tracing::CLAIMS),
    ("select.rs", select::CLAIMS),
    ("descriptors.rs", descriptors::CLAIMS),
    ("poll.rs", poll::CLAIMS),
    ("epoll.rs", epoll::CLAIMS),
    ("rings.rs", rings::CLAIMS),
    ("uring.rs", uring::CLAIMS),
    ("ring_costs.rs", ring_costs::CLAIMS),
    ("tasks.rs", tasks::CLAIMS),
    ("regular_files.rs", regular_files::CLAIMS),
    ("ftp.rs", ftp::CLAIMS),
    ("aio.rs", aio::CLAIMS),
];

/// All claims.
pub fn all() -> impl Iterator<Item = &'static Claim> {
    TOPICS.iter().flat_map(|(_, claims)| *claims)
}

/// The claim of this name.
pub fn find(id: &str) -> Option<&'static Claim> {
    all().find(|claim| claim.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn a_range_ends_before_the_version_that_ends_it() {
        let range =
            super::Kernels::Between { version: (6, 14), until: (7, 3), otherwise: "no" };
        let so = |version| range.include(version);
        assert!(so((6, 14)) && so((6, 18)) && so((7, 2)));
        assert!(!so((5, 10)) && !so((6, 13)) && !so((7, 3)) && !so((7, 10)));
    }

    #[test]
    fn an_id_names_one_claim_and_can_stand_in_a_link() {
        let mut ids = BTreeSet::new();
        for claim in super::all() {
            let id = claim.id;
            assert!(ids.insert(id), "{id} twice");
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(id.chars().all(fits), "{id} has something else than a-z, 0-9 and -");
            assert!(claim.sentence.ends_with('.'), "{id}: no sentence: {}", claim.sentence);
            assert!(claim.chapter.ends_with(".md"), "{id}: no chapter: {}", claim.chapter);
        }
        assert!(!ids.is_empty());
    }
}
