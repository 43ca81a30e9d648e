//! Part 7: the two rings, the server over them, the executor.

use super::can_run;
use crate::bench::{Bench, Checked};

pub fn ring_take(bench: &Bench) -> Checked {
    let ran = bench.run("rings-by-hand", &[])?;
    can_run(&ran)?;
    ran.prints(&[
        "io_uring_enter took 1 1 1 0 1",
        "the completion is taken 1 1 1 1",
        "user_data 42, result 4096: 4096 bytes",
    ])?;
    let ran = bench.run("closed", &[])?;
    ran.prints(&["the read: 5 bytes, \"hello\""])?;
    bench.tests(Some("experiments"), &["by_hand_the_rings_go_round"])
}

pub fn ring_give_up(bench: &Bench) -> Checked {
    let ran = bench.run("give-up", &[])?;
    can_run(&ran)?;
    ran.ends_well()?;
    ran.never_calls(&["clock_nanosleep"], "the ring itself is to give it up")?;
    ran.prints(&["a linked timeout:", "linked timeout ETIME", "read ECANCELED"])
}

pub fn uring_alarm(bench: &Bench) -> Checked {
    bench.tests_are_whole()?;
    bench.tests(None, &["alarm::"])
}

/// The two visitors, greeted by a future: they wait in epoll, and nobody is asked in vain.
fn greets(bench: &Bench) -> Checked {
    let ran = bench.run("futures", &[])?;
    ran.ends_well()?;
    ran.waits_only_in(&["epoll_wait", "epoll_pwait", "epoll_pwait2"])?;
    ran.does_not_spin()?;
    ran.prints(&["Ben: too late", "Anna: answered", "Anna hears: hello, Anna"])
}

pub fn executor_poll(bench: &Bench) -> Checked {
    let names = ["a_waker_", "whoever_wakes_itself", "another_thread", "timers_end"];
    let names: Vec<String> = names.iter().map(|name| format!("tests::{name}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    greets(bench)?;
    bench.tests(None, &names)
}

pub fn executor_sleep(bench: &Bench) -> Checked {
    greets(bench)?;
    bench.tests(None, &["tests::timers_end", "tests::a_timer_wakes"])
}
