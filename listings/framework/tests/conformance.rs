//! The fault table of the book, against this server.

#[cfg(target_os = "linux")]
const fn lack(
    row: u8,
    case: &'static str,
    how: &'static str,
    why: &'static str,
) -> conformance::Lack {
    conformance::Lack { row, case, how, why, only_with_tool: false, by_chance: false }
}

#[cfg(target_os = "linux")]
const fn with_tool(lack: conformance::Lack) -> conformance::Lack {
    conformance::Lack { only_with_tool: true, ..lack }
}

#[cfg(target_os = "linux")]
const fn by_chance(lack: conformance::Lack) -> conformance::Lack {
    conformance::Lack { by_chance: true, ..lack }
}

/// What hyper decides, and leaves no place for us to decide otherwise.
#[cfg(target_os = "linux")]
#[rustfmt::skip]
static LACKS: &[conformance::Lack] = &[
    lack(1, "the preface of HTTP/2", "0 responses", "an HTTP/2 preface is closed without a response"),
    lack(1, "2.0 (RFC", "status 400", "another version is answered 400, not 505"),
    lack(1, "9.9 (RFC", "status 400", "another version is answered 400, not 505"),
    lack(1, "If-None-Match in two lines", "status 200", "of several such fields the first is looked at"),
    with_tool(lack(1, "several may be ignored", "refused, nginx", "ranges are tower-http's: 416 for a unit that it does not know, and no If-Range")),
    lack(1, "the unit in another case", "", "ranges are tower-http's: 416 for a unit that it does not know, and no If-Range"),
    lack(1, "more than there are", "", "ranges are tower-http's: 416 for a unit that it does not know, and no If-Range"),
    lack(1, "another unit is ignored", "", "ranges are tower-http's: 416 for a unit that it does not know, and no If-Range"),
    lack(1, "(RFC 9110 section 14, ranges)", "status ", "ranges are tower-http's: 416 for a unit that it does not know, and no If-Range"),
    lack(4, "a length and chunks", "served instead", "of a length and chunks the length is struck out (RFC 9112 section 6.3 allows it)"),
    lack(4, "chunks and a length", "served instead", "of a length and chunks the length is struck out (RFC 9112 section 6.3 allows it)"),
    lack(4, "an extension with a NUL", "served instead", "what stands behind a chunk's size is not looked at"),
    lack(4, "a size of 64 KiB of zeros", "served instead", "what stands behind a chunk's size is not looked at"),
    lack(4, "LF CR for the empty line", "served instead", "a line may end in LF alone (RFC 9112 section 2.2 allows it)"),
    lack(4, "two equal lengths", "served instead", "two equal lengths are taken for one (RFC 9110 section 8.6 allows it)"),
    lack(4, "bare LF", "served instead", "a line may end in LF alone (RFC 9112 section 2.2 allows it)"),
    lack(12, "while the server stood still", "Reset", "the clock is asked before the socket"),
    by_chance(lack(27, "505: another version", "status 400", "another version is answered 400, not 505")),
    lack(27, ", sent ", "reset while it sends", "whoever still sends is reset: nobody reads on"),
    with_tool(lack(7, "in every second receive", "", "EINTR of a call that does not wait is a failure, and an EAGAIN that is not true is waited on for ever: mio is told once")),
    with_tool(lack(7, "in every second send", "", "EINTR of a call that does not wait is a failure, and an EAGAIN that is not true is waited on for ever: mio is told once")),
];

#[cfg(target_os = "linux")]
conformance::suite!(
    "framework",
    env!("CARGO_BIN_EXE_framework"),
    threads = true,
    // As many as its pool may have.
    pool = 16,
    lacks = LACKS,
);
