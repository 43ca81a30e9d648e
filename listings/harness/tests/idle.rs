//! `harness idle` as a program, with few connections, and servers built for debugging.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use harness::idle::report::{Line, Round};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

fn idle(programs: &Path, dir: &Path, more: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.arg("idle").arg("--programs").arg(programs);
    command.arg("--out").arg(dir.join("idle.jsonl")).args(more.split_whitespace());
    command.output().expect("it starts")
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(dir: &Path) -> Vec<Line> {
    let text = fs::read_to_string(dir.join("idle.jsonl")).expect("results");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// Builds these servers as this test was built, and says where they are.
fn build(servers: &[&str]) -> Option<PathBuf> {
    let harness = Path::new(env!("CARGO_BIN_EXE_harness"));
    let cargo = std::env::var_os("CARGO")?;
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--workspace"]);
    command.args(servers.iter().flat_map(|name| ["--bin", name]));
    command.args(["--message-format", "json-render-diagnostics"]);
    let output = command.stderr(Stdio::inherit()).output().ok()?;
    let messages = said(&output.stdout);
    let folder_of = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let program = Path::new(message["executable"].as_str()?);
        (program.file_name()? == servers[0]).then(|| program.parent().map(PathBuf::from))?
    };
    let folder = messages.lines().find_map(folder_of).filter(|_| output.status.success());
    folder.or_else(|| {
        harness.parent().filter(|f| f.join(servers[0]).exists()).map(Into::into)
    })
}

#[test]
fn connections_that_say_nothing_are_held_and_what_they_take_is_found() {
    let Some(programs) = build(&["epoll-loop", "threaded"]) else {
        return flags::skipped("the servers cannot be built here");
    };
    let dir = folder();
    let more = "--servers epoll-loop,threaded --connections 60 --threads 12 --rounds 2";
    let output = idle(&programs, dir.path(), more);
    let printed = said(&output.stdout);
    // So few connections fill a part of a page: the figure may be anything.
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{printed}{}",
        said(&output.stderr)
    );
    let lines = lines(dir.path());
    let Some(Line::Run(run)) = lines.first() else { panic!("{:?}", lines.first()) };
    assert_eq!((run.connections, run.threads), (60, 12));
    let round = |line: &Line| match line {
        Line::Round(round) => Some(round.clone()),
        _ => None,
    };
    let rounds: Vec<Round> = lines.iter().filter_map(round).collect();
    let who: Vec<_> =
        rounds.iter().map(|r| (r.server.as_str(), r.round, r.connections)).collect();
    let each = [("epoll-loop", 60), ("threaded", 12)];
    let expected = [1, 2].map(|number| each.map(|(name, held)| (name, number, held)));
    assert_eq!(who, expected.concat(), "{printed}{}", said(&output.stderr));
    for round in &rounds {
        assert!(round.user.0.pss > 100_000 && round.user.0.private > 10_000, "{round:?}");
        assert!(round.kernel.0.slab > 1 << 20 && round.kernel.1.stacks > 0, "{round:?}");
    }
    let cells = lines.iter().filter(|line| matches!(line, Line::Cell(_))).count();
    assert_eq!(cells, 2);
    for said in ["epoll-loop", "threaded*", "both ends", "a thread for each connection"] {
        assert!(printed.contains(said), "{said}: {printed}");
    }
}

/// A program of that name that is none.
fn impostor(dir: &Path, script: &str) {
    let path = dir.join("poll-loop");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_server_that_does_not_start_or_listen_is_told_in_a_line() {
    for (script, why) in [
        ("echo 'no luck' >&2; exit 3", "no luck"),
        (
            "echo 'listening on http://127.0.0.1:1'; exec sleep 1000",
            "connection 1: cannot connect",
        ),
        ("echo hello; exec sleep 1000", "it does not say where it listens"),
    ] {
        let dir = folder();
        impostor(dir.path(), script);
        let output =
            idle(dir.path(), dir.path(), "--servers poll-loop --connections 5 --rounds 1");
        let printed = said(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{printed}");
        assert!(printed.starts_with("poll-loop: ") && printed.contains(why), "{printed}");
        let refused = |line: &Line| matches!(line, Line::Refused { server, .. } if server == "poll-loop");
        assert!(lines(dir.path()).iter().any(refused));
    }
}

#[test]
fn who_cannot_be_measured_is_refused_at_once() {
    let dir = folder();
    let refused = |output: Output, why: &str| {
        let line = said(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(line.contains(why) && line.lines().count() == 1, "{line}");
    };
    let output = idle(dir.path(), dir.path(), "--servers iterative --connections 5");
    refused(output, "keeps no connection");
    refused(idle(dir.path(), dir.path(), "--connections 0"), "--connections");
    let harness = env!("CARGO_BIN_EXE_harness");
    let script = format!("ulimit -n 300; exec {harness} idle --connections 201");
    let output = Command::new("sh").args(["-c", &script]).output().expect("it starts");
    refused(output, "201 clients need 301 descriptors, and ulimit -Hn is 300");
}
