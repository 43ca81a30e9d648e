//! What the server needs of a reactor, whichever it is.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use guestbook::{Meta, RelPath};
use rustix::io::Errno;
use rustix::net::{self, RecvFlags};

use crate::{Reactor, Timers};

/// Waiting, in futures. Buffers move in and come back: a reactor may lend them to the kernel.
///
/// Where there is a `limit`, the wait ends with it, with `EAGAIN`. What had come by then is
/// given all the same.
// ANCHOR: net
#[expect(async_fn_in_trait, reason = "tasks stay in the thread that polls them")]
pub trait Net: Reactor + Clone + 'static {
    /// A descriptor for which this reactor can wait.
    type Socket: AsFd + 'static;
    /// An open file, which several clients may be sending.
    type File: Clone + 'static;

    /// A client; `EAGAIN` when the limit is over.
    async fn accept(
        &self,
        listener: &Self::Socket,
        limit: impl Future<Output = ()>,
    ) -> Result<Self::Socket, Errno>;
    /// A connection.
    async fn connect(&self, address: SocketAddr) -> Result<Self::Socket, Errno>;
    /// Bytes, and how many of the buffer they are; 0: there will be no more.
    async fn recv(
        &self,
        socket: &Self::Socket,
        room: usize,
        limit: impl Future<Output = ()>,
    ) -> Result<(Vec<u8>, usize), Errno>;
    /// Sends what there is room for, and gives the bytes back.
    async fn send(
        &self,
        socket: &Self::Socket,
        bytes: Vec<u8>,
        more: bool,
        limit: impl Future<Output = ()>,
    ) -> (Result<usize, Errno>, Vec<u8>);
    /// A file below the root, and what it is.
    async fn open(&self, path: &RelPath) -> io::Result<(Self::File, Meta)>;
    /// Reads a part of a file behind the bytes that are there; 0: it has become shorter.
    async fn read(
        &self,
        file: &Self::File,
        at: u64,
        len: usize,
        bytes: &mut Vec<u8>,
    ) -> io::Result<usize>;
    // ANCHOR_END: net

    /// Has this descriptor waited for.
    fn hold(&self, descriptor: OwnedFd) -> Self::Socket;
    /// Is over when this can be read.
    async fn readable(&self, socket: &Self::Socket) -> Result<(), Errno>;
    /// Takes back the buffer of [`Net::recv`].
    fn give_back(&self, buffer: Vec<u8>);
    /// Deadlines.
    fn timers(&self) -> &Timers;
    /// Closes files that were kept for long enough, and says when there will be others.
    fn expire_files(&self, now: Instant) -> Option<Instant>;
    /// Closes files that are only kept for later.
    fn release_files(&self);
}

/// What is there, without waiting: a limit has won, and may have been faster than the news.
pub(super) fn look_once(
    socket: impl AsFd,
    buffer: &mut Vec<u8>,
    room: usize,
) -> Result<usize, Errno> {
    buffer.resize(room.max(buffer.len()), 0);
    net::recv(socket, &mut buffer[..room], RecvFlags::DONTWAIT).map(|(n, _)| n)
}

/// Whether bytes are there that nobody has read.
pub(super) fn is_readable(socket: impl AsFd) -> bool {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    net::recv(socket, &mut [0; 1], flags).is_ok_and(|(n, _)| n > 0)
}
