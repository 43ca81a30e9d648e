//! The fault table of the book, against this server.

#[cfg(target_os = "linux")]
conformance::suite!(
    "executor",
    env!("CARGO_BIN_EXE_executor"),
    event_loop = true,
    also = &[&["--over", "io_uring"], &["--pool-always"]]
);
