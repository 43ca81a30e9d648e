//! Loopback, its ports, and the queue in front of accept(2).

use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::chapters::*;
use crate::confinement::{errno, error_name};
use crate::finding::Finding;
use crate::numbers::grouped;
use crate::proc;

/// What the servers ask of listen(2).
const BACKLOG: u64 = 4096;
/// What 15,000 clients take.
const PORTS: u64 = 16_384;

pub fn listen_queue() -> Finding {
    let name = "listen queue";
    let chapters = &[ITERATIVE, OWN_CHARTS];
    let Some(cap) = proc::value("/proc/sys/net/core/somaxconn") else {
        let remedy = "Mount /proc, so that the listings can tell their own queues.";
        return Finding::limited(
            name,
            chapters,
            "net.core.somaxconn cannot be read",
            remedy,
        );
    };
    let found = format!("net.core.somaxconn is {}", grouped(cap));
    if cap >= BACKLOG {
        return Finding::yes(name, chapters, found);
    }
    let remedy = "Raise it: sysctl net.core.somaxconn=4096, or docker run --sysctl \
                  net.core.somaxconn=4096. Without, queues are shorter than the text says.";
    Finding::limited(name, chapters, found, remedy)
}

pub fn loopback() -> Finding {
    let name = "loopback";
    let every = &[
        APPLICATION,
        ITERATIVE,
        FORKING,
        PREFORKED,
        THREADED,
        PRETHREADED,
        METHOD,
        OWN_CHARTS,
    ];
    if let Err(error) = connected() {
        let found = format!("no connection over 127.0.0.1: {}", error_name(errno(&error)));
        let remedy = "Bring it up (ip link set lo up), with nothing that filters it; no server of \
                      the book can be asked without.";
        return Finding::no(name, every, found, remedy);
    }
    let range =
        fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let ports: Vec<u64> =
        range.split_whitespace().filter_map(|port| port.parse().ok()).collect();
    let [first, last] = ports[..] else {
        return Finding::yes(name, every, "connected; the range of ports is unknown");
    };
    let count = (last + 1).saturating_sub(first);
    let found =
        format!("connected; clients have {} ports, {first} to {last}", grouped(count));
    if count >= PORTS {
        return Finding::yes(name, &[METHOD, OWN_CHARTS], found);
    }
    let remedy = "Widen it: sysctl net.ipv4.ip_local_port_range='32768 60999'. Without, leave out \
                  the rows with 15,000 clients.";
    Finding::limited(name, &[METHOD, OWN_CHARTS], found, remedy)
}

fn connected() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    TcpStream::connect_timeout(&listener.local_addr()?, Duration::from_secs(1))?;
    Ok(())
}
