//! How many children there may be, and what happens to clients and children then.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_forking"))
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

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        stream
    }

    /// Children but for the embedded store, which has the role as its argument.
    fn children(&self) -> Vec<Pid> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("/proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok())
            else {
                continue;
            };
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let parent =
                stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
            let is_store =
                arguments.split(|byte| *byte == 0).any(|word| word == b"embedded-store");
            if parent == Some(&self.child.id().to_string()) && !is_store {
                found.push(Pid::from_raw(pid));
            }
        }
        found
    }

    fn eventually(&self, what: &str, children: usize) {
        let begun = Instant::now();
        while self.children().len() != children {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{what}: {:?}",
                self.children()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill(self.pid(), Signal::SIGTERM);
        let status = self.child.wait().expect("it is ours");
        assert!(status.success() || thread::panicking(), "{status}");
    }
}

const GET: &[u8] = b"GET /Cargo.toml HTTP/1.1\r\nHost: a\r\n\r\n";

fn answer(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn at_the_cap_the_next_client_waits_in_the_queue_and_is_served_then() {
    let server = Server::start(&["--max-connections", "2"]);
    let mut silent = vec![server.connect(), server.connect()];
    server.eventually("a child for each of the two", 2);
    let mut third = server.connect();
    third.write_all(GET).expect("it is sent");
    third.set_read_timeout(Some(Duration::from_millis(300))).expect("a time limit");
    third.read(&mut [0]).expect_err("nobody has time for it");
    assert_eq!(server.children().len(), 2, "no third child");
    third.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
    drop(silent.pop());
    assert!(answer(third).starts_with("HTTP/1.1 200 "), "served when one has left");
    drop(silent);
    server.eventually("no child, and no zombie", 0);
}

#[test]
fn a_child_that_is_killed_costs_one_client() {
    let server = Server::start(&["--store-delay", "300"]);
    let mut clients: Vec<TcpStream> = (0..4).map(|_| server.connect()).collect();
    for client in &mut clients {
        client
            .write_all(b"GET /guestbook HTTP/1.1\r\nHost: a\r\n\r\n")
            .expect("it is sent");
    }
    server.eventually("four children", 4);
    kill(server.children()[0], Signal::SIGKILL).expect("it is there");
    let mut bytes = Vec::new();
    let answered = clients
        .into_iter()
        .filter_map(|mut client| {
            bytes.clear();
            client
                .read_to_end(&mut bytes)
                .ok()
                .filter(|_| bytes.starts_with(b"HTTP/1.1 200 "))
        })
        .count();
    assert_eq!(answered, 3);
    server.eventually("no child, and no zombie", 0);
}

#[test]
fn a_child_that_is_told_to_stop_does_not_stop_the_server() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.write_all(&GET[..9]).expect("it is sent");
    server.eventually("one child", 1);
    kill(server.children()[0], Signal::SIGTERM).expect("it is there");
    thread::sleep(Duration::from_millis(100));
    client.write_all(&GET[9..]).expect("it is sent");
    assert!(answer(client).starts_with("HTTP/1.1 200 "), "what was begun is finished");
    let mut next = server.connect();
    next.write_all(GET).expect("it is sent");
    assert!(answer(next).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_child_that_a_real_time_signal_ended_gives_its_place_back() {
    let server = Server::start(&["--max-connections", "1"]);
    let silent = server.connect();
    server.eventually("one child", 1);
    // nix's waitpid knows no such signal, and would have lost it.
    let killed =
        Command::new("kill").args(["-34", &server.children()[0].to_string()]).status();
    assert!(killed.expect("kill is a program, too").success());
    let mut next = server.connect();
    next.write_all(GET).expect("it is sent");
    assert!(answer(next).starts_with("HTTP/1.1 200 "));
    drop(silent);
}

#[test]
fn at_the_cap_a_child_that_hangs_is_killed_when_the_grace_is_over() {
    let mut server = Server::start(&["--max-connections", "1", "--grace", "100"]);
    let _silent = server.connect();
    server.eventually("one child", 1);
    let _next = server.connect();
    kill(server.children()[0], Signal::SIGSTOP).expect("it is there");
    kill(server.pid(), Signal::SIGTERM).expect("it is there");
    let begun = Instant::now();
    while server.child.try_wait().expect("it is ours").is_none() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the server does not end");
        thread::sleep(Duration::from_millis(10));
    }
}
