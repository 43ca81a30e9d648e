//! A server that is told to stop hears everybody who has spoken before it noticed.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use conformance::{Model, Server};
use rustix::process::Signal;
use uring_loop::{Ring, Setup, Work};

/// Several times as many as are heard between two calls.
const CLIENTS: usize = 400;

#[test]
fn whoever_has_asked_is_answered_however_many_they_are() {
    let setup = Setup { entries: 8, as_of: None, work: Work::default() };
    if Ring::new(&setup).is_err() {
        return flags::skipped("io_uring is forbidden here");
    }
    let program = env!("CARGO_BIN_EXE_uring-loop");
    let model = Model::new("uring-loop", program, env!("CARGO_TARGET_TMPDIR"));
    let server = Server::start(&model, &[]).expect("it starts");
    let mut clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let client = TcpStream::connect(server.address).expect("it listens");
            client.set_read_timeout(Some(Duration::from_secs(15))).expect("a time");
            client
        })
        .collect();
    let ask = |client: &mut TcpStream| {
        client
            .write_all(b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n")
            .expect("it is sent");
    };
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
    assert_eq!(without, 0, "of {CLIENTS} clients so many were not answered");
}
