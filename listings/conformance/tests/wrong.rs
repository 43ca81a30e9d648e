//! Each table catches the mistake that it is there for, in the words that name it.
#![cfg(target_os = "linux")]

use conformance::{Model, Report, be_hasty, rows};

/// One mistake, the row that must catch it, and what the row must say, of the wrong server in
/// one of its forms.
macro_rules! caught {
    ($form:ident by $by:literal; $($test:ident: row $row:literal, $fault:literal, $says:literal;)*) => {
        $(#[test]
        fn $test() {
            is_caught($row, &$form(&["--by", $by, "--fault", $fault]), $says);
        })*
    };
}

caught! { threads by "thread";
    row_01_no_host: row 1, "no-host", "HEAD without Host (RFC 9110 section 9, methods): served instead of refused";
    row_01_head_is_get: row 1, "head-is-get", "HEAD has the fields of GET and no content";
    row_02_one_read: row 2, "one-read", "cut at";
    row_04_bare_lf: row 4, "bare-lf", "a length behind a bare LF, GET: served instead of refused";
    row_04_chunks_win: row 4, "chunks-win", "a length and chunks, POST: served instead of refused";
    row_05_endless_head: row 5, "endless-head", "a head of 8,193 bytes: status 200";
    row_06_follows_links: row 6, "follows-links", "GET /link-out: the canary is served";
    row_07_interrupted_is_gone: row 7, "interrupted-is-gone", ", stopped and continued: ";
    row_07_sends_whole: row 7, "sends-whole", ", stopped and continued: half a response";
    row_08_spins: row 8, "spins", "EMFILE while 20 clients wait: it spins";
    row_08_gives_up: row 8, "gives-up", "not healthy: the server ended with exit status: 1; its last words: accept: Too many open files";
    row_10_dies_of_reset: row 10, "dies-of-reset", "not healthy: the server ended";
    row_10_leaks: row 10, "leaks", "not healthy";
    row_11_patient_sender: row 11, "patient-sender", "the write deadline does not fire";
    row_12_starts_again: row 12, "starts-again", "dripping heads, and places are left: client 0 still drips";
    row_12_late_unseen: row 12, "late-unseen", "what arrived while the server stood still: answered 408";
    row_13_eof_is_gone: row 13, "eof-is-gone", "a file, shut at once: the connection is Reset after []";
    row_14_keeps_everything: row 14, "keeps-everything", ": memory grew by ";
    row_15_patient: row 15, "patient-with-store", "silent: the page: no response, connection Open";
    row_15_asks_again: row 15, "asks-again", "the store heard it 2 times";
    row_16_ends_at_once: row 16, "ends-at-once", "a request of which half was read";
    row_16_waits_for_idle: row 16, "waits-for-idle", "connections that are kept alive: it still runs";
    row_26_opens_fifo: row 26, "opens-fifo", "a FIFO: no response, connection Open";
    row_26_caches_for_ever: row 26, "caches-for-ever", "replaced by a rename: \"old content\\n\" instead of";
    row_27_closes_hastily: row 27, "closes-hastily", "431: a field of 1 MiB, sent at once: reset ";
}

caught! { few by "thread";
    row_11_keeps_everything: row 11, "keeps-everything", "KiB of memory for each of them";
}

caught! { forking by "process";
    row_09_dies_of_fork: row 9, "dies-of-fork", "EAGAIN, by a limit of no processes: client ";
    row_09_forks_again: row 9, "forks-again", "client 0: no response, connection Open";
    row_10_leaves_zombies: row 10, "leaves-zombies", "zombies; before the table: ";
}

caught! { pool by "pool";
    row_09_never_replaces: row 9, "never-replaces", "3 workers once processes can be started again";
    row_12_keeps_idle: row 12, "keeps-idle", "idle connections that are kept alive: client 4 is not served";
    row_16_leaves_client: row 16, "leaves-client", "a request of which half was read: no response, connection Closed";
    row_16_leaves_queue: row 16, "leaves-queue", "requests in the accept queue: client ";
    row_17_never_replaces: row 17, "never-replaces", "a worker that was killed is not replaced";
    row_17_replaces_at_once: row 17, "replaces-at-once", "kills without a pause: ";
    row_17_takes_ahead: row 17, "takes-ahead", "of those who waited are lost";
    row_17_orphans: row 17, "orphans", "the first process is killed: a worker outlives the first process";
}

caught! { spawning by "thread";
    row_09_dies_of_clone: row 9, "dies-of-clone", "EAGAIN, by a limit of no processes: ";
}

caught! { looping by "loop";
    row_07_forgets_rest: row 7, "forgets-rest", ": the connection is Open after";
    row_05_reads_once: row 5, "reads-once", "no response, connection Open";
    row_08_spins_at_the_door: row 8, "spins-at-the-door", "EMFILE while 20 clients wait: it spins";
    row_15_blocks_in_store: row 15, "blocks-in-store", "files while pages hang: ";
    row_15_mixes_replies: row 15, "mixes-replies", "a reply to a caller that has gone is not the next one's: visitor ";
    row_15_hammers: row 15, "hammers", "it is not called without end: it called ";
    row_15_loop_asks_again: row 15, "asks-again", "it closes in the middle of 20 replies: the store heard remark ";
    row_16_accepts_on: row 16, "accepts-on", "64 clients in a closed loop: time 1: it still runs";
    row_16_hangs_up: row 16, "hangs-up", "each on its connection: time … a request from before the signal is not answered";
    row_16_loop_leaves_queue: row 16, "leaves-queue", "a request from before the signal is not answered";
    row_28_starves: row 28, "starves", "another client is not served";
    row_29_ticks: row 29, "ticks", "idle connections: ";
}

/// The same for the parts of rows that need an installed tool.
macro_rules! caught_with_tool {
    ($form:ident by $by:literal; $($test:ident: row $row:literal, $fault:literal, $says:literal;)*) => {
        $(#[test]
        fn $test() {
            let (variable, run) = rows::row_number($row).unwrap().with_tool.unwrap();
            match std::env::var(variable) {
                Ok(tool) => says($row, run(&$form(&["--by", $by, "--fault", $fault]), &tool), $says),
                Err(_) => flags::skipped(format_args!("row {} with a tool: {variable} does not name its program", $row)),
            }
        })*
    };
}

caught_with_tool! { threads by "thread";
    row_01_against_nginx_no_host: row 1, "no-host", "HEAD without Host: served, nginx does not agree";
    row_08_injected_gives_up: row 8, "gives-up", "ECONNABORTED, 10 times: GET /small.txt: ";
    row_08_injected_spins: row 8, "spins", "lines in the log";
    row_07_injected_interrupted_is_gone: row 7, "interrupted-is-gone", "EINTR in every second receive: a file: ";
}

caught_with_tool! { spawning by "thread";
    row_09_injected_dies_of_clone: row 9, "dies-of-clone", "connect: Connection refused";
}

caught_with_tool! { looping by "loop";
    row_09_injected_ends_with_epoll: row 9, "ends-with-epoll", "epoll_ctl: ENOMEM, every fifth time: ";
    row_07_injected_loop_forgets_rest: row 7, "forgets-rest", "EAGAIN in every second send: ";
}

caught_with_tool! { forking by "process";
    row_09_injected_dies_of_fork: row 9, "dies-of-fork", "connect: Connection refused";
}

fn threads(args: &'static [&'static str]) -> Model {
    be_hasty();
    Model {
        args,
        ..Model::new("wrong", env!("CARGO_BIN_EXE_wrong"), env!("CARGO_TARGET_TMPDIR"))
    }
}

/// The same, but so few at a time that 10 MB for each of them do no harm.
fn few(args: &'static [&'static str]) -> Model {
    Model { at_once: 8, ..threads(args) }
}

fn forking(args: &'static [&'static str]) -> Model {
    Model { at_once: 64, forks: true, ..threads(args) }
}

fn spawning(args: &'static [&'static str]) -> Model {
    Model { at_once: 64, spawns: true, threads: true, ..threads(args) }
}

fn looping(args: &'static [&'static str]) -> Model {
    Model { event_loop: true, ..threads(args) }
}

fn pool(args: &'static [&'static str]) -> Model {
    Model { at_once: 4, workers: 4, respawns: true, ..threads(args) }
}

fn is_caught(row: u8, model: &Model, words: &str) {
    let run = rows::row_number(row).unwrap().run.unwrap();
    says(row, run(model), words);
}

/// Whether it says so; in place of a … there may be anything.
fn says(row: u8, outcome: Result<Report, String>, words: &str) {
    let why = outcome.map(|_| ()).expect_err("it is caught");
    let mut rest = why.as_str();
    for part in words.split('…') {
        let found = rest.split_once(part.trim());
        rest = found.unwrap_or_else(|| panic!("row {row} catches it, but says:\n{why}")).1;
    }
}
