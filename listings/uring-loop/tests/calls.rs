//! What the server asks of the kernel while 64 clients keep it busy, told by strace.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const CLIENTS: usize = 64;
const ROUNDS: usize = 100;
const ASKED: &[u8] = b"GET /lib.rs HTTP/1.1\r\nHost: x\r\nRange: bytes=0-611\r\n\r\n";

/// The server under strace, with a store that nobody asks, and where it listens.
fn start(trace: &Path) -> Result<(Child, String), String> {
    let store = TcpListener::bind("127.0.0.1:0").expect("a port");
    let store = format!("redis://{}", store.local_addr().expect("it listens"));
    let mut child = Command::new("strace")
        .args(["-f", "-qq", "-e", "signal=none", "-o"])
        .arg(trace)
        .args([env!("CARGO_BIN_EXE_uring-loop"), "--listen", "127.0.0.1:0"])
        .args(["--root", concat!(env!("CARGO_MANIFEST_DIR"), "/src"), "--store", &store])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("no strace: {error}"))?;
    let mut line = String::new();
    let output = child.stdout.as_mut().expect("it is piped");
    BufReader::new(output).read_line(&mut line).expect("text");
    match line.trim().strip_prefix("listening on http://") {
        Some(address) => Ok((child, address.to_owned())),
        None => {
            let said = child.wait_with_output().expect("it ends").stderr;
            Err(format!(
                "strace or a ring is forbidden: {}",
                String::from_utf8_lossy(&said)
            ))
        }
    }
}

/// Each asks, reads its answer, and asks again.
fn ask(address: &str) {
    let client = || {
        let mut socket = TcpStream::connect(address).expect("it listens");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        let mut answer = [0; 4096];
        for _ in 0..ROUNDS {
            socket.write_all(ASKED).expect("it is open");
            let mut n = 0;
            while !is_whole(&answer[..n]) {
                let more = socket.read(&mut answer[n..]).expect("an answer");
                assert!(more > 0, "the end: {}", String::from_utf8_lossy(&answer[..n]));
                n += more;
            }
            assert!(answer.starts_with(b"HTTP/1.1 206"));
        }
    };
    thread::scope(|threads| (0..CLIENTS).for_each(|_| drop(threads.spawn(client))));
}

fn is_whole(answer: &[u8]) -> bool {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
    head.is_some_and(|head| answer.len() >= head + 4 + 612)
}

/// How often each call was made from the first wait on, until it was told to end.
fn count(trace: &str) -> BTreeMap<&str, usize> {
    let mut calls = BTreeMap::new();
    // The last read is that of the signal.
    let (before_end, _) = trace.rsplit_once(" read(").expect("it was told to end");
    let names = before_end.lines().filter_map(|line| {
        let call = line.split_whitespace().nth(1)?;
        call.split_once('(').map(|(name, _)| name)
    });
    for name in names.skip_while(|name| *name != "io_uring_enter") {
        *calls.entry(name).or_default() += 1;
    }
    calls
}

/// The calls that 64 clients cause who ask a hundred times.
fn calls_under_load() -> Result<BTreeMap<String, usize>, String> {
    let trace = std::env::temp_dir().join(format!("uring-calls-{}", std::process::id()));
    let (mut strace, address) = start(&trace)?;
    let asked = std::panic::catch_unwind(|| ask(&address)); // the server is ended first
    let read = || std::fs::read_to_string(&trace).expect("strace writes it");
    let server = read().split_whitespace().next().and_then(|id| id.parse().ok());
    kill(Pid::from_raw(server.expect("a process id")), Signal::SIGTERM).expect("it runs");
    assert!(strace.wait().expect("it ends").success());
    asked.unwrap_or_else(|cause| std::panic::resume_unwind(cause));
    let text = read();
    std::fs::remove_file(&trace).expect("it is ours");
    Ok(count(&text).into_iter().map(|(name, n)| (name.to_owned(), n)).collect())
}

#[test]
fn under_load_there_is_hardly_any_call() {
    const REQUESTS: usize = CLIENTS * ROUNDS;
    // A server that is woken for each question makes more of them: of three, the best.
    let mut fewest = usize::MAX;
    for _ in 0..3 {
        let mut calls = match calls_under_load() {
            Ok(calls) => calls,
            Err(why) => return flags::skipped(why),
        };
        println!("{REQUESTS} requests: {calls:?}");
        fewest = fewest.min(calls.remove("io_uring_enter").expect("no other wait"));
        let of_memory = ["brk", "mmap", "munmap", "mremap", "madvise"];
        calls.retain(|name, _| !of_memory.contains(&name.as_str()));
        assert!(calls.is_empty(), "other calls than those for memory: {calls:?}");
        if fewest * 10 <= REQUESTS {
            return;
        }
    }
    panic!("{fewest} waits for {REQUESTS} requests");
}
