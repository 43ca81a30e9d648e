//! The sentences that the chapter draws from these numbers, held against the kernel that
//! runs the tests.

#![cfg(target_os = "linux")]

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use blocking_read::usage::Cost;
use blocking_read::{file, neighbour, pipe, watch};

fn program(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_blocking-read")).args(args).output().unwrap()
}

#[test]
fn a_read_from_an_empty_pipe_waits_once_and_computes_nothing() {
    let blocked = pipe::pipe().unwrap();
    assert_eq!(blocked.bytes, 5);
    assert!(blocked.cost.wall >= pipe::SLEEP, "{blocked}");
    assert!(blocked.cost.used.voluntary >= 1, "{blocked}");
    assert!(blocked.cost.used.cpu < pipe::SLEEP / 2, "{blocked}");
}

#[test]
fn the_smallest_program_reads_five_bytes() {
    let output = Command::new(env!("CARGO_BIN_EXE_first-read")).output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    assert!(line.starts_with("read returned 5 bytes after "), "{line}");
    assert!(output.status.success());
}

#[test]
fn a_waiting_process_sleeps_inside_read() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_blocking-read"));
    let seen = watch::watch(program.arg("pipe")).unwrap();
    assert_eq!(seen.state, "S (sleeping)");
    assert!(seen.voluntary >= 1, "{seen}");
    match seen.reading {
        Some(descriptor) => assert!(descriptor > 2, "{seen}"),
        None => flags::skipped(format_args!(
            "this kernel does not show in which system call a process sleeps"
        )),
    }
    match &seen.wchan {
        Some(wchan) => assert!(wchan.contains("pipe_read"), "{seen}"),
        None => {
            flags::skipped(format_args!("this kernel does not show where a process sleeps"))
        }
    }
}

#[test]
fn a_process_that_sleeps_elsewhere_does_not_read() {
    let seen = watch::watch(Command::new("sleep").arg("60")).unwrap();
    assert_eq!(seen.state, "S (sleeping)");
    assert_eq!(seen.reading, None, "{seen}");
}

#[test]
fn what_other_threads_compute_is_not_ours() {
    let over = AtomicBool::new(false);
    let cost = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                std::hint::spin_loop()
            }
        });
        let sleep = || {
            thread::sleep(Duration::from_millis(200));
            Ok(())
        };
        let cost = Cost::of(sleep);
        over.store(true, Ordering::Relaxed);
        cost.unwrap()
    });
    assert!(cost.used.cpu < Duration::from_millis(100), "{cost:?}");
    assert!(cost.used.voluntary >= 1, "{cost:?}");
}

#[test]
fn a_watched_program_that_does_not_wait_is_ended() {
    let mut spin = Command::new("sh");
    let error = watch::watch_for(
        spin.args(["-c", "while :; do :; done"]),
        Duration::from_millis(200),
    )
    .unwrap_err();
    assert!(error.to_string().contains("did not go to sleep"), "{error}");
}

#[test]
fn a_cold_read_waits_for_the_disk_and_a_cached_one_does_not() {
    // The build's own folder: more often on a disk than the one for temporary files.
    let read = file::file(Path::new(env!("CARGO_TARGET_TMPDIR")), 16).unwrap();
    if let Some(reason) = read.not_cold() {
        // These hold their files on a disk and let go of the pages when asked.
        assert!(
            !["ext4", "xfs", "btrfs", "f2fs"].contains(&read.file_system.as_str()),
            "{read}"
        );
        flags::skipped(format_args!("{reason}"));
        return;
    }
    assert!(read.cold.used.voluntary >= 1, "{read}");
    assert!(read.cached.used.from_disk < read.cold.used.from_disk / 2, "{read}");
    assert!(read.cached.used.voluntary < read.cold.used.voluntary, "{read}");
}

#[test]
fn memory_that_looks_like_a_file_is_never_cold() {
    let memory = Path::new("/dev/shm");
    match file::file(memory, 1) {
        Ok(read) if read.file_system == "tmpfs" => {
            assert_eq!(read.cold.used.from_disk, 0);
            assert!(read.to_string().contains("note: no disk took part: tmpfs"), "{read}");
        }
        Ok(read) => {
            flags::skipped(format_args!("/dev/shm is on {} here", read.file_system))
        }
        Err(error) => flags::skipped(format_args!("no file in /dev/shm: {error}")),
    }
}

#[test]
fn a_neighbour_stops_us_without_our_waiting() {
    let processors = || {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        status.lines().find(|line| line.starts_with("Cpus_allowed:")).unwrap().to_string()
    };
    let before = processors();
    let runs = neighbour::neighbour().unwrap();
    assert_eq!(processors(), before, "the thread was left on one processor");
    for cost in [runs.alone, runs.crowded] {
        assert!(cost.used.cpu >= neighbour::WORK, "{runs}");
        assert!(cost.wall >= cost.used.cpu, "{runs}");
    }
    // Half the processor is the neighbour's, less on a busy machine: half of that is far on
    // the safe side.
    assert!(runs.neighbour >= neighbour::WORK / 4, "{runs}");
    assert!(runs.crowded.wall >= runs.crowded.used.cpu + runs.neighbour / 2, "{runs}");
    assert!(runs.crowded.used.involuntary >= 2, "{runs}");
    assert!(runs.crowded.used.voluntary < runs.crowded.used.involuntary, "{runs}");
}

#[test]
fn a_folder_that_cannot_be_used_is_one_line() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let missing = dir.join("no such folder");
    let plain = dir.join("plain-file");
    fs::write(&plain, "not a folder").unwrap();
    for (wrong, kind) in
        [(&missing, ErrorKind::NotFound), (&plain, ErrorKind::NotADirectory)]
    {
        assert_eq!(file::file(wrong, 1).unwrap_err().kind(), kind);
        let output = program(&["file", "--dir", wrong.to_str().unwrap()]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(wrong.to_str().unwrap()) && said.contains("--dir"), "{said}");
    }
}

#[test]
fn wrong_usage_is_one_line_and_exit_2() {
    for args in [&["file", "--mib", "0"][..], &["file", "--mib", "many"], &["fly"], &[]] {
        let output = program(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    }
}

#[test]
fn a_program_without_a_shell_says_so() -> io::Result<()> {
    let output = Command::new(env!("CARGO_BIN_EXE_blocking-read"))
        .arg("pipe")
        .env("PATH", "")
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.lines().count() == 1 && said.contains("cannot start sh"), "{said}");
    Ok(())
}
