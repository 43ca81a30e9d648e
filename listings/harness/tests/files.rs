//! `harness files` as a program, with few reads of a small file.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use harness::files::report::{Cell, Engine, Line, Ratio, Reader, Round, Way};
use tempfile::TempDir;

fn files(dir: &Path, more: &str) -> Output {
    command(dir, more).output().expect("it starts")
}

fn command(dir: &Path, more: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.args(["files", "--debug-build"]);
    for (flag, value) in [("--size", "2M"), ("--seconds", "0.02")] {
        command.args((!more.contains(flag)).then_some([flag, value]).into_iter().flatten());
    }
    command.arg("--dir").arg(dir).arg("--out").arg(dir.join("out/files.jsonl"));
    command.args(more.split_whitespace());
    command
}

/// On the disk that the tests are built on.
fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(dir: &Path) -> Vec<Line> {
    let text = fs::read_to_string(dir.join("out/files.jsonl")).expect("results");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn rounds(lines: &[Line]) -> Vec<Round> {
    let round = |line: &Line| match line {
        Line::Round(round) => Some(*round),
        _ => None,
    };
    lines.iter().filter_map(round).collect()
}

fn cells(lines: &[Line]) -> Vec<&Cell> {
    lines
        .iter()
        .filter_map(|line| match line {
            Line::Cell(cell) => Some(cell),
            _ => None,
        })
        .collect()
}

/// What this machine does not do: a container may forbid a ring, and a folder may be in
/// memory.
fn refused(lines: &[Line]) -> Vec<&str> {
    lines
        .iter()
        .filter_map(|line| match line {
            Line::Refused { why } => Some(why),
            _ => None,
        })
        .map(String::as_str)
        .collect()
}

fn only_results_are_in(dir: &Path) {
    let names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["out"], "the file is gone");
}

#[test]
fn every_engine_reads_at_every_depth_in_every_round() {
    let dir = folder();
    let output = files(dir.path(), "--depths 1,3 --rounds 2");
    let printed = said(&output.stdout);
    assert!(output.status.success(), "{printed}{}", said(&output.stderr));
    let lines = lines(dir.path());
    for why in refused(&lines) {
        let known = ["no direct reads", "aio: ", "io_uring: io_uring_setup: "];
        assert!(known.iter().any(|begin| why.starts_with(begin)), "{why}");
        flags::skipped(why);
    }
    let rounds = rounds(&lines);
    for round in &rounds {
        assert!(round.reads >= u64::from(round.case.depth), "{round:?}");
        let of = round.latency_us;
        assert!(of.p50 > 0.0 && of.p50 <= of.p99, "{round:?}");
        assert!(of.p99 <= of.p999 && of.p999 <= of.max * 1.01, "{round:?}");
        assert!(round.cpu_us.is_some_and(|cpu| cpu > 0.0), "{round:?}");
    }
    let cells = cells(&lines);
    assert!(cells.iter().all(|cell| cell.rounds == 2 && cell.reader == Reader::Book));
    // These two are there on every machine.
    for (engine, depth) in [(Engine::Blocking, 1), (Engine::Pool, 1), (Engine::Pool, 3)] {
        let is_it = |cell: &&&Cell| {
            (cell.case.engine, cell.case.way, cell.case.depth)
                == (engine, Way::Cached, depth)
        };
        assert_eq!(cells.iter().filter(is_it).count(), 1, "{engine:?} {depth}");
    }
    assert_eq!(rounds.len(), 2 * cells.len());
    if refused(&lines).is_empty() {
        assert_eq!(cells.len(), 4 * 2 * 2);
        assert!(printed.contains("past the page cache"), "{printed}");
    }
    if cells.iter().any(|cell| cell.case.engine == Engine::Aio) {
        assert!(
            printed.contains("aio*") && printed.contains("* io_submit blocks"),
            "{printed}"
        );
    }
    only_results_are_in(dir.path());
}

/// tmpfs accepts O_DIRECT since Linux 6.6, and refused it before. It never reads past memory.
#[test]
fn without_direct_reads_it_says_so_in_a_line_and_goes_on() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
        return flags::skipped("/dev/shm cannot be written to");
    };
    let output = files(dir.path(), "--depths 1 --rounds 1 --engines blocking");
    let printed = said(&output.stdout);
    assert!(output.status.success(), "{printed}{}", said(&output.stderr));
    let first = printed.lines().next().unwrap_or_default();
    assert!(
        first.starts_with("no direct reads (O_DIRECT): ") && first.contains("--dir"),
        "{first}"
    );
    let lines = lines(dir.path());
    assert_eq!(refused(&lines), [first]);
    assert!(rounds(&lines).iter().all(|round| round.case.way == Way::Cached));
    assert_eq!(rounds(&lines).len(), 1);
    // And where nothing is left to go on with, that is a refusal.
    let output = files(dir.path(), "--depths 1 --ways direct");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output.stderr));
    only_results_are_in(dir.path());
}

#[test]
fn a_folder_that_is_too_small_is_refused_before_anything_is_written() {
    let dir = folder();
    let free = rustix::fs::statvfs(dir.path()).map(|space| space.f_bavail * space.f_frsize);
    if free.unwrap_or(u64::MAX) >= 1 << 40 {
        return flags::skipped("there is room for a file of 1 TiB");
    }
    let output = files(dir.path(), "--size 1024G");
    assert_eq!(output.status.code(), Some(2));
    let line = said(&output.stderr);
    assert!(line.contains("do not fit") && line.lines().count() == 1, "{line}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let output = files(&dir.path().join("nowhere"), "");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output.stderr).contains("choose another --dir"));
}

#[test]
fn wrong_usage_is_one_line() {
    let dir = folder();
    for wrong in ["--depths 0", "--block 1000", "--size 1", "--engines mmap", "--seconds 0"]
    {
        let output = files(dir.path(), wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        let line = said(&output.stderr);
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.contains("invalid value") && line.contains(&wrong[..5]), "{line}");
    }
}

#[test]
fn fio_reads_the_same_after_each_and_is_compared() {
    let installed = Command::new("fio").arg("--version").output();
    if !installed.is_ok_and(|output| output.status.success()) {
        return flags::skipped("fio is not installed");
    }
    let dir = folder();
    let output = files(dir.path(), "--depths 2 --rounds 2 --ways cached --against-fio");
    // How fast a debug build is says nothing: it may be below the floor.
    let (printed, line) = (said(&output.stdout), said(&output.stderr));
    assert!(matches!(output.status.code(), Some(0 | 1)), "{printed}{line}");
    assert!(output.status.success() || line.contains("missed"), "{printed}{line}");
    let lines = lines(dir.path());
    refused(&lines).into_iter().for_each(flags::skipped);
    let ratio = |line: &Line| match line {
        Line::Ratio(ratio) => Some(*ratio),
        _ => None,
    };
    let ratios: Vec<Ratio> = lines.iter().filter_map(ratio).collect();
    let of = |engine| ratios.iter().find(|ratio| ratio.case.engine == engine);
    assert!(
        of(Engine::Blocking).is_some_and(|ratio| ratio.ratio.median > 0.0),
        "{printed}"
    );
    assert!(of(Engine::Pool).is_none(), "fio has no such engine");
    if refused(&lines).is_empty() {
        assert_eq!(of(Engine::IoUring).map(|ratio| ratio.floor), Some(Some(0.9)));
        assert_eq!(of(Engine::Aio).map(|ratio| ratio.floor), Some(None));
    }
    assert!(printed.contains("against fio"), "{printed}");
    only_results_are_in(dir.path());
}

#[test]
fn without_fio_nothing_is_compared() {
    let dir = folder();
    let output = command(dir.path(), "--against-fio").env("PATH", "/nonexistent").output();
    let output = output.expect("it starts");
    assert_eq!(output.status.code(), Some(2));
    let line = said(&output.stderr);
    assert!(line.contains("install it") && line.lines().count() == 1, "{line}");
}
