//! What the experiments of the chapter print, and what they claim.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

fn run(program: &str) -> String {
    let output = Command::new(program).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn an_edge_is_told_once_and_a_level_as_long_as_it_lasts() {
    let printed = run(env!("CARGO_BIN_EXE_two-ways"));
    let told = |trigger: &str| -> Vec<bool> {
        let lines = printed.lines().filter_map(|line| line.trim().strip_prefix(trigger));
        lines.map(|line| line.ends_with("ready")).collect()
    };
    assert_eq!(told("level"), [true, true, true, false], "{printed}");
    assert_eq!(told("edge"), [true, false, true, false], "{printed}");
}

#[test]
fn a_connection_wakes_everybody_or_one() {
    let printed = run(env!("CARGO_BIN_EXE_herd"));
    let woken: Vec<Vec<u32>> = printed
        .lines()
        .filter_map(|line| line.split_once("woken "))
        .map(|(_, counts)| counts.split_whitespace().flat_map(str::parse).collect())
        .collect();
    let [shared, exclusive, each] = &woken[..] else { panic!("{printed}") };
    let sum = |counts: &[u32]| counts.iter().sum::<u32>();
    assert!(shared.iter().all(|count| *count >= 20), "everybody, each time: {printed}");
    // "One or more", says epoll_ctl(2).
    assert!((20..80).contains(&sum(exclusive)), "{printed}");
    assert_eq!(sum(each), 20, "{printed}");
}

#[test]
fn the_loop_without_an_application_answers() {
    struct Bare(Child);
    impl Drop for Bare {
        fn drop(&mut self) {
            // It may have ended by itself.
            let _ = self.0.kill().and_then(|()| self.0.wait().map(drop));
        }
    }
    let program = Command::new(env!("CARGO_BIN_EXE_bare")).stdout(Stdio::piped()).spawn();
    let mut bare = Bare(program.expect("it starts"));
    let mut line = String::new();
    BufReader::new(bare.0.stdout.take().expect("its output"))
        .read_line(&mut line)
        .expect("its address");
    let address = line.trim().strip_prefix("listening on http://").expect("an address");
    let mut client = TcpStream::connect(address).expect("to connect");
    client.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    for _ in 0..2 {
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("to ask");
        let mut reply = [0; 40 + 612];
        client.read_exact(&mut reply).expect("a reply");
        assert!(reply.starts_with(b"HTTP/1.1 200 OK\r\nContent-Length: 612\r\n\r\nxxx"));
    }
}
