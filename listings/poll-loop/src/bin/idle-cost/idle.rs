//! The descriptors on which nothing happens, and the one on which it does.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use iterative::{listen, start::address_of};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{dup, read, write};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::data::Kind;

/// What the program needs besides the idle ones: standard streams, listeners, an epoll.
const OTHERS: u64 = 300;

/// How many idle descriptors this process may have, once it has raised its limit as far as it
/// may without privilege.
pub fn at_most() -> io::Result<usize> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(limit.maximum.map_or(usize::MAX, |limit| {
        usize::try_from(limit.saturating_sub(OTHERS)).unwrap_or(usize::MAX)
    }))
}

/// Some idle descriptors, and an active one.
#[derive(Debug)]
pub struct Idle {
    // Closed first: that resets the connections in its queue, and leaves none in TIME_WAIT.
    _listeners: Vec<OwnedFd>,
    idle: Vec<OwnedFd>,
    /// Copies of the active descriptor, by the number of idle ones that were there before:
    /// select looks at descriptors in the order of their numbers, and the active one is to
    /// be the last.
    last: BTreeMap<usize, OwnedFd>,
    /// Where one writes so that the active descriptor becomes readable.
    wake: OwnedFd,
}

impl Idle {
    /// Opens as many as the last of `points` says, with an active one behind each point.
    pub fn open(kind: Kind, points: &[usize]) -> io::Result<Self> {
        let mut opener = Opener { kind, listeners: Vec::new(), room: 0 };
        let (active, wake) = opener.pair()?;
        let (mut idle, mut last) = (Vec::new(), BTreeMap::new());
        for point in points {
            while idle.len() < *point {
                idle.push(opener.one()?);
            }
            last.insert(*point, dup(&active)?);
        }
        Ok(Self { _listeners: opener.listeners, idle, last, wake })
    }

    /// The first `n` idle ones, and behind them the active one. `n` is one of the points.
    pub fn first(&self, n: usize) -> Vec<BorrowedFd<'_>> {
        self.idle[..n].iter().chain([&self.last[&n]]).map(AsFd::as_fd).collect()
    }

    /// Lets something arrive at the active one.
    pub fn wake(&self) -> io::Result<()> {
        // An eventfd takes exactly eight bytes. To TCP they are eight bytes like others.
        write(&self.wake, &1_u64.to_ne_bytes()).map(drop).map_err(io::Error::from)
    }

    /// Fetches what arrived.
    pub fn fetch(&self) -> io::Result<()> {
        let (_, active) = self.last.first_key_value().expect("there is a first point");
        read(active, &mut [0; 8]).map(drop).map_err(io::Error::from)
    }
}

/// Opens descriptors of a kind.
struct Opener {
    kind: Kind,
    listeners: Vec<OwnedFd>,
    /// How many connections the last listener's queue still takes.
    room: u32,
}

impl Opener {
    // ANCHOR: idle
    /// An idle descriptor. A TCP connection has its other end in the accept queue of a
    /// listener that never accepts: established, as far as the kernel is concerned, and
    /// without a descriptor.
    fn one(&mut self) -> io::Result<OwnedFd> {
        if self.kind == Kind::Eventfd {
            return Ok(eventfd(0, EventfdFlags::CLOEXEC)?);
        }
        if self.room == 0 {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            self.listeners.push(listen(any, 4096)?);
            self.room = somaxconn()?.min(4096);
        }
        self.room -= 1;
        let listener = self.listeners.last().expect("one was opened");
        Ok(TcpStream::connect(address_of(listener).map_err(io::Error::other)?)?.into())
    }
    // ANCHOR_END: idle

    /// The active descriptor, and where one writes so that it becomes readable.
    fn pair(&mut self) -> io::Result<(OwnedFd, OwnedFd)> {
        if self.kind == Kind::Eventfd {
            let active = eventfd(0, EventfdFlags::CLOEXEC)?;
            return Ok((dup(&active)?, active));
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let wake = TcpStream::connect(listener.local_addr()?)?;
        wake.set_nodelay(true)?;
        Ok((listener.accept()?.0.into(), wake.into()))
    }
}

/// The cap on a listener's queue, which holds one more (see the experiment `backlog`).
fn somaxconn() -> io::Result<u32> {
    let text = fs::read_to_string("/proc/sys/net/core/somaxconn")?;
    text.trim().parse().map_err(io::Error::other)
}
