//! A client that finds the queue full: what it sees until it is connected.

use std::fmt;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use crate::client::{Client, SOON};
use crate::kernel::Dropped;
use crate::listener;

/// How long the server takes before it accepts for the first time: the second client's SYN
/// has been sent again by then, after 1 s, and dropped again.
pub const BUSY: Duration = Duration::from_millis(1200);

/// How long the waiting client is waited for: more than any pause between two of its SYNs.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the first client says before anyone has accepted it.
const GREETING: &[u8] = b"hello";

/// The story of two clients and one place.
#[derive(Clone, Copy, Debug)]
pub struct Beyond {
    /// How long the first client had been connected when accept(2) returned it.
    pub queued: Duration,
    /// Bytes that were there to read at once, sent before accept.
    pub early_bytes: usize,
    /// How long the second client took from connect(2) to its connection.
    pub waited: Duration,
    /// When there was room again, counted from the second client's connect(2).
    pub room_after: Duration,
    /// The kernel's counters for the whole story.
    pub dropped: Dropped,
}

/// Two clients come to a listener with room for one, which accepts after [`BUSY`].
pub fn beyond() -> io::Result<Beyond> {
    let before = Dropped::so_far()?;
    // ANCHOR: beyond
    let listener = listener(0)?;
    let server = listener.local_addr()?;
    let first = Client::start(server)?;
    expect(first.connected_within(SOON)?, "the first client was not connected")?;
    let in_queue = Instant::now();
    let mut first = first.into_stream()?;
    first.write_all(GREETING)?;

    let second = Client::start(server)?;
    expect(
        !second.connected_within(BUSY)?,
        "the second client was connected although the queue was full",
    )?;

    let (mut accepted, _) = listener.accept()?;
    let (queued, room_after) = (in_queue.elapsed(), second.since.elapsed());
    let early_bytes = accepted.read(&mut [0; 64])?;
    expect(
        second.connected_within(PATIENCE)?,
        "the second client was not connected although there was room",
    )?;
    let waited = second.since.elapsed();
    // ANCHOR_END: beyond
    let dropped = Dropped::so_far()?.since(before);
    Ok(Beyond { queued, early_bytes, waited, room_after, dropped })
}

/// An error where the kernel behaves otherwise than this story needs.
pub(crate) fn expect(held: bool, otherwise: &str) -> io::Result<()> {
    let advice =
        "try again when the machine is less busy, and without a packet filter on loopback";
    if held { Ok(()) } else { Err(io::Error::other(format!("{otherwise}; {advice}"))) }
}

impl fmt::Display for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |duration: Duration| duration.as_millis();
        writeln!(
            f,
            "{:>5} ms  first client: connected, sends {} bytes; the queue is full",
            0,
            GREETING.len()
        )?;
        writeln!(f, "{:>5} ms  second client: calls connect", 0)?;
        writeln!(
            f,
            "{:>5} ms  server: accepts the first client, queued for {} ms; reads its {} bytes",
            ms(self.room_after),
            ms(self.queued),
            self.early_bytes
        )?;
        writeln!(f, "{:>5} ms  second client: connected", ms(self.waited))?;
        let Dropped { overflows, drops } = self.dropped;
        write!(f, "counted meanwhile: ListenOverflows +{overflows}, ListenDrops +{drops}")
    }
}
