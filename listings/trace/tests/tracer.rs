//! The tracer and a program whose calls are known.
#![cfg(target_os = "linux")]

#[path = "../../uring-read/tests/confined/mod.rs"]
mod confined;

use std::process::{Command, Output};

fn look_on() -> Command {
    Command::new(env!("CARGO_BIN_EXE_look-on"))
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_call_is_counted_in_threads_and_children_and_only_one_has_slept() {
    let Output { status, stdout, stderr } = look_on().output().expect("it starts");
    let printed = said(&stdout);
    if status.code() == Some(2) {
        return flags::skipped(said(&stderr).trim());
    }
    assert!(status.success(), "{}", said(&stderr));
    for lines in [
        "thread 1, of process 1\n  getppid 100 times, slept 0\n  clock_nanosleep  slept 1\n",
        "thread 2, of process 1\n  getppid  20 times, slept 0\n",
        "thread 3, of process 2\n  getppid   5 times, slept 0\n",
    ] {
        assert!(printed.contains(lines), "{printed}");
    }
    // It has asked for 50, and whoever sleeps does not run.
    let waited = printed.split_once("waited ").and_then(|(_, rest)| rest.split_once(" ms"));
    let waited: f64 = waited.and_then(|(number, _)| number.parse().ok()).expect(&printed);
    assert!(waited >= 45.0, "{printed}");
}

#[test]
fn who_may_not_trace_says_so_in_one_line() {
    let mut command = look_on();
    confined::deny(&mut command, libc::SYS_ptrace, libc::EPERM);
    let output = command.output().expect("it starts");
    let said = said(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.lines().count() == 1 && said.contains("kernel.yama.ptrace_scope"),
        "{said}"
    );
    assert!(output.stdout.is_empty());
}
