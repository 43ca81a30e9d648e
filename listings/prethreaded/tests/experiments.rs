//! What the experiments of the chapter print, and what they claim.
#![cfg(target_os = "linux")]

use std::process::Command;

fn run(program: &str) -> String {
    let output = Command::new(program).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The numbers in the line that begins so.
fn numbers(printed: &str, label: &str) -> Vec<f64> {
    let line = printed.lines().find_map(|line| line.strip_prefix(label));
    let line = line.unwrap_or_else(|| panic!("no line {label:?}: {printed}"));
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn the_last_thread_that_is_taken_is_everybodys() {
    let printed = run(env!("CARGO_BIN_EXE_stuck-pool"));
    let ends: Vec<bool> =
        printed.lines().skip(1).map(|line| line.ends_with("is answered")).collect();
    assert_eq!(ends, [true, true, true, true, false], "{printed}");
}

#[test]
fn a_lock_across_a_call_makes_a_line_of_four_threads() {
    let printed = run(env!("CARGO_BIN_EXE_one-lock"));
    let [one, each] = ["one lock", "a lock each"].map(|label| numbers(&printed, label));
    assert_eq!((&one[..2], &each[..2]), (&[1.0, 3.0][..], &[4.0, 0.0][..]), "{printed}");
    // The store's delay alone makes 300 and 1200 ms.
    assert!(one[2] >= 1200.0 && (300.0..1100.0).contains(&each[2]), "{printed}");
}

#[test]
fn a_thread_that_sleeps_cannot_be_told_to_end() {
    let printed = run(env!("CARGO_BIN_EXE_background"));
    let sleeper = numbers(&printed, "a loop around sleep")[0];
    let waiter = numbers(&printed, "wait with a timeout")[0];
    assert!(sleeper >= 1.0 && waiter < sleeper, "{printed}");
}
