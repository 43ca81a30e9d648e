//! A server that has stood still hears everybody who has spoken meanwhile, before it hangs up on
//! anybody: because it is to stop, or because somebody is late.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use conformance::{Model, Server};
use rustix::process::Signal;
use uring_loop::{Ring, Setup, Work};

/// Several times as many as are heard between two calls.
const CLIENTS: usize = 400;

/// With the kernel's work done in portions, and by a thread of the kernel's.
const KINDS: [(Work, &[&str]); 2] =
    [(Work::WhenWeAsk, &[]), (Work::ByAThread(5), &["--sqpoll", "5"])];

fn server(work: Work, kind: &[&str], flags: &[&str]) -> Option<Server> {
    if Ring::new(&Setup { entries: 8, as_of: None, work }).is_err() {
        flags::skipped("io_uring is forbidden here");
        return None;
    }
    let program = env!("CARGO_BIN_EXE_uring-loop");
    let model = Model::new("uring-loop", program, env!("CARGO_TARGET_TMPDIR"));
    Some(Server::start(&model, &[kind, flags].concat()).expect("it starts"))
}

fn clients(server: &Server) -> Vec<TcpStream> {
    let connect = |_| {
        let client = TcpStream::connect(server.address).expect("it listens");
        client.set_read_timeout(Some(Duration::from_secs(15))).expect("a time");
        client
    };
    (0..CLIENTS).map(connect).collect()
}

fn ask(client: &mut TcpStream) {
    let question = b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write_all(question).expect("it is sent");
}

#[test]
fn whoever_has_asked_is_answered_however_many_they_are() {
    KINDS.into_iter().for_each(|(work, kind)| all_are_answered(work, kind));
}

fn all_are_answered(work: Work, kind: &[&str]) {
    let Some(server) = server(work, kind, &[]) else { return };
    let mut clients = clients(&server);
    // Once, so that all of them have been let in. A response is longer than its body.
    for client in &mut clients {
        ask(client);
        client.read_exact(&mut [0; 64]).expect("a response");
    }
    // It stands still, is told to stop, and is asked by everybody before it goes on.
    server.signal(Signal::STOP).expect("it is there");
    server.signal(Signal::TERM).expect("it is there");
    clients.iter_mut().for_each(ask);
    server.signal(Signal::CONT).expect("it is there");
    let answered = |client: &mut TcpStream| {
        let mut heard = Vec::new();
        let read = client.read_to_end(&mut heard);
        let heard = String::from_utf8_lossy(&heard);
        read.is_ok() && heard.matches("HTTP/1.1 200 OK\r\n").count() == 1
    };
    let without =
        clients.iter_mut().filter_map(|client| (!answered(client)).then_some(())).count();
    assert_eq!(without, 0, "{kind:?}: of {CLIENTS} clients so many were not answered");
}

#[test]
fn whoever_has_asked_is_not_late_however_many_they_are() {
    KINDS.into_iter().for_each(|(work, kind)| none_is_late(work, kind));
}

fn none_is_late(work: Work, kind: &[&str]) {
    let Some(server) = server(work, kind, &["--header-timeout", "1000"]) else { return };
    let mut clients = clients(&server);
    sleep(Duration::from_millis(200)); // they are let in
    server.signal(Signal::STOP).expect("it is there");
    clients.iter_mut().for_each(ask);
    sleep(Duration::from_millis(1200)); // they would be late
    server.signal(Signal::CONT).expect("it is there");
    let mut late = 0;
    for client in &mut clients {
        let mut start = [0; 12];
        client.read_exact(&mut start).expect("a response");
        late += usize::from(start != *b"HTTP/1.1 200");
    }
    assert_eq!(late, 0, "{kind:?}: of {CLIENTS} clients so many were late");
}
