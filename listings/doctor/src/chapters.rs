//! The chapters that depend on what a machine allows, by their titles in `src/SUMMARY.md`.

#![allow(missing_docs)]

pub const PREFACE: &str = "Preface: how to read and run this book, and check your machine";
pub const READ: &str = "A read that blocks";
pub const APPLICATION: &str = "The application that every model will serve";
pub const ITERATIVE: &str =
    "One request at a time: the iterative server, and the queue in front of it";
pub const FORKING: &str = "A process for each request: forking";
pub const PREFORKED: &str = "A pool of processes: preforked";
pub const THREADED: &str = "A thread for each connection";
pub const PRETHREADED: &str = "A pool of threads; a thread in the background";
pub const COSTS: &str = "What a process costs, what a thread costs";
pub const TRACES: &str = "The process models, drawn from real traces";
pub const CHART: &str = "One chart: what the numbers say and what they do not";
pub const FRAMEWORK: &str = "The guestbook on a framework";
pub const AIO: &str = "Linux AIO: io_submit(2) and O_DIRECT";
pub const STALL: &str = "Always ready, never on time: the loop that stalls";
pub const FILE_POOL: &str = "The thread pool behind the loop";
pub const RINGS: &str = "Two rings: submission and completion";
pub const URING_SERVER: &str = "One interface for files and sockets: the io_uring server";
pub const URING_COSTS: &str = "What it costs, when it does not win, and who forbids it";
pub const LIBRARY: &str = "Your own library: from a loop to callbacks to futures";
pub const METHOD: &str = "Method, and the load generator";
pub const OWN_CHARTS: &str = "Run it, and read your own charts over the book's";

/// All of the above, in the book's order.
pub const ALL: [&str; 21] = [
    PREFACE,
    READ,
    APPLICATION,
    ITERATIVE,
    FORKING,
    PREFORKED,
    THREADED,
    PRETHREADED,
    COSTS,
    TRACES,
    CHART,
    FRAMEWORK,
    AIO,
    STALL,
    FILE_POOL,
    RINGS,
    URING_SERVER,
    URING_COSTS,
    LIBRARY,
    METHOD,
    OWN_CHARTS,
];
