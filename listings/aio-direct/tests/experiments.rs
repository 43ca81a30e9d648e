//! What the experiments of the chapter print, and what they claim.
#![cfg(target_os = "linux")]

use std::env;
use std::process::{Command, Output};

/// The build's own folder: more often on a disk than the one for temporary files.
const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

fn output(program: &str) -> Output {
    Command::new(program).arg(FOLDER).output().expect("it starts")
}

/// What an experiment prints; None, with a line, where the machine refuses.
fn run(program: &str) -> Option<String> {
    let output = output(program);
    let said = String::from_utf8(output.stderr).unwrap();
    if output.status.code() == Some(2) {
        assert_eq!(said.lines().count(), 1, "{said}");
        flags::skipped(said.trim());
        return None;
    }
    assert!(output.status.success() && said.is_empty(), "{program}: {said}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// The only line that begins with this.
fn line<'a>(printed: &'a str, start: &str) -> &'a str {
    let mut lines = printed.lines().filter(|line| line.starts_with(start));
    let (line, others) = (lines.next(), lines.count());
    assert!(others == 0, "{start} begins several lines:\n{printed}");
    line.unwrap_or_else(|| panic!("no line begins with {start}:\n{printed}"))
}

/// The numbers of a line, behind its name.
fn numbers(line: &str, name: &str) -> Vec<f64> {
    line[name.len()..].split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Whether the folder of the tests is on a file system of which the chapter speaks.
fn on_ext4() -> bool {
    const EXT4: u64 = 0xef53;
    let is = rustix::fs::statfs(FOLDER).is_ok_and(|found| found.f_type as u64 == EXT4);
    if !is {
        flags::skipped(format_args!(
            "{FOLDER} is not on ext4, and others may answer otherwise"
        ));
    }
    is
}

#[test]
fn the_smallest_program_has_its_read_in_flight() {
    let Some(printed) = run(env!("CARGO_BIN_EXE_one-read")) else { return };
    assert_eq!(printed, "io_submit has returned, 1 in flight\nthe read has 4096 bytes\n");
}

#[test]
fn a_buffered_read_is_over_when_io_submit_returns_and_a_direct_one_is_not() {
    let Some(printed) = run(env!("CARGO_BIN_EXE_where-it-waits")) else { return };
    let cold = numbers(line(&printed, "buffered, cold"), "buffered, cold");
    if cold[0] == 0.0 {
        assert!(!on_ext4(), "{FOLDER} is on a disk:\n{printed}");
        return;
    }
    for buffered in ["buffered, cold", "buffered, cached"] {
        assert!(line(&printed, buffered).ends_with("the event was there"), "{printed}");
    }
    assert!(cold[2] >= 1.0, "it has not waited inside io_submit:\n{printed}");
    assert!(line(&printed, "O_DIRECT").ends_with("the event came later"), "{printed}");
}

#[test]
fn a_read_of_an_empty_socket_blocks_io_submit_and_a_poll_does_not() {
    let Some(printed) = run(env!("CARGO_BIN_EXE_empty-socket")) else { return };
    let times = |name| {
        let line = line(&printed, name);
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |word| {
            let at = words.iter().position(|w| *w == word).unwrap();
            words[at + 1].parse::<u64>().unwrap()
        };
        (after("io_submit"), after("at"))
    };
    // The peer's sleep is 300 ms: a call either lasts as long, or is over well before.
    let (submit, event) = times("read  ");
    assert!(submit >= 300 && event >= 300, "{printed}");
    assert!(line(&printed, "read  ").ends_with("5 bytes"), "{printed}");
    let (submit, event) = times("read, O_NONBLOCK");
    assert!(submit < 250 && event < 250, "{printed}");
    assert!(line(&printed, "read, O_NONBLOCK").ends_with("EAGAIN"), "{printed}");
    let (submit, event) = times("poll");
    assert!(submit < 250 && event >= 300, "{printed}");
    assert!(
        line(&printed, "poll").ends_with("ready, and read(2) has 5 bytes"),
        "{printed}"
    );
}

#[test]
fn misalignment_is_in_the_event_and_nonsense_in_the_call() {
    let Some(printed) = run(env!("CARGO_BIN_EXE_who-refuses")) else { return };
    let said = |name| {
        let words: Vec<&str> = line(&printed, name)[34..].split_whitespace().collect();
        words.join(" ")
    };
    assert_eq!(said("as it should be"), "takes it 65536");
    assert_eq!(said("it begins at the file's end"), "takes it 0");
    assert_eq!(said("of a folder"), "EINVAL");
    assert_eq!(said("of a pipe's end"), "EBADF");
    assert_eq!(said("from below zero"), "EINVAL");
    assert_eq!(said("poll of the file"), "takes it 1");
    if on_ext4() {
        for what in ["the buffer is one byte", "the offset is 1", "the length is one byte"]
        {
            assert_eq!(said(what), "takes it EINVAL", "{what}");
        }
    }
}

#[test]
fn the_kernel_copies_64_and_8_and_32_bytes() {
    let Some(printed) = run(env!("CARGO_BIN_EXE_copied")) else { return };
    let last = |start: &str| {
        let mut words = line(&printed, start).split_whitespace();
        words.rfind(|word| word.parse::<u32>().is_ok()).unwrap().to_owned()
    };
    assert_eq!(last("io_submit reads a pointer"), size_of::<usize>().to_string());
    assert_eq!(last("and, where it leads"), "64");
    assert_eq!(last("io_getevents writes"), "32");
    assert_eq!(last("io_submit also writes"), "4");
}

#[test]
fn an_extending_write_is_over_in_io_submit_and_nowait_says_so_before() {
    // A busy device is a reason for EAGAIN, too: other tests keep it busy.
    let mut first_row = "EAGAIN".to_owned();
    for _ in 0..20 {
        let Some(printed) = run(env!("CARGO_BIN_EXE_writes")) else { return };
        if !on_ext4() {
            return;
        }
        assert!(line(&printed, "behind the end").contains("it is over"), "{printed}");
        assert!(line(&printed, "behind the end").ends_with("EAGAIN"), "{printed}");
        assert!(line(&printed, "into a hole").ends_with("EAGAIN"), "{printed}");
        first_row = line(&printed, "over bytes that are there").to_owned();
        if !first_row.ends_with("EAGAIN") {
            break;
        }
    }
    assert!(first_row.ends_with("1048576 bytes"), "{first_row}");
}

#[test]
fn more_reads_than_the_queue_has_requests_wait_in_io_submit() {
    let Some(printed) = run(env!("CARGO_BIN_EXE_slots")) else { return };
    let first = printed.lines().next().unwrap();
    let Some(slots) = numbers(first, "the device's queue has").pop() else {
        flags::skipped(first);
        return;
    };
    if slots > 2048.0 {
        flags::skipped(format_args!("{slots} requests are more than the experiment uses"));
        return;
    }
    let waits = |reads: &str| numbers(line(&printed, reads), reads)[1];
    assert_eq!(waits("    16 "), 0.0, "{printed}");
    assert!(waits("  4096 ") > 0.0, "{printed}");
}

#[test]
fn an_eventfd_tells_a_loop_of_every_read() {
    let Some(printed) = run(env!("CARGO_BIN_EXE_in-a-loop")) else { return };
    for name in ["buffered, cold", "O_DIRECT"] {
        let found = numbers(line(&printed, name), name);
        assert_eq!(found[..2], [64.0, 64.0], "{printed}");
    }
}

#[test]
fn the_program_writes_its_own_file_and_removes_it() {
    let folder = tempfile::tempdir_in(FOLDER).unwrap();
    let measure = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aio-direct"));
        command
            .arg("--dir")
            .arg(folder.path())
            .args(["--seconds", "1", "--mib", "8"])
            .args(more);
        command.output().unwrap()
    };
    for more in
        [&[][..], &["--random", "--depth", "4"], &["--buffered", "--block", "65536"]]
    {
        let output = measure(more);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.code() == Some(2) {
            flags::skipped(String::from_utf8_lossy(&output.stderr).trim());
            return;
        }
        assert!(output.status.success(), "{more:?}: {output:?}");
        assert!(said.contains("reads a second"), "{said}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "a file is left");
    }
    let rounded = measure(&["--block", "1000"]);
    let said = String::from_utf8_lossy(&rounded.stdout).into_owned();
    assert!(said.contains("1000 bytes are no multiple of") || !on_ext4(), "{said}");
}
