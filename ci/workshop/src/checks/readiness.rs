//! Part 5: select, poll, epoll, Linux AIO.

use std::thread::sleep;
use std::time::Duration;

use conformance::Model;
use trace::Call;

use super::{SMALL, can_run, large, same, served};
use crate::bench::{Bench, Checked, Fault, Server};
use crate::clients::Client;
use crate::ran::{Ran, fails};

/// A loop may wait in these, each of which is one.
const SELECT: &[&str] = &["select", "pselect6"];
const POLL: &[&str] = &["poll", "ppoll"];
const EPOLL: &[&str] = &["epoll_wait", "epoll_pwait", "epoll_pwait2"];

/// By then a loop that has something to do has done it, and one that spins has spun.
const SETTLED: Duration = Duration::from_millis(300);

const NOBODY_ASKED: &str = "who has said nothing is asked all the same";

/// Five clients stay and say nothing. One asks ten times, and a page. Three others ask for more
/// than there is room for and read it late; meanwhile the first is answered. Then some leave.
fn a_session(&Server { address: server, .. }: &Server) -> Checked {
    let silent: Vec<Client> =
        (0..5).map(|_| Client::connect(server)).collect::<Result<_, _>>()?;
    let mut one = Client::connect(server)?;
    for _ in 0..10 {
        same(&one.ask("/small.txt")?, SMALL)?;
    }
    if !one.ask("/guestbook")?.starts_with(b"<!") {
        return fails("the guestbook's page is not what it was");
    }
    let mut slow: Vec<Client> =
        (0..3).map(|_| Client::connect(server)).collect::<Result<_, _>>()?;
    // They are waited for before they have asked for anything.
    sleep(SETTLED);
    for client in &mut slow {
        same(&client.ask("/small.txt")?, SMALL)?;
        client.asks("/large.bin")?;
    }
    for client in &slow {
        client.is_full()?;
    }
    for _ in 0..3 {
        same(&one.ask("/small.txt")?, SMALL)?;
    }
    for client in &mut slow {
        same(&client.hears()?, &large())?;
    }
    drop(slow);
    drop(silent);
    sleep(SETTLED);
    let mut next = Client::connect(server)?;
    same(&next.ask("/small.txt")?, SMALL)?;
    same(&one.ask("/small.txt")?, SMALL)
}

/// A client asks for a page, which takes its time, and for so much behind it that the server
/// does not read on; and is gone then, with all of its connection. Others are served.
fn a_reset(&Server { address: server, .. }: &Server) -> Checked {
    let mut gone = Client::connect(server)?;
    gone.asks("/guestbook")?;
    for _ in 0..2000 {
        gone.asks("/small.txt")?;
    }
    sleep(SETTLED);
    gone.resets();
    sleep(SETTLED);
    same(&Client::connect(server)?.ask("/small.txt")?, SMALL)
}

/// More clients come than there are descriptors for. Those who are in are answered, and when
/// some leave, the others come in.
fn a_crowd(server: &Server) -> Checked {
    same(&Client::connect(server.address)?.ask("/small.txt")?, SMALL)?;
    server.may_open(20)?;
    let server = server.address;
    let mut clients: Vec<Client> =
        (0..60).map(|_| Client::connect(server)).collect::<Result<_, _>>()?;
    for client in &mut clients {
        client.asks("/small.txt")?;
    }
    // What they hear may be that there is no descriptor for the file either.
    clients[0].hears()?;
    sleep(SETTLED);
    clients[0].ask("/small.txt")?;
    // One after another they are let in: whoever has his answer leaves.
    for mut client in clients.drain(1..) {
        client.hears()?;
    }
    Ok(())
}

/// A loop that serves the session and waits in one place.
fn a_loop(bench: &Bench, bin: &str, flags: &[&str], waits: &[&str]) -> Result<Ran, Fault> {
    let ran = served(bench, bin, flags, a_session)?;
    waits_well(&ran, waits)?;
    ran.ends_well()?;
    // A client that was let in is asked at once, before it has said anything.
    ran.in_vain_at_most(&["recvfrom", "read"], 16, NOBODY_ASKED)?;
    Ok(ran)
}

/// It lives, waits in these calls and in no other, and its clients have what they want. In that
/// order: where it waits is why they have not.
fn waits_well(ran: &Ran, waits: &[&str]) -> Checked {
    ran.lives()?;
    ran.does_not_spin()?;
    ran.waits_only_in(waits)?;
    ran.is_heard()
}

fn event_loop(model: Model) -> Model {
    Model { event_loop: true, ..model }
}

pub fn select_refill(bench: &Bench) -> Checked {
    let ran = bench.run("two-pipes", &[])?;
    ran.prints(&["A B", "B says: hello", "and later: A B", "A says: and me"])?;
    let asked: usize = SELECT.iter().map(|name| ran.count(name)).sum();
    if asked < 2 {
        return fails(format!(
            "select is called {asked} time: the kernel was not asked again"
        ));
    }
    ran.waits_only_in(&["select", "pselect6", "futex"])
}

pub fn select_door(bench: &Bench) -> Checked {
    let ran = served(bench, "select-loop", &[], a_crowd)?;
    waits_well(&ran, SELECT)?;
    bench.row("select-loop", 8, event_loop)
}

pub fn select_wait(bench: &Bench) -> Checked {
    a_loop(bench, "select-loop", &[], SELECT)?;
    bench.row("select-loop", 7, event_loop)?;
    bench.row("select-loop", 29, event_loop)
}

pub fn select_send(bench: &Bench) -> Checked {
    a_loop(bench, "select-loop", &[], SELECT)?;
    bench.row("select-loop", 11, event_loop)?;
    // Among others a file that becomes shorter while it is sent.
    bench.row("select-loop", 26, event_loop)
}

pub fn poll_two(bench: &Bench) -> Checked {
    let ran = bench.run("poll-two", &[])?;
    ran.lives()?;
    ran.waits_only_in(POLL)?;
    ran.prints(&["[-, IN]", "[IN, -]", "[-, HUP]", "[HUP, -]"])?;
    let is_end =
        |call: &&Call| call.name == "read" && call.at.is_some() && call.result == Some(0);
    match ran.calls().filter(is_end).count() {
        2.. => Ok(()),
        n => fails(format!(
            "{n} of two pipes were read to their end, and HUP may come while there is something to read"
        )),
    }
}

pub fn poll_send(bench: &Bench) -> Checked {
    let ran = bench.run("lost-write", &[])?;
    ran.ends_well()?;
    let last = ran.after_last("listen");
    last.waits_only_in(&["poll", "ppoll", "futex"])?;
    last.waits_after_eagain(POLL)?;
    let until_there_is = "it is to sleep until there is room, and not to look now and then";
    last.each("poll", |call| call.result != Some(0), until_there_is)?;
    last.prints(&["from where it stopped 16777216 the page"])
}

pub fn poll_drain(bench: &Bench) -> Checked {
    a_loop(bench, "poll-loop", &[], POLL)?;
    let ran = served(bench, "poll-loop", &["--store-delay", "1500"], a_reset)?;
    waits_well(&ran, POLL)?;
    bench.row("poll-loop", 28, event_loop)
}

pub fn poll_retire(bench: &Bench) -> Checked {
    a_loop(bench, "poll-loop", &[], POLL)?;
    let ran = served(bench, "poll-loop", &[], |&Server { address, .. }| {
        let mut clients: Vec<Client> =
            (0..6).map(|_| Client::connect(address)).collect::<Result<_, _>>()?;
        for client in &mut clients {
            same(&client.ask("/small.txt")?, SMALL)?;
        }
        drop(clients);
        sleep(SETTLED);
        Ok(())
    })?;
    waits_well(&ran, POLL)?;
    let last = ran.calls().filter(|call| call.name == "poll").last();
    // Those of the listener, the signals and the store are left.
    let details = last.and_then(|call| call.details.as_deref()).unwrap_or("3 entries");
    if !details.starts_with("3 entries") {
        return fails(format!(
            "six clients have come and gone, and poll is given {details}"
        ));
    }
    bench.row("poll-loop", 10, event_loop)
}

pub fn epoll_serve(bench: &Bench) -> Checked {
    let ran =
        bench.serve("bare", &["127.0.0.1:0"], |&Server { address: server, .. }| {
            let mut clients: Vec<Client> =
                (0..6).map(|_| Client::connect(server)).collect::<Result<_, _>>()?;
            let content = vec![b'x'; 612];
            for _ in 0..10 {
                same(&clients[0].ask("/")?, &content)?;
            }
            same(&clients[1].ask("/")?, &content)?;
            clients.truncate(1);
            // Some are gone before they are answered.
            for _ in 0..5 {
                let mut gone = Client::connect(server)?;
                gone.asks("/")?;
                gone.resets();
            }
            sleep(SETTLED);
            let mut next = Client::connect(server)?;
            same(&next.ask("/")?, &content)?;
            same(&clients[0].ask("/")?, &content)
        })?;
    // Before all else: whoever keeps those who are gone spins, and is ended for it or not, as fast as
    // the machine is.
    ran.ends_at_most(12)?;
    waits_well(&ran, EPOLL)?;
    ran.in_vain_at_most(&["recvfrom", "read"], 2, NOBODY_ASKED)?;
    let is_right = |call: &Call| {
        call.result.is_some_and(|result| result < 0) || call.details.is_some()
    };
    let why =
        "this client's socket is not NONBLOCK, and a loop may not wait for one client";
    ran.each("accept4", is_right, why)?;
    ran.calls_at_most("epoll_ctl", 20, "a client is put in when it comes, and that is all")
}

/// What the kernel has to be told in a session at level: ten clients who come, the listener and
/// the store; and three clients wait for room, and then for bytes again.
const TOLD: usize = 22;

pub fn epoll_ctl(bench: &Bench) -> Checked {
    let ran = a_loop(bench, "epoll-loop", &["--files-in-loop"], EPOLL)?;
    let why = "the kernel keeps what it was told";
    ran.calls_at_most("epoll_ctl", TOLD, why)
}

pub fn epoll_triggers(bench: &Bench) -> Checked {
    epoll_ctl(bench)?;
    with_flag(bench, "--edge-triggered", |ran| {
        ran.calls_at_most("epoll_ctl", 14, "an edge is asked for once")?;
        match told(ran, "for IN OUT ET") {
            8.. => Ok(()),
            n => fails(format!(
                "{n} clients are in for IN OUT ET: an edge is asked for once, so for both"
            )),
        }
    })?;
    with_flag(bench, "--one-shot", |ran| match told(ran, "ONESHOT") {
        20.. => Ok(()),
        n => fails(format!(
            "epoll_ctl is told ONESHOT {n} times: one shot is used up by each event"
        )),
    })
}

fn with_flag(bench: &Bench, flag: &str, rule: fn(&Ran) -> Checked) -> Checked {
    let checked = a_loop(bench, "epoll-loop", &["--files-in-loop", flag], EPOLL);
    checked.and_then(|ran| rule(&ran)).map_err(|fault| match fault {
        Fault::Fails(why) => Fault::Fails(format!("with {flag} {why}")),
        other => other,
    })
}

/// How often epoll_ctl was told this.
fn told(ran: &Ran, words: &str) -> usize {
    let has = |call: &&Call| call.details.as_ref().is_some_and(|said| said.contains(words));
    ran.calls().filter(|call| call.name == "epoll_ctl").filter(has).count()
}

pub fn aio_one_read(bench: &Bench) -> Checked {
    let ran = bench.run("one-read", &[])?;
    can_run(&ran)?;
    ran.prints(&["io_submit has returned, 1 in flight", "the read has 4096 bytes"])?;
    ran.never_calls(&["pread64", "read_at", "preadv2"], "the read is to be in flight")?;
    let waits = "it is to wait where it wants the bytes, and not to ask";
    ran.never_calls(&["sched_yield"], waits)?;
    let counts = (ran.count("io_submit"), ran.count("io_getevents"));
    if counts != (1, 1) {
        let (submits, waits) = counts;
        return fails(format!(
            "{submits} io_submit and {waits} io_getevents: one of each, to hand over and to wait"
        ));
    }
    let first = |name: &str| ran.calls().position(|call| call.name == name);
    let prints = |call: &Call| {
        call.name == "write" && call.at.as_ref().is_some_and(|at| at.contains("src/bin/"))
    };
    let line = ran.calls().position(prints);
    match first("io_submit") < line && line < first("io_getevents") {
        true => Ok(()),
        false => fails(
            "its first line is to be printed while the read is in flight: after io_submit, and before io_getevents",
        ),
    }
}

pub fn aio_eventfd(bench: &Bench) -> Checked {
    let ran = bench.run("in-a-loop", &[])?;
    can_run(&ran)?;
    ran.ends_well()?;
    // While the second row's reads are in flight.
    let last = ran.after_last("io_submit").up_to_last("io_getevents");
    last.waits_only_in(EPOLL)?;
    let (asked, told) = (last.count("io_getevents"), last.count("read"));
    if asked > told {
        return fails(format!(
            "it asks the context {asked} times, and has read the eventfd, which says that there is something, {told} times"
        ));
    }
    let comes_around = |call: &Call| {
        call.details.as_ref().is_some_and(|details| details.contains(" ms at most"))
    };
    for name in EPOLL {
        last.each(name, comes_around, "the loop is to come around each millisecond")?;
    }
    last.does_not_spin()
}

pub fn epoll_dispatch(bench: &Bench) -> Checked {
    a_loop(bench, "epoll-loop", &["--files-in-loop"], EPOLL)?;
    // What is in memory, too, is read by the pool.
    let flags = ["--pool-always"];
    let ran = served(bench, "epoll-loop", &flags, |server| {
        let mut client = Client::connect(server.address)?;
        for _ in 0..5 {
            same(&client.ask("/small.txt")?, SMALL)?;
        }
        Ok(())
    })?;
    waits_well(&ran, EPOLL)?;
    // It is told to end while somebody is in the middle of a request, who is waited for.
    let ran = served(bench, "epoll-loop", &[], |server| {
        let mut client = Client::connect(server.address)?;
        client.send(b"GET /small.txt HTTP/1.1\r\n")?;
        sleep(SETTLED);
        server.is_told_to_end()?;
        sleep(SETTLED);
        client.send(b"Host: here\r\n\r\n")?;
        same(&client.hears()?, SMALL)
    })?;
    let why =
        "it is to stop, and has looked at its clients; is it told so again and again?";
    ran.in_vain_at_most(&["recvfrom", "read"], 4, why)?;
    waits_well(&ran, EPOLL)?;
    bench.row("epoll-loop", 16, event_loop)?;
    bench.row("epoll-loop", 8, event_loop)
}

pub fn aio_judge(bench: &Bench) -> Checked {
    let names = [
        "every_length_that_an_event_may_have_is_understood",
        "every_error_that_an_event_may_have_ends_the_read_or_asks_again",
        "a_read_that_makes_no_progress_is_given_up",
        "a_read_that_makes_progress_is_not_given_up",
        "what_came_before_counts",
        "a_file_of_any_length_is_read_whole_at_any_depth",
    ];
    bench.tests(Some("odd_sizes"), &names)
}

pub fn aio_alignment(bench: &Bench) -> Checked {
    let names = [
        "a_trial_finds_what_a_disk_wants",
        "statx_and_trial_agree_on_what_works",
        "a_trial_of_what_cannot_be_read_says_why",
    ];
    bench.tests(Some("odd_sizes"), &names)
}
