//! A client's socket.

use std::io;
use std::os::fd::OwnedFd;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::IpBindAddressNoPort;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

use crate::target::Target;

/// A socket that does not block, from the source address of this client.
///
/// # Errors
/// What socket(2), setsockopt(2) or bind(2) answers; `EMFILE` when the limit of descriptors is
/// reached.
pub fn new(target: &Target, client: usize) -> io::Result<OwnedFd> {
    let family = match target.address(client).is_ipv4() {
        true => AddressFamily::INET,
        false => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    if let Some(source) = target.source(client) {
        // The port is chosen by connect(2), which knows the other end: a port that is taken
        // for one address is free for another (IP_BIND_ADDRESS_NO_PORT in ip(7)).
        setsockopt(&socket, IpBindAddressNoPort, &true)?;
        bind(&socket, &source)?;
    }
    Ok(socket)
}
