//! How many threads there may be, what happens to clients at the cap, and how threads learn
//! that they are to stop.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use guestbook::Settings;
use iterative::{Files, StoreClient, Worker};
use rustix::process::{Pid, Signal, kill_process};
use threaded::{KEPT, Shelf, Threads};

/// How long nothing may take, on a machine that is busy enough.
const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_threaded"))
            .args(["--listen", "127.0.0.1:0", "--root", env!("CARGO_MANIFEST_DIR")])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line");
        let address = line.trim().strip_prefix("listening on http://").expect("an address");
        Self { address: address.parse().expect("an address"), child }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        stream
    }

    fn ask(&self, request: &[u8]) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(request).expect("it is sent");
        stream
    }

    /// Threads but for the first.
    fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("/proc").count() - 1
    }

    fn eventually(&self, what: &str, threads: usize) {
        let begun = Instant::now();
        while self.threads() != threads {
            assert!(begun.elapsed() < PATIENCE, "{what}: there are {}", self.threads());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What its descriptors stand for.
    fn descriptors(&self) -> Vec<String> {
        let folder = fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("/proc");
        let links = folder.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links.map(|link| link.to_string_lossy().into_owned()).collect()
    }

    fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it is there");
    }

    /// The exit code, which must come in time.
    fn exit_code(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "the server does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const GET: &[u8] = b"GET /Cargo.toml HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const STAY: &[u8] = b"GET /Cargo.toml HTTP/1.1\r\nHost: a\r\n\r\n";
const GUESTBOOK: &[u8] = b"GET /guestbook HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

fn answer(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads one response, and leaves the connection open.
fn first_answer(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 4096];
    let mut n = 0;
    while !bytes[..n].ends_with(include_bytes!("../Cargo.toml")) {
        n += match stream.read(&mut bytes[n..]).expect("an answer") {
            0 => panic!("the connection has ended"),
            more => more,
        };
    }
    String::from_utf8_lossy(&bytes[..n]).into_owned()
}

fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket");
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).expect("a socket");
    matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn at_the_cap_the_next_client_waits_in_the_queue_and_is_served_then() {
    let server = Server::start(&["--max-connections", "2"]);
    let mut half = vec![server.ask(&GET[..9]), server.ask(&GET[..9])];
    server.eventually("a thread for each of the two", 2);
    let mut third = server.ask(GET);
    third.set_read_timeout(Some(Duration::from_millis(1500))).expect("a time limit");
    third.read(&mut [0]).expect_err("nobody has time for it");
    assert_eq!(server.threads(), 2, "no third thread");
    third.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    drop(half.pop());
    assert!(answer(third).starts_with("HTTP/1.1 200 "), "served when one has left");
    drop(half);
    server.eventually("no thread is left", 0);
}

#[test]
fn whoever_is_idle_stays_until_somebody_waits_for_a_place() {
    let server = Server::start(&["--max-connections", "2"]);
    let idle = [(); 2].map(|()| {
        let mut client = server.ask(STAY);
        assert!(!first_answer(&mut client).contains("Connection: close"), "it may stay");
        client
    });
    thread::sleep(Duration::from_millis(1500));
    assert!(idle.iter().all(is_open), "nobody waits");
    assert!(answer(server.ask(GET)).starts_with("HTTP/1.1 200 "));
    assert!(!idle.iter().all(is_open), "one of the two has had to go");
}

#[test]
fn with_places_left_nobody_has_to_go() {
    let server = Server::start(&["--max-connections", "16"]);
    let mut stays = server.ask(STAY);
    first_answer(&mut stays);
    for _ in 0..100 {
        assert!(answer(server.ask(GET)).starts_with("HTTP/1.1 200 "));
    }
    assert!(is_open(&stays));
}

#[test]
fn a_file_is_open_once_and_a_connection_to_the_store_is_handed_on() {
    let server = Server::start(&[]);
    for _ in 0..10 {
        assert!(answer(server.ask(GUESTBOOK)).starts_with("HTTP/1.1 200 "));
    }
    let clients: Vec<TcpStream> = (0..10)
        .map(|_| {
            let mut client = server.ask(STAY);
            first_answer(&mut client);
            client
        })
        .collect();
    let open = server.descriptors();
    let number = |what: &str| open.iter().filter(|name| name.contains(what)).count();
    assert!(number("Cargo.toml") <= 1, "{open:?}");
    // The listener, ten clients, and the store, which was asked one page at a time.
    assert_eq!(number("socket:"), 12, "{open:?}");
    drop(clients);
}

#[test]
fn no_more_workers_are_kept_than_there_is_room_for() {
    let files = Files::new(Path::new(env!("CARGO_MANIFEST_DIR")), true).expect("a folder");
    let store = StoreClient::new(([127, 0, 0, 1], 1).into(), PATIENCE);
    let pattern = Worker::new(files, store, Settings::default(), PATIENCE);
    let shelf = Shelf::new(pattern);
    let taken: Vec<Worker> = (0..KEPT + 3).map(|_| shelf.take()).collect();
    taken.into_iter().for_each(|worker| shelf.put_back(worker));
    assert_eq!(shelf.kept(), KEPT);
}

#[test]
fn at_the_cap_a_stop_reaches_every_thread() {
    // Neither their deadlines nor a look at the queue ends these waits, and not the grace.
    let patient = ["--header-timeout", "600000", "--grace", "600000", "--no-keep-alive"];
    let mut server = Server::start(&[&["--max-connections", "4"], &patient[..]].concat());
    let silent: Vec<TcpStream> = (0..4).map(|_| server.connect()).collect();
    server.eventually("four threads", 4);
    let queued = server.ask(GET);
    thread::sleep(Duration::from_millis(100));
    server.terminate();
    assert!(answer(queued).starts_with("HTTP/1.1 200 "), "it was in the queue");
    assert_eq!(server.exit_code(), Some(0));
    assert!(silent.iter().all(|client| !is_open(client)));
}

#[test]
fn the_grace_ends_while_threads_wait_for_clients_and_for_a_silent_store() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let store = format!("redis://{}", silent.local_addr().expect("an address"));
    let flags = ["--store", &store, "--store-timeout", "600000", "--grace", "300"];
    let mut server = Server::start(&[&flags[..], &["--header-timeout", "600000"]].concat());
    let waiting = [server.ask(GUESTBOOK), server.ask(&GET[..9]), server.ask(GUESTBOOK)];
    server.eventually("three threads", 3);
    thread::sleep(Duration::from_millis(200));
    server.terminate();
    assert_eq!(server.exit_code(), Some(0), "long before the ten minutes of the store");
    drop(waiting);
}

#[test]
fn new_clients_are_refused_while_a_last_one_is_served() {
    let mut server = Server::start(&[]);
    let mut slow = server.ask(&GET[..9]);
    server.eventually("one thread", 1);
    server.terminate();
    let begun = Instant::now();
    while TcpStream::connect(server.address).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(8), "not refused");
        thread::sleep(Duration::from_millis(20));
    }
    slow.write_all(&GET[9..]).expect("it is sent");
    assert!(answer(slow).starts_with("HTTP/1.1 200 "), "it was begun, so it is answered");
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn a_signal_for_threads_harms_nobody() {
    let server = Server::start(&["--store-delay", "500"]);
    let waiting = server.ask(GUESTBOOK);
    for _ in 0..5 {
        kill_process(Pid::from_child(&server.child), Signal::USR1).expect("it is there");
        thread::sleep(Duration::from_millis(20));
    }
    assert!(answer(waiting).starts_with("HTTP/1.1 200 "));
    assert!(answer(server.ask(GET)).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_thread_that_panics_gives_its_place_back_and_drops_its_client() {
    let threads = Threads::new(1);
    let (client, alive) = mpsc::channel::<()>();
    threads
        .spawn(move || {
            let _client = client;
            panic!("on purpose");
        })
        .expect("a thread");
    assert!(alive.recv_timeout(PATIENCE).is_err(), "what it had is dropped");
    let begun = Instant::now();
    while threads.are_too_many() {
        assert!(begun.elapsed() < PATIENCE, "its place is taken for ever");
        threads.wait_for_one();
    }
    let (done, next) = mpsc::channel();
    threads.spawn(move || done.send(()).expect("we wait for it")).expect("a thread");
    next.recv_timeout(PATIENCE).expect("the next thread runs");
    threads.wait_for_all(PATIENCE);
    assert_eq!(threads.number(), 0);
}
