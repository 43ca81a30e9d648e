//! The cap: what `net.core.somaxconn` makes of a large backlog.

use std::fmt;
use std::io;

use crate::client::{Client, SOON};
use crate::kernel::{accept_queue, somaxconn};
use crate::listener;

/// The longest queue that is filled here. Each of its clients needs a port, and there are
/// some 28,000 of those.
pub const LONGEST: u32 = 20_000;

/// A listener that asked for more than the cap.
#[derive(Clone, Copy, Debug)]
pub struct Capped {
    /// The argument of listen(2), which returned no error.
    pub asked: i32,
    /// `net.core.somaxconn`.
    pub somaxconn: u32,
    /// Clients that were admitted until one was not; none where that did not happen up to
    /// [`LONGEST`].
    pub admitted: Option<u32>,
    /// The accept queue then, as the kernel shows it.
    pub queued: u32,
}

// ANCHOR: cap
/// Asks for a backlog of `n` and fills the queue, one client after another, up to
/// [`LONGEST`].
pub fn cap(n: i32) -> io::Result<Capped> {
    let somaxconn = somaxconn()?;
    let listener = listener(n)?;
    let server = listener.local_addr()?;
    let mut admitted = 0;
    // Each client hangs up as soon as it is connected, and so needs no descriptor for
    // longer. Its place in the queue stays taken: only accept gives that back.
    while admitted <= LONGEST && Client::start(server)?.connected_within(SOON)? {
        admitted += 1;
    }
    let filled = admitted <= LONGEST;
    Ok(Capped {
        asked: n,
        somaxconn,
        admitted: filled.then_some(admitted),
        queued: accept_queue(server)?,
    })
}
// ANCHOR_END: cap

impl fmt::Display for Capped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "asked of listen(2), no error: {:>9}", self.asked)?;
        writeln!(f, "net.core.somaxconn:           {:>9}", self.somaxconn)?;
        match self.admitted {
            Some(admitted) => writeln!(f, "admitted until one was not:   {admitted:>9}")?,
            None => writeln!(
                f,
                "admitted until one was not:   more than {LONGEST}, this program stops there"
            )?,
        }
        write!(f, "in the accept queue:          {:>9}", self.queued)
    }
}
