//! The store: a small server that speaks the Redis protocol, with a delay and an
//! append-only file.
//!
//! It keeps the guestbook's count and remarks for every server of the book, so that one
//! request has something to wait for. It knows the commands that the guestbook needs and
//! answers them with the bytes that Redis answers, so that the same client works against
//! both.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`requests`] | bytes become requests, within limits |
//! | [`command`] | a request becomes one of the commands, or an error |
//! | [`data`] | the keys and their values, in memory |
//! | [`log`] | the append-only file |
//! | [`ledger`] | data and log together: either both change or neither does |
//! | [`client`] | one connection: read, execute, reply |
//! | [`outbox`] | replies that wait until they are due |
//! | [`serve`] | the listening socket, and starting and stopping it all |
//! | [`embedded`] | the store as a process of a server's own |
//!
//! What a client can make the store hold is bounded: a request, the replies in flight, the
//! number of connections. What it stores is not, as in a Redis without `maxmemory`; the
//! guestbook trims its list.
#![cfg(target_os = "linux")]

pub mod client;
pub mod command;
pub mod data;
pub mod embedded;
pub mod ledger;
pub mod log;
pub mod outbox;
pub mod requests;
pub mod serve;

pub use serve::{Options, Store};
