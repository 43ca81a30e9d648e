//! The fault table of the book, against this server.

#[cfg(target_os = "linux")]
conformance::suite!(
    "forking",
    env!("CARGO_BIN_EXE_forking"),
    args = &["--max-connections", "64"],
    keep_alive = false,
    at_once = 64,
    forks = true
);
