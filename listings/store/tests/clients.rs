//! Nothing that a client does ends the store, slows it down for others, or makes it hold
//! more than it should.
#![cfg(target_os = "linux")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use redis_protocol::resp2::types::OwnedFrame;
use store::{Options, Store};
use support::{AGES, Client, Process, answers, eventually, line, request};

/// KiB that a store may use at its peak here. Its own needs are about 4 MiB.
const ENOUGH: u64 = 48 << 10;

#[test]
fn what_is_no_request_gets_one_error_and_a_close() {
    let process = Process::start(&[]);
    let mut unfinished_line = b"*".to_vec();
    unfinished_line.resize(1 << 20, b'1');
    for bytes in [
        b"*1000000000\r\n".to_vec(),
        b"*1\r\n$99999999999\r\n".to_vec(),
        b"*1\r\n".repeat(1 << 18),
        [b"*1024\r\n".repeat(1000), b"$1\r\nx\r\n".to_vec()].concat(),
        b"GET /guestbook HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00".to_vec(),
        unfinished_line,
        request(&[b"LPUSH", b"k", &vec![b'x'; 1 << 20]]),
        request(&vec![b"PING".as_slice(); 1025]),
    ] {
        let mut client = process.client();
        client.send(&bytes);
        let reply = String::from_utf8(client.rest()).unwrap();
        assert!(
            reply.starts_with("-ERR Protocol error: ") && reply.lines().count() == 1,
            "{reply:?}"
        );
        assert!(answers(process.address));
    }
    assert!(process.peak_memory() < ENOUGH, "{} KiB", process.peak_memory());
}

#[test]
fn announced_lengths_are_not_reserved() {
    let process = Process::start(&[]);
    let mut clients: Vec<Client> = (0..300).map(|_| process.client()).collect();
    for client in &mut clients {
        client.send(b"*1024\r\n$1000000\r\nx");
    }
    assert!(answers(process.address));
    assert!(process.peak_memory() < ENOUGH, "{} KiB", process.peak_memory());
}

/// 4,000 replies of 100 KB are asked for, and none is read.
fn flood(args: &[&str]) {
    let process = Process::start(args);
    let mut client = process.client();
    client.send(&request(&[b"LPUSH", b"list", &vec![b'x'; 100_000]]));
    assert_eq!(client.reply(), Some(OwnedFrame::Integer(1)));
    client.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let _ = client.stream.write_all(&line("LRANGE list 0 -1").repeat(4000)); // It may stop reading us.
    thread::sleep(Duration::from_millis(300));
    assert!(answers(process.address));
    assert!(process.peak_memory() < ENOUGH, "{} KiB", process.peak_memory());
}

#[test]
fn a_client_that_does_not_read_is_not_read_either() {
    flood(&[]);
}

#[test]
fn nor_is_it_when_replies_are_delayed() {
    flood(&["--delay", "1"]);
}

#[test]
fn a_store_that_is_full_says_so() {
    let store = Store::start(&Options { max_clients: 2, ..Options::default() }).unwrap();
    let mut first = Client::new(store.address());
    let mut second = Client::new(store.address());
    assert_eq!(first.ask("INCR n"), OwnedFrame::Integer(1));
    assert_eq!(second.ask("INCR n"), OwnedFrame::Integer(2));
    let third = Client::new(store.address());
    assert_eq!(third.rest(), b"-ERR max number of clients reached\r\n");
    drop(first);
    eventually("the place of a client that left is free", || answers(store.address()));
    assert_eq!(second.ask("INCR n"), OwnedFrame::Integer(3));
}

#[test]
fn out_of_descriptors_it_waits_and_goes_on() {
    let script = "ulimit -n 20 && exec \"$0\" --listen 127.0.0.1:0";
    let mut command = Command::new("sh");
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_store")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    let address =
        first.trim_end().strip_prefix("listening on redis://").unwrap().parse().unwrap();

    let clients: Vec<Client> = (0..40).map(|_| Client::new(address)).collect();
    thread::sleep(Duration::from_millis(500));
    let start = Instant::now();
    drop(clients);
    eventually("a store whose clients have left answers", || answers(address));
    let seconds = start.elapsed().as_secs() + 1;
    child.kill().unwrap();
    child.wait().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    let lines = said.lines().count() as u64;
    assert!(said.contains("Too many open files"), "{said:?}");
    assert!(lines <= 10 * (seconds + 1), "{lines} lines in {seconds} s");
}

#[test]
fn delayed_replies_wait_together() {
    let delay = Duration::from_millis(200);
    let store = Store::spawn_in_process(delay, None).unwrap();
    let mut client = Client::new(store.address());
    let start = Instant::now();
    for _ in 0..30 {
        client.send(&line("INCR n"));
        thread::sleep(Duration::from_millis(1)); // So that they are read one by one.
    }
    for n in 1..=30 {
        assert_eq!(client.reply(), Some(OwnedFrame::Integer(n)));
        assert!(start.elapsed() >= delay);
    }
    assert!(start.elapsed() < 15 * delay, "one after the other: {:?}", start.elapsed());
}

#[test]
fn the_last_replies_arrive_before_the_end() {
    for delay in [Duration::ZERO, Duration::from_millis(50)] {
        let store = Store::spawn_in_process(delay, None).unwrap();
        let mut leaves = Client::new(store.address());
        leaves.send(&line("PING").repeat(3));
        leaves.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(leaves.rest(), b"+PONG\r\n+PONG\r\n+PONG\r\n");
        let mut quits = Client::new(store.address());
        quits.send(&[line("PING"), line("QUIT"), line("PING")].concat());
        assert_eq!(quits.rest(), b"+PONG\r\n+OK\r\n");
    }
}

#[test]
fn a_store_that_is_dropped_is_gone() {
    let start = Instant::now();
    let store = Store::spawn_in_process(2 * AGES, None).unwrap();
    let address = store.address();
    let idle = Client::new(address);
    let mut waits = Client::new(address);
    waits.send(&line("PING"));
    thread::sleep(Duration::from_millis(50));
    drop(store);
    assert!(start.elapsed() < AGES, "it waited for its delayed replies");
    assert!(idle.ends(), "an idle connection stays");
    assert!(!answers(address));
}
