//! An FTP server in one thread.
//!
//! FTP gives a client two connections: one for commands, and one for each file that is moved.
//! So one client alone asks a server to wait for four things: a command, a data connection to
//! come in, room in it or bytes from it, and a disk. One thread does all that for everybody.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `session.rs` | [`Session`]: what a client is answered; no sockets, no files, no clock |
//! | `transfer.rs` | what is moved over a data connection, step by step |
//! | `command.rs`, `path.rs`, `listing.rs` | what a client says, what its names mean, what a folder looks like |
//! | `root.rs` | [`Root`]: opening below the root, for whoever may wait |
//! | `epoll.rs` | the first driver: epoll, and a pool of threads for files |
//! | `ring.rs` | the second: io_uring, and a thread for the one thing it cannot do |
//! | `start.rs` | what both do before they wait |
//!
//! Slots, deadlines, signals and the door are those of `select-loop` and `uring-loop`.
#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod client;
mod command;
#[cfg(target_os = "linux")]
mod epoll;
mod listing;
mod path;
#[cfg(target_os = "linux")]
mod pool;
#[cfg(target_os = "linux")]
mod ring;
#[cfg(target_os = "linux")]
mod ring_client;
#[cfg(target_os = "linux")]
mod root;
mod session;
#[cfg(target_os = "linux")]
pub mod start;
mod transfer;

pub use command::{Command, Fact, Move};
#[cfg(target_os = "linux")]
pub use epoll::EpollFtp;
pub use listing::Entry;
pub use path::Place;
#[cfg(target_os = "linux")]
pub use ring::RingFtp;
#[cfg(target_os = "linux")]
pub use root::Root;
pub use session::{Done, Job, Piece, Session, Settings, Writers};
