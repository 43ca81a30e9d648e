//! What the experiments of the chapter print, and what they claim.
#![cfg(target_os = "linux")]

use std::process::{Command, Output};

fn start(program: &str) -> Output {
    Command::new(program).output().expect("it starts")
}

fn run(program: &str) -> String {
    let output = start(program);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn one_thread_waits_for_four_clients_at_once() {
    let printed = run(env!("CARGO_BIN_EXE_four-in-one"));
    let pages: Vec<u64> = printed
        .lines()
        .filter_map(|line| {
            line.split_once("page ")?.1.strip_suffix(" ms")?.trim().parse().ok()
        })
        .collect();
    let [first, .., last] = pages[..] else { panic!("{printed}") };
    // One after another it would be 200, 400, 600 and 800: three more waits for the last.
    assert!(first >= 200 && last < first + 600, "{printed}");
    assert!(printed.ends_with("threads of the server: 1\n"), "{printed}");
}

#[test]
fn what_is_not_ready_is_taken_out_of_the_set() {
    let printed = run(env!("CARGO_BIN_EXE_two-pipes"));
    assert!(printed.contains("before: A B\nthe set after:  - B\nB says: hello\n"));
    // A was written to, and B is ready because its writer is gone.
    assert!(printed.ends_with("and later:      A B\nA says: and me\n"), "{printed}");
}

#[test]
fn only_the_librarys_set_ends_at_1023() {
    let output = start(env!("CARGO_BIN_EXE_beyond"));
    if output.status.code() == Some(2) {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return flags::skipped(format_args!("descriptor 1500: {}", why.trim()));
    }
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 is ready: [1500]"));
}

#[test]
fn a_listener_spins_in_the_set_and_not_beside_it() {
    let printed = run(env!("CARGO_BIN_EXE_spins"));
    assert!(printed.contains("in the set:\n  1000 rounds: ready 1000, accepted 0\n"));
    assert!(printed.contains("left out:\n  1000 rounds: ready 0, accepted 0\n"));
    assert!(printed.ends_with("free again: true\n"), "{printed}");
}
