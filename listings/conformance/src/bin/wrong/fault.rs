//! The mistakes, one or two for each row. Each has been made in a server that somebody
//! relied on.

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// Row 1: does without a Host.
    NoHost,
    /// Row 1: takes a HEAD for a GET.
    HeadIsGet,
    /// Row 2: takes what one read returns for the whole request.
    OneRead,
    /// Row 4: takes a bare LF for a line end.
    BareLf,
    /// Row 4: overlooks the length where there are chunks.
    ChunksWin,
    /// Row 5: reads a head of any length.
    EndlessHead,
    /// Row 6: follows links out of the root.
    FollowsLinks,
    /// Row 8: tries again at once when accept fails, and says so each time.
    Spins,
    /// Row 8: ends when accept fails.
    GivesUp,
    /// Row 10: ends when a client is gone.
    DiesOfReset,
    /// Row 10: forgets to close when a client is gone.
    Leaks,
    /// Row 13: takes a client that has shut its sending side for one that is gone.
    EofIsGone,
    /// Row 14: reads all requests, and keeps all responses until it has read them.
    KeepsEverything,
    /// Row 15: waits for the store as long as it takes.
    PatientWithStore,
    /// Row 15: asks the store again when it got no answer.
    AsksAgain,
    /// Row 16: ends at once.
    EndsAtOnce,
    /// Row 16: waits for clients that say nothing, for all its time of grace.
    WaitsForIdle,
    /// Row 26: waits in open(2) for the other end of a FIFO.
    OpensFifo,
    /// Row 26: believes for ever what it has read once.
    CachesForEver,
    /// Row 27: closes while the client is still sending.
    ClosesHastily,
}
