//! Parts 2 to 4, as far as they are about threads; and the pool of part 6.

use std::os::unix::fs::symlink;
use std::thread::sleep;
use std::time::Duration;

use conformance::Model;
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, openat};
use trace::{Call, Lane};

use super::{SMALL, can_run, same, served, serves};
use crate::bench::{Bench, Checked, Fault};
use crate::clients::Client;
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

fn threaded(model: Model) -> Model {
    let args = &["--max-connections", "64"];
    Model { args, at_once: 64, spawns: true, threads: true, ..model }
}

pub fn threaded_spawn(bench: &Bench) -> Checked {
    let ran = served(bench, "threaded", &["--store-delay", "300"], |server| {
        // One who does not go on keeps nobody waiting.
        let mut silent = Client::connect(server.address)?;
        silent.send(b"GET /sm")?;
        for _ in 0..3 {
            same(&Client::connect(server.address)?.ask("/small.txt")?, SMALL)?;
        }
        drop(silent);
        // One after another, each has a page.
        for _ in 0..4 {
            Client::connect(server.address)?.ask("/guestbook")?;
        }
        Ok(())
    })?;
    ran.lives()?;
    ran.is_heard()?;
    // To the store, of any thread.
    let connects = |call: &&Call| call.name == "connect";
    match calls(&ran.lanes).filter(connects).count() {
        ..3 => {}
        n => {
            return fails(format!(
                "{n} connections to the store were made, for pages that were asked for one after another"
            ));
        }
    }
    let names = [
        "at_the_cap_the_next_client_waits_in_the_queue_and_is_served_then",
        "at_the_cap_a_stop_reaches_every_thread",
        "whoever_is_idle_stays_until_somebody_waits_for_a_place",
        "with_places_left_nobody_has_to_go",
    ];
    bench.tests(Some("threads"), &names)?;
    bench.row("threaded", 9, threaded)
}

pub fn threaded_shelf(bench: &Bench) -> Checked {
    let names = [
        "a_file_is_open_once_and_a_connection_to_the_store_is_handed_on",
        "no_more_workers_are_kept_than_there_is_room_for",
    ];
    bench.tests(Some("threads"), &names)
}

pub fn prethreaded_push(bench: &Bench) -> Checked {
    bench.tests_are_whole()?;
    bench.tests(None, &["queue::"])?;
    // One is served, one is in the queue, and for the third there is no room.
    let ran = served(bench, "prethreaded", &["--workers", "1"], |server| {
        let mut some: Vec<Client> =
            (0..3).map(|_| Client::connect(server.address)).collect::<Result<_, _>>()?;
        some.iter_mut().try_for_each(|client| client.send(b"GET /sm"))?;
        sleep(Duration::from_millis(500));
        Ok(())
    })?;
    let asks =
        |call: &&Call| ["sched_yield", "clock_nanosleep"].contains(&call.name.as_str());
    match calls(&ran.lanes).filter(asks).count() {
        ..20 => ran.is_heard(),
        n => fails(format!("{n} times it looks: a thread that has no room is to sleep")),
    }
}

pub fn prethreaded_told(bench: &Bench) -> Checked {
    let ran = bench.run("background", &[])?;
    ran.prints(&["wait with a timeout 0.0 s"])?;
    // The last thread that was made is the one that is to be told.
    let Some(last) = ran.lanes.last() else { return fails("it made no thread") };
    let sleeps = |call: &&Call| ["futex", "clock_nanosleep"].contains(&call.name.as_str());
    let all: Vec<&Call> = last.calls.iter().filter(sleeps).collect();
    if all.len() > 6 {
        return fails(format!(
            "it wakes up {} times within 2.3 s: it has something to do after two, and is told once",
            all.len()
        ));
    }
    let (Some(begin), Some(end)) = (last.calls.first(), last.calls.last()) else {
        return fails("the thread makes no call");
    };
    if end.begin - begin.begin < 2.2e6 {
        return fails("it ends before it is told to");
    }
    // ETIMEDOUT, after the two seconds.
    match all.iter().any(|call| call.result == Some(-110)) {
        true => Ok(()),
        false => fails("its two seconds were over, and it has not come around for that"),
    }
}

pub fn prethreaded_survive(bench: &Bench) -> Checked {
    let names = [
        "a_thread_that_panics_loses_its_client_and_goes_on",
        "a_stop_reaches_threads_that_nothing_else_would_wake",
    ];
    bench.tests(Some("pool"), &names)
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

pub fn trace_record(bench: &Bench) -> Checked {
    bench.tests_are_whole()?;
    bench.tests(None, &["record::"])
}

pub fn framework_find(bench: &Bench) -> Checked {
    let (folder, flags) = serves(&[])?;
    let outside = tempfile::tempdir().map_err(|error| Fault::Trouble(error.to_string()))?;
    let path = |name: &str| folder.path().join(name);
    let secret = outside.path().join("secret");
    std::fs::write(&secret, "secret")
        .and_then(|()| symlink(&secret, path("out")))
        .and_then(|()| symlink("small.txt", path("in")))
        .map_err(|error| Fault::Trouble(error.to_string()))?;
    mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
        .map_err(|error| Fault::Trouble(error.to_string()))?;
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let ran = bench.serve("framework", &flags, |server| {
        let mut client = Client::connect(server.address)?;
        same(&client.ask("/small.txt")?, SMALL)?;
        if client.ask("/out")? == b"secret" {
            return fails("it serves what is outside of its folder, by way of a link");
        }
        if client.ask("/in")? != SMALL {
            return fails(
                "a link that stays below the folder is a file, and is not served",
            );
        }
        // Whoever opens one end of a FIFO waits until the other end is opened.
        let fifo = path("fifo");
        let writer = {
            let fifo = fifo.clone();
            std::thread::spawn(move || std::fs::File::options().write(true).open(fifo))
        };
        sleep(Duration::from_millis(100));
        let asked = client.ask("/fifo");
        sleep(Duration::from_millis(100));
        let is_opened = writer.is_finished();
        let let_go = openat(CWD, &fifo, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty());
        let _ = writer.join();
        drop(let_go);
        match (asked, is_opened) {
            (Ok(_), false) => Ok(()),
            _ => fails(
                "of a FIFO nothing is to be opened: whoever writes to it is woken by that",
            ),
        }
    })?;
    ran.lives()?;
    ran.is_heard()
}

pub fn framework_goodbye(bench: &Bench) -> Checked {
    let ran = served(bench, "framework", &["--store-delay", "500"], |server| {
        let says_close = |head: &str| {
            head.lines().any(|line| line.eq_ignore_ascii_case("connection: close"))
        };
        let mut stays = Client::connect(server.address)?;
        stays.asks("/small.txt")?;
        if says_close(&stays.hears_all()?.0) {
            return fails("nobody has told it to end, and a response says close");
        }
        let mut waits = Client::connect(server.address)?;
        waits.asks("/guestbook")?;
        sleep(Duration::from_millis(150));
        server.is_told_to_end()?;
        sleep(Duration::from_millis(100));
        stays.asks("/small.txt")?;
        let (head, content) = stays.hears_all()?;
        if content != SMALL {
            return fails("who asks on a connection that is still open is to be served");
        }
        let (of_page, page) = waits.hears_all()?;
        if !page.starts_with(b"<!") {
            return fails("who has asked before the end is to have its page");
        }
        match says_close(&head) && says_close(&of_page) {
            true => Ok(()),
            false => fails("a client is not told that it is the last response"),
        }
    })?;
    ran.lives()?;
    ran.is_heard()
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

pub fn stall_late(bench: &Bench) -> Checked {
    let names = [
        "requests_keep_their_time_while_the_server_stalls",
        "requests_keep_their_time_while_we_stand_still",
    ];
    bench.tests(Some("experiments"), &names)
}

pub fn pool_end(bench: &Bench) -> Checked {
    let names = ["dropping_it_waits_for_what_was_begun_and_throws_the_rest_away"];
    bench.tests(Some("pool"), &names)?;
    bench.run("full", &[])?.ends_well()
}

pub fn pool_beside(bench: &Bench) -> Checked {
    let ran = bench.run("ticks", &[])?;
    can_run(&ran)?;
    ran.ends_well()?;
    // The second of the two is asked for: from where the job is handed over.
    let ran = ran.after_last("fadvise64");
    if ran.count("pread64") > 0 {
        return fails("the loop reads the file itself, and no tick comes meanwhile");
    }
    let is_poll = |call: &&Call| ["poll", "ppoll"].contains(&call.name.as_str());
    let polls: Vec<&Call> = ran.calls().filter(is_poll).collect();
    let (Some(first), Some(last)) = (polls.first(), polls.last()) else {
        return fails("it does not wait in poll, which tells of the pool and of the time");
    };
    // At its end it waits for the pool's thread.
    ran.up_to(last.end).waits_only_in(&["poll", "ppoll"])?;
    let why = "it spins; poll says when there is something";
    ran.in_vain_at_most(&["read"], 3, why)?;
    let comes_around = |call: &Call| {
        call.details.as_ref().is_some_and(|details| details.contains("1 ms at most"))
    };
    for name in ["poll", "ppoll"] {
        ran.each(name, comes_around, "the loop is to come around each millisecond")?;
    }
    if !polls.iter().any(|call| call.result > Some(0)) {
        return fails("it has not waited until poll says that the pool has a result");
    }
    // Milliseconds: what it says, and what was seen from outside.
    let line = ran.out.lines().last().unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    let said = words.windows(2).filter(|two| two[1].starts_with("ms"));
    let said: Vec<f64> = said.filter_map(|two| two[0].parse().ok()).collect();
    let [took, longest] = said[..] else {
        return fails(format!("it says two times of the pool, and not: {line}"));
    };
    let ends = polls.iter().map(|call| call.end).zip(polls.iter().skip(1));
    let gap = ends.map(|(before, next)| next.end - before).fold(0.0, f64::max) / 1e3;
    let all = (last.end - first.begin) / 1e3;
    for (what, said, seen) in [("all of it", took, all), ("the longest tick", longest, gap)]
    {
        if said < seen / 2.0 - 3.0 || said > seen * 1.5 + 60.0 {
            return fails(format!(
                "it says {said} ms for {what}: seen from outside it is {seen:.1}"
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
            return fails(
                "it spins: a thread of the pool that has nothing to do is to sleep",
            );
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

pub fn ftp_telnet(bench: &Bench) -> Checked {
    bench.tests_are_whole()?;
    bench.tests(None, &["command::"])
}

pub fn ftp_short(bench: &Bench) -> Checked {
    bench.tests_are_whole()?;
    bench.tests(None, &["transfer::"])
}

pub fn load_latency(bench: &Bench) -> Checked {
    let names = [
        "every_request_that_was_answered_is_counted_once",
        "what_goes_wrong_is_counted_by_its_kind",
        "a_stall_of_a_second_stands_in_the_tail_at_its_full_length",
    ];
    bench.tests(Some("known"), &names)?;
    bench.tests(None, &["crew::"])
}

pub fn load_open(bench: &Bench) -> Checked {
    bench.tests_are_whole()?;
    bench.tests(None, &["pace::"])
}

pub fn harness_turns(bench: &Bench) -> Checked {
    bench.tests_are_whole()?;
    bench.tests(None, &["plan::"])
}

pub fn harness_resume(bench: &Bench) -> Checked {
    bench.tests(None, &["results::"])
}
