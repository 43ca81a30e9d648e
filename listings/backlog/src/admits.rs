//! How many clients a backlog of `n` admits while nobody accepts.

use std::fmt;
use std::io;

use crate::client::{Client, SOON};
use crate::kernel::accept_queue;
use crate::listener;

/// The backlogs that the program tries.
pub const BACKLOGS: [i32; 4] = [0, 1, 4, 10];

/// How many clients try beyond `n`.
const BEYOND: i32 = 3;

/// What became of the clients of one listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The argument of listen(2).
    pub n: i32,
    /// Clients whose connection was there at once.
    pub connected: u32,
    /// Clients still without an answer to their SYN.
    pub waiting: u32,
    /// The listener's accept queue, as the kernel shows it.
    pub queued: u32,
}

// ANCHOR: admits
/// Lets `n` + 3 clients connect, one after another, to a listener with a backlog of `n`
/// that never accepts.
pub fn admits(n: i32) -> io::Result<Admitted> {
    let listener = listener(n)?;
    let server = listener.local_addr()?;
    let mut clients = Vec::new();
    let mut connected = 0;
    for _ in 0..n + BEYOND {
        let client = Client::start(server)?;
        connected += u32::from(client.connected_within(SOON)?);
        clients.push(client);
    }
    Ok(Admitted {
        n,
        connected,
        waiting: clients.len() as u32 - connected,
        queued: accept_queue(server)?,
    })
}
// ANCHOR_END: admits

/// The table of several backlogs.
#[derive(Clone, Debug)]
pub struct Table(pub Vec<Admitted>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>9}{:>12}{:>11}{:>17}",
            "listen(n)", "connected", "waiting", "in accept queue"
        )?;
        for Admitted { n, connected, waiting, queued } in &self.0 {
            write!(f, "\n{n:>9}{connected:>12}{waiting:>11}{queued:>17}")?;
        }
        Ok(())
    }
}
