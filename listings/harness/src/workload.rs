//! What a server is asked for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of the file that the static workloads ask for.
pub const FILE: &str = "small.txt";
/// How long it is: a small page's head, less than one segment.
pub const LENGTH: usize = 612;

/// What clients ask for, and whether they keep their connections.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// A file of 612 bytes, over and over on the same connection
    StaticKeepAlive,
    /// The same file, on a new connection for each request
    StaticClose,
    /// The page with the remarks, for which the server asks its store and waits; the
    /// connection is kept
    GuestbookKeepAlive,
    /// The same page, on a new connection for each request, as in 2019
    GuestbookClose,
}

impl Workload {
    /// All of them, in the order in which they are measured.
    pub const ALL: [Self; 4] = [
        Self::StaticKeepAlive,
        Self::StaticClose,
        Self::GuestbookKeepAlive,
        Self::GuestbookClose,
    ];

    /// How it is called on the command line and in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StaticKeepAlive => "static-keep-alive",
            Self::StaticClose => "static-close",
            Self::GuestbookKeepAlive => "guestbook-keep-alive",
            Self::GuestbookClose => "guestbook-close",
        }
    }

    /// Whether clients keep their connections.
    #[must_use]
    pub fn keeps_alive(self) -> bool {
        matches!(self, Self::StaticKeepAlive | Self::GuestbookKeepAlive)
    }

    /// Whether a request waits for the store.
    #[must_use]
    pub fn waits(self) -> bool {
        matches!(self, Self::GuestbookKeepAlive | Self::GuestbookClose)
    }

    /// What is asked for.
    #[must_use]
    pub fn path(self) -> String {
        if self.waits() { "/guestbook".into() } else { format!("/{FILE}") }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The content of the file: text that no server could have made up.
#[must_use]
pub fn content() -> Vec<u8> {
    // A congruential generator's high bits, each as one of 64 characters.
    let mut state = 2019_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
            [(state >> 58) as usize]
    };
    (0..LENGTH).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn a_workload_has_the_same_name_everywhere() {
        for workload in Workload::ALL {
            let json = serde_json::to_string(&workload).unwrap();
            assert_eq!(json, format!("\"{workload}\""));
            let value = workload.to_possible_value().unwrap();
            assert_eq!(value.get_name(), workload.name());
        }
    }

    #[test]
    fn the_file_is_text_of_its_length_without_a_pattern() {
        let content = content();
        assert_eq!(content.len(), LENGTH);
        assert!(content.iter().all(u8::is_ascii_graphic));
        assert_ne!(content[..306], content[306..]);
    }
}
