//! What the kernel can be asked to do, together with everything that it reads or writes
//! while it does.
//!
//! A call that returns has given its arguments back. An operation has not: from submission to
//! completion the kernel may look at the path, fill the buffer, use the descriptor. So each of
//! these owns what the kernel needs, the ring owns it meanwhile, and it comes back with the
//! completion.

use std::cell::RefCell;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;

use io_uring::types::{OpenHow, Timespec};
use nix::sys::socket::SockaddrStorage;
use rustix::net::SendFlags;

use crate::ring::Answer;

/// Which operation this is: whose, and which of those that it may have in flight.
// ANCHOR: token
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Whose it is.
    pub slot: usize,
    /// Of each part there is one in flight at most.
    pub part: Part,
}

/// What a slot may have in flight at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Accepting, receiving, peeking, watching.
    Receive,
    /// Sending, and the read in front of it.
    Send,
    /// Opening, looking, connecting, sleeping.
    Work,
    /// Shutting down.
    Shut,
}
// ANCHOR_END: token

const PARTS: [Part; 4] = [Part::Receive, Part::Send, Part::Work, Part::Shut];

impl Token {
    /// A place of its own for each operation.
    pub fn index(self) -> usize {
        self.slot * PARTS.len() + self.part as usize
    }

    /// The token of a place.
    pub fn at(index: usize) -> Self {
        Self { slot: index / PARTS.len(), part: PARTS[index % PARTS.len()] }
    }
}

/// Something to do for the kernel.
// ANCHOR: op
#[derive(Debug)]
pub enum Op {
    /// Accept a client, or one after another until it is cancelled.
    Accept {
        /// From here.
        listener: Fd,
        /// One after another (multishot).
        many: bool,
    },
    /// Receive: recv(2), once or again and again.
    Receive {
        /// From here.
        socket: Fd,
        /// Where to.
        into: Room,
    },
    /// Look whether there is something to receive now: recv(2) with MSG_PEEK and MSG_DONTWAIT.
    Peek {
        /// There.
        socket: Fd,
        /// The first byte, if there is one.
        byte: Box<[u8; 1]>,
    },
    /// Send: send(2).
    Send {
        /// To here.
        socket: Fd,
        /// What.
        bytes: Vec<u8>,
        /// MSG_MORE: more follows. MSG_DONTWAIT: not later, if there is no room.
        flags: SendFlags,
    },
    /// Open a file below a folder: openat2(2).
    Open {
        /// The folder.
        root: Fd,
        /// The name in it.
        path: CString,
        /// How.
        how: Box<OpenHow>,
    },
    /// Read a part of a file: pread(2).
    Read {
        /// The file.
        file: Fd,
        /// Offset of the first byte.
        at: u64,
        /// How many bytes at most.
        len: usize,
        /// Where to: behind what is there, as far as it has room.
        into: Vec<u8>,
    },
    /// Write a part of a file: pwrite(2).
    Write {
        /// The file.
        file: Fd,
        /// Offset of the first byte.
        at: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// Ask what it is: statx(2).
    Look {
        /// The file.
        file: Fd,
        /// For the answer.
        answer: Answer,
    },
    /// Connect: connect(2).
    Connect {
        /// The socket.
        socket: Fd,
        /// Where to.
        address: Box<SockaddrStorage>,
    },
    /// End our side of a connection: shutdown(2).
    Shut {
        /// The connection.
        socket: Fd,
    },
    /// Wait until it can be read: a descriptor that tells of signals, or of a pool.
    Watch {
        /// Which.
        descriptor: Fd,
    },
    /// Wait until the time is over.
    Sleep {
        /// How long.
        time: Box<Timespec>,
    },
}
// ANCHOR_END: op

/// Where received bytes go.
#[derive(Debug)]
pub enum Room {
    /// Again and again into buffers of those that all share, of which the kernel takes one when
    /// there are bytes.
    Shared,
    /// Once into one of them: at most so many bytes.
    OneOfThem(usize),
    /// Into this one.
    Own(Vec<u8>),
}

/// An open descriptor. Clients, files that are kept, and operations in flight hold it; when
/// the last of them lets go, it is to be closed.
// ANCHOR: fd
#[derive(Clone, Debug)]
pub struct Fd(Rc<Held>);

#[derive(Debug)]
struct Held {
    /// There until it is dropped.
    descriptor: Option<OwnedFd>,
    to_close: ToClose,
}

/// Descriptors that nobody holds any more.
#[derive(Clone, Debug, Default)]
pub struct ToClose(Rc<RefCell<Vec<OwnedFd>>>);

impl Drop for Held {
    fn drop(&mut self) {
        self.to_close.0.borrow_mut().extend(self.descriptor.take());
    }
}
// ANCHOR_END: fd

impl ToClose {
    /// Holds a descriptor that will end up here.
    pub fn hold(&self, descriptor: OwnedFd) -> Fd {
        Fd(Rc::new(Held { descriptor: Some(descriptor), to_close: self.clone() }))
    }

    /// One of them.
    pub fn take(&self) -> Option<OwnedFd> {
        self.0.borrow_mut().pop()
    }
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.descriptor.as_ref().expect("it is taken out by drop only").as_fd()
    }
}

impl AsRawFd for Fd {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
