//! The server's waits as operations: each is handed to the kernel, and its completion is the
//! answer.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Instant;

use guestbook::{Meta, RelPath};
use nix::sys::socket::SockaddrStorage;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use uring_loop::{Fd, Files, Op, SendFlags, meta};

use super::net::{Net, look_once};
use crate::ring_reactor::{received, sent};
use crate::{Completions, Reactor, Timers};

/// Most that is received at once, in bytes.
const ROOM: usize = 4096;

/// A ring, and files.
#[derive(Clone)]
pub struct OverRing {
    ring: Completions,
    files: Rc<RefCell<Files>>,
}

impl OverRing {
    /// Serves these files.
    pub fn new(ring: Completions, files: Files) -> Self {
        Self { ring, files: Rc::new(RefCell::new(files)) }
    }

    /// Has a file opened; again without those that are only kept, if descriptors are short.
    async fn open_file(&self, path: &RelPath) -> io::Result<Fd> {
        let mut again = false;
        loop {
            let op = self.files.borrow().open(path.as_str())?;
            match self.ring.opened(self.ring.begin(op).await) {
                Err(Errno::MFILE | Errno::NFILE) if !again => {
                    again = true;
                    self.release_files();
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                // Out of the root, a loop of links, a socket: for the client they do not exist.
                Err(Errno::XDEV | Errno::LOOP | Errno::NXIO | Errno::NODEV) => {
                    return Err(io::ErrorKind::NotFound.into());
                }
                result => return Ok(result?),
            }
        }
    }
}

impl Reactor for OverRing {
    fn watch(&self, told: BorrowedFd<'_>) -> io::Result<()> {
        self.ring.watch(told)
    }

    fn wait(&self, sleep: bool) -> io::Result<bool> {
        self.ring.wait(sleep)
    }
}

impl Net for OverRing {
    type Socket = Fd;
    type File = Fd;

    async fn accept(
        &self,
        listener: &Fd,
        limit: impl Future<Output = ()>,
    ) -> Result<Fd, Errno> {
        let op = Op::Accept { listener: listener.clone(), many: false };
        match self.ring.opened(self.ring.begin(op).within(limit).await) {
            Err(Errno::CANCELED) => Err(Errno::AGAIN),
            result => result,
        }
    }

    async fn connect(&self, address: SocketAddr) -> Result<Fd, Errno> {
        let family =
            if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        // One that blocks: io_uring waits for it all the same.
        let socket =
            net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        let socket = self.ring.hold(socket);
        let address = Box::new(SockaddrStorage::from(address));
        let op = Op::Connect { socket: socket.clone(), address };
        self.ring.begin(op).await.result.map(|_| socket)
    }

    // ANCHOR: recv
    async fn recv(
        &self,
        socket: &Fd,
        room: usize,
        limit: impl Future<Output = ()>,
    ) -> Result<(Vec<u8>, usize), Errno> {
        let into = self.ring.room(room.min(ROOM));
        let op = Op::Receive { socket: socket.clone(), into };
        match received(self.ring.begin(op).within(limit).await) {
            (Ok(n), bytes) => Ok((bytes, n)),
            // All buffers were full at that moment. They go back when they have been looked at.
            (Err(Errno::NOBUFS), _) => Err(Errno::INTR),
            // Nothing is in flight any more, so a plain call tells the truth.
            (Err(Errno::CANCELED), mut bytes) => {
                look_once(socket, &mut bytes, room.min(ROOM)).map(|n| (bytes, n))
            }
            (Err(error), _) => Err(error),
        }
    }
    // ANCHOR_END: recv

    async fn send(
        &self,
        socket: &Fd,
        bytes: Vec<u8>,
        more: bool,
        limit: impl Future<Output = ()>,
    ) -> (Result<usize, Errno>, Vec<u8>) {
        let flags = if more { SendFlags::MORE } else { SendFlags::empty() };
        let op = Op::Send { socket: socket.clone(), bytes, flags };
        match sent(self.ring.begin(op).within(limit).await) {
            (Err(Errno::CANCELED), bytes) => (Err(Errno::AGAIN), bytes),
            result => result,
        }
    }

    // ANCHOR: open
    async fn open(&self, path: &RelPath) -> io::Result<(Fd, Meta)> {
        let known = self.files.borrow_mut().get(path.as_str(), self.timers().now());
        if let Some(known) = known {
            return Ok(known);
        }
        let file = self.open_file(path).await?;
        let look = self.files.borrow().look(file);
        let done = self.ring.begin(look).await;
        done.result?;
        let Some(Op::Look { file, answer }) = done.op else {
            return Err(io::ErrorKind::Other.into());
        };
        let meta = meta(answer.get());
        let now = self.timers().now();
        self.files.borrow_mut().keep(path.as_str(), &file, meta, now);
        Ok((file, meta))
    }
    // ANCHOR_END: open

    async fn read(
        &self,
        file: &Fd,
        at: u64,
        len: usize,
        bytes: &mut Vec<u8>,
    ) -> io::Result<usize> {
        loop {
            let into = Vec::with_capacity(len);
            match self.ring.read(file, at, into).await {
                (Err(Errno::INTR | Errno::AGAIN), _) => {}
                (result, read) if bytes.is_empty() => {
                    *bytes = read;
                    return Ok(result?);
                }
                (result, read) => {
                    bytes.extend_from_slice(&read);
                    return Ok(result?);
                }
            }
        }
    }

    fn hold(&self, descriptor: OwnedFd) -> Fd {
        self.ring.hold(descriptor)
    }

    async fn readable(&self, socket: &Fd) -> Result<(), Errno> {
        let op = Op::Watch { descriptor: socket.clone() };
        self.ring.begin(op).await.result.map(drop)
    }

    fn give_back(&self, _: Vec<u8>) {}

    fn timers(&self) -> &Timers {
        self.ring.timers()
    }

    fn expire_files(&self, now: Instant) -> Option<Instant> {
        let mut files = self.files.borrow_mut();
        files.expire(now);
        files.expires_at()
    }

    fn release_files(&self) {
        self.files.borrow_mut().release();
    }
}
