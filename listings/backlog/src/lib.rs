//! The queue in front of `accept`: how long it is, and what happens to a client for whom
//! there is no room.
//!
//! | module | the experiment |
//! | --- | --- |
//! | [`admits`] | how many clients `listen(fd, n)` lets connect while nobody accepts |
//! | [`cap`] | what `net.core.somaxconn` makes of a large `n` |
//! | [`beyond`] | a client that finds the queue full, from its first SYN to its connection |
//! | [`overtaken`] | the same client, and one that comes later and is served first |
//! | [`client`] | connections that are started without waiting for them |
//! | [`kernel`] | what `/proc` says about queues, limits and counters |
//!
//! One thread plays all the parts. The clients do not block in connect(2) but start it and
//! ask later, so that the thread is free to be the server meanwhile. Everything stays on
//! the loopback interface.

#[cfg(target_os = "linux")]
pub mod admits;
#[cfg(target_os = "linux")]
pub mod beyond;
#[cfg(target_os = "linux")]
pub mod cap;
#[cfg(target_os = "linux")]
pub mod client;
#[cfg(target_os = "linux")]
pub mod kernel;
#[cfg(target_os = "linux")]
pub mod overtaken;

#[cfg(target_os = "linux")]
pub use listener::listener;

#[cfg(target_os = "linux")]
mod listener {
    use std::io;
    use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};

    use rustix::net::{
        AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with,
    };

    // ANCHOR: listener
    /// A listener on a loopback port that the kernel chooses, with a backlog of `n`.
    ///
    /// The standard library's `TcpListener::bind` would do, but for the last call: it
    /// always asks for 128.
    pub fn listener(n: i32) -> io::Result<TcpListener> {
        let socket = socket_with(
            AddressFamily::INET,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            Some(ipproto::TCP),
        )?;
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        listen(&socket, n)?;
        Ok(socket.into())
    }
    // ANCHOR_END: listener
}
