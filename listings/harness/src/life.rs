//! What a process used in its life.

use nix::sys::resource::{UsageWho, getrusage};

/// What a process used from its beginning to its end, with those of its children that it has
/// waited for. The kernel adds it up when a process is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// Voluntary context switches.
    pub waits: u64,
    /// Involuntary ones.
    pub preemptions: u64,
    /// Page faults without a disk.
    pub minor_faults: u64,
}

impl Life {
    /// Of all children that we have waited for so far.
    #[must_use]
    pub fn of_children() -> Self {
        let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
            return Self::default();
        };
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        // On a 32-bit system they are narrower.
        #[expect(clippy::useless_conversion, reason = "a long is not everywhere so long")]
        Self {
            waits: number(usage.voluntary_context_switches().into()),
            preemptions: number(usage.involuntary_context_switches().into()),
            minor_faults: number(usage.minor_page_faults().into()),
        }
    }

    /// What was added since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            waits: self.waits - before.waits,
            preemptions: self.preemptions - before.preemptions,
            minor_faults: self.minor_faults - before.minor_faults,
        }
    }
}
