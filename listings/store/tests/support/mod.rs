//! What the store's tests share: a folder, a client, a store in a process of its own.
#![allow(dead_code)] // No test uses all of it.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::types::OwnedFrame;

/// Longer than anything here takes; only a hang reaches it.
pub const AGES: Duration = Duration::from_secs(20);

/// A folder of its own, removed at the end.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let name = format!(
                "store-{}-{}",
                std::process::id(),
                NEXT.fetch_add(1, Ordering::Relaxed)
            );
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            match fs::create_dir(&path) {
                Ok(()) => return Self(path),
                Err(why) if why.kind() == ErrorKind::AlreadyExists => {} // Left by a test that was killed.
                Err(why) => panic!("{}: {why}", path.display()),
            }
        }
    }
}

impl Deref for Scratch {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The bytes of one request.
pub fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).bytes());
        bytes.extend(*word);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// The request that a line of words stands for.
pub fn line(words: &str) -> Vec<u8> {
    request(&words.split(' ').map(str::as_bytes).collect::<Vec<_>>())
}

/// A connection.
pub struct Client {
    pub stream: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(AGES)).unwrap();
        Self { stream, unread: Vec::new() }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next reply, or `None` when the connection ended instead.
    pub fn reply(&mut self) -> Option<OwnedFrame> {
        let mut chunk = [0; 16384];
        loop {
            if let Some((frame, n)) = decode(&self.unread).unwrap() {
                self.unread.drain(..n);
                return Some(frame);
            }
            match self.stream.read(&mut chunk) {
                Ok(n @ 1..) => self.unread.extend(&chunk[..n]),
                Err(why) if why.kind() == ErrorKind::Interrupted => {} // With a timeout, recv(2) is not restarted.
                Err(why) if why.kind() == ErrorKind::WouldBlock => {
                    panic!("no reply, and no end, within {AGES:?}")
                }
                _ => return None,
            }
        }
    }

    /// Sends a request of words and returns its reply.
    pub fn ask(&mut self, words: &str) -> OwnedFrame {
        self.send(&line(words));
        self.reply().expect("the connection ended")
    }

    /// The bytes until the other side closes.
    pub fn rest(mut self) -> Vec<u8> {
        self.stream.read_to_end(&mut self.unread).unwrap();
        self.unread
    }

    /// Whether the other side ends the connection. One that was not accepted yet is reset.
    pub fn ends(mut self) -> bool {
        match self.stream.read_to_end(&mut Vec::new()) {
            Ok(n) => n == 0,
            Err(why) => why.kind() == ErrorKind::ConnectionReset,
        }
    }

    /// A list's items as text, oldest first.
    pub fn list(&mut self, key: &str) -> Vec<String> {
        let OwnedFrame::Array(items) = self.ask(&format!("LRANGE {key} 0 -1")) else {
            panic!("not a list")
        };
        let text = |item| match item {
            OwnedFrame::BulkString(bytes) => String::from_utf8(bytes).unwrap(),
            other => panic!("{other:?} in a list"),
        };
        items.into_iter().rev().map(text).collect()
    }
}

/// Whether a store still answers there.
pub fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    stream.set_read_timeout(Some(AGES)).unwrap();
    let mut reply = [0; 7];
    stream.write_all(&line("PING")).is_ok()
        && stream.read_exact(&mut reply).is_ok()
        && reply == *b"+PONG\r\n"
}

/// Waits until `true`, and panics after ages.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < AGES, "{what}: not even after {AGES:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The store as a program. It is killed at the end.
pub struct Process {
    pub child: Child,
    pub address: SocketAddr,
}

impl Process {
    pub fn start(args: &[&str]) -> Self {
        Self::run(&mut command(args))
    }

    /// With RLIMIT_FSIZE at so many blocks of `ulimit`, which are 512 or 1024 bytes.
    pub fn start_limited(blocks: u32, file: &Path) -> Self {
        let script =
            format!("ulimit -f {blocks} && exec \"$0\" --listen 127.0.0.1:0 --file \"$1\"");
        Self::run(
            Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_store")]).arg(file),
        )
    }

    fn run(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let address = first
            .trim_end()
            .strip_prefix("listening on redis://")
            .map(|address| address.parse().unwrap());
        Self {
            child,
            address: address.unwrap_or_else(|| panic!("the store said {first:?}")),
        }
    }

    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Peak resident memory in KiB: VmHWM of proc_pid_status(5).
    pub fn peak_memory(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // It may have ended already.
        let _ = self.child.wait();
    }
}

/// What a store that does not start leaves behind. One that starts is killed, and the test
/// fails.
pub fn output(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > AGES {
            child.kill().unwrap();
            panic!("the store started: {:?}", child.wait_with_output().unwrap());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

/// The store on a free port.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_store"));
    command.args(["--listen", "127.0.0.1:0"]).args(args);
    command
}
