//! Without its mistake, the wrong server passes every row: what the tables catch is the
//! mistake.

#[cfg(target_os = "linux")]
conformance::suite!(
    "wrong",
    env!("CARGO_BIN_EXE_wrong"),
    // It is no server of the book, so its verdicts stay out of the matrix.
    verdicts = concat!(env!("CARGO_TARGET_TMPDIR"), "/not-in-the-matrix").into()
);
