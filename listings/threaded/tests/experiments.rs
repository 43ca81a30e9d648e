//! What the experiments of the chapter print, and what they claim.
#![cfg(target_os = "linux")]

use std::process::Command;

fn run(program: &str) -> String {
    let output = Command::new(program).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The numbers at the end of a line that begins so.
fn numbers(printed: &str, label: &str) -> Vec<u64> {
    let line = printed.lines().find_map(|line| line.strip_prefix(label));
    let line = line.unwrap_or_else(|| panic!("no line {label:?}: {printed}"));
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn memory_and_open_files_are_shared() {
    let printed = run(env!("CARGO_BIN_EXE_one-memory"));
    assert!(
        printed.contains("the first:    number is 42, the file is at byte 7"),
        "{printed}"
    );
    assert!(printed.contains("its id is the process's: false"), "{printed}");
}

#[test]
fn four_clients_wait_for_the_store_at_the_same_time() {
    let printed = run(env!("CARGO_BIN_EXE_four-threads"));
    let last: Vec<u64> = printed
        .lines()
        .filter_map(|line| line.strip_suffix(" ms")?.split(' ').next_back()?.parse().ok())
        .collect();
    assert_eq!(last.len(), 4, "{printed}");
    // One after another the last would have it after 800 ms.
    assert!(last.iter().all(|ms| (200..700).contains(ms)), "{printed}");
}

#[test]
fn a_stack_is_reserved_and_little_of_it_is_resident() {
    let printed = run(env!("CARGO_BIN_EXE_takes"));
    let [two_mib, small] =
        ["  2048 KiB", "   256 KiB"].map(|label| numbers(&printed, label));
    assert!(
        (2048..3000).contains(&two_mib[0]) && (256..1000).contains(&small[0]),
        "{printed}"
    );
    assert!(two_mib[1] < 128 && small[1] < 128, "{printed}");
}

#[test]
fn an_update_between_read_and_write_is_lost() {
    let printed = run(env!("CARGO_BIN_EXE_lost-updates"));
    assert_eq!(numbers(&printed, "read, then write"), [1000]);
    assert_eq!(numbers(&printed, "one step, fetch_add"), [2000]);
    assert_eq!(numbers(&printed, "under a lock"), [2000]);
}

#[test]
fn a_signal_reaches_one_thread_that_does_not_block_it() {
    let printed = run(env!("CARGO_BIN_EXE_where-it-lands"));
    let to_the_process = numbers(&printed, "to the process");
    assert_eq!(to_the_process.iter().sum::<u64>(), 100, "each is handled once: {printed}");
    let without_main = numbers(&printed, "main blocks it");
    assert_eq!((without_main[0], without_main.iter().sum::<u64>()), (0, 100), "{printed}");
    assert_eq!(numbers(&printed, "to thread 3"), [0, 0, 0, 100], "{printed}");
}

#[test]
fn one_thread_too_many_is_an_error_or_a_panic() {
    let printed = run(env!("CARGO_BIN_EXE_too-many"));
    assert!(printed.contains("Resource temporarily unavailable"), "{printed}");
    assert!(printed.ends_with("thread::spawn says: panic\n"), "{printed}");
}

#[test]
fn a_poisoned_lock_loses_everybody_who_unwraps_it() {
    let printed = run(env!("CARGO_BIN_EXE_poisoned"));
    let ends: Vec<&str> = printed
        .lines()
        .filter_map(|line| line.split_once("1 "))
        .map(|(_, end)| end)
        .collect();
    assert_eq!(
        ends,
        ["served, 2 lost, 3 lost, 4 lost", "served, 2 lost, 3 served, 4 served"],
        "{printed}"
    );
}
