//! The mistakes, one or two for each row. Each has been made in a server that somebody
//! relied on.

/// Who serves a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// A thread of its own.
    #[default]
    Thread,
    /// A process of its own, one of 64 at most.
    Process,
    /// One of four processes that are there from the start.
    Pool,
    /// One thread for all.
    Loop,
}

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
    /// Row 7: takes a call that a signal interrupted for a client that is gone.
    InterruptedIsGone,
    /// Row 7: believes that what it sends is always sent whole.
    SendsWhole,
    /// Row 7, loop: forgets what the kernel did not take.
    ForgetsRest,
    /// Row 5, loop: waits for edges, and reads once for each.
    ReadsOnce,
    /// Row 8: tries again at once when accept fails, and says so each time.
    Spins,
    /// Row 8: ends when accept fails.
    GivesUp,
    /// Row 8, loop: waits for the listener although it cannot accept.
    SpinsAtTheDoor,
    /// Row 9, a thread for each: ends when clone fails.
    DiesOfClone,
    /// Row 9, loop: ends when epoll_ctl fails for one client.
    EndsWithEpoll,
    /// Row 9, forking: ends when fork fails.
    DiesOfFork,
    /// Row 9, forking: tries again and again when fork fails, instead of dropping the client.
    ForksAgain,
    /// Row 10: ends when a client is gone.
    DiesOfReset,
    /// Row 10: forgets to close when a client is gone.
    Leaks,
    /// Row 10, forking: waits for no child.
    LeavesZombies,
    /// Row 11: lets a client take what is sent as slowly as it likes.
    PatientSender,
    /// Row 12: every byte starts the time for a head or a body again.
    StartsAgain,
    /// Row 12: calls a client late without a look at what has arrived.
    LateUnseen,
    /// Row 12, pool: keeps an idle connection although others wait.
    KeepsIdle,
    /// Row 13: takes a client that has shut its sending side for one that is gone.
    EofIsGone,
    /// Row 14: reads all requests, and keeps all responses until it has read them.
    KeepsEverything,
    /// Row 15: waits for the store as long as it takes.
    PatientWithStore,
    /// Row 15: asks the store again when it got no answer.
    AsksAgain,
    /// Row 15, loop: waits for the store's reply before it goes on.
    BlocksInStore,
    /// Row 15, loop: gives the reply to a caller who has gone to the next one.
    MixesReplies,
    /// Row 15, loop: calls a store that does not answer again at once.
    Hammers,
    /// Row 16, loop: accepts as long as somebody comes.
    AcceptsOn,
    /// Row 16, loop: closes what seems idle without a look at what has arrived.
    HangsUp,
    /// Row 16: ends at once.
    EndsAtOnce,
    /// Row 16: waits for clients that say nothing, for all its time of grace.
    WaitsForIdle,
    /// Row 16, pool: a worker that is told to end leaves its client.
    LeavesClient,
    /// Row 16, pool: does not serve those who wait in the queue.
    LeavesQueue,
    /// Row 17, pool: does not replace a worker that ended.
    NeverReplaces,
    /// Row 17, pool: replaces it at once, however often.
    ReplacesAtOnce,
    /// Row 17, pool: a worker takes three clients and serves them one after another.
    TakesAhead,
    /// Row 17, pool: the workers live on without the first process.
    Orphans,
    /// Row 26: waits in open(2) for the other end of a FIFO.
    OpensFifo,
    /// Row 26: believes for ever what it has read once.
    CachesForEver,
    /// Row 27: closes while the client is still sending.
    ClosesHastily,
    /// Row 28, loop: goes on with a client as long as it has something to say.
    Starves,
    /// Row 29, loop: looks up ten times a second.
    Ticks,
}
