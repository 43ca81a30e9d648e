//! What the experiments of the chapter print, and what they claim.
#![cfg(target_os = "linux")]

use std::process::Command;

fn run(program: &str) -> String {
    let output = Command::new(program).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn an_edge_is_told_once_and_a_level_as_long_as_it_lasts() {
    let printed = run(env!("CARGO_BIN_EXE_two-ways"));
    let told = |trigger: &str| -> Vec<bool> {
        let lines = printed.lines().filter_map(|line| line.trim().strip_prefix(trigger));
        lines.map(|line| line.ends_with("ready")).collect()
    };
    assert_eq!(told("level"), [true, true, true, false], "{printed}");
    assert_eq!(told("edge"), [true, false, true, false], "{printed}");
}

#[test]
fn a_connection_wakes_everybody_or_one() {
    let printed = run(env!("CARGO_BIN_EXE_herd"));
    let woken: Vec<Vec<u32>> = printed
        .lines()
        .filter_map(|line| line.split_once("woken "))
        .map(|(_, counts)| counts.split_whitespace().flat_map(str::parse).collect())
        .collect();
    let [shared, exclusive, each] = &woken[..] else { panic!("{printed}") };
    let sum = |counts: &[u32]| counts.iter().sum::<u32>();
    assert!(shared.iter().all(|count| *count >= 20), "everybody, each time: {printed}");
    // "One or more", says epoll_ctl(2).
    assert!((20..80).contains(&sum(exclusive)), "{printed}");
    assert_eq!(sum(each), 20, "{printed}");
}

#[test]
fn the_loop_without_an_application_answers() {
    conformance::bare_answers(env!("CARGO_BIN_EXE_bare")).expect("one response");
}
