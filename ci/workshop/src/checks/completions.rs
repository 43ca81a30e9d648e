//! Part 7: the two rings, the server over them, the executor.

use super::can_run;
use crate::bench::{Bench, Checked};
use crate::ran::fails;

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

pub fn ring_queue(bench: &Bench) -> Checked {
    let ran = bench.run("rings-by-hand", &[])?;
    can_run(&ran)?;
    ran.prints(&[
        "io_uring_enter took 1 1 1 0 1",
        "user_data 42, result 4096: 4096 bytes",
    ])?;
    let names =
        ["by_hand_the_rings_go_round", "by_hand_one_read_is_in_flight_and_no_other"];
    bench.tests(Some("experiments"), &names)
}

pub fn ring_chain(bench: &Bench) -> Checked {
    let ran = bench.run("links", &[])?;
    can_run(&ran)?;
    ran.prints(&[
        "4096 bytes of 4096:",
        "read 4096",
        "write 7",
        "timeout ETIME",
        "904 bytes, the last:",
        "read 904",
        "write ECANCELED",
        "timeout ECANCELED",
        "none, behind the end:",
        "read 0",
        "write ECANCELED",
        "timeout ECANCELED",
    ])
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

pub fn uring_sent(bench: &Bench) -> Checked {
    let names = [
        "tests::a_client_survives_or_ends_with_every_error",
        "tests::short_sends_and_reads_change_nothing_for_the_client",
        "tests::nothing_is_sent_to_who_leaves",
        "tests::who_has_ended_and_takes_nothing_is_left_alone_for_longer_and_longer",
    ];
    bench.tests(None, &names)
}

pub fn uring_leave(bench: &Bench) -> Checked {
    bench.tests(None, &["tests::"])
}

pub fn cost_filter(bench: &Bench) -> Checked {
    let ran = bench.run("past-the-filter", &[])?;
    can_run(&ran)?;
    ran.prints(&["openat2 EPERM done EACCES", "connect EPERM done EACCES"])
}

pub fn cost_calls(bench: &Bench) -> Checked {
    let ran = bench.run_untraced("calls", &[])?;
    can_run(&ran)?;
    ran.ends_well()?;
    // What it says of 64 clients, and what it does for one.
    let row = ran.out.lines().last().unwrap_or_default().split_whitespace();
    let numbers: Vec<u64> = row.filter_map(|word| word.parse().ok()).collect();
    let [64, requests, epoll, ring] = numbers[..] else {
        return fails(format!("its last row is not one of 64 clients:\n{}", ran.out));
    };
    let seen = bench.run("calls", &["1"])?;
    seen.ends_well()?;
    let entered = seen.count("io_uring_enter");
    if entered == 0 {
        return fails("it makes no call of io_uring_enter");
    }
    let of_one = seen.out.lines().last().unwrap_or_default().split_whitespace();
    let of_one: Vec<usize> = of_one.filter_map(|word| word.parse().ok()).collect();
    let said = of_one.last().copied().unwrap_or_default();
    if entered.abs_diff(said) > 8 {
        return fails(format!(
            "it says {said} for one client, and io_uring_enter was called {entered} times"
        ));
    }
    if ring > epoll / 10 {
        return fails(format!(
            "{ring} calls of io_uring_enter for {requests} requests: what is begun is handed over by the next wait, all of it"
        ));
    }
    // Those of the clients, and of the echo over epoll.
    let writes = seen.count("write") + seen.count("sendto");
    match writes > 3 * 100 + 50 {
        true => fails(format!("{writes} writes: answers were sent by calls of their own")),
        false => Ok(()),
    }
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

pub fn executor_race(bench: &Bench) -> Checked {
    greets(bench)
}

pub fn executor_push(bench: &Bench) -> Checked {
    let names = [
        "tests::another_thread_can_wake_a_task",
        "tests::a_thread_that_is_awake_is_not_told",
        "tests::another_thread_tells_once_of_all_that_it_has",
    ];
    bench.tests(None, &names)
}

pub fn executor_sleep(bench: &Bench) -> Checked {
    greets(bench)?;
    bench.tests(None, &["tests::timers_end", "tests::a_timer_wakes"])
}
