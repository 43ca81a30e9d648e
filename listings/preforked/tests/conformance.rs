//! The fault table of the book, against this server.

#[cfg(target_os = "linux")]
conformance::suite!(
    "preforked",
    env!("CARGO_BIN_EXE_preforked"),
    args = &["--workers", "4"],
    at_once = 4,
    workers = 4,
    respawns = true,
    also = &[&["--reuseport"]]
);
