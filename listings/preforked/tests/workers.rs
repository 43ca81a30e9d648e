//! Workers that end in ways that are easily forgotten.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_preforked"))
            .args(["--listen", "127.0.0.1:0", "--root", env!("CARGO_MANIFEST_DIR")])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line");
        let address = line.trim().strip_prefix("listening on http://").expect("an address");
        Self { address: address.parse().expect("an address"), child }
    }

    /// Its children but for the embedded store.
    fn workers(&self) -> Vec<u32> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("/proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok())
            else {
                continue;
            };
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            let parent =
                stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
            if parent == Some(&self.child.id().to_string()) && name.trim() == "preforked" {
                found.push(pid);
            }
        }
        found
    }

    /// Waits until there are two workers, none of which is one of `others`.
    fn replaced(&self, others: &[u32]) -> Vec<u32> {
        let begun = Instant::now();
        loop {
            let workers = self.workers();
            if workers.len() == 2 && !workers.iter().any(|worker| others.contains(worker)) {
                return workers;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{others:?}, then {workers:?}"
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn ask(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(
            b"GET /Cargo.toml HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn ends_well(&mut self) -> bool {
        kill("-TERM", self.child.id());
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status.success();
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "it does not end");
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

fn kill(signal: &str, pid: u32) {
    let killed = Command::new("kill").args([signal, &pid.to_string()]).status();
    assert!(killed.expect("kill is a program, too").success());
}

#[test]
fn a_real_time_signal_ends_a_worker_like_any_other() {
    let mut server = Server::start(&["--workers", "2"]);
    let first = server.replaced(&[]);
    first.iter().for_each(|worker| kill("-34", *worker));
    server.replaced(&first);
    assert!(server.ask().expect("an answer").starts_with("HTTP/1.1 200 "));
    assert!(server.ends_well());
}

#[test]
fn a_log_that_nobody_reads_does_not_end_the_server() {
    let mut server = Server::start(&["--workers", "2"]);
    drop(server.child.stderr.take());
    let first = server.replaced(&[]);
    first.iter().for_each(|worker| kill("-KILL", *worker));
    server.replaced(&first);
    assert!(server.ask().expect("an answer").starts_with("HTTP/1.1 200 "));
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
