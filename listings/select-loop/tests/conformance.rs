//! The fault table of the book, against this server.

#[cfg(target_os = "linux")]
conformance::suite!(
    "select-loop",
    env!("CARGO_BIN_EXE_select-loop"),
    event_loop = true,
    descriptors = 1024
);
