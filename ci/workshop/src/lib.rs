//! The workshop: steps through the book by exercises that are checked.
//!
//! An exercise is a listing with a hole in it. A check runs what a learner has put there, and
//! looks not only at what it prints but at how: which call waits, on which line, how often.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `exercises/` | the exercises, one file to each ([`runs::exercises`] reads them) |
//! | `session.rs` | [`Session`](session::Session): a learner's way through them, verb by verb |
//! | `desk.rs` | [`Desk`]: the folder in which they are worked on |
//! | `bench.rs` | [`Bench`]: builds an answer, runs it, asks it |
//! | `ran.rs` | [`Ran`]: what it did, and the rules for that |
//! | `clients.rs` | clients for servers |
//! | `checks.rs`, `checks/` | what is asked of each exercise |
//! | `watch.rs` | checks whenever the file is saved |
//! | `room.rs` | the preflight for a room |
//! | `words.rs` | Markdown for a terminal |
//! | `prove.rs` | that each starter fails, each answer passes, and no wrong one does |
//!
//! What is done stands in one plain file ([`runs::progress`]).
#![cfg(target_os = "linux")]

pub mod bench;
pub mod checks;
mod clients;
pub mod desk;
pub mod prove;
pub mod ran;
pub mod room;
pub mod session;
pub mod watch;
pub mod words;

pub use bench::{Bench, Checked, Fault};
pub use desk::Desk;
pub use ran::Ran;
