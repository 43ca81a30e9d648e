//! The sentences that the chapter draws from these numbers, held against the kernel that
//! runs the tests.

#![cfg(target_os = "linux")]

use std::io;
use std::net::SocketAddr;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use backlog::admits::{Admitted, BACKLOGS, admits};
use backlog::beyond::{self, beyond};
use backlog::cap::{LONGEST, cap};
use backlog::client::{Client, SOON};
use backlog::kernel::{accept_queue, somaxconn};
use backlog::listener;
use backlog::overtaken::overtaken;

fn program(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_backlog")).args(args).output().unwrap()
}

#[test]
fn a_backlog_of_n_admits_n_plus_one() {
    let cap = somaxconn().unwrap();
    for n in BACKLOGS {
        let connected = cap.min(n as u32) + 1;
        let waiting = n as u32 + 3 - connected;
        assert_eq!(
            admits(n).unwrap(),
            Admitted { n, connected, waiting, queued: connected }
        );
    }
}

#[test]
fn a_larger_backlog_is_capped_in_silence() {
    let capped = cap(i32::MAX).unwrap();
    if capped.somaxconn < LONGEST {
        assert_eq!(capped.admitted, Some(capped.somaxconn + 1));
        assert_eq!(capped.queued, capped.somaxconn + 1);
    } else {
        flags::skipped(format_args!(
            "net.core.somaxconn is {}, too long a queue to fill here",
            capped.somaxconn
        ));
    }
}

#[test]
fn a_small_backlog_is_not_the_cap() {
    // The same loop that fills the queue up to the cap stops at n + 1 where n is smaller.
    let small = cap(7).unwrap();
    assert_eq!(small.admitted, Some(small.somaxconn.min(7) + 1));
}

#[test]
fn a_client_beyond_the_queue_waits_until_there_is_room() {
    let story = beyond().unwrap();
    assert!(story.room_after >= beyond::BUSY, "{story}");
    assert!(story.waited >= story.room_after, "{story}");
    assert!(story.dropped.overflows >= 1 && story.dropped.drops >= 1, "{story}");
}

#[test]
fn what_a_client_sends_before_accept_is_there_after_it() {
    let story = beyond().unwrap();
    assert!(story.queued >= beyond::BUSY, "{story}");
    assert_eq!(story.early_bytes, 5);
}

#[test]
fn who_comes_later_can_be_first() {
    let story = overtaken().unwrap();
    assert!(story.late_started >= beyond::BUSY, "{story}");
    assert!(story.late_connected < story.early_connected, "{story}");
}

/// Waits until nobody listens there, and returns how that is said. Another test may be starting
/// a program, and until exec the new process has a copy of our descriptors.
fn gone(server: SocketAddr) -> io::Error {
    let begun = Instant::now();
    loop {
        match accept_queue(server) {
            Ok(_) if begun.elapsed() < Duration::from_secs(10) => {
                thread::sleep(Duration::from_millis(1));
            }
            outcome => return outcome.unwrap_err(),
        }
    }
}

#[test]
fn accept_makes_the_queue_shorter_by_one() {
    let listener = listener(4).unwrap();
    let server = listener.local_addr().unwrap();
    assert_eq!(accept_queue(server).unwrap(), 0);
    let clients: Vec<_> = (0..3).map(|_| Client::start(server).unwrap()).collect();
    assert!(clients.iter().all(|client| client.connected_within(SOON).unwrap()));
    assert_eq!(accept_queue(server).unwrap(), 3);
    listener.accept().unwrap();
    assert_eq!(accept_queue(server).unwrap(), 2);
    drop(listener);
    let error = gone(server);
    assert!(error.to_string().contains("does not list"), "{error}");
}

#[test]
fn a_client_is_refused_where_nobody_listens() {
    let server = listener(0).unwrap().local_addr().unwrap();
    gone(server);
    let client = Client::start(server);
    let error = client.and_then(|client| client.connected_within(SOON)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn wrong_usage_is_one_line_and_exit_2() {
    for args in [
        &["cap", "--backlog", "-1"][..],
        &["cap", "--backlog", "99999999999"],
        &["fly"],
        &[],
    ] {
        let output = program(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    }
}

#[test]
fn the_program_prints_what_the_library_returns() {
    let output = program(&["cap", "--backlog", "2"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("admitted until one was not:           3"), "{printed}");
}

#[test]
fn too_few_descriptors_are_one_line() {
    // Enough for the loader, but not for all sockets; and for the sockets, but not for the
    // table in /proc.
    for limit in ["5", "8"] {
        let script = format!("ulimit -n {limit} && exec \"$0\" admits");
        let output = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_backlog")])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.lines().count() == 1 && said.contains("ulimit -n"), "{limit}: {said}");
    }
}
