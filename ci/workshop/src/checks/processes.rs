//! Parts 1 and 2, as far as they are about processes: a read that blocks, the application, the
//! iterative server, the forking ones, and what a process costs.

use conformance::Model;

use super::{SMALL, same, serves};
use crate::bench::{Bench, Checked, Fault, Server};
use crate::clients::Client;
use crate::ran::fails;

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
        std::thread::sleep(std::time::Duration::from_millis(300));
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
        std::thread::sleep(std::time::Duration::from_millis(300));
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
        std::thread::sleep(std::time::Duration::from_millis(300));
        drop(crowd);
        std::thread::sleep(std::time::Duration::from_millis(400));
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

/// A server of files that is asked.
fn served(
    bench: &Bench,
    bin: &str,
    flags: &[&str],
    ask: fn(&Server) -> Checked,
) -> Result<crate::Ran, Fault> {
    let (folder, flags) = serves(flags)?;
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let ran = bench.serve(bin, &flags, ask);
    drop(folder);
    ran
}
