//! The fault table of the book, against this server.

#[cfg(target_os = "linux")]
conformance::suite!("poll-loop", env!("CARGO_BIN_EXE_poll-loop"), event_loop = true);
