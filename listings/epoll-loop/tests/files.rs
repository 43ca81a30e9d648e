//! Files that are on the disk only arrive whole, whoever reads them.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LARGE: usize = 3 * (1 << 20) + 4321;
const SMALL: usize = 5000;

struct Server(Child, SocketAddr);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill().and_then(|()| self.0.wait().map(drop));
    }
}

fn serve(root: &Path, flags: &[&str]) -> Server {
    let mut child = Command::new(env!("CARGO_BIN_EXE_epoll-loop"))
        .args(["--listen", "127.0.0.1:0", "--root"])
        .arg(root)
        .args(flags)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output"))
        .read_line(&mut line)
        .expect("its address");
    let address = line.trim().strip_prefix("listening on http://").expect("an address");
    let address = address.parse().expect("an address");
    Server(child, address)
}

fn get(server: &Server, names: &[&str]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.1).expect("to connect");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    for (number, name) in names.iter().enumerate() {
        let last = if number + 1 == names.len() { "Connection: close\r\n" } else { "" };
        write!(stream, "GET /{name} HTTP/1.1\r\nHost: a\r\n{last}\r\n").expect("to ask");
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the answers");
    answer
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n / 7 % 251) as u8).collect()
}

/// Has the kernel forget the files, where it can.
fn forget(root: &Path) {
    for name in ["large", "small"] {
        let file = File::open(root.join(name)).expect("a file");
        file.sync_all().expect("a disk");
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("advice");
    }
}

#[test]
fn cold_files_arrive_whole_and_in_order_by_the_loop_and_by_the_pool() {
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("cold-files-{}", std::process::id()));
    std::fs::create_dir_all(&root).expect("a folder");
    std::fs::write(root.join("large"), bytes(LARGE)).expect("a file");
    std::fs::write(root.join("small"), bytes(SMALL)).expect("a file");
    for flags in
        [&["--files-in-loop"][..], &[], &["--pool-always"], &["--file-threads", "1"]]
    {
        let server = serve(&root, flags);
        for _ in 0..2 {
            forget(&root);
            // Pipelined: a file is read for one while the next is opened for the other.
            let answer = get(&server, &["large", "small", "none", "large"]);
            let mut rest = &answer[..];
            for len in [LARGE, SMALL, usize::MAX, LARGE] {
                let end = rest.windows(4).position(|four| four == b"\r\n\r\n");
                let (head, body) = rest.split_at(end.expect("a head") + 4);
                let head = String::from_utf8_lossy(head);
                let status = if len == usize::MAX { "404" } else { "200" };
                assert!(
                    head.starts_with(&format!("HTTP/1.1 {status}")),
                    "{flags:?}: {head}"
                );
                let field =
                    head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                let said: usize = field.and_then(|n| n.parse().ok()).expect("a length");
                assert!(body.len() >= said, "{flags:?}: {} of {said}", body.len());
                assert!(
                    len == usize::MAX || body[..said] == bytes(len),
                    "{flags:?}: {len}"
                );
                rest = &body[said..];
            }
            assert!(rest.is_empty(), "{flags:?}");
        }
    }
    std::fs::remove_dir_all(root).expect("to clean up");
}

/// How many bytes this thread has had fetched from a disk (proc(5), /proc/PID/io).
fn fetched(server: &Server, thread: &str) -> Option<u64> {
    let path = format!("/proc/{}/task/{thread}/io", server.0.id());
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix("read_bytes: "))?.parse().ok()
}

/// The kernel reads ahead for whoever touches the mark in what it has read, and an attempt
/// that does not wait touches it as well. The megabytes that follow are then asked for by the
/// loop.
#[test]
fn of_a_cold_file_the_loop_asks_the_disk_for_the_beginning_only() {
    const COLD: usize = 64 << 20;
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("who-asks-{}", std::process::id()));
    std::fs::create_dir_all(&root).expect("a folder");
    std::fs::write(root.join("large"), vec![7; COLD]).expect("a file");
    std::fs::write(root.join("small"), bytes(SMALL)).expect("a file");
    let server = serve(&root, &[]);
    forget(&root);
    let answer = get(&server, &["large"]);
    assert!(answer.len() > COLD);
    let tasks = format!("/proc/{}/task", server.0.id());
    let threads = std::fs::read_dir(tasks).expect("its threads").flatten();
    let all: Option<u64> =
        threads.map(|thread| fetched(&server, &thread.file_name().to_string_lossy())).sum();
    let by_loop = fetched(&server, &server.0.id().to_string());
    match (all, by_loop) {
        (Some(all), Some(by_loop)) if all as usize >= COLD / 2 => {
            assert!(
                by_loop < all / 4,
                "{by_loop} of {all} bytes were asked for by the loop"
            );
        }
        _ => {
            flags::skipped("no file is cold here, or nobody tells who has read from a disk")
        }
    }
    std::fs::remove_dir_all(root).expect("to clean up");
}
