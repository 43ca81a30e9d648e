//! A server under test.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The server, ended at the latest when dropped.
pub struct Server {
    pub child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts it, at an address that the kernel chooses.
    pub fn start(flags: &[&str]) -> Self {
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
    pub fn workers(&self) -> Vec<u32> {
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
    pub fn replaced(&self, others: &[u32]) -> Vec<u32> {
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

    /// A connection that is not waited on for ever.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        stream
    }

    /// SIGTERM, and whether the exit code is 0.
    pub fn ends_well(&mut self) -> bool {
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

/// Sends a signal, as kill(1) does.
pub fn kill(signal: &str, pid: u32) {
    let killed = Command::new("kill").args([signal, &pid.to_string()]).status();
    assert!(killed.expect("kill is a program, too").success());
}
