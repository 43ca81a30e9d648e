//! The threads of the pool: how many there are, what a panic costs, and how they end.
#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "each test file uses a part of it")]
mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use support::{FORMS, PATIENCE, Server};
use threaded::Threads;

const GET: &[u8] = b"GET /is-not-here HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const GUESTBOOK: &[u8] = b"GET /guestbook HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

fn send(server: &Server, request: &[u8]) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(request).expect("it is sent");
    stream
}

fn answer(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn the_pool_has_its_threads_before_and_after_its_clients() {
    // The main thread, the one in the background, and in one form the one that accepts.
    for (form, others) in FORMS.into_iter().zip([3, 2]) {
        let server = Server::start("4", form);
        assert_eq!(server.threads(), 4 + others, "{form:?}");
        for _ in 0..20 {
            assert!(answer(send(&server, GET)).starts_with("HTTP/1.1 404 "));
        }
        assert_eq!(server.threads(), 4 + others, "{form:?}");
    }
}

#[test]
fn a_stop_reaches_threads_that_wait_for_clients_and_for_a_silent_store() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let store = format!("redis://{}", silent.local_addr().expect("an address"));
    let flags = ["--store", &store, "--store-timeout", "600000", "--grace", "300"];
    for form in FORMS {
        let flags = [&flags[..], &["--header-timeout", "600000"], form].concat();
        let mut server = Server::start("4", &flags);
        let waiting = [send(&server, GUESTBOOK), send(&server, &GET[..9])];
        thread::sleep(Duration::from_millis(200));
        server.terminate();
        assert_eq!(server.exit_code(), Some(0), "{form:?}: long before the ten minutes");
        drop(waiting);
    }
}

#[test]
fn a_stop_reaches_threads_that_nothing_else_would_wake() {
    let patient = ["--header-timeout", "600000", "--grace", "600000", "--no-keep-alive"];
    for form in FORMS {
        let flags = [&patient[..], &["--no-defer-accept"], form].concat();
        let mut server = Server::start("4", &flags);
        let silent: Vec<TcpStream> = (0..3).map(|_| server.connect()).collect();
        thread::sleep(Duration::from_millis(200));
        server.terminate();
        assert_eq!(server.exit_code(), Some(0), "{form:?}: long before the grace is over");
        drop(silent);
    }
}

#[test]
fn whoever_was_queued_when_the_signal_came_is_served() {
    for form in FORMS {
        let mut server = Server::start("2", &[form, &["--store-delay", "300"]].concat());
        // Two are served; two are in the pool's own queue, where it has one; the others in the
        // kernel's.
        let clients: Vec<TcpStream> = (0..8).map(|_| send(&server, GUESTBOOK)).collect();
        thread::sleep(Duration::from_millis(100));
        server.terminate();
        for client in clients {
            assert!(answer(client).starts_with("HTTP/1.1 200 "), "{form:?}");
        }
        assert_eq!(server.exit_code(), Some(0), "{form:?}");
    }
}

#[test]
fn new_clients_are_refused_while_a_last_one_is_served() {
    for form in FORMS {
        let mut server = Server::start("2", form);
        let mut slow = send(&server, &GET[..9]);
        thread::sleep(Duration::from_millis(100));
        server.terminate();
        let begun = Instant::now();
        while TcpStream::connect(server.address).is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(8), "{form:?}: not refused");
            thread::sleep(Duration::from_millis(20));
        }
        slow.write_all(&GET[9..]).expect("it is sent");
        assert!(answer(slow).starts_with("HTTP/1.1 404 "), "{form:?}: it was begun");
        assert_eq!(server.exit_code(), Some(0), "{form:?}");
    }
}

#[test]
fn a_thread_that_panics_loses_its_client_and_goes_on() {
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").expect("a listener"));
    let address = listener.local_addr().expect("an address");
    let threads = Threads::new(1);
    threads
        .spawn(move || {
            prethreaded::survive(|| {
                while let Ok((mut client, _)) = listener.accept() {
                    let mut byte = [0];
                    client.read_exact(&mut byte).expect("a byte");
                    assert_ne!(byte, *b"p", "on purpose");
                    client.write_all(&byte).expect("it is sent");
                }
            });
        })
        .expect("a thread");
    let ask = |byte: &[u8]| {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        stream.write_all(byte).expect("it is sent");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer); // a reset, if not all was read
        answer
    };
    let answers = [b"a", b"p", b"p", b"b"].map(|byte| ask(byte));
    assert_eq!(answers, [&b"a"[..], b"", b"", b"b"]);
    assert_eq!(threads.number(), 1, "it is the same one");
}

#[test]
fn a_deleted_file_is_closed_although_nobody_asks() {
    let page = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("page-to-expire");
    fs::write(&page, "x").expect("a file");
    let server = Server::start("2", &[]);
    let get = b"GET /page-to-expire HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!(answer(send(&server, get)).starts_with("HTTP/1.1 200 "));
    fs::remove_file(&page).expect("to delete it");
    let begun = Instant::now();
    while server.descriptors().iter().any(|name| name.ends_with("page-to-expire (deleted)"))
    {
        assert!(begun.elapsed() < PATIENCE, "{:?}", server.descriptors());
        thread::sleep(Duration::from_millis(50));
    }
}
