//! A kernel that refuses is one line, with the cause and the remedy, and exit code 2.
#![cfg(target_os = "linux")]

#[path = "../../uring-read/tests/confined/mod.rs"]
mod confined;

use std::process::Command;

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
