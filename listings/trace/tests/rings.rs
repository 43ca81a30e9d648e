//! The tracer and a program whose ring holds what is known.
#![cfg(target_os = "linux")]

use std::process::Command;
use std::time::Duration;

use trace::Operation;
use trace::tracer::Tracer;
use uring_read::{How, Order, Ring};

/// Three that complete at once, one that takes 50 ms, and one that is given up: by then it has
/// been in flight for that time.
#[test]
#[ignore = "it is what the other test looks at"]
fn known() {
    let Ok(mut ring) = Ring::new(8) else { return };
    let hour = Duration::from_secs(3600);
    let given_up = ring.push(Order::Timeout(hour), How::default()).expect("room");
    for _ in 0..3 {
        ring.push(Order::Nop, How::default()).expect("room");
    }
    ring.enter(3).expect("it is entered");
    ring.push(Order::Timeout(Duration::from_millis(50)), How::default()).expect("room");
    let mut done = 0;
    while done < 4 {
        match ring.take() {
            Some(_) => done += 1,
            None => drop(ring.enter(1).expect("it is entered")),
        }
    }
    ring.push(Order::Cancel(given_up), How::default()).expect("room");
    while ring.flying() > 0 {
        if ring.take().is_none() {
            ring.enter(1).expect("it is entered");
        }
    }
}

#[test]
fn every_operation_is_counted_from_its_submission_to_its_completion() {
    if let Err(why) = Ring::new(8) {
        return flags::skipped(format_args!("operations of a ring: {why}"));
    }
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "known", "--ignored", "--quiet"]);
    let seen = match Tracer::start(command.stdout(std::process::Stdio::null())) {
        Err(error) => return flags::skipped(format_args!("operations: {error}")),
        Ok(tracer) => tracer.run().expect("it is traced"),
    };
    assert_eq!((seen.status, seen.no_operations), (0, None));
    let mut lanes = seen.lanes.iter().filter(|lane| !lane.operations.is_empty());
    let lane = lanes.next().expect("the thread with the ring");
    assert!(lanes.next().is_none(), "it is one thread's");
    let all = &lane.operations;
    let of = |one: &Operation| (one.name.clone(), one.result, one.seen.len());
    let named = |name: &str, result| (name.to_owned(), Some(i64::from(result)), 0);
    assert_eq!(
        all.iter().map(of).collect::<Vec<_>>(),
        [
            named("timeout", -libc::ECANCELED),
            named("nop", 0),
            named("nop", 0),
            named("nop", 0),
            named("timeout", -libc::ETIME),
            named("async_cancel", 0),
        ]
    );
    let enters = lane.calls.iter().filter(|call| call.name == "io_uring_enter");
    let enters: Vec<_> = enters.collect();
    let first = enters.first().expect("a call");
    // What was submitted in one call begins with it, and what it waited for ends with it.
    assert!(all[..4].iter().all(|one| one.begin == first.begin), "{all:?}");
    assert!(all[1..4].iter().all(|one| one.end == first.end), "{all:?}");
    // Before 50 ms are over, it is not done.
    assert!(all[4].end - all[4].begin >= 50_000.0, "{all:?}");
    assert!(all[0].begin < all[4].begin && all[0].end > all[4].end, "{all:?}");
}
