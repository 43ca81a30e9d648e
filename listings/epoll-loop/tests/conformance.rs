//! The fault table of the book, against this server.

#[cfg(target_os = "linux")]
conformance::suite!(
    "epoll-loop",
    env!("CARGO_BIN_EXE_epoll-loop"),
    event_loop = true,
    also = &[
        &["--edge-triggered"],
        &["--one-shot"],
        &["--files-in-loop"],
        &["--pool-always"],
        &["--workers", "4"],
        &["--workers", "4", "--reuseport"],
    ]
);
