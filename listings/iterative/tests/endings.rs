//! How connections and the server itself end, where a naive ending loses something.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A server of a folder of its own; killed at the latest when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
    root: PathBuf,
}

impl Server {
    fn start(name: &str, flags: &[&str]) -> Self {
        let root =
            std::env::temp_dir().join(format!("who-waits-{name}-{}", std::process::id()));
        fs::create_dir_all(&root).expect("a folder");
        let mut child = Command::new(env!("CARGO_BIN_EXE_iterative"))
            .args(["--listen", "127.0.0.1:0", "--root"])
            .arg(&root)
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a first line");
        let address = line.trim().strip_prefix("listening on http://").expect("an address");
        let address = address.parse().expect("an address");
        Self { child, address, root }
    }

    fn ask(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("the request is sent");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        stream
    }

    fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it is there");
    }

    /// The exit code, which must come within 20 s.
    fn exit_code(&mut self) -> Option<i32> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status.code();
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the server did not end");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn read_all(mut stream: TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let error = stream.read_to_end(&mut bytes).err();
    (bytes, error.map(|error| error.kind()))
}

#[test]
fn a_request_that_comes_late_does_not_cut_the_response_before_it() {
    let server = Server::start("late", &[]);
    fs::write(server.root.join("big"), vec![7; 10_000_000]).expect("a file");
    let mut stream = server.ask("/big");
    // The server is sending by now, and does not read: this stays in the kernel until close.
    let mut first = [0; 1];
    stream.read_exact(&mut first).expect("the response has begun");
    stream
        .write_all(b"GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("it is sent");
    let (bytes, error) = read_all(stream);
    let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
    assert_eq!((bytes.len() - head, error), (10_000_000, None));
}

#[test]
fn whoever_was_queued_when_the_signal_came_is_served() {
    let mut server = Server::start("queued", &["--backlog", "0", "--store-delay", "500"]);
    let first = server.ask("/guestbook");
    // The server has accepted the first, so the one place in its queue is free again.
    thread::sleep(Duration::from_millis(200));
    let second = server.ask("/guestbook");
    server.terminate();
    for (page, error) in [first, second].map(read_all) {
        assert!(page.starts_with(b"HTTP/1.1 200 "), "{error:?}: {}", page.escape_ascii());
    }
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn the_grace_ends_while_a_store_is_silent() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let store = format!("redis://{}", silent.local_addr().expect("an address"));
    let flags = ["--store", &store, "--store-timeout", "600000", "--grace", "300"];
    let mut server = Server::start("silent", &flags);
    let waiting = server.ask("/guestbook");
    thread::sleep(Duration::from_millis(200));
    server.terminate();
    assert_eq!(server.exit_code(), Some(0), "long before the ten minutes of the store");
    drop(waiting);
}
