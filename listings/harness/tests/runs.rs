//! The harness as a process: interrupted and resumed, and with servers that do wrong.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use harness::record::{Cell, Ending};
use harness::results;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The folder with the real programs, built as `cargo test` has built everything else.
fn real() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .args([
                "build",
                "--quiet",
                "--workspace",
                "--bin",
                "load",
                "--bin",
                "epoll-loop",
            ])
            .args(["--message-format", "json-render-diagnostics"])
            .env_remove("RUSTC")
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo");
        assert!(output.status.success(), "cargo build failed");
        let text = String::from_utf8(output.stdout).expect("JSON");
        let is_load =
            |line: &&str| line.contains("\"executable\":\"") && line.contains("/load\"");
        let line = text.lines().find(is_load).expect("a line about load");
        let message: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let program = message["executable"].as_str().expect("a path");
        Path::new(program).parent().expect("a folder").to_owned()
    })
}

/// A folder for a result and one for programs: the generator and one real server.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: TempDir::new().expect("a folder") };
        fs::create_dir(place.programs()).expect("a folder");
        for name in ["load", "epoll-loop"] {
            symlink(real().join(name), place.programs().join(name)).expect("a link");
        }
        place
    }

    fn programs(&self) -> PathBuf {
        self.folder.path().join("programs")
    }

    fn result(&self) -> PathBuf {
        self.folder.path().join("result")
    }

    /// A program that is a shell script.
    fn script(&self, name: &str, text: &str) {
        let path = self.programs().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    }

    /// `harness run` with short cells. A machine with one processor is good enough here.
    fn run(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
        command.args(["run", "--one-core", "--requests", "20"]).args(more);
        command.arg("--programs").arg(self.programs()).arg("--out").arg(self.result());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn cells(&self) -> Vec<Cell> {
        results::read(&self.result()).expect("a result").cells
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Starts it, and interrupts it when so many cells are done.
fn interrupted(command: &mut Command, after: usize) -> (Option<i32>, String) {
    let mut child: Child = command.spawn().expect("the harness");
    let mut errors = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut seen = String::new();
    while !seen.contains(&format!("{after}/")) {
        let read = errors.read_line(&mut seen).expect("text");
        assert!(read > 0, "it ended: {seen}");
    }
    kill_process(Pid::from_child(&child), Signal::INT).expect("it is there");
    while errors.read_line(&mut seen).expect("text") > 0 {}
    (child.wait().expect("it ends").code(), seen)
}

#[test]
fn who_is_interrupted_goes_on_without_a_gap_and_without_a_double() {
    let place = Place::new();
    let plan = [
        "--servers",
        "epoll-loop",
        "--workloads",
        "static-keep-alive,static-close",
        "--clients",
        "2,3",
        "--rounds",
        "2",
    ];
    let (code, line) = interrupted(&mut place.run(&plan), 1);
    assert_eq!(code, Some(130), "{line}");
    let last = line.lines().last().expect("a line");
    assert!(last.contains("of 8 cells are done; go on with: cargo harness run"), "{last}");
    let before = place.cells().len();
    assert!((1..8).contains(&before), "{before} cells");
    // As if it had been killed while it wrote.
    let path = place.result().join("cells.jsonl");
    let whole = fs::read_to_string(&path).expect("cells");
    fs::write(&path, format!("{whole}{}", &whole[..40])).expect("a torn line");

    let (code, line) = interrupted(&mut place.run(&plan), before + 1);
    assert_eq!(code, Some(130), "{line}");
    let output = place.run(&plan).output().expect("the harness");
    assert!(output.status.success(), "{}", said(&output));
    let mut times = BTreeMap::new();
    for cell in place.cells() {
        assert_eq!(cell.ending, Ending::Well, "{}", cell.key);
        let outcome = cell.outcome.expect("it was measured");
        assert_eq!((outcome.answered, outcome.errors.total()), (20, 0), "{}", cell.key);
        assert_eq!(outcome.ramp.clients, cell.key.clients as u64, "{}", cell.key);
        let closes = !cell.key.workload.keeps_alive();
        assert_eq!(outcome.connected > 0, closes, "{}", cell.key);
        assert!(cell.usage.is_some_and(|usage| usage.peak_kib > 0 && usage.processes == 1));
        *times.entry(cell.key).or_insert(0) += 1;
    }
    assert_eq!(times.len(), 8, "a gap");
    assert!(times.values().all(|times| *times == 1), "a double: {times:?}");

    // Once more: nothing is left to do. With another plan: a line.
    let again = place.run(&plan).output().expect("the harness");
    assert!(again.status.success() && place.cells().len() == 8, "{}", said(&again));
    let other = place.run(&[&plan[..], &["--timeout", "999"]].concat()).output();
    let other = other.expect("the harness");
    assert_eq!(other.status.code(), Some(2), "{}", said(&other));
    assert!(said(&other).contains("was begun with another plan"), "{}", said(&other));
}

#[test]
fn a_server_that_dies_or_hangs_is_a_result() {
    let place = Place::new();
    place.script("iterative", "echo 'no luck today' >&2; exit 1");
    // The kernel accepts for it, and nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    place
        .script("forking", &format!("echo listening on http://{address}; exec sleep 1000"));
    // It listens, and is gone before anybody has come.
    place.script("preforked", &format!("echo listening on http://{address}; kill -9 $$"));
    place.script("threaded", "echo good morning; exec sleep 1000");
    let plan = [
        "--servers",
        "iterative,forking,preforked,threaded,select-loop,epoll-loop",
        "--workloads",
        "static-close",
        "--clients",
        "2",
        "--rounds",
        "1",
        "--timeout",
        "500",
        "--ramp-limit",
        "1",
    ];
    let output = place.run(&plan).output().expect("the harness");
    assert!(output.status.success(), "{}", said(&output));
    let endings: BTreeMap<String, Ending> =
        place.cells().into_iter().map(|cell| (cell.key.server, cell.ending)).collect();
    let not_started = |name: &str, part: &str| match &endings[name] {
        Ending::DidNotStart { why } => assert!(why.contains(part), "{name}: {why}"),
        other => panic!("{name}: {other}"),
    };
    not_started("iterative", "no luck today");
    not_started("threaded", "good morning");
    not_started("select-loop", "cannot start it");
    assert!(matches!(endings["forking"], Ending::Hung { .. }), "{}", endings["forking"]);
    let killed = Ending::Died { code: None, signal: Some(9) };
    assert_eq!(endings["preforked"], killed);
    assert_eq!(endings["epoll-loop"], Ending::Well);
    let text = said(&output);
    assert!(text.contains("did not start") && text.contains("hung"), "{text}");
}

#[test]
fn a_server_that_dies_while_it_is_measured_is_a_result() {
    let place = Place::new();
    let real = place.programs().join("epoll-loop");
    let text = format!("{} \"$@\" & sleep 2; kill -9 $!; exit 3", real.display());
    place.script("iterative", &text);
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.args(["run", "--one-core", "--servers", "iterative,epoll-loop"]);
    command.args(["--workloads", "static-close", "--clients", "2", "--rounds", "1"]);
    command.args(["--seconds", "5", "--timeout", "500"]);
    command.arg("--programs").arg(place.programs()).arg("--out").arg(place.result());
    let output = command.output().expect("the harness");
    assert!(output.status.success(), "{}", said(&output));
    let cells = place.cells();
    let of = |name| cells.iter().find(|cell| cell.key.server == name).expect("its cell");
    let (dead, other) = (of("iterative"), of("epoll-loop"));
    assert_eq!(dead.ending, Ending::Died { code: Some(3), signal: None });
    let outcome = dead.outcome.as_ref().expect("what was seen until then");
    assert!(outcome.answered > 0 && dead.errors() > 0, "{outcome:?}");
    assert_eq!((other.ending.clone(), other.errors()), (Ending::Well, 0));
    assert!(said(&output).contains("died"), "{}", said(&output));
}

#[test]
fn the_calls_of_a_request_are_counted_where_that_is_allowed() {
    let place = Place::new();
    let plan = [
        "--servers",
        "epoll-loop",
        "--workloads",
        "static-keep-alive",
        "--clients",
        "2",
        "--rounds",
        "1",
        "--calls",
    ];
    let output = place.run(&plan).output().expect("the harness");
    assert!(output.status.success(), "{}", said(&output));
    let cell = place.cells().remove(0);
    if let Some(why) = cell.no_calls {
        return flags::skipped(why);
    }
    let calls = cell.calls.expect("counted, or why not");
    // It reads and sends for each request, whatever these calls are called here.
    assert!(calls.requests >= 2_000, "{calls:?}");
    let often = calls.by_name.values().filter(|number| **number >= calls.requests * 9 / 10);
    assert!((2..=6).contains(&often.count()), "{calls:?}");
    assert!(!calls.by_name.contains_key("listen"), "that was before: {calls:?}");
}

#[test]
fn a_peer_is_measured_where_it_is_and_stays_there() {
    let place = Place::new();
    let www = place.folder.path().join("mine");
    fs::create_dir(&www).expect("a folder");
    fs::write(www.join("page.txt"), "a page of mine").expect("a file");
    let mut server = Command::new(real().join("epoll-loop"))
        .args(["--listen", "127.0.0.1:0", "--root"])
        .arg(&www)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a server");
    let mut line = String::new();
    let output = server.stdout.take().expect("it is piped");
    BufReader::new(output).read_line(&mut line).expect("text");
    let url = line.trim().trim_start_matches("listening on ");
    let peer = format!("mine={url}/page.txt");
    let plan = [
        "--peer",
        &peer,
        "--workloads",
        "static-keep-alive",
        "--clients",
        "2",
        "--rounds",
        "1",
    ];
    let output = place.run(&plan).output().expect("the harness");
    let still_there = server.try_wait().expect("a child").is_none();
    kill_process(Pid::from_child(&server), Signal::TERM).expect("it is there");
    server.wait().expect("it ends");
    assert!(output.status.success() && still_there, "{}", said(&output));
    let cells = place.cells();
    assert_eq!(cells.len(), 1);
    assert!(cells[0].usage.is_none(), "nothing is known of its process");
    assert_eq!(cells[0].outcome.as_ref().map(|outcome| outcome.answered), Some(20));
}
