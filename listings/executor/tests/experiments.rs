//! What the experiments of the chapter print, and what they claim.
#![cfg(target_os = "linux")]

use std::process::Command;

/// What it prints; none if the kernel refuses a ring.
fn run(program: &str) -> Option<String> {
    let output = Command::new(program).output().expect("it starts");
    if output.status.code() == Some(2) {
        flags::skipped(String::from_utf8_lossy(&output.stderr));
        return None;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("text"))
}

fn numbers(printed: &str) -> Vec<usize> {
    let words = printed.lines().flat_map(|line| line.split_whitespace().next_back());
    words.filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn callbacks_and_futures_greet_the_same_visitors() {
    for program in [env!("CARGO_BIN_EXE_callbacks"), env!("CARGO_BIN_EXE_futures")] {
        let printed = run(program).expect("it needs no ring");
        let greeted = "Ben: too late\nAnna: answered\nAnna hears: hello, Anna\n";
        assert!(printed.contains(greeted), "{program}: {printed}");
    }
}

#[test]
fn who_is_not_woken_is_not_polled() {
    let printed = run(env!("CARGO_BIN_EXE_who-polls")).expect("it needs no ring");
    assert_eq!(numbers(&printed), [400, 10, 4000], "{printed}");
}

#[test]
fn what_is_dropped_is_in_the_socket_or_lost() {
    let Some(printed) = run(env!("CARGO_BIN_EXE_dropped")) else { return };
    let has = printed.lines().filter_map(|line| line.split_once("has: "));
    let has: Vec<&str> = has.map(|(_, text)| text).collect();
    assert_eq!(has, ["one two", "one two", "two", "one "], "{printed}");
    assert_eq!(numbers(&printed), [1, 0], "{printed}");
}

/// A stack has a page at least, and most have two thousand.
#[test]
fn a_client_that_waits_is_smaller_than_a_page() {
    let Some(printed) = run(env!("CARGO_BIN_EXE_how-large")) else { return };
    let [epoll, guest, ring] = numbers(&printed)[..] else { panic!("{printed}") };
    assert!(guest < epoll && guest < ring, "{printed}");
    assert!(epoll < 4096 && ring < 4096, "{printed}");
}
