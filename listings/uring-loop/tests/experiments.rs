//! What the experiments of the chapter print, and what they claim.
#![cfg(target_os = "linux")]

use std::process::Command;

use uring_loop::{Ring, Setup, Work};

#[test]
fn the_ring_is_entered_as_often_for_many_as_for_one() {
    let output = Command::new(env!("CARGO_BIN_EXE_calls")).output().expect("it starts");
    if output.status.code() == Some(2) {
        return flags::skipped(String::from_utf8_lossy(&output.stderr));
    }
    let printed = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{printed}");
    let rows: Vec<Vec<u32>> = printed
        .lines()
        .skip(1)
        .map(|row| row.split_whitespace().map(|word| word.parse().unwrap()).collect())
        .collect();
    let [one, _, many] = &rows[..] else { panic!("{printed}") };
    assert_eq!((one[0], many[0]), (1, 64));
    let (ring, epoll) = (many[3], many[2]);
    assert!(epoll > 2 * many[1], "two calls for each request, and those that wait");
    assert!(ring < 2 * one[3], "{printed}");
    assert!(one[3] <= one[2], "{printed}");
}

#[test]
fn the_loop_without_an_application_answers() {
    let setup = Setup { entries: 8, as_of: None, work: Work::default() };
    match Ring::new(&setup) {
        Ok(ring) if ring.features().multishot_receive => {}
        _ => return flags::skipped("io_uring is forbidden here, or older than Linux 6.0"),
    }
    conformance::bare_answers(env!("CARGO_BIN_EXE_bare-ring")).expect("one response");
}
