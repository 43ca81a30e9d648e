//! What the experiments of the chapter print, and what they claim.
#![cfg(target_os = "linux")]

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use file_pool::{Now, read_now};
use rustix::fs::{Advice, fadvise, statfs};

/// A folder on a disk, if there is one.
fn disk() -> Option<PathBuf> {
    const TMPFS: i128 = 0x0102_1994;
    const OVERLAYFS: i128 = 0x794c_7630;
    let folders = [env!("CARGO_TARGET_TMPDIR").into(), std::env::temp_dir()];
    let on_disk = |folder: &PathBuf| {
        statfs(Path::new(folder))
            .is_ok_and(|stat| ![TMPFS, OVERLAYFS].contains(&i128::from(stat.f_type)))
    };
    let folder = folders.into_iter().find(on_disk);
    if folder.is_none() {
        flags::skipped("no folder on a disk: the target folder and TMPDIR are in memory");
    }
    folder
}

/// Runs a program in a folder on a disk, if there is one.
fn run_on_disk(program: &str) -> Option<String> {
    let output = Command::new(program).current_dir(disk()?).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("text"))
}

#[test]
fn what_is_read_now_is_what_is_in_memory() {
    use std::io::Write;
    let Some(folder) = disk() else { return };
    let mut file = tempfile::tempfile_in(folder).expect("a file");
    file.write_all(&[7; 1 << 20]).expect("room");
    let mut buffer = [0; 4096];
    let (pipe, _writer) = std::io::pipe().expect("a pipe");
    assert_eq!(read_now(&pipe, &mut buffer, 0), Now::WouldWait, "it has no places at all");
    if read_now(&file, &mut buffer, 0) == Now::WouldWait {
        return flags::skipped("this file system knows no RWF_NOWAIT");
    }
    file.sync_all().expect("a disk");
    fadvise(&file, 0, None, Advice::DontNeed).expect("advice");
    assert_eq!(read_now(&file, &mut buffer, 1 << 19), Now::WouldWait, "it is cold");
    file.read_exact_at(&mut buffer, 0).expect("it is there");
    assert_eq!((read_now(&file, &mut buffer, 0), buffer), (Now::Read(4096), [7; 4096]));
    assert_eq!(read_now(&file, &mut buffer, 1 << 20), Now::WouldWait, "the end, perhaps");
}

#[test]
fn the_loop_goes_on_while_the_pool_reads() {
    let Some(printed) = run_on_disk(env!("CARGO_BIN_EXE_ticks")) else { return };
    let numbers = |line: &str| -> Vec<u64> {
        line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    let rows: Vec<Vec<u64>> = printed.lines().skip(1).map(numbers).collect();
    let [by_loop, by_pool] = &rows[..] else { panic!("{printed}") };
    assert_eq!(by_loop[0], by_loop[1], "no tick while the loop reads: {printed}");
    assert!(by_pool[1] < by_pool[0], "ticks while the pool reads: {printed}");
}

#[test]
fn a_read_that_must_not_wait_says_what_it_found() {
    let Some(printed) = run_on_disk(env!("CARGO_BIN_EXE_nowait")) else { return };
    let answer = |what: &str| {
        let line = printed.lines().find_map(|line| line.trim().strip_prefix(what));
        line.unwrap_or_else(|| panic!("{what}: {printed}")).trim().to_owned()
    };
    if answer("cold ") == "EOPNOTSUPP" {
        return flags::skipped("this file system knows no RWF_NOWAIT");
    }
    assert_eq!(answer("cold "), "EAGAIN", "{printed}");
    assert_eq!(answer("read once"), "4096 bytes", "{printed}");
    assert_eq!(answer("at the end"), "0 bytes", "{printed}");
    assert_eq!(answer("a file in tmpfs"), "EOPNOTSUPP", "{printed}");
}

#[test]
fn whoever_comes_after_slow_jobs_waits_for_one_of_them() {
    let output = Command::new(env!("CARGO_BIN_EXE_full")).output().expect("it starts");
    let printed = String::from_utf8(output.stdout).expect("text");
    assert_eq!(printed.matches("refused").count(), 1, "{printed}");
    assert!(printed.contains("h,   0 ms   refused"), "{printed}");
    let finished = printed.lines().last().expect("a line");
    let place = |name: &str| finished.find(&format!(" {name} ")).expect(name);
    assert!(place("A") < place("e") && place("g") < place("D"), "{printed}");
    assert!(!finished.contains("soon"), "nobody overtakes a slow job: {printed}");
}

#[test]
fn the_pool_sleeps_and_the_loop_does_not() {
    let Some(printed) = run_on_disk(env!("CARGO_BIN_EXE_cost")) else { return };
    let switches = |what: &str| -> f64 {
        let line = printed.lines().find(|line| line.starts_with(what)).expect(what);
        line.split_whitespace().last().and_then(|word| word.parse().ok()).expect("a number")
    };
    assert!(switches("read in the loop") < 0.1, "{printed}");
    assert!(switches("with RWF_NOWAIT") < 0.1, "{printed}");
    assert!(switches("by the pool") > 0.5, "{printed}");
}
