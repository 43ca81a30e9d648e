//! A kernel that refuses is one line, with the cause and the remedy, and exit code 2.
#![cfg(target_os = "linux")]

#[path = "../../uring-read/tests/confined/mod.rs"]
mod confined;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use uring_loop::{Ring, Setup, Work};

#[test]
fn a_ring_that_is_refused_is_one_line() {
    for program in [
        env!("CARGO_BIN_EXE_uring-loop"),
        env!("CARGO_BIN_EXE_calls"),
        env!("CARGO_BIN_EXE_bare-ring"),
    ] {
        for (errno, cause) in [
            (libc::EPERM, "a seccomp filter"),
            (libc::ENOSYS, "one older than 5.6, or a filter that hides it"),
            (libc::ENOMEM, "raise the limit (ulimit -l)"),
        ] {
            let mut command = Command::new(program);
            confined::deny(&mut command, libc::SYS_io_uring_setup, errno);
            let output = command.output().expect("it starts");
            let said = String::from_utf8(output.stderr).expect("text");
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(output.stdout.is_empty());
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(said.contains(cause), "{said}");
        }
    }
}

/// It would not accept anybody, and say so for ever.
#[test]
fn a_thread_that_submits_is_refused_where_it_knows_no_plain_descriptors() {
    let setup = Setup { entries: 8, as_of: Some((5, 10)), work: Work::ByAThread(10) };
    let error = Ring::new(&setup).expect_err("it is too old for that");
    let is_forbidden = error.raw_os_error() == Some(libc::EPERM);
    assert!(is_forbidden || error.raw_os_error() == Some(libc::ENOSYS), "{error}");
}

/// There is room for a ring in what may be locked, and none for the ring of shared buffers.
#[test]
fn a_server_whose_clients_cannot_share_buffers_says_why() {
    const BETWEEN: u64 = 128 << 10;
    let setup = Setup { entries: 8, as_of: None, work: Work::WhenWeAsk };
    if !Ring::new(&setup).is_ok_and(|ring| ring.features().multishot_receive) {
        return flags::skipped("there are no shared buffers here");
    }
    let output = |program: &str, flags: &[&str]| {
        let mut command = Command::new(program);
        confined::locked_memory(&mut command, BETWEEN);
        let mut child = command
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut first = String::new();
        let out = child.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut first).expect("text");
        let _ = child.kill();
        let said = child.wait_with_output().expect("it ends").stderr;
        (first, String::from_utf8(said).expect("text"))
    };
    // Memory of rings that are gone may count for a moment longer.
    for _ in 0..100 {
        let (bare, why) = output(env!("CARGO_BIN_EXE_bare-ring"), &[]);
        if bare.starts_with("listening on ") {
            return flags::skipped("this kernel does not count shared buffers as locked");
        }
        let flags = ["--listen", "127.0.0.1:0", "--root", "src", "--entries", "2"];
        let (first, said) = output(env!("CARGO_BIN_EXE_uring-loop"), &flags);
        if why.starts_with("shared buffers need") && first.starts_with("listening on ") {
            assert!(said.starts_with("clients cannot share buffers: "), "{said:?}");
            assert!(said.contains("ulimit -l") && said.lines().count() == 1, "{said:?}");
            return;
        }
        sleep(Duration::from_millis(100));
    }
    panic!("in ten seconds there was never room for a ring");
}

/// A kernel that does not know shared buffers: one that refuses to register them.
#[test]
fn without_shared_buffers_each_receive_has_its_own() {
    let setup = Setup { entries: 8, as_of: Some((5, 15)), work: Work::WhenWeAsk };
    let Ok(ring) = Ring::new(&setup) else {
        return flags::skipped("io_uring is forbidden here");
    };
    assert!(!ring.features().multishot_receive && !ring.features().multishot_accept);
    assert!(ring.features().shutdown);
}
