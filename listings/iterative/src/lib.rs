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
//! | `signals.rs` | SIGTERM and SIGINT: stop accepting, finish what was begun |
//! | `start.rs` | what every blocking server does before its first accept |
#![cfg(target_os = "linux")]

mod connection;
mod files;
mod four_clients;
pub mod signals;
pub mod start;
mod store_client;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

pub use connection::Worker;
pub use files::{File, Files};
pub use four_clients::four_clients;
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
    backlog: i32,
    worker: &mut Worker,
) -> io::Result<()> {
    let mut left_to_serve = i64::from(backlog) + 1;
    let mut last_complaint = None;
    while left_to_serve > 0 {
        let stopping = signals::stopped_at().is_some();
        if stopping && !somebody_waits(&listener) {
            break;
        }
        match net::accept_with(&listener, SocketFlags::CLOEXEC) {
            Ok(client) => {
                left_to_serve -= i64::from(stopping);
                worker.serve(&client, &|| somebody_waits(&listener));
            }
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => {}
            Err(error) if is_our_mistake(error) => return Err(error.into()),
            Err(error) => {
                complain(&mut last_complaint, "accept", error);
                worker.release_files();
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
    Ok(())
}
// ANCHOR_END: accept

/// Whether a connection is in the accept queue.
// ANCHOR: somebody-waits
pub fn somebody_waits(listener: impl AsFd) -> bool {
    let mut listener = [PollFd::new(&listener, PollFlags::IN)];
    poll(&mut listener, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}
// ANCHOR_END: somebody-waits

/// Whether accept can never succeed on this descriptor. Everything else may pass: a shortage
/// (EMFILE, ENFILE, ENOBUFS, ENOMEM), a firewall's EPERM, the network errors that accept(2)
/// asks to be treated like EAGAIN.
pub fn is_our_mistake(error: Errno) -> bool {
    matches!(
        error,
        Errno::BADF | Errno::NOTSOCK | Errno::INVAL | Errno::FAULT | Errno::OPNOTSUPP
    )
}

/// Says that a call fails, at most once a second.
pub fn complain(last: &mut Option<Instant>, call: &str, error: impl Into<io::Error>) {
    if last.is_none_or(|last| last.elapsed() >= Duration::from_secs(1)) {
        *last = Some(Instant::now());
        let error = error.into();
        let so_what = match call {
            "accept" => {
                "clients wait in the queue meanwhile; ulimit -n raises a limit on files"
            }
            _ => "that client is dropped; ulimit -u raises a limit on processes",
        };
        eprintln!("cannot {call}: {error}; {so_what}");
    }
}
