//! What the kernel shows under `/proc` about its queues.

use std::fs;
use std::io;
use std::net::SocketAddr;

/// `net.core.somaxconn`: the cap on every backlog of this network namespace.
pub fn somaxconn() -> io::Result<u32> {
    let path = "/proc/sys/net/core/somaxconn";
    let text = read(path)?;
    text.trim()
        .parse()
        .map_err(|_| io::Error::other(format!("{path} holds no number: {text:?}")))
}

// ANCHOR: accept-queue
/// How many connections wait for accept(2) at the listener `address`: what `ss -ltn` shows
/// as Recv-Q.
pub fn accept_queue(address: SocketAddr) -> io::Result<u32> {
    let port = format!(":{:04X}", address.port());
    let table = read("/proc/net/tcp")?;
    for line in table.lines().skip(1) {
        // sl, local address, remote address, state, send queue:receive queue, … State 0A is
        // LISTEN.
        let columns: Vec<&str> = line.split_whitespace().collect();
        if let [_, local, _, "0A", queues, ..] = columns[..]
            && local.ends_with(&port)
            && let Some((_, waiting)) = queues.split_once(':')
        {
            return u32::from_str_radix(waiting, 16).map_err(io::Error::other);
        }
    }
    Err(io::Error::other(format!("/proc/net/tcp does not list {address}")))
}
// ANCHOR_END: accept-queue

/// What the kernel counted in this network namespace since it was made, or between two
/// moments. Connections of other programs count too.
#[derive(Clone, Copy, Debug)]
pub struct Dropped {
    /// `ListenOverflows`: a SYN or a handshake's last ACK found a full accept queue.
    pub overflows: u64,
    /// `ListenDrops`: one of them was dropped, for that reason or another.
    pub drops: u64,
}

impl Dropped {
    /// The counters so far, from `/proc/net/netstat`.
    pub fn so_far() -> io::Result<Self> {
        let text = read("/proc/net/netstat")?;
        // Two lines for each group: the names, and the numbers in the same order.
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
        let (names, numbers) =
            (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let counter = |wanted: &str| {
            let mut pairs = names.split_whitespace().zip(numbers.split_whitespace());
            let number = pairs
                .find(|(name, _)| *name == wanted)
                .and_then(|(_, number)| number.parse().ok());
            number.ok_or_else(|| {
                io::Error::other(format!("/proc/net/netstat has no {wanted}"))
            })
        };
        Ok(Self { overflows: counter("ListenOverflows")?, drops: counter("ListenDrops")? })
    }

    /// What was counted since `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            overflows: self.overflows - before.overflows,
            drops: self.drops - before.drops,
        }
    }
}

fn read(path: &str) -> io::Result<String> {
    fs::read_to_string(path).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("cannot read {path}: {error}; is /proc mounted here, and ulimit -n at least 64?"),
        )
    })
}
