//! Parts 1 and 2, as far as they are about processes: a read that blocks, the application, the
//! iterative server, the forking ones, and what a process costs.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use conformance::Model;

use super::{SMALL, same, served};
use crate::bench::{Bench, Checked, Fault};
use crate::clients::Client;
use crate::ran::{fails, place};

fn iterative(model: Model) -> Model {
    Model { keep_alive: false, at_once: 1, ..model }
}

fn forking(model: Model) -> Model {
    let args = &["--max-connections", "64"];
    Model { args, keep_alive: false, at_once: 64, forks: true, ..model }
}

pub fn read_watch(bench: &Bench) -> Checked {
    let names = [
        "a_waiting_process_sleeps_inside_read",
        "a_process_that_sleeps_elsewhere_does_not_read",
        "a_watched_program_that_does_not_wait_is_ended",
    ];
    let said = bench.tests_say(Some("experiments"), &names)?;
    // The kernel shows it to us, of ourselves.
    for (file, words) in [
        ("/proc/self/syscall", "in which system call"),
        ("/proc/self/wchan", "where a process sleeps"),
    ] {
        if said.contains(words)
            && std::fs::read_to_string(file).is_ok_and(|text| !text.is_empty())
        {
            return fails(format!(
                "{file} is there on this kernel, and look has not said what such a file says"
            ));
        }
    }
    Ok(())
}

pub fn read_usage(bench: &Bench) -> Checked {
    let names = [
        "a_read_from_an_empty_pipe_waits_once_and_computes_nothing",
        "a_neighbour_stops_us_without_our_waiting",
        "what_other_threads_compute_is_not_ours",
    ];
    bench.tests(Some("experiments"), &names)
}

pub fn app_path(bench: &Bench) -> Checked {
    bench.tests_are_whole()?;
    bench.tests(None, &["path::"])
}

pub fn iterative_accept(bench: &Bench) -> Checked {
    let ran = served(bench, "iterative", &[], |server| {
        server.may_open(0)?;
        let mut client = Client::connect(server.address)?;
        client.asks("/small.txt")?;
        sleep(Duration::from_millis(300));
        server.may_open(64)?;
        client.hears().map(drop)
    })?;
    ran.lives()?;
    ran.is_heard()?;
    if ran.said.is_empty() {
        return fails(
            "it could not accept, and has said nothing of that on standard error",
        );
    }
    bench.row("iterative", 8, iterative)?;
    bench.row("iterative", 10, iterative)
}

pub fn iterative_deadline(bench: &Bench) -> Checked {
    // A client that says half of it, and is then told that it is late.
    let ran = served(bench, "iterative", &[], |server| {
        let mut half = Client::connect(server.address)?;
        half.send(b"GET / HT")?;
        sleep(Duration::from_millis(300));
        Ok(())
    })?;
    ran.lives()?;
    ran.in_vain_at_most(&["recvfrom"], 2, "it spins; it is to wait until something comes")?;
    ran.waits_only_in(&["recvfrom", "accept4", "accept", "poll", "ppoll"])?;
    ran.is_heard()?;
    bench.row("iterative", 12, iterative)
}

pub fn forking_reap(bench: &Bench) -> Checked {
    // Two who say nothing, and one after another who asks.
    let ran = served(bench, "forking", &["--max-connections", "16"], |server| {
        let silent: Vec<Client> =
            (0..2).map(|_| Client::connect(server.address)).collect::<Result<_, _>>()?;
        for _ in 0..10 {
            same(&Client::connect(server.address)?.ask("/small.txt")?, SMALL)?;
        }
        drop(silent);
        // Several end at the same time, and signals are not counted.
        let crowd: Vec<Client> =
            (0..6).map(|_| Client::connect(server.address)).collect::<Result<_, _>>()?;
        sleep(Duration::from_millis(300));
        drop(crowd);
        sleep(Duration::from_millis(400));
        match server.zombies() {
            0 => Ok(()),
            n => fails(format!("{n} children have ended and are still there: zombies")),
        }
    })?;
    ran.lives()?;
    // Whoever never looks after its children has no place for more, sooner or later.
    if matches!(&ran.asked, Err(Fault::Fails(why)) if why.contains("zombies")) {
        return ran.is_heard();
    }
    ran.waits_only_in(&["accept4", "accept"])?;
    ran.is_heard()?;
    bench.row("forking", 10, forking)
}

pub fn forking_close(bench: &Bench) -> Checked {
    let ran = served(bench, "forking", &[], |server| {
        let silent = Client::connect(server.address)?;
        let mut client = Client::connect(server.address)?;
        same(&client.ask("/small.txt")?, SMALL)?;
        let shared = server.shared_sockets();
        if shared > 0 {
            return fails(format!(
                "a child that serves has {shared} sockets open that its parent has open as well"
            ));
        }
        match client.is_at_its_end() {
            true => drop(silent),
            false => {
                return fails(
                    "a client has its response, and the connection is still open",
                );
            }
        }
        Ok(())
    })?;
    ran.lives()?;
    ran.is_heard()?;
    bench.row("forking", 10, forking)?;
    bench.row("forking", 16, forking)
}

pub fn preforked_pace(bench: &Bench) -> Checked {
    bench.tests_are_whole()?;
    bench.tests(None, &["respawns::"])
}

pub fn clone_pipe(bench: &Bench) -> Checked {
    let ran = bench.run("clone-cost", &["faults"])?;
    ran.ends_well()?;
    let written = |name: &str| {
        ran.lanes.iter().skip(1).flat_map(|lane| &lane.calls).any(|call| call.name == name)
    };
    if !written("write") {
        return fails(
            "nothing comes through the pipe: the child writes what it has counted",
        );
    }
    ran.prints(&["the maker sees 0 100"])?;
    let is_end = |call: &&trace::Call| {
        call.name == "read"
            && call.result == Some(0)
            && call.within.as_ref().is_some_and(|within| within.contains("by_process"))
    };
    match ran.calls().any(|call| is_end(&call)) {
        true => Ok(()),
        false => fails("the pipe is not read to its end"),
    }
}

pub fn read_first(bench: &Bench) -> Checked {
    let ran = bench.run("first-read", &[])?;
    ran.ends_well()?;
    let Some(longest) = ran.longest_wait() else {
        return fails("it waits for nothing, and nobody has written to the pipe yet");
    };
    if longest.name != "read" {
        return fails(format!(
            "it waits in {}; it is to wait in read and nowhere else",
            place(longest)
        ));
    }
    let words = ran.out.lines().find_map(|line| line.strip_prefix("read returned 5 bytes"));
    let ms = words.and_then(|rest| rest.strip_prefix(" after ")?.strip_suffix(" ms"));
    let ms: Option<f64> = ms.and_then(|ms| ms.parse().ok());
    let (read, end) = (longest.waited() / 1e3, longest.end / 1e3);
    match ms {
        None => {
            return fails(format!(
                "it does not print: read returned 5 bytes after … ms\nit prints:\n{}",
                ran.out
            ));
        }
        Some(ms) if ms < read.floor() || ms > end + 20.0 => {
            return fails(format!(
                "it says {ms} ms; read has waited for {read:.0} ms, seen from outside"
            ));
        }
        Some(_) => {}
    }
    ran.waits_only_in(&["read", "wait4", "waitid"])?;
    let is_it = |call: &&trace::Call| call.name == "read" && call.result == Some(5);
    let after = ran.calls().skip_while(|call| !is_it(call)).skip(1);
    if after.into_iter().any(|call| call.name == "read") {
        return fails("it reads again: one read is enough for what is there");
    }
    match ran.calls().any(|call| ["wait4", "waitid"].contains(&call.name.as_str())) {
        true => Ok(()),
        false => {
            fails("nobody has waited for the child, which stays a zombie until we end")
        }
    }
}

pub fn read_forget(bench: &Bench) -> Checked {
    let names = ["a_cold_read_waits_for_the_disk_and_a_cached_one_does_not"];
    let said = bench.tests_say(Some("experiments"), &names)?;
    match said.contains("no disk took part") {
        true => Err(Fault::Skipped(
            "both reads were cached: no folder is on a disk here, or it was not forgotten"
                .into(),
        )),
        false => Ok(()),
    }
}

pub fn app_escape(bench: &Bench) -> Checked {
    bench.tests_are_whole()?;
    bench.tests(None, &["page::"])
}

pub fn app_route(bench: &Bench) -> Checked {
    let names = [
        "paths_and_methods_are_routed",
        "a_body_that_is_too_long_is_refused_before_it_is_read",
        "a_store_that_does_not_answer_costs_one_request",
        "byte_by_byte_in_and_out_gives_the_same_bytes",
    ];
    bench.tests(Some("guest"), &names)
}

pub fn app_driver(bench: &Bench) -> Checked {
    let ran = bench.run("by-hand", &[])?;
    ran.prints(&[
        "guest has a job: ask the store, 2 commands in 72 bytes",
        "guest has a job: open missing.html",
        "HTTP/1.1 200 OK, then HTTP/1.1 404 Not Found",
    ])?;
    match ran.out.contains("was not given back") {
        true => fails("the guest waits for what it has given out: say what was sent of it"),
        false => Ok(()),
    }
}

pub fn iterative_close(bench: &Bench) -> Checked {
    let ran = served(bench, "iterative", &[], |server| {
        // One is refused, and still has the connection.
        let mut refused = Client::connect(server.address)?;
        refused.send(
            b"POST /guestbook HTTP/1.1\r\nHost: here\r\nContent-Length: 99999\r\n\r\n",
        )?;
        refused.hears()?;
        if !refused.is_at_its_end() {
            return fails(
                "a client was refused, waits for the end of the response, and does not see it",
            );
        }
        // It goes on sending, now and then, and is not waited for anew with each byte.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..25 {
                    let _ = refused.send(b"x");
                    sleep(Duration::from_millis(200));
                }
            });
            Client::connect(server.address)?.ask("/small.txt")
        })?;
        // Some have all that they wanted, and do not hang up. The last of them asks when they
        // do, and has three seconds.
        let mut some: Vec<Client> =
            (0..4).map(|_| Client::connect(server.address)).collect::<Result<_, _>>()?;
        some.iter_mut().try_for_each(|client| client.asks("/small.txt"))?;
        same(&some[3].hears()?, SMALL)
    })?;
    ran.lives()?;
    ran.is_heard()?;
    bench.tests(Some("endings"), &["a_request_that_comes_late"])?;
    bench.row("iterative", 27, iterative)
}

pub fn iterative_drain(bench: &Bench) -> Checked {
    let flags = ["--store-delay", "400", "--grace", "5000"];
    let ran = served(bench, "iterative", &flags, |server| {
        let mut first = Client::connect(server.address)?;
        first.asks("/guestbook")?;
        sleep(Duration::from_millis(150));
        let mut queued = Client::connect(server.address)?;
        queued.asks("/guestbook")?;
        server.is_told_to_end()?;
        first.hears()?;
        // The one who was queued is served, and the queue has been counted.
        sleep(Duration::from_millis(200));
        let late = Client::connect(server.address);
        queued.hears()?;
        match late.and_then(|mut late| late.ask("/small.txt")) {
            Err(_) => Ok(()),
            Ok(_) => fails("who comes after the signal is served"),
        }
    })?;
    ran.lives()?;
    ran.is_heard()?;
    let flags = ["--store-delay", "400", "--grace", "500"];
    let ran = served(bench, "iterative", &flags, |server| {
        let mut some: Vec<Client> =
            (0..4).map(|_| Client::connect(server.address)).collect::<Result<_, _>>()?;
        some.iter_mut().try_for_each(|client| client.asks("/guestbook"))?;
        sleep(Duration::from_millis(150));
        server.is_told_to_end()?;
        some[0].hears()?;
        match some[3].hears() {
            Err(_) => Ok(()),
            Ok(_) => fails("a client is served when the grace is over"),
        }
    })?;
    ran.lives()?;
    ran.is_heard()?;
    bench.row("iterative", 16, iterative)
}

pub fn forking_twice(bench: &Bench) -> Checked {
    let ran = bench.run("twice", &[])?;
    ran.prints(&[
        "one process: number is 1, the file is at byte 0",
        "the child: number is 42, has read 7 bytes, and exits",
        "the parent: number is 1, the file is at byte 7",
    ])?;
    let Some(child) = ran.lanes.iter().find(|lane| lane.process == 2) else {
        return fails("there is no child: all of it was done by one process");
    };
    match ran.out.lines().filter(|line| line.starts_with("the parent:")).count() {
        1 => {}
        n => return fails(format!("the parent's line is printed {n} times")),
    }
    let reads = |call: &&trace::Call| {
        call.name == "read" && call.at.is_some() && call.result == Some(7)
    };
    if child.calls.iter().find(reads).is_none() {
        return fails("the child reads nothing");
    }
    ran.waits_only_in(&["wait4"])?;
    match ran.count("wait4") {
        0 => fails("the parent does not wait for its child, and is right by chance"),
        _ => Ok(()),
    }
}

pub fn forking_cap(bench: &Bench) -> Checked {
    let ran = served(bench, "forking", &["--max-connections", "2"], |server| {
        let silent: Vec<Client> =
            (0..2).map(|_| Client::connect(server.address)).collect::<Result<_, _>>()?;
        sleep(Duration::from_millis(300));
        let mut third = Client::connect(server.address)?;
        third.asks("/small.txt")?;
        sleep(Duration::from_millis(500));
        drop(silent);
        same(&third.hears()?, SMALL)
    })?;
    ran.lives()?;
    ran.is_heard()?;
    ran.waits_only_in(&["accept4", "accept", "wait4"])?;
    ran.calls_at_most("wait4", 100, "it spins; it is to sleep until a child has ended")?;
    // While there is room nobody is waited for but a client.
    let ran = served(bench, "forking", &["--max-connections", "8"], |server| {
        let silent = Client::connect(server.address)?;
        for _ in 0..3 {
            same(&Client::connect(server.address)?.ask("/small.txt")?, SMALL)?;
        }
        drop(silent);
        Ok(())
    })?;
    ran.waits_only_in(&["accept4", "accept"])?;
    ran.is_heard()?;
    let names = [
        "at_the_cap_the_next_client_waits_in_the_queue_and_is_served_then",
        "at_the_cap_a_child_that_hangs_is_killed",
    ];
    bench.tests(Some("children"), &names)
}

fn preforked(model: Model) -> Model {
    let args = &["--workers", "4"];
    Model { args, at_once: 4, workers: 4, respawns: true, ..model }
}

pub fn preforked_replace(bench: &Bench) -> Checked {
    const PLACES: usize = 4;
    const TOO_MANY: usize = 30;
    let ran = served(bench, "preforked", &["--workers", "4"], |server| {
        // The store was started before them, and is none of them.
        let workers = || server.children().into_iter().skip(1).collect::<Vec<u32>>();
        let all_are_there = || {
            sleep(Duration::from_millis(500));
            match workers().len() {
                PLACES => Ok(()),
                n => fails(format!(
                    "there are not as many workers as places: {n} of {PLACES}"
                )),
            }
        };
        all_are_there()?;
        for _ in 0..2 {
            workers().iter().take(2).for_each(|worker| server.kills(*worker));
            all_are_there()?;
        }
        // Nobody lives long.
        sleep(Duration::from_millis(600));
        let mut started = BTreeSet::new();
        for _ in 0..60 {
            sleep(Duration::from_millis(10));
            workers().iter().for_each(|worker| server.kills(*worker));
            started.extend(workers());
            // It is known by now, and whoever starts so many has not many calls left.
            if started.len() >= TOO_MANY {
                break;
            }
        }
        match started.len() {
            n @ ..TOO_MANY if n > PLACES => Ok(()),
            n => fails(format!(
                "workers that end at once: {n} workers were started within a second, and respawns knows how many may be"
            )),
        }
    })?;
    ran.lives()?;
    ran.is_heard()?;
    bench.row("preforked", 17, preforked)
}

pub fn preforked_queues(bench: &Bench) -> Checked {
    let names = [
        "only_a_queue_of_its_own_waits_for_a_worker_that_is_stuck",
        "each_worker_has_a_queue_of_its_own_at_one_address",
    ];
    bench.tests(Some("experiments"), &names)
}

pub fn clone_ways(bench: &Bench) -> Checked {
    let ran = bench.run("three-ways", &[])?;
    ran.ends_well()?;
    // What a child and a thread have in common is that their first call is not ours.
    let made =
        |process: usize| ran.lanes.iter().filter(move |lane| lane.process == process);
    let is_program =
        |lane: &&trace::Lane| lane.calls.iter().any(|call| call.name == "execve");
    let children = ran.lanes.iter().filter(|lane| lane.process > 1);
    let (programs, copies): (Vec<_>, Vec<_>) = children.partition(is_program);
    let Some(child) = copies.first() else {
        return fails("no child was made by fork: none that goes on from where we were");
    };
    let does_more = child.calls.iter().any(|call| call.name.starts_with("clone"));
    if does_more || copies.len() > 1 {
        return fails("the child goes on, and makes others: there is one too many");
    }
    if made(1).count() < 2 {
        return fails("no thread was made: all that was made is a process of its own");
    }
    if programs.is_empty() {
        return fails("no program was started");
    }
    // Each has made its last call before the next one makes its first.
    for (number, (one, next)) in ran.lanes.iter().zip(ran.lanes.iter().skip(1)).enumerate()
    {
        let ends = one.calls.last().map_or(0.0, |call| call.begin);
        let begins = next.calls.first().map_or(f64::INFINITY, |call| call.begin);
        if number > 0 && ends > begins {
            return fails("one is made before the one before it was waited for");
        }
    }
    let (children, waited) =
        (programs.len() + copies.len(), ran.count("wait4") + ran.count("waitid"));
    match waited >= children {
        true => Ok(()),
        false => {
            fails(format!("{children} children were made, and {waited} was waited for"))
        }
    }
}
