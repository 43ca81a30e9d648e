//! What the workers accept from: one listener for all of them, or one for each.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::net::{
    self, AddressFamily, Shutdown, SocketFlags, SocketType, getsockname, sockopt,
};

/// The listeners of a pool. The parent opens them and keeps them open: what waits in a queue
/// outlives the worker that was to accept it.
#[derive(Debug)]
pub struct Listeners(Vec<OwnedFd>);

impl Listeners {
    /// One queue for all workers.
    pub fn shared(listener: OwnedFd) -> Self {
        Self(vec![listener])
    }

    /// A queue for each of `size` workers, on the same address.
    ///
    /// # Errors
    /// What socket(2), bind(2) and listen(2) answer.
    // ANCHOR: one-each
    pub fn one_each(
        size: usize,
        mut address: SocketAddr,
        backlog: i32,
    ) -> io::Result<Self> {
        let mut listeners = Vec::new();
        for _ in 0..size {
            let listener = listen_beside_others(address, backlog)?;
            sockopt::set_tcp_nodelay(&listener, true)?;
            // With port 0 the first one gets a port, which is then everybody's.
            address = SocketAddr::try_from(getsockname(&listener)?)?;
            listeners.push(listener);
        }
        Ok(Self(listeners))
    }
    // ANCHOR_END: one-each

    /// The listener of the worker in this place.
    pub fn of(&self, place: usize) -> &OwnedFd {
        &self.0[place % self.0.len()]
    }

    /// The same for the worker itself, which closes all others.
    pub fn keep(&mut self, place: usize) -> OwnedFd {
        let mine = self.0.swap_remove(place % self.0.len());
        self.0.clear();
        mine
    }

    /// Refuses whoever comes to this worker's listener from now on, although others have it
    /// open, too; they get EINVAL from accept(2).
    pub fn shut_down(&self, place: usize) {
        // It fails when somebody has done it before.
        let _ = net::shutdown(self.of(place), Shutdown::Both);
    }

    /// All of them.
    pub fn all(&self) -> &[OwnedFd] {
        &self.0
    }

    /// From now on accept(2) on an empty queue answers EAGAIN. O_NONBLOCK belongs to the open
    /// file description, which the workers share (fcntl(2)); connections that are accepted do
    /// not inherit it (accept(2)).
    pub fn no_longer_block(&self) {
        for listener in &self.0 {
            // It cannot fail on a descriptor that we have open. If it did, the alarm would
            // still end each wait.
            let _ = fcntl_getfl(listener)
                .and_then(|flags| fcntl_setfl(listener, flags | OFlags::NONBLOCK));
        }
    }
}

/// Like [`iterative::listen`], on an address at which others of this user listen, too.
// ANCHOR: beside-others
fn listen_beside_others(address: SocketAddr, backlog: i32) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let listener =
        net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    sockopt::set_socket_reuseport(&listener, true)?;
    net::bind(&listener, &address)?;
    net::listen(&listener, backlog)?;
    Ok(listener)
}
// ANCHOR_END: beside-others
