//! What the experiments of the chapter print, and what they claim.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::Command;

use preforked::Listeners;
use rustix::fs::fstat;
use rustix::net::{getsockname, sockopt};

fn run(program: &str) -> String {
    let output = Command::new(program).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn workers_take_turns_and_nobody_is_woken_for_nothing() {
    let printed = run(env!("CARGO_BIN_EXE_who-gets-it"));
    let turns = printed.lines().next().and_then(|line| line.split_once("by: "));
    let turns: Vec<u8> =
        turns.expect("a line").1.split(' ').filter_map(|turn| turn.parse().ok()).collect();
    assert_eq!(turns.len(), 12, "{printed}");
    for round in turns.chunks(4) {
        let mut all = round.to_vec();
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3, 4], "{printed}");
    }
    assert!(printed.contains("woken for nothing: 0"), "{printed}");
}

#[test]
fn only_a_queue_of_its_own_waits_for_a_worker_that_is_stuck() {
    let printed = run(env!("CARGO_BIN_EXE_stuck"));
    let waiting: Vec<u32> = printed
        .lines()
        .filter_map(|line| {
            line.strip_suffix(" of 40 clients")?.split(' ').next_back()?.parse().ok()
        })
        .collect();
    let [shared, one_each] = waiting[..] else { panic!("{printed}") };
    // The chance that none of 40 falls on one of four queues is 1 in 100,000.
    assert!(shared == 0 && (1..40).contains(&one_each), "{printed}");
}

#[test]
fn each_worker_has_a_queue_of_its_own_at_one_address() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listeners = Listeners::one_each(3, any, 16).expect("three listeners");
    let address = |listener: &OwnedFd| {
        SocketAddr::try_from(getsockname(listener).expect("it has one")).expect("of IP")
    };
    let addresses: BTreeSet<_> = listeners.all().iter().map(address).collect();
    // One that is open twice is one socket.
    let socket = |listener: &OwnedFd| fstat(listener).expect("it is open").st_ino;
    let sockets: BTreeSet<_> = listeners.all().iter().map(socket).collect();
    assert_eq!((addresses.len(), sockets.len()), (1, 3));
    for listener in listeners.all() {
        assert_eq!(sockopt::tcp_nodelay(listener), Ok(true));
    }
}

#[test]
fn deferring_keeps_the_silent_from_the_workers_for_a_time() {
    let printed = run(env!("CARGO_BIN_EXE_silent"));
    let ends: Vec<bool> =
        printed.lines().skip(1).map(|line| line.ends_with("is answered")).collect();
    assert_eq!(ends, [false, true, false], "{printed}");
}
