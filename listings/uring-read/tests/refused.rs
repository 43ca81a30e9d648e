//! A kernel that refuses is one line, with the cause and the remedy, and exit code 2.
#![cfg(target_os = "linux")]

mod confined;

use std::io::{self, Write};
use std::process::{Command, Output};

use uring_read::{Buffer, How, Order, Place, Ring};

const PROGRAMS: [&str; 9] = [
    env!("CARGO_BIN_EXE_uring-read"),
    env!("CARGO_BIN_EXE_rings-by-hand"),
    env!("CARGO_BIN_EXE_with-the-crate"),
    env!("CARGO_BIN_EXE_sixty-four"),
    env!("CARGO_BIN_EXE_who-works"),
    env!("CARGO_BIN_EXE_links"),
    env!("CARGO_BIN_EXE_give-up"),
    env!("CARGO_BIN_EXE_closed"),
    env!("CARGO_BIN_EXE_overflow"),
];

fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("TMPDIR", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// Exit code and the one line of a program that gives up; it must have printed no result.
fn one_line(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout: _, stderr } = command.output().expect("it starts");
    let said = String::from_utf8(stderr).expect("text");
    assert_eq!(said.lines().count(), 1, "{command:?}: {said}");
    (status.code(), said)
}

#[test]
fn a_filter_is_named_by_every_program() {
    for program in PROGRAMS {
        for (errno, cause) in [
            (libc::EPERM, "io_uring_setup: EPERM: "),
            (
                libc::ENOSYS,
                "io_uring_setup: ENOSYS: a seccomp filter hides it; run outside",
            ),
            (libc::ENOMEM, "io_uring_setup: ENOMEM: memory is short"),
        ] {
            let mut command = command(program);
            confined::deny(&mut command, libc::SYS_io_uring_setup, errno);
            let (code, said) = one_line(&mut command);
            assert_eq!(code, Some(2), "{said}");
            assert!(said.contains(cause), "{said}");
            let name = program.rsplit('/').next().unwrap_or_default();
            assert!(said.starts_with(&format!("{name}: ")), "{said}");
        }
    }
}

#[test]
fn a_filter_is_called_a_filter() {
    let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    if disabled.is_ok_and(|level| level.trim() != "0") {
        return flags::skipped("kernel.io_uring_disabled is set, and is named first");
    }
    let mut command = command(PROGRAMS[0]);
    confined::deny(&mut command, libc::SYS_io_uring_setup, libc::EPERM);
    let (_, said) = one_line(&mut command);
    assert!(
        said.contains("a seccomp filter forbids it; run outside of the container"),
        "{said}"
    );
}

#[test]
fn memory_that_may_not_be_locked_is_named() {
    if Ring::new(1).is_err() {
        return flags::skipped("io_uring is forbidden here");
    }
    let mut command = command(PROGRAMS[0]);
    command.args(["--fixed", "--seconds", "1"]);
    confined::no_locked_memory(&mut command);
    let (code, said) = one_line(&mut command);
    assert_eq!(code, Some(2), "{said}");
    // Where rings count as locked memory it is the ring, elsewhere the buffers.
    assert!(said.contains(": ENOMEM: ") && said.contains("ulimit -l 8192"), "{said}");
}

#[test]
fn a_filter_for_registration_and_for_o_direct_is_named() {
    if Ring::new(1).is_err() {
        return flags::skipped("io_uring is forbidden here");
    }
    let mut fixed = command(PROGRAMS[0]);
    fixed.args(["--fixed", "--seconds", "1"]);
    confined::deny(&mut fixed, libc::SYS_io_uring_register, libc::EPERM);
    let (code, said) = one_line(&mut fixed);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("io_uring_register: EPERM: ") && said.contains("--fixed"),
        "{said}"
    );

    let mut direct = command(PROGRAMS[0]);
    direct.args(["--direct", "--seconds", "1"]);
    confined::deny_flags(
        &mut direct,
        libc::SYS_openat,
        libc::O_DIRECT as u32,
        libc::EINVAL,
    );
    let (code, said) = one_line(&mut direct);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("O_DIRECT: EINVAL: ") && said.contains("--direct"), "{said}");
}

#[test]
fn a_ring_that_cannot_be_entered_ends_the_program() {
    if Ring::new(1).is_err() {
        return flags::skipped("io_uring is forbidden here");
    }
    for errno in [libc::EPERM, libc::EBUSY, libc::EAGAIN] {
        let mut command = command(PROGRAMS[0]);
        command.args(["--seconds", "1"]);
        confined::deny(&mut command, libc::SYS_io_uring_enter, errno);
        let (code, said) = one_line(&mut command);
        assert_eq!(code, Some(1), "{said}");
    }
}

/// The ring cannot be drained: its memory stays the kernel's, and the drop comes to an end.
#[test]
fn a_ring_that_cannot_be_drained_is_leaked() {
    const ERRNO: &str = "URING_READ_ERRNO";
    let Ok(mut ring) = Ring::new(4) else {
        return flags::skipped("io_uring is forbidden here");
    };
    if let Some(errno) = std::env::var(ERRNO).ok().and_then(|errno| errno.parse().ok()) {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let (from, into) = (Place::from(reader), Buffer::new(64, 1));
        ring.push(Order::Read { from, into, at: 0 }, How::default())
            .expect("there is room");
        ring.enter(0).expect("it is taken");
        confined::deny_here(libc::SYS_io_uring_enter, errno).expect("a filter");
        drop(ring);
        writer
            .write_all(b"hello")
            .expect("the kernel still reads, into memory of nobody else");
        std::process::exit(7);
    }
    for errno in [libc::EPERM, libc::EAGAIN, libc::EBUSY] {
        let mut again = Command::new(std::env::current_exe().expect("this program"));
        again.args(["--exact", "a_ring_that_cannot_be_drained_is_leaked"]);
        let output = again.env(ERRNO, errno.to_string()).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(7), "{said}");
    }
}

#[test]
fn a_wrong_file_or_flag_is_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let short = folder.path().join("short");
    std::fs::write(&short, "not a block").expect("a file");
    let (missing, short) = (folder.path().join("missing"), short);
    for (arguments, code, said_of) in [
        (vec![missing.to_str().expect("text")], 1, "name another file"),
        (vec![short.to_str().expect("text")], 1, "smaller --block"),
        (vec!["--depth", "0"], 2, "--depth"),
        (vec!["--depth", "5000"], 2, "--depth"),
        (vec!["--block", "1"], 2, "--block"),
        (vec!["--direct", "--buffered"], 2, "--buffered"),
        (vec!["--fly"], 2, "--fly"),
    ] {
        let (found, said) = one_line(command(PROGRAMS[0]).args(&arguments));
        assert_eq!(found, Some(code), "{arguments:?}: {said}");
        assert!(said.contains(said_of), "{arguments:?}: {said}");
    }
}
