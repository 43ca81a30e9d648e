//! Who is still served after SIGTERM: whoever was in the accept queue when it came, as long
//! as the grace lasts.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::{how_many_wait, signals, somebody_waits};

/// Counts the clients of the accept queue down, once the server is to stop.
#[derive(Debug, Default)]
pub struct Drain {
    /// How many are left of those who waited when the drain began.
    left: Option<u64>,
    has_begun: bool,
}

impl Drain {
    /// Whether to accept another client: always, until SIGTERM. Then as many as waited at that
    /// moment, or fewer if the queue is empty or the grace is over before.
    // ANCHOR: may-go-on
    pub fn may_go_on(&mut self, listener: impl AsFd, grace: Duration) -> bool {
        let Some(stopped_at) = signals::stopped_at() else { return true };
        if !self.has_begun {
            self.has_begun = true;
            self.left = how_many_wait(&listener);
        }
        self.left != Some(0)
            && somebody_waits(&listener)
            && Instant::now() < stopped_at + grace
    }
    // ANCHOR_END: may-go-on

    /// Takes note of a client that was accepted.
    pub fn accepted(&mut self) {
        self.left = self.left.map(|left| left.saturating_sub(1));
    }
}
