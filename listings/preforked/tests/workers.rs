//! Workers that end in ways that are easily forgotten.
#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "each test file uses a part of it")]
mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use support::{Server, kill};

/// The answer to one request.
fn ask(server: &Server) -> String {
    let mut stream = server.connect();
    stream
        .write_all(b"GET /Cargo.toml HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn a_real_time_signal_ends_a_worker_like_any_other() {
    let mut server = Server::start(&["--workers", "2"]);
    let first = server.replaced(&[]);
    first.iter().for_each(|worker| kill("-34", *worker));
    server.replaced(&first);
    assert!(ask(&server).starts_with("HTTP/1.1 200 "));
    assert!(server.ends_well());
}

#[test]
fn a_log_that_nobody_reads_does_not_end_the_server() {
    let mut server = Server::start(&["--workers", "2"]);
    drop(server.child.stderr.take());
    let first = server.replaced(&[]);
    first.iter().for_each(|worker| kill("-KILL", *worker));
    server.replaced(&first);
    assert!(ask(&server).starts_with("HTTP/1.1 200 "));
    assert!(server.ends_well());
}

#[test]
fn new_clients_are_refused_while_a_last_one_is_served() {
    for mode in [&[][..], &["--reuseport"]] {
        let mut server = Server::start(&[&["--workers", "2"], mode].concat());
        server.replaced(&[]);
        let mut slow = TcpStream::connect(server.address).expect("a connection");
        slow.write_all(b"GET /Cargo.toml HT").expect("it is sent");
        thread::sleep(Duration::from_millis(100));
        kill("-TERM", server.child.id());
        let begun = Instant::now();
        loop {
            match TcpStream::connect(server.address) {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => break,
                // With a listener each it may be the one whose worker is still at work.
                _ if !mode.is_empty() && server.workers().len() == 1 => break,
                _ => assert!(
                    begun.elapsed() < Duration::from_secs(8),
                    "{mode:?}: not refused"
                ),
            }
            thread::sleep(Duration::from_millis(20));
        }
        slow.write_all(b"TP/1.1\r\nHost: a\r\n\r\n").expect("it is sent");
        let mut answer = String::new();
        slow.read_to_string(&mut answer).expect("it was begun, so it is answered");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let status = server.child.wait().expect("it is ours");
        assert!(status.success(), "{status}");
    }
}
