//! The fault table of the book, against this server.

#[cfg(target_os = "linux")]
conformance::suite!(
    "threaded",
    env!("CARGO_BIN_EXE_threaded"),
    args = &["--max-connections", "64"],
    at_once = 64,
    workers = 64,
    spawns = true,
    threads = true,
);
