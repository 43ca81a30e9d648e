//! A kernel that refuses a ring is one line, with the cause and the remedy, and exit code 2.
#![cfg(target_os = "linux")]

#[path = "../../uring-read/tests/confined/mod.rs"]
mod confined;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

#[test]
fn a_ring_that_is_refused_is_one_line() {
    let programs: [(&str, &[&str]); 3] = [
        (
            env!("CARGO_BIN_EXE_executor"),
            &["--over", "io_uring", "--listen", "127.0.0.1:0"],
        ),
        (env!("CARGO_BIN_EXE_dropped"), &[]),
        (env!("CARGO_BIN_EXE_how-large"), &[]),
    ];
    for (program, args) in programs {
        for (errno, cause) in [
            (libc::EPERM, "a seccomp filter"),
            (libc::ENOSYS, "one older than 5.6, or a filter that hides it"),
        ] {
            let mut command = Command::new(program);
            confined::deny(command.args(args), libc::SYS_io_uring_setup, errno);
            let output = command.output().expect("it starts");
            let said = String::from_utf8(output.stderr).expect("text");
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(output.stdout.is_empty());
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(said.contains(cause), "{said}");
        }
    }
}

/// The other form needs none.
#[test]
fn over_epoll_the_server_starts_without_a_ring() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_executor"));
    command.args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped());
    confined::deny(&mut command, libc::SYS_io_uring_setup, libc::EPERM);
    let mut server = command.spawn().expect("it starts");
    let mut line = String::new();
    let mut output = BufReader::new(server.stdout.take().expect("its output"));
    output.read_line(&mut line).expect("its address");
    let _ = server.kill(); // it may have ended by itself
    server.wait().expect("its end");
    assert!(line.starts_with("listening on http://"), "{line}");
    output.read_to_end(&mut Vec::new()).expect("an end");
}
