//! The fault table, against the epoll server.

conformance::suite!(
    "epoll-loop", env!("CARGO_BIN_EXE_epoll-loop"),
    also = &[
        &["--edge-triggered"],
        &["--one-shot"],
        &["--workers", "4"],
        &["--workers", "4", "--reuseport"],
    ]
);
