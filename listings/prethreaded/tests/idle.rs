//! A small pool: who may keep a thread, and who has to go when others queue.
#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "each test file uses a part of it")]
mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use support::{FORMS, Server};

const GET: &[u8] = b"GET /is-not-here HTTP/1.1\r\nHost: a\r\n\r\n";

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
fn an_idle_client_keeps_its_thread_until_somebody_queues() {
    for form in FORMS {
        let server = Server::start("2", form);
        let idle = [(); 2].map(|()| {
            let mut client = server.connect();
            assert!(!ask(&mut client).contains("Connection: close"), "it may stay");
            client
        });
        thread::sleep(Duration::from_millis(400));
        assert!(!idle.iter().any(is_closed), "{form:?}: nobody queues");
        assert!(ask(&mut server.connect()).starts_with("HTTP/1.1 404 "), "{form:?}");
        assert!(idle.iter().any(is_closed), "{form:?}: one of the two has had to go");
    }
}

#[test]
fn with_a_queue_behind_it_nobody_is_served_twice_in_a_row() {
    for form in FORMS {
        let server = Server::start("1", &[form, &["--store-delay", "200"]].concat());
        let guestbook = b"GET /guestbook HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut clients = [(); 4].map(|()| {
            let mut client = server.connect();
            client.write_all(guestbook).expect("it is sent");
            thread::sleep(Duration::from_millis(50));
            client
        });
        let mut page = String::new();
        clients[1]
            .read_to_string(&mut page)
            .expect("it is answered, and closed, since others queue");
        assert!(page.contains("\r\nConnection: close\r\n"), "{form:?}: {page}");
    }
}

#[test]
fn clients_that_say_nothing_do_not_keep_anybody_waiting() {
    for form in FORMS {
        let patient = [form, &["--header-timeout", "60000"]].concat();
        let deferring = Server::start("2", &patient);
        let _silent: Vec<TcpStream> = (0..40).map(|_| deferring.connect()).collect();
        assert!(ask(&mut deferring.connect()).starts_with("HTTP/1.1 404 "), "{form:?}");
        // Here they have threads, and have to go one after another.
        let accepting =
            Server::start("2", &[&patient, &["--no-defer-accept"][..]].concat());
        let _silent: Vec<TcpStream> = (0..4).map(|_| accepting.connect()).collect();
        assert!(ask(&mut accepting.connect()).starts_with("HTTP/1.1 404 "), "{form:?}");
    }
}

#[test]
fn with_a_free_thread_nobody_has_to_go() {
    // In the other form a client stands in the kernel's queue until a thread has woken up.
    // So many that some are free even if those of the last clients have not come back yet.
    let server = Server::start("64", &[]);
    let mut stays = server.connect();
    ask(&mut stays);
    for _ in 0..1000 {
        let mut comes = server.connect();
        comes.write_all(GET).expect("it is sent");
        assert!(!ask(&mut stays).contains("Connection: close"), "threads are free");
        assert_ne!(comes.read(&mut [0; 4096]).expect("an answer"), 0);
    }
    assert!(!is_closed(&stays));
}
