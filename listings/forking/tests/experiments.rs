//! What the experiments of the chapter print, and what they claim.
#![cfg(target_os = "linux")]

use std::process::Command;

fn run(program: &str) -> String {
    let output = Command::new(program).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn memory_is_copied_and_an_open_file_is_shared() {
    let printed = run(env!("CARGO_BIN_EXE_twice"));
    assert!(printed.contains("the child:    number is 42, has read 7 bytes"), "{printed}");
    assert!(
        printed.contains("the parent:   number is 1, the file is at byte 7"),
        "{printed}"
    );
}

#[test]
fn reading_copies_nothing_and_a_write_copies_once() {
    let printed = run(env!("CARGO_BIN_EXE_copies"));
    let faults: Vec<u64> = printed
        .lines()
        .filter_map(|line| {
            line.strip_suffix(" page faults")?.split(' ').next_back()?.parse().ok()
        })
        .collect();
    let [read, first, again] = faults[..] else { panic!("{printed}") };
    // A page table or a page of the stack may be among them, too.
    assert!(read < 100 && (1000..1100).contains(&first) && again < 100, "{printed}");
    assert!(printed.contains("still hold 1"), "{printed}");
}

#[test]
fn four_clients_wait_for_the_store_at_the_same_time() {
    let printed = run(env!("CARGO_BIN_EXE_four-at-once"));
    let last: Vec<u64> = printed
        .lines()
        .filter_map(|line| line.strip_suffix(" ms")?.split(' ').next_back()?.parse().ok())
        .collect();
    assert_eq!(last.len(), 4, "{printed}");
    // One after another the last would have it after 800 ms.
    assert!(last.iter().all(|ms| (200..700).contains(ms)), "{printed}");
}
