//! The fault table of the book, against this server.

#[cfg(target_os = "linux")]
conformance::suite!(
    "prethreaded",
    env!("CARGO_BIN_EXE_prethreaded"),
    args = &["--workers", "4"],
    at_once = 4,
    workers = 4,
    threads = true,
    also = &[&["--all-accept"]]
);
