//! Each table catches the mistake that it is there for, in the words that name it.
#![cfg(target_os = "linux")]

use conformance::{Model, Report, be_hasty, rows};

/// One mistake, the row that must catch it, and what the row must say.
macro_rules! caught {
    ($($test:ident: row $row:literal, $fault:literal, $says:literal;)*) => {
        $(#[test]
        fn $test() {
            is_caught($row, &["--fault", $fault], $says);
        })*
    };
}

caught! {
    row_01_no_host: row 1, "no-host", "HEAD without Host (RFC 9110 section 9, methods): served instead of refused";
    row_01_head_is_get: row 1, "head-is-get", "HEAD has the fields of GET and no content";
    row_02_one_read: row 2, "one-read", "cut at";
    row_04_bare_lf: row 4, "bare-lf", "a length behind a bare LF, GET: served instead of refused";
    row_04_chunks_win: row 4, "chunks-win", "a length and chunks, POST: served instead of refused";
    row_05_endless_head: row 5, "endless-head", "a head of 8,193 bytes: status 200";
    row_06_follows_links: row 6, "follows-links", "GET /link-out: the canary is served";
    row_08_spins: row 8, "spins", "EMFILE while 20 clients wait: it spins";
    row_08_gives_up: row 8, "gives-up", "not healthy: the server ended with exit status: 1; its last words: accept: Too many open files";
    row_10_dies_of_reset: row 10, "dies-of-reset", "not healthy: the server ended";
    row_10_leaks: row 10, "leaks", "not healthy";
    row_13_eof_is_gone: row 13, "eof-is-gone", "a file, shut at once: the connection is Reset after []";
    row_14_keeps_everything: row 14, "keeps-everything", "a flood of 10 MB: memory grew";
    row_15_patient: row 15, "patient-with-store", "silent: the page: no response, connection Open";
    row_15_asks_again: row 15, "asks-again", "the store heard it 2 times";
    row_16_ends_at_once: row 16, "ends-at-once", "a request of which half was read";
    row_16_waits_for_idle: row 16, "waits-for-idle", "connections that are kept alive: it still runs";
    row_26_opens_fifo: row 26, "opens-fifo", "a FIFO: no response, connection Open";
    row_26_caches_for_ever: row 26, "caches-for-ever", "replaced by a rename: \"old content\\n\" instead of";
    row_27_closes_hastily: row 27, "closes-hastily", "431: a field of 1 MiB, sent at once: reset ";
}

/// The same for the parts of rows that need an installed tool.
macro_rules! caught_with_tool {
    ($($test:ident: row $row:literal, $fault:literal, $says:literal;)*) => {
        $(#[test]
        fn $test() {
            let (variable, run) = rows::row_number($row).unwrap().with_tool.unwrap();
            match std::env::var(variable) {
                Ok(tool) => says($row, run(&wrong(&["--fault", $fault]), &tool), $says),
                Err(_) => flags::skipped(format_args!("row {} with a tool: {variable} does not name its program", $row)),
            }
        })*
    };
}

caught_with_tool! {
    row_01_against_nginx_no_host: row 1, "no-host", "HEAD without Host: served, nginx does not agree";
    row_08_injected_gives_up: row 8, "gives-up", "ECONNABORTED, 10 times: GET /small.txt: ";
    row_08_injected_spins: row 8, "spins", "lines in the log";
}

fn wrong(args: &'static [&'static str]) -> Model {
    be_hasty();
    Model {
        args,
        ..Model::new("wrong", env!("CARGO_BIN_EXE_wrong"), env!("CARGO_TARGET_TMPDIR"))
    }
}

fn is_caught(row: u8, args: &'static [&'static str], words: &str) {
    let run = rows::row_number(row).unwrap().run.unwrap();
    says(row, run(&wrong(args)), words);
}

fn says(row: u8, outcome: Result<Report, String>, words: &str) {
    match outcome {
        Ok(_) => panic!("row {row} lets it pass"),
        Err(why) => assert!(why.contains(words), "row {row} catches it, but says:\n{why}"),
    }
}
