//! One request at a time: the iterative server.
//!
//! One process accepts a connection, serves it to its end, and accepts the next. Whenever
//! something is not there yet (a client, a byte of a request, a page of a file, a reply of
//! the store), the process waits in a system call, and everybody else waits in the listen
//! queue.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `bin/canned.rs` | the few lines that the chapter starts with |
//! | `lib.rs` | [`listen`] and [`accept_one_after_another`]: what makes this server iterative |
//! | `connection.rs` | [`Worker`]: one connection, blocking; the other blocking models share it |
//! | `files.rs` | [`Files`]: opening below the root, and the cache of what is open |
//! | `four_clients.rs` | [`four_clients`]: who has to wait when four come at once |
//! | `store_client.rs` | [`StoreClient`]: asking the store and waiting for it |
//! | `queue.rs` | [`somebody_waits`], [`how_many_wait`]: a look into the accept queue |
//! | `drain.rs` | [`Drain`]: who is still served after SIGTERM |
//! | `signals.rs` | SIGTERM and SIGINT: stop accepting, finish what was begun |
//! | `start.rs` | what every blocking server does before its first accept |
#![cfg(target_os = "linux")]

mod connection;
mod drain;
mod files;
mod four_clients;
mod queue;
pub mod signals;
pub mod start;
mod store_client;

use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

pub use connection::Worker;
pub use drain::Drain;
pub use files::{File, Files};
pub use four_clients::four_clients;
pub use queue::{how_many_wait, somebody_waits};
pub use store_client::StoreClient;

/// Opens a socket that listens on `address`. The kernel keeps up to `backlog` + 1
/// connections for us that nobody has accepted yet, but no more than `net.core.somaxconn` +
/// 1 (listen(2)).
// ANCHOR: listen
pub fn listen(address: SocketAddr, backlog: i32) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let listener =
        net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    net::bind(&listener, &address)?;
    net::listen(&listener, backlog)?;
    Ok(listener)
}
// ANCHOR_END: listen

/// Serves connections one after another. After SIGTERM or SIGINT it serves those that were
/// already waiting, and returns.
// ANCHOR: accept
pub fn accept_one_after_another(
    listener: impl AsFd,
    worker: &mut Worker,
) -> io::Result<()> {
    let mut complaints = Complaints::default();
    let mut drain = Drain::default();
    while drain.may_go_on(&listener, worker.grace()) {
        match net::accept_with(&listener, SocketFlags::CLOEXEC) {
            Ok(client) => {
                drain.accepted();
                worker.serve(&client, &|| somebody_waits(&listener));
            }
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => {}
            Err(Errno::INVAL) if signals::stopped_at().is_some() => break, // shut down
            Err(error) if is_our_mistake(error) => return Err(error.into()),
            Err(error) => {
                complaints.say(no_accept(error));
                worker.release_files();
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
    Ok(())
}
// ANCHOR_END: accept

/// Whether accept can never succeed on this descriptor. Everything else may pass: a shortage
/// (EMFILE, ENFILE, ENOBUFS, ENOMEM), a firewall's EPERM, the network errors that accept(2)
/// asks to be treated like EAGAIN.
pub fn is_our_mistake(error: Errno) -> bool {
    matches!(
        error,
        Errno::BADF | Errno::NOTSOCK | Errno::INVAL | Errno::FAULT | Errno::OPNOTSUPP
    )
}

/// The line about an accept that fails for want of something.
pub fn no_accept(error: Errno) -> String {
    format!(
        "cannot accept: {}; clients wait in the queue meanwhile (if files are too many, \
         ulimit -n raises the limit)",
        io::Error::from(error)
    )
}

/// What a server says on standard error while it runs: one line a second at most, since what
/// goes wrong a thousand times a second is said well enough once.
#[derive(Debug, Default)]
pub struct Complaints(Option<Instant>);

impl Complaints {
    /// Says it, unless something was said within the last second.
    pub fn say(&mut self, line: impl Display) {
        if self.0.is_none_or(|last| last.elapsed() >= Duration::from_secs(1)) {
            self.0 = Some(Instant::now());
            // A server goes on when nobody reads what it says. eprintln would end it.
            let _ = writeln!(io::stderr(), "{line}");
        }
    }
}
