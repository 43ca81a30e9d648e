//! A small pool: who may keep a worker, and who has to go when others queue.
#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "each test file uses a part of it")]
mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use support::Server;

/// A pool of this many workers.
fn pool(workers: &str, flags: &[&str]) -> Server {
    Server::start(&[&["--workers", workers], flags].concat())
}

const GET: &[u8] = b"GET /clippy.toml-is-not-here HTTP/1.1\r\nHost: a\r\n\r\n";

/// Asks, and reads the one response that is there then.
fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(GET).expect("it is sent");
    let mut bytes = vec![0; 4096];
    let n = stream.read(&mut bytes).expect("an answer");
    String::from_utf8_lossy(&bytes[..n]).into_owned()
}

/// Whether the server has closed this connection.
fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket");
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).expect("a socket");
    !matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn an_idle_client_keeps_its_worker_until_somebody_queues() {
    for mode in [&[][..], &["--no-defer-accept"]] {
        let server = pool("2", mode);
        let idle = [(); 2].map(|()| {
            let mut client = server.connect();
            assert!(!ask(&mut client).contains("Connection: close"), "it may stay");
            client
        });
        thread::sleep(Duration::from_millis(400));
        assert!(!idle.iter().any(is_closed), "nobody queues");
        let mut third = server.connect();
        assert!(ask(&mut third).starts_with("HTTP/1.1 404 "), "{mode:?}");
        let closed = idle.iter().filter(|client| is_closed(client)).count();
        assert!(closed >= 1, "one of the two has had to go");
    }
}

#[test]
fn with_a_queue_behind_it_nobody_is_served_twice_in_a_row() {
    let server = pool("1", &["--store-delay", "200"]);
    let guestbook = b"GET /guestbook HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut first = server.connect();
    first.write_all(guestbook).expect("it is sent");
    thread::sleep(Duration::from_millis(50));
    let mut second = server.connect();
    second.write_all(guestbook).expect("it is sent");
    let mut third = server.connect();
    third.write_all(guestbook).expect("it is sent");
    let mut page = String::new();
    second
        .read_to_string(&mut page)
        .expect("it is answered, and closed, since the third queues");
    assert!(page.contains("\r\nConnection: close\r\n"), "{page}");
    drop(first);
}

#[test]
fn whoever_has_half_of_the_next_request_on_its_way_has_to_go_as_well() {
    let server = pool("1", &[]);
    let mut greedy = server.connect();
    greedy.write_all(GET).expect("it is sent");
    greedy.write_all(&GET[..9]).expect("half of another");
    let mut bytes = [0; 4096];
    assert_ne!(greedy.read(&mut bytes).expect("an answer"), 0);
    let mut next = server.connect();
    next.write_all(GET).expect("it is sent");
    thread::sleep(Duration::from_millis(100));
    greedy.write_all(&GET[9..]).expect("the rest");
    greedy.write_all(&GET[..9]).expect("and half of a third");
    let n = greedy.read(&mut bytes).expect("an answer");
    assert!(String::from_utf8_lossy(&bytes[..n]).contains("\r\nConnection: close\r\n"));
    let n = next.read(&mut bytes).expect("an answer");
    assert!(bytes[..n].starts_with(b"HTTP/1.1 404 "));
}

#[test]
fn clients_that_say_nothing_do_not_keep_anybody_waiting() {
    let deferring = pool("2", &["--header-timeout", "60000"]);
    let _silent: Vec<TcpStream> = (0..40).map(|_| deferring.connect()).collect();
    assert!(ask(&mut deferring.connect()).starts_with("HTTP/1.1 404 "));
    // Here they have workers, and have to go one after another.
    let accepting = pool("2", &["--header-timeout", "60000", "--no-defer-accept"]);
    let _silent: Vec<TcpStream> = (0..4).map(|_| accepting.connect()).collect();
    assert!(ask(&mut accepting.connect()).starts_with("HTTP/1.1 404 "));
}
