//! The fault table, against the select server.

conformance::suite!("select-loop", env!("CARGO_BIN_EXE_select-loop"));
