//! Parts 2 to 4, as far as they are about threads; and the pool of part 6.

use conformance::Model;
use trace::{Call, Lane};

use super::can_run;
use crate::bench::{Bench, Checked, Fault};
use crate::ran::{Ran, fails};

fn pool(model: Model) -> Model {
    let args = &["--workers", "4"];
    Model { args, at_once: 4, workers: 4, threads: true, ..model }
}

pub fn threaded_lost(bench: &Bench) -> Checked {
    // Its barriers are some ten thousand calls, which nobody asks about. What is right by chance
    // is hardly so five times.
    for _ in 0..5 {
        let ran = bench.run_untraced("lost-updates", &[])?;
        ran.prints(&["one step, fetch_add 2000", "under a lock 2000"])?;
    }
    Ok(())
}

pub fn threaded_place(bench: &Bench) -> Checked {
    let names = [
        "at_the_cap_the_next_client_waits_in_the_queue_and_is_served_then",
        "a_thread_that_panics_gives_its_place_back_and_drops_its_client",
    ];
    bench.tests(Some("threads"), &names)
}

pub fn prethreaded_pop(bench: &Bench) -> Checked {
    bench.tests_are_whole()?;
    bench.tests(None, &["queue::"])?;
    bench.row("prethreaded", 29, pool)
}

pub fn trace_waited(bench: &Bench) -> Checked {
    bench.tests_are_whole()?;
    bench.tests(None, &["data::", "record::"])
}

pub fn framework_blocks(bench: &Bench) -> Checked {
    let ran = bench.run("blocks", &[])?;
    ran.prints(&[
        "/sleeps 200, when they have done",
        "/sleeps-elsewhere 200, at once",
        "/waits 200, at once",
    ])?;
    // Two clients in each of the two handlers that block. The first thread sleeps by itself.
    let others = ran.lanes.get(1..).unwrap_or_default();
    let slept = calls(others).filter(|call| call.name == "clock_nanosleep").count();
    if slept < 4 {
        return fails(
            "the call that blocks is to be made, and by somebody for whom nobody waits",
        );
    }
    // Three times the clients in the handlers are waited for: 600 ms each, in microseconds.
    let end = ran.calls().map(|call| call.end).fold(0.0, f64::max);
    match end > 3.0 * 600e3 {
        true => Ok(()),
        false => fails(
            "the handler answers before what it has handed over is done: nobody awaits it",
        ),
    }
}

fn calls(lanes: &[Lane]) -> impl Iterator<Item = &Call> {
    lanes.iter().flat_map(|lane| &lane.calls)
}

pub fn stall_fsync(bench: &Bench) -> Checked {
    let ran = bench.run("slow-fsync", &[])?;
    can_run(&ran)?;
    ran.ends_well()?;
    let synced = ran.count("fsync");
    if synced != 3 {
        return fails(format!("fsync is called {synced} times, for three logs"));
    }
    let pieces = |call: &&Call| call.name == "write" && call.at.is_some();
    match ran.calls().filter(pieces).count() {
        273.. => {}
        n => {
            return fails(format!("{n} writes: each piece by a call of its own makes 273"));
        }
    }
    // What it says of the third log, and what it did: in milliseconds.
    let numbers = |line: &str| -> Vec<f64> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let before = words.windows(2).filter(|two| two[1] == "ms");
        before.filter_map(|two| two[0].parse().ok()).collect()
    };
    let said = ran.out.lines().last().map(numbers).unwrap_or_default();
    let sync = ran.calls().filter(|call| call.name == "fsync").last();
    let (Some(sync), [writes, longest, fsync]) = (sync, said.as_slice()) else {
        return fails(format!("three times are to be said of each log:\n{}", ran.out));
    };
    let took = |call: &Call| (call.end - call.begin) / 1e3;
    let pieces: Vec<&Call> =
        ran.calls().filter(|call| call.name == "write" && call.at.is_some()).collect();
    let pieces = &pieces[pieces.len().saturating_sub(256)..];
    let slowest = pieces.iter().map(|call| took(call)).fold(0.0, f64::max);
    let all = pieces.first().map_or(0.0, |first| (sync.begin - first.begin) / 1e3);
    for (what, said, least, most) in [
        ("the writes", *writes, 0.0, all + 20.0),
        ("the longest", *longest, slowest * 0.9, all),
        ("the fsync", *fsync, 0.0, took(sync) + 20.0),
    ] {
        if said < least || said > most {
            return fails(format!(
                "of 256 MiB it says {said} ms for {what}: seen from outside it is between {least:.1} and {most:.1}"
            ));
        }
    }
    Ok(())
}

pub fn pool_serve(bench: &Bench) -> Checked {
    let names = [
        "results_come_as_they_are_finished_and_the_descriptor_says_so",
        "a_full_queue_gives_the_job_back_and_has_room_again",
        "many_jobs_and_no_result_is_lost",
        "dropping_it_waits_for_what_was_begun_and_throws_the_rest_away",
        "a_thread_that_was_woken_for_nothing_is_still_there",
    ];
    bench.tests(Some("pool"), &names)?;
    let ran = bench.run("full", &[])?;
    ran.ends_well()?;
    threads_sleep(&ran)
}

/// No thread but the first asks again and again.
fn threads_sleep(ran: &Ran) -> Checked {
    for lane in ran.lanes.iter().skip(1) {
        // A job of this program sleeps once; there are eight.
        let asks = lane.calls.iter().filter(|call| {
            ["sched_yield", "clock_nanosleep"].contains(&call.name.as_str())
        });
        if asks.count() > 20 {
            return fails("a thread of the pool that has nothing to do is to sleep");
        }
    }
    Ok(())
}

pub fn pool_now(bench: &Bench) -> Checked {
    // It asks the kernel itself.
    let ran = bench.run("nowait", &[])?;
    can_run(&ran)?;
    ran.ends_well()?;
    if !ran
        .out
        .lines()
        .any(|line| line.contains("read once") && line.ends_with("4096 bytes"))
    {
        return Err(Fault::Skipped("this file system knows no RWF_NOWAIT".into()));
    }
    let said =
        bench.tests_say(Some("experiments"), &["what_is_read_now_is_what_is_in_memory"])?;
    if said.contains("no folder on a disk") {
        return Err(Fault::Skipped("no folder is on a disk".into()));
    }
    match said.contains("knows no RWF_NOWAIT") {
        true => fails(
            "this kernel knows what is in memory, and read_now says of all of it that somebody would have to wait",
        ),
        false => Ok(()),
    }
}

pub fn ftp_join(bench: &Bench) -> Checked {
    bench.tests_are_whole()?;
    bench.tests(None, &["path::"])
}

pub fn load_open(bench: &Bench) -> Checked {
    bench.tests_are_whole()?;
    bench.tests(None, &["pace::"])
}

pub fn harness_turns(bench: &Bench) -> Checked {
    bench.tests_are_whole()?;
    bench.tests(None, &["plan::"])
}
