//! Without its mistake, the wrong server passes every row: what the tables catch is the
//! mistake.
#![cfg(target_os = "linux")]

use conformance::{Model, rows};

/// It is no server of the book, so its verdicts stay out of the matrix.
const ELSEWHERE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/not-in-the-matrix");

conformance::suite!(
    "wrong",
    env!("CARGO_BIN_EXE_wrong"),
    threads = true,
    verdicts = ELSEWHERE.into()
);

/// With processes, the rows in which they are caught.
fn with_processes(name: &'static str, args: &'static [&'static str]) -> Model {
    Model { name, args, threads: false, ..model() }
}

#[test]
fn a_process_for_each_connection() {
    let wrong = with_processes("wrong-forking", &["--by", "process"]);
    let wrong = Model { at_once: 64, forks: true, ..wrong };
    [9, 10, 16].into_iter().for_each(|row| rows::check(&wrong, row));
}

#[test]
fn a_thread_for_each_connection() {
    let wrong = with_processes("wrong-spawning", &["--by", "thread"]);
    rows::check(&Model { at_once: 64, spawns: true, threads: true, ..wrong }, 9);
}

mod one_thread_for_all {
    conformance::suite!(
        "wrong-loop",
        env!("CARGO_BIN_EXE_wrong"),
        args = &["--by", "loop"],
        event_loop = true,
        verdicts = super::ELSEWHERE.into()
    );
}

#[test]
fn a_pool_of_processes() {
    let wrong = with_processes("wrong-pool", &["--by", "pool"]);
    let wrong = Model { at_once: 4, workers: 4, respawns: true, ..wrong };
    [9, 12, 16, 17].into_iter().for_each(|row| rows::check(&wrong, row));
}
