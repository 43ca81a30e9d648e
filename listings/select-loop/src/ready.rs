//! What one descriptor is waited for, and what came of it: the words in which every loop
//! talks, whichever call it waits in.

/// For what a descriptor waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// For bytes, or for the peer's end.
    pub read: bool,
    /// For room in the kernel's buffer.
    pub write: bool,
}

impl Interest {
    /// Nothing: not even bytes.
    pub const NONE: Self = Self { read: false, write: false };
    /// Bytes.
    pub const READ: Self = Self { read: true, write: false };
    /// Bytes and room.
    pub const BOTH: Self = Self { read: true, write: true };
}

/// What the kernel says about a descriptor. It is a hint: the call that follows may still
/// answer EAGAIN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// A read would not wait.
    pub read: bool,
    /// A write would not wait.
    pub write: bool,
    /// The connection is gone in both directions. Whoever asks for nothing is told, too.
    pub gone: bool,
}

impl Ready {
    /// Nothing new.
    pub const NOTHING: Self = Self { read: false, write: false, gone: false };
}
