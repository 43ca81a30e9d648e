//! How long the suite waits for what must happen, and how many failures it takes before it
//! gives a server up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::report::Tier;

static HASTY: AtomicBool = AtomicBool::new(false);

/// Makes this process wait less and give up sooner. For tests of servers that are known to
/// be wrong, some of which keep a client waiting for ever.
pub fn be_hasty() {
    HASTY.store(true, Ordering::Relaxed);
}

/// How long to wait for something that must happen. Generous: what matters is that it
/// happens.
pub(crate) fn patience() -> Duration {
    Duration::from_secs(if HASTY.load(Ordering::Relaxed) { 2 } else { 15 })
}

/// What a client may take for a body, and for 16 KiB of a response, where a row is about that.
/// Ten seconds, as the book's servers have it; whoever runs the tests waits for three.
pub(crate) fn deadline() -> Duration {
    Duration::from_secs(if Tier::of_this_run() == Tier::Test { 3 } else { 10 })
}

/// A time as the servers' flags have it.
pub(crate) fn milliseconds(time: Duration) -> String {
    time.as_millis().to_string()
}

/// After so many failures, more cases would say nothing new, and each may take as long as
/// [`patience`] lasts.
pub(crate) fn enough_failures() -> usize {
    if HASTY.load(Ordering::Relaxed) { 2 } else { 5 }
}

/// How often what something else on the machine may disturb is tried.
pub(crate) fn attempts() -> usize {
    if HASTY.load(Ordering::Relaxed) { 1 } else { 3 }
}
