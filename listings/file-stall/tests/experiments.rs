//! What the experiments of the chapter print, and what they claim.
#![cfg(target_os = "linux")]

use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use file_stall::pace::{Pace, ask};

/// Runs a program; none if the machine has no disk for it.
fn run(program: &str) -> Option<String> {
    let output = Command::new(program)
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(2) && said.contains("choose a folder on a disk") {
        flags::skipped(said.trim());
        return None;
    }
    assert!(output.status.success(), "{said}");
    Some(String::from_utf8(output.stdout).expect("text"))
}

/// The milliseconds in a line.
fn times(line: &str) -> Vec<f64> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number =
        |pair: &[&str]| (pair[1] == "ms").then(|| pair[0].parse().expect("a number"));
    words.windows(2).filter_map(number).collect()
}

#[test]
fn poll_says_the_same_of_a_cold_file_and_of_a_cached_one() {
    let Some(printed) = run(env!("CARGO_BIN_EXE_ready-anyway")) else { return };
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines[0].starts_with("cold    0 MiB in memory"), "{printed}");
    assert!(lines[1].starts_with("again  16 MiB in memory"), "{printed}");
    assert!(lines.iter().all(|line| line.contains("poll: POLLIN POLLOUT")), "{printed}");
}

#[test]
fn fsync_takes_longer_the_more_was_written() {
    let Some(printed) = run(env!("CARGO_BIN_EXE_slow-fsync")) else { return };
    let rows: Vec<Vec<f64>> = printed.lines().skip(1).map(times).collect();
    assert_eq!(rows.len(), 3, "{printed}");
    assert!(rows[2][2] > rows[0][2], "256 MiB sooner than 100 bytes: {printed}");
}

#[test]
fn a_loop_that_reads_sleeps_for_the_disk() {
    let Some(printed) = run(env!("CARGO_BIN_EXE_stall")) else { return };
    let rows: Vec<Vec<f64>> = printed.lines().skip(1).map(times).collect();
    assert!(rows[..2].iter().all(|row| row.len() == 3), "{printed}");
    let words: Vec<&str> = printed.lines().last().unwrap_or("").split(' ').collect();
    let numbers: Vec<u64> = words.iter().flat_map(|word| word.parse()).collect();
    let [asleep, looks] = numbers[..] else { panic!("{printed}") };
    assert!(asleep > 0 && looks > asleep, "{printed}");
}

/// A server that answers nothing for so long after its first answer.
fn stalls_for(stall: Duration) -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nI am in memory.\n";
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut client, _) = listener.accept().expect("a client");
        let (mut pending, mut answered) = (Vec::new(), 0);
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = client.read(&mut buffer) {
            pending.extend_from_slice(&buffer[..n]);
            while let Some(end) = pending.windows(4).position(|four| four == b"\r\n\r\n") {
                pending.drain(..end + 4);
                if answered == 1 {
                    std::thread::sleep(stall);
                }
                answered += 1;
                if client.write_all(answer).is_err() {
                    return;
                }
            }
        }
    });
    address
}

#[test]
fn requests_keep_their_time_while_the_server_stalls() {
    const STALL: Duration = Duration::from_millis(300);
    let address = stalls_for(STALL);
    let pace = Pace { rate: 100, time: Duration::from_millis(500), connections: 1 };
    let begun = Instant::now();
    let latencies =
        ask(address, "small.txt", pace, &AtomicBool::new(false)).expect("answers");
    assert!(begun.elapsed() >= STALL);
    assert!((20..=51).contains(&latencies.count()), "{} answers", latencies.count());
    // Those that were due in the first half of the stall wait for more than half of it.
    assert!(latencies.quantile(1.0) >= STALL, "{:?}", latencies.quantile(1.0));
    let late = (1..=100).filter(|n| latencies.quantile(f64::from(*n) / 100.0) > STALL / 2);
    assert!(late.count() >= 20, "one slow answer where many were due");
}

/// Nobody but us is late: this process is stopped for a while, and goes on.
#[test]
fn requests_keep_their_time_while_we_stand_still() {
    const STALL: Duration = Duration::from_millis(150);
    let address = stalls_for(Duration::ZERO);
    let script = "sleep 0.15; kill -STOP $PPID; sleep 0.15; kill -CONT $PPID";
    let mut stops = Command::new("sh").args(["-c", script]).spawn().expect("a shell");
    let pace = Pace { rate: 100, time: Duration::from_millis(500), connections: 1 };
    let latencies =
        ask(address, "small.txt", pace, &AtomicBool::new(false)).expect("answers");
    stops.wait().expect("it is ours");
    assert!(latencies.quantile(1.0) > STALL / 2, "{:?}", latencies.quantile(1.0));
    assert!(latencies.own_lateness() > STALL / 3, "{:?}", latencies.own_lateness());
}
