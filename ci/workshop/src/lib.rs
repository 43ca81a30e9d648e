//! The workshop: steps through the book by exercises that are checked.
//!
//! An exercise is a listing with a hole in it. A check runs what a learner has put there, and
//! looks not only at what it prints but at how: which call waits, on which line, how often.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `exercises/` | the exercises, one file to each ([`runs::exercises`] reads them) |
//! | `desk.rs` | [`Desk`]: the folder in which they are worked on |
//! | `bench.rs` | [`Bench`]: builds an answer, runs it, asks it |
//! | `ran.rs` | [`Ran`]: what it did, and the rules for that |
//! | `clients.rs` | clients for servers |
//! | `checks.rs`, `checks/` | what is asked of each exercise |
//! | `progress.rs` | [`Progress`]: what is passed, in one plain file |
//! | `room.rs` | the preflight for a room |
//! | `watch.rs` | checks whenever the file is saved |
//! | `prove.rs` | that each starter fails, each answer passes, and no wrong one does |
#![cfg(target_os = "linux")]

pub mod bench;
pub mod checks;
mod clients;
pub mod desk;
pub mod progress;
pub mod prove;
pub mod ran;
pub mod room;
pub mod watch;

pub use bench::{Bench, Checked, Fault};
pub use desk::Desk;

pub use ran::Ran;
