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

mod command;
mod listing;
mod path;

pub use command::{Command, Fact, Move};
pub use listing::Entry;
pub use path::Place;
