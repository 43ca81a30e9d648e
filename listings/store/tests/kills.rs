//! Row 18 of the fault table: SIGKILL while remarks are written. Every acknowledged remark
//! is there once, none is torn.
//!
//! 20 kills; WHO_WAITS_KILLS=200 is the long form. A kill cannot show that a remark waited
//! for the disk, since what was written survives in the kernel. That a power failure would
//! find it there, too, the order of the system calls shows.
#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis_protocol::resp2::types::OwnedFrame;
use support::{Client, Process, Scratch, command, line};

/// Writes remarks until the store is gone. Returns what was sent, and how many of them were
/// acknowledged.
fn write_remarks(mut client: Client, name: &str) -> (Vec<String>, usize) {
    let mut sent = Vec::new();
    loop {
        let remark =
            format!("{name}-{}-{}", sent.len(), "x".repeat(sent.len() * 997 % 9000));
        sent.push(remark.clone());
        let written = client.stream.write_all(&line(&format!("LPUSH list {remark}")));
        match written.ok().and_then(|()| client.reply()) {
            Some(OwnedFrame::Integer(_)) => {}
            Some(other) => panic!("{other:?}"),
            None => {
                let acknowledged = sent.len() - 1;
                return (sent, acknowledged);
            }
        }
    }
}

/// Some milliseconds below the limit, different ones each time.
fn a_while(limit: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Duration::from_micros(u64::from(now.subsec_nanos()) / 7 % (limit * 1000))
}

/// A kill while the log is replayed and compacted.
fn kill_at_start(file: &Path) {
    let mut child = command(&["--file", file.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    thread::sleep(a_while(8));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Three clients write, then the kill comes.
fn kill_under_load(
    mut process: Process,
    round: usize,
    sent: &mut BTreeSet<String>,
    kept: &mut BTreeSet<String>,
) {
    let writers = (0..3).map(|n| (process.client(), format!("{round}-{n}")));
    let clients: Vec<_> = writers
        .map(|(client, name)| thread::spawn(move || write_remarks(client, &name)))
        .collect();
    thread::sleep(Duration::from_millis(5) + a_while(40));
    process.child.kill().unwrap();
    for client in clients {
        let (remarks, acknowledged) = client.join().unwrap();
        kept.extend(remarks[..acknowledged].iter().cloned());
        sent.extend(remarks);
    }
}

/// So many kills of stores that all have the same file. Returns how many remarks were kept.
fn kill_often(rounds: usize) -> usize {
    let scratch = Scratch::new();
    let file = scratch.join("log");
    let (mut sent, mut kept) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..=rounds {
        if round % 2 == 1 {
            kill_at_start(&file);
        }
        let process = Process::start(&["--file", file.to_str().unwrap()]);
        let list = process.client().list("list");
        let found: BTreeSet<String> = list.iter().cloned().collect();
        assert_eq!(found.len(), list.len(), "a remark is there twice");
        assert!(kept.is_subset(&found), "lost: {:?}", kept.difference(&found).next());
        assert!(found.is_subset(&sent), "torn: {:?}", found.difference(&sent).next());
        kept = found; // What is there now, acknowledged or not, must stay.
        if round < rounds {
            kill_under_load(process, round, &mut sent, &mut kept);
        }
    }
    kept.len()
}

#[test]
fn every_acknowledged_remark_survives_a_kill() {
    let kills = std::env::var("WHO_WAITS_KILLS")
        .map_or(20, |n| n.parse().expect("WHO_WAITS_KILLS is a number"));
    let kept: usize =
        (0..kills).step_by(20).map(|done| kill_often(20.min(kills - done))).sum();
    println!("{kills} kills, {kept} remarks kept");
    assert!(kept >= kills, "hardly anything was written");
}

#[test]
fn a_remark_is_on_the_disk_before_it_is_acknowledged_and_a_count_need_not_be() {
    let scratch = Scratch::new();
    let (trace, file) = (scratch.join("trace"), scratch.join("log"));
    let mut command = Command::new("strace");
    command.args([
        "-f",
        "-qq",
        "-e",
        "trace=pwrite64,fdatasync,sendto",
        "-o",
        trace.to_str().unwrap(),
    ]);
    command.args([
        env!("CARGO_BIN_EXE_store"),
        "embedded-store",
        "--file",
        file.to_str().unwrap(),
    ]);
    let spawned =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = spawned else {
        return flags::skipped(format_args!("strace is not installed"));
    };
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let Some(address) = first.trim_end().strip_prefix("listening on redis://") else {
        child.wait().unwrap();
        return flags::skipped(format_args!("strace may not trace here"));
    };
    let mut client = Client::new(address.parse().unwrap());
    for words in ["INCR n", "LPUSH list a b", "LTRIM list 0 0"] {
        client.ask(words);
    }
    drop(client);
    drop(child.stdin.take());
    child.wait().unwrap();
    let calls = fs::read_to_string(&trace).unwrap();
    let names = ["pwrite64", "fdatasync", "sendto"];
    let calls: Vec<&str> = calls
        .lines()
        .filter_map(|line| names.into_iter().find(|name| line.contains(*name)))
        .collect();
    assert_eq!(
        calls,
        [
            "pwrite64",
            "sendto",
            "pwrite64",
            "fdatasync",
            "sendto",
            "pwrite64",
            "fdatasync",
            "sendto"
        ],
        "INCR, LPUSH, LTRIM"
    );
}
