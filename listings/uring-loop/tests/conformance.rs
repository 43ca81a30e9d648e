//! The fault table of the book, against this server.

#[cfg(target_os = "linux")]
conformance::suite!(
    "uring-loop",
    env!("CARGO_BIN_EXE_uring-loop"),
    event_loop = true,
    pool = 1,
    also = &[
        &["--sqpoll", "5"],
        &["--coop-taskrun"],
        &["--entries", "4"],
        &["--as-of", "5.10"],
    ]
);
