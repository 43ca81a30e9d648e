//! The fault table of the book, against this server.

#[cfg(target_os = "linux")]
conformance::suite!(
    "iterative",
    env!("CARGO_BIN_EXE_iterative"),
    keep_alive = false,
    at_once = 1
);
