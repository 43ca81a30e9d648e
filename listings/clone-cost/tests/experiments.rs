//! The sentences that the chapter draws from its experiments, held against the kernel that
//! runs the tests. What forks is run as a program, since a test has threads.
#![cfg(target_os = "linux")]

use std::process::{Command, Output};

const CLONE_COST: &str = env!("CARGO_BIN_EXE_clone-cost");

fn output(program: &str, words: &[&str]) -> Output {
    Command::new(program).args(words).output().expect("it starts")
}

fn run(program: &str, words: &[&str]) -> String {
    let output = output(program, words);
    assert!(
        output.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// A sample's numbers.
fn sample(words: &[&str]) -> serde_json::Value {
    let words: Vec<_> = ["sample"].iter().chain(words).copied().collect();
    serde_json::from_str(&run(CLONE_COST, &words)).expect("JSON")
}

fn number(value: &serde_json::Value) -> f64 {
    value.as_f64().expect("a number")
}

#[test]
fn a_childs_writes_fault_once_a_page_and_a_threads_do_not() {
    let printed = run(CLONE_COST, &["faults"]);
    let line = |start: &str| {
        let line = printed.lines().find_map(|line| line.strip_prefix(start));
        line.unwrap_or_else(|| panic!("{printed}")).split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(line("100 writes"), ["100", "faults", "0", "faults"], "{printed}");
    assert_eq!(line("the maker sees"), ["0", "100"], "{printed}");
    let kib: Vec<usize> =
        line("page tables").iter().filter_map(|word| word.parse().ok()).collect();
    let entries = (256 << 20) / rustix::param::page_size() * 8 / 1024;
    assert!(kib[0] >= entries, "less than {entries} KiB: {printed}");
    assert!(kib[1] < entries, "{printed}");
}

#[test]
fn flags_say_what_is_shared() {
    let printed = run(CLONE_COST, &["shared"]);
    let rows: Vec<Vec<&str>> = printed
        .lines()
        .skip(1)
        .map(|line| {
            let words = line.split_whitespace();
            words
                .filter(|word| ["shared", "copy", "same", "another"].contains(word))
                .collect()
        })
        .collect();
    assert_eq!(
        rows,
        [
            ["copy", "copy", "copy", "another"],
            ["copy", "shared", "copy", "another"],
            ["copy", "copy", "shared", "another"],
            ["shared", "copy", "copy", "another"],
            ["shared", "shared", "shared", "same"],
        ],
        "{printed}"
    );
}

#[test]
fn a_lock_that_another_thread_held_stays_locked_in_the_child() {
    let printed = run(env!("CARGO_BIN_EXE_locked"), &[]);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(
        lines,
        [
            "parent: 2 threads, one holds the lock",
            "child:  1 thread, and it wants the lock",
            "parent: it still waits after 1 s, and is killed",
            "parent: the lock is free",
        ]
    );
}

#[test]
fn a_stack_stays_resident_and_has_an_end() {
    let printed = run(env!("CARGO_BIN_EXE_deep"), &[]);
    assert!(printed.contains("16 MiB more are resident"), "{printed}");
    assert!(printed.contains("ended by signal"), "{printed}");
    let ended = output(env!("CARGO_BIN_EXE_deep"), &["overflow"]);
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("overflowed its stack"), "{said}");
}

#[test]
fn fork_grows_with_private_pages_and_a_thread_does_not() {
    let few = sample(&["create", "private", "0"]);
    let many = sample(&["create", "private", "128"]);
    let call = |made: &serde_json::Value, what: &str| number(&made[what]["call"]);
    for made in [&few, &many] {
        for what in ["fork", "thread", "spawn"] {
            let whole = number(&made[what]["whole"]);
            assert!(call(made, what) > 0.0 && whole >= call(made, what), "{made}");
        }
    }
    if rustix::param::page_size() > 4096 {
        flags::skipped(format_args!(
            "with pages larger than 4 KiB, 128 MiB are too few for an ordering that is safe"
        ));
        return;
    }
    // 32,768 entries: on a quiet machine fifty times as long, and two hundred times.
    assert!(call(&many, "fork") > call(&few, "fork") * 3.0, "{few} {many}");
    assert!(call(&many, "fork") > call(&many, "thread") * 5.0, "{many}");
}

#[test]
fn a_turn_between_two_is_two_switches_and_in_one_thread_none() {
    for between in ["processes", "threads", "condvar"] {
        let turn = sample(&["switch", between, "1"]);
        let switches = number(&turn["voluntary"]) + number(&turn["involuntary"]);
        // There and back on one processor. More come only from others on it.
        assert!(switches >= 1.99, "{between}: {turn}");
    }
    for between in ["alone", "machines", "call"] {
        let turn = sample(&["switch", between, "1"]);
        assert!(number(&turn["voluntary"]) < 0.01, "{between}: {turn}");
    }
}

#[test]
fn who_waits_keeps_a_kernel_stack_and_more() {
    let process = sample(&["idle", "processes", "50"]);
    let thread = sample(&["idle", "threads", "50"]);
    for who in [&process, &thread] {
        assert!(number(&who["user"]) > 1.0, "{who}");
        assert!(number(&who["page_tables"]) >= 1.0, "{who}");
    }
    assert!(number(&process["user"]) > number(&thread["user"]), "{process} {thread}");
    assert!(number(&process["page_tables"]) > number(&thread["page_tables"]));
}

#[test]
fn more_processors_than_there_are_is_a_refusal_in_one_line() {
    let ended = output(CLONE_COST, &["sample", "switch", "threads", "9999"]);
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn what_is_refused_is_left_out_and_said() {
    // A size that no machine has room for, and one that is fine.
    let words = ["create", "--mib", "0,65536", "--memory", "shared", "--rounds", "1"];
    let available = std::fs::read_to_string("/proc/meminfo").expect("/proc");
    let kib = available
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:")?.split_whitespace().next())
        .and_then(|kib| kib.parse::<u64>().ok())
        .expect("MemAvailable");
    if kib / 1024 / 2 >= 65_536 {
        flags::skipped(format_args!("{kib} KiB are available, so nothing is left out"));
        return;
    }
    let printed = run(CLONE_COST, &words);
    assert!(printed.contains("left out: 65536 MiB"), "{printed}");
    assert_eq!(printed.matches("shared      0 MiB").count(), 2, "{printed}");
}

#[test]
fn wrong_usage_is_one_line_and_exit_2() {
    for words in [
        &["create", "--mib", "-1"][..],
        &["create", "--memory", "none"],
        &["switch", "--cores", "3"],
        &["idle", "--number", "0"],
        &["fly"],
        &[],
    ] {
        let ended = output(CLONE_COST, words);
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{words:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{words:?}: {said}");
    }
}
