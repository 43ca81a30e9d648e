//! The book program, serving, and a client that speaks to it in bytes.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Nothing here takes that long; a test that waits longer has found something.
const LONG: Duration = Duration::from_secs(60);

/// The book program, serving.
pub struct Server {
    pub child: Child,
    pub port: u16,
}

impl Server {
    pub fn start(mut program: Command) -> Server {
        let child = program
            .args(["--port", "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Server { child, port: 0 };
        let mut stdout = BufReader::new(server.child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let port = line
            .trim()
            .strip_prefix("listening on http://127.0.0.1:")
            .expect("the address comes first");
        server.port = port.parse().unwrap();
        thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        server
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Sends `head` (lines without their ends) and `body` as they are.
    pub fn send(&self, head: &[&str], body: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let head = format!(
            "{}\r\nContent-Length: {}\r\n\r\n{body}",
            head.join("\r\n"),
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(
                stream.read_line(&mut head).unwrap(),
                0,
                "an answer that ends in its head: {head:?}"
            );
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, stream }
    }

    pub fn get(&self, path: &str) -> Answer {
        // HTTP/1.0: the body is all that comes until the connection closes.
        self.send(&[&format!("GET {path} HTTP/1.0"), &format!("Host: {}", self.host())], "")
    }

    /// The token, as a page learns it.
    pub fn token(&self) -> String {
        let page = self.get("/one.html").text();
        let (_, rest) =
            page.split_once("name=\"run-token\" content=\"").expect("the page has a token");
        rest.split('"').next().unwrap().to_owned()
    }

    /// A POST as a page of the book makes it.
    pub fn post(&self, path: &str, body: &str) -> Answer {
        let (host, token) = (self.host(), self.token());
        let head = [
            &format!("POST {path} HTTP/1.0"),
            &format!("Host: {host}"),
            &format!("Origin: http://{host}"),
            &format!("X-Run-Token: {token}"),
            "Content-Type: application/json",
        ];
        self.send(&head.map(AsRef::as_ref), body)
    }

    /// Starts a run and reads its events until the program has started.
    pub fn run(&self, name: &str) -> Answer {
        let answer = self.post("/api/run", &format!("{{\"name\":\"{name}\"}}"));
        assert_eq!(answer.status, 200, "{}", answer.head);
        answer
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer whose body is still to be read.
pub struct Answer {
    pub status: u16,
    pub head: String,
    stream: BufReader<TcpStream>,
}

impl Answer {
    pub fn text(mut self) -> String {
        let mut text = String::new();
        self.stream.read_to_string(&mut text).unwrap();
        text
    }

    /// The next line of a body that is not over.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.stream.read_line(&mut line).unwrap() > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event of a run.
    pub fn event(&mut self) -> Value {
        let line = self.line().expect("another event");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// The next event of this kind; those before it are passed over.
    pub fn until(&mut self, kind: &str) -> Value {
        loop {
            let event = self.event();
            if event["event"] == kind {
                return event;
            }
            assert_ne!(event["event"], "ended", "waiting for {kind}: {event}");
        }
    }

    /// The process that the next line on standard output names.
    pub fn pid(&mut self) -> u32 {
        let event = self.until("out");
        event["line"].as_str().unwrap().strip_prefix("pid ").unwrap().parse().unwrap()
    }

    /// The state of the site that the next server-sent event tells.
    pub fn state(&mut self) -> Value {
        let since = Instant::now();
        loop {
            // Comments keep the connection alive, and this loop with it.
            assert!(since.elapsed() < LONG, "no event");
            if let Some(data) = self.line().expect("another event").strip_prefix("data: ") {
                return serde_json::from_str(data).unwrap();
            }
        }
    }
}

/// Waits until `done`, or fails.
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < LONG, "still not: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a process is there and no zombie.
pub fn alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit(") ").next().is_some_and(|rest| !rest.starts_with('Z'))
    })
}
