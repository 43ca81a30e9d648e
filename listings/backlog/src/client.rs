//! Clients that do not wait for their connections.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with, sockopt,
};

/// For how long a client is given to connect where there is room for it. On loopback it
/// takes microseconds; this is far below the second after which the kernel sends a SYN
/// again.
pub const SOON: Duration = Duration::from_millis(200);

/// A connection that was asked for and may not be there yet.
#[derive(Debug)]
pub struct Client {
    socket: OwnedFd,
    /// When connect(2) was called.
    pub since: Instant,
}

impl Client {
    // ANCHOR: start
    /// Sends the SYN and does not wait for the answer.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(
            AddressFamily::INET,
            SocketType::STREAM,
            flags,
            Some(ipproto::TCP),
        )?;
        let since = Instant::now();
        match connect(&socket, &server) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(Self { socket, since }),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until the connection is there, at most for `limit`, and says whether it is.
    pub fn connected_within(&self, limit: Duration) -> io::Result<bool> {
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        // A socket becomes writable when its connection is there, or has failed: the
        // socket's error tells which.
        if poll(&mut [PollFd::new(&self.socket, PollFlags::OUT)], Some(&limit))? == 0 {
            return Ok(false);
        }
        sockopt::socket_error(&self.socket)??;
        Ok(true)
    }
    // ANCHOR_END: start

    /// The connection, as an ordinary one whose calls block. Only for a client that is
    /// connected.
    pub fn into_stream(self) -> io::Result<TcpStream> {
        let stream = TcpStream::from(self.socket);
        stream.set_nonblocking(false)?;
        Ok(stream)
    }
}
