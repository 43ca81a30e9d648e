//! Beyond the queue there is no queue: who comes later can be served first.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::beyond::{BUSY, expect};
use crate::client::{Client, SOON};
use crate::listener;

/// How long the client that came early is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// Two clients that found a full queue, and one that came when there was room.
#[derive(Clone, Copy, Debug)]
pub struct Overtaken {
    /// When the late client called connect(2), counted from the early client's.
    pub late_started: Duration,
    /// When the late client was connected, counted likewise.
    pub late_connected: Duration,
    /// When the early client was connected.
    pub early_connected: Duration,
}

/// The early client finds the queue full; the late one finds a place, and takes it.
pub fn overtaken() -> io::Result<Overtaken> {
    // ANCHOR: overtaken
    let listener = listener(0)?;
    let server = listener.local_addr()?;
    let first = Client::start(server)?;
    expect(first.connected_within(SOON)?, "the first client was not connected")?;

    let early = Client::start(server)?;
    expect(
        !early.connected_within(BUSY)?,
        "a client was connected although the queue was full",
    )?;

    let _first = listener.accept()?;
    let late_started = early.since.elapsed();
    let late = Client::start(server)?;
    expect(late.connected_within(SOON)?, "the late client was not connected")?;
    let late_connected = early.since.elapsed();
    expect(
        !early.connected_within(Duration::ZERO)?,
        "the early client was connected first",
    )?;

    let _late = listener.accept()?;
    expect(
        early.connected_within(PATIENCE)?,
        "the early client was not connected although there was room",
    )?;
    let early_connected = early.since.elapsed();
    // ANCHOR_END: overtaken
    Ok(Overtaken { late_started, late_connected, early_connected })
}

impl fmt::Display for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |duration: Duration| duration.as_millis();
        writeln!(f, "{:>5} ms  early client: calls connect, the queue is full", 0)?;
        writeln!(
            f,
            "{:>5} ms  server: accepts, there is room; late client: calls connect",
            ms(self.late_started)
        )?;
        writeln!(
            f,
            "{:>5} ms  late client: connected; server: accepts it",
            ms(self.late_connected)
        )?;
        write!(f, "{:>5} ms  early client: connected", ms(self.early_connected))
    }
}
