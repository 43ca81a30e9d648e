//! The server's waits as readiness: a call is tried, and tried again when it may succeed.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Instant;

use guestbook::{Meta, RelPath};
use iterative::{File, Files};
use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt,
};

use super::disk::Disk;
use super::net::{Net, look_once};
use crate::{Epoll, Reactor, Source, Timers, race};

/// How much one call may receive, in bytes.
const BUFFER: usize = 16 * 1024;

/// An epoll instance, files, and the threads that wait for the disk.
#[derive(Clone)]
pub struct OverEpoll {
    epoll: Epoll,
    files: Rc<RefCell<Files>>,
    disk: Rc<Disk>,
    /// What needs no waiting is done here.
    tries: bool,
    /// One buffer for all: nobody waits with something in it.
    buffer: Rc<RefCell<Vec<u8>>>,
}

impl OverEpoll {
    /// Serves these files, which `disk` opens and reads where that would wait; without `tries`
    /// always.
    pub fn new(epoll: Epoll, files: Files, disk: Disk, tries: bool) -> Self {
        Self {
            epoll,
            files: Rc::new(RefCell::new(files)),
            disk: Rc::new(disk),
            tries,
            buffer: Rc::default(),
        }
    }
}

impl OverEpoll {
    /// Receives what is there, into the buffer that is taken for it and given back later.
    fn receive(&self, socket: impl AsFd, room: usize) -> Result<(Vec<u8>, usize), Errno> {
        let mut buffer = self.buffer.take();
        buffer.resize(BUFFER, 0);
        match net::recv(socket, &mut buffer[..room], RecvFlags::empty()) {
            Ok((n, _)) => Ok((buffer, n)),
            Err(error) => {
                self.give_back(buffer);
                Err(error)
            }
        }
    }
}

impl Reactor for OverEpoll {
    fn watch(&self, told: BorrowedFd<'_>) -> io::Result<()> {
        self.epoll.watch(told)
    }

    fn wait(&self, sleep: bool) -> io::Result<bool> {
        self.epoll.wait(sleep)
    }
}

impl Net for OverEpoll {
    type Socket = Source;
    type File = File;

    async fn accept(
        &self,
        listener: &Source,
        limit: impl Future<Output = ()>,
    ) -> Result<Source, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let accept = listener.read_with(|fd| net::accept_with(fd, flags));
        let accepted = race(accept, limit).await.unwrap_or(Err(Errno::AGAIN));
        accepted.map(|client| self.epoll.hold(client))
    }

    async fn connect(&self, address: SocketAddr) -> Result<Source, Errno> {
        let family =
            if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        match net::connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error),
        }
        let socket = self.epoll.hold(socket);
        socket.writable().await?;
        // How connect(2) ended stands in SO_ERROR.
        sockopt::socket_error(&socket)?.map(|()| socket)
    }

    // ANCHOR: recv
    async fn recv(
        &self,
        socket: &Source,
        room: usize,
        limit: impl Future<Output = ()>,
    ) -> Result<(Vec<u8>, usize), Errno> {
        let room = room.min(BUFFER);
        let receive = socket.read_with(|fd| self.receive(fd, room));
        match race(receive, limit).await {
            Ok(result) => {
                if result.as_ref().is_ok_and(|(_, n)| (1..room).contains(n)) {
                    socket.is_empty();
                }
                result
            }
            Err(()) => {
                let mut buffer = self.buffer.take();
                look_once(socket, &mut buffer, room).map(|n| (buffer, n))
            }
        }
    }
    // ANCHOR_END: recv

    // ANCHOR: send
    async fn send(
        &self,
        socket: &Source,
        bytes: Vec<u8>,
        more: bool,
        limit: impl Future<Output = ()>,
    ) -> (Result<usize, Errno>, Vec<u8>) {
        let mut flags = SendFlags::NOSIGNAL;
        flags.set(SendFlags::MORE, more);
        let send = socket.write_with(|fd| net::send(fd, &bytes, flags));
        let sent = race(send, limit).await.unwrap_or(Err(Errno::AGAIN));
        (sent, bytes)
    }
    // ANCHOR_END: send

    // ANCHOR: files
    async fn open(&self, path: &RelPath) -> io::Result<(File, Meta)> {
        if self.tries
            && let Some(opened) = self.files.borrow_mut().open_at_once(path.as_str())
        {
            return opened;
        }
        let (mut files, path) = (self.files.borrow().clone(), path.clone());
        self.disk.run(move || files.open(path.as_str())).await
    }

    async fn read(
        &self,
        file: &File,
        at: u64,
        len: usize,
        bytes: &mut Vec<u8>,
    ) -> io::Result<usize> {
        let start = bytes.len();
        bytes.resize(start + len, 0);
        let now = match self.tries {
            true => file_pool::read_now(file, &mut bytes[start..], at),
            false => file_pool::Now::WouldWait,
        };
        let n = match now {
            file_pool::Now::Read(n) => n,
            file_pool::Now::WouldWait => {
                let file = file.clone();
                let read = self.disk.run(move || super::disk::read_whole(&file, at, len));
                let read = read.await?;
                bytes[start..start + read.len()].copy_from_slice(&read);
                read.len()
            }
        };
        bytes.truncate(start + n);
        Ok(n)
    }
    // ANCHOR_END: files

    fn hold(&self, descriptor: OwnedFd) -> Source {
        self.epoll.hold(descriptor)
    }

    async fn readable(&self, socket: &Source) -> Result<(), Errno> {
        socket.readable().await
    }

    fn give_back(&self, buffer: Vec<u8>) {
        self.buffer.replace(buffer);
    }

    fn timers(&self) -> &Timers {
        self.epoll.timers()
    }

    fn expire_files(&self, now: Instant) -> Option<Instant> {
        let files = self.files.borrow();
        files.expire(now);
        files.expires_at()
    }

    fn release_files(&self) {
        self.files.borrow().release();
    }
}
