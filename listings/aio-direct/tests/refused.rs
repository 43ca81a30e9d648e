//! Machines that allow less: one line that says what, why and what to do, and exit code 2.
#![cfg(target_os = "linux")]

mod confined;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use confined::{When, refuse};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aio-direct"));
    command.args(["--seconds", "1", "--mib", "8", "--dir", env!("CARGO_TARGET_TMPDIR")]);
    command
}

/// One line, with this in it; and nothing was measured.
#[track_caller]
fn is_one_line(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for word in words {
        assert!(said.contains(word), "{word} is not said: {said}");
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(!printed.contains("reads a second"), "{printed}");
}

#[test]
fn a_kernel_without_aio_is_one_line_for_the_program_and_every_experiment() {
    let cannot = ["cannot set up AIO", "not implemented", "CONFIG_AIO", "profile"];
    let experiments = [
        env!("CARGO_BIN_EXE_one-read"),
        env!("CARGO_BIN_EXE_where-it-waits"),
        env!("CARGO_BIN_EXE_empty-socket"),
        env!("CARGO_BIN_EXE_who-refuses"),
        env!("CARGO_BIN_EXE_copied"),
        env!("CARGO_BIN_EXE_writes"),
        env!("CARGO_BIN_EXE_slots"),
        env!("CARGO_BIN_EXE_in-a-loop"),
    ];
    let mut experiments = experiments.map(|path| {
        let mut command = Command::new(path);
        command.arg(env!("CARGO_TARGET_TMPDIR"));
        command
    });
    let mut main = program();
    for command in experiments.iter_mut().chain([&mut main]) {
        refuse(command, libc::SYS_io_setup, When::Always, libc::ENOSYS);
        is_one_line(&command.output().unwrap(), 2, &cannot);
    }
}

#[test]
fn a_profile_that_forbids_io_setup_or_io_submit_is_one_line() {
    for (call, word) in
        [(libc::SYS_io_setup, "cannot set up AIO"), (libc::SYS_io_submit, "io_submit")]
    {
        let mut command = program();
        refuse(&mut command, call, When::Always, libc::EPERM);
        is_one_line(&command.output().unwrap(), 2, &[word, "not permitted", "profile"]);
    }
    let mut command = program();
    refuse(&mut command, libc::SYS_io_getevents, When::Always, libc::ENOSYS);
    is_one_line(&command.output().unwrap(), 2, &["io_getevents", "profile"]);
}

#[test]
fn a_limit_that_is_used_up_is_one_line() {
    let mut command = program();
    refuse(&mut command, libc::SYS_io_setup, When::Always, libc::EAGAIN);
    is_one_line(&command.output().unwrap(), 2, &["reserved", "fs.aio-max-nr", "--depth"]);
}

#[test]
fn more_than_the_real_limit_is_one_line() {
    let most = fs::read_to_string("/proc/sys/fs/aio-max-nr").unwrap_or_default();
    let Ok(most @ 1..=4_000_000) = most.trim().parse::<u32>() else {
        return flags::skipped(format_args!("fs.aio-max-nr is {most:?}"));
    };
    let output = program().args(["--depth", &(most + 1).to_string()]).output().unwrap();
    is_one_line(&output, 2, &["reserved", "fs.aio-max-nr", &most.to_string()]);
    // More than any setting allows is told by another error.
    let output = program().args(["--depth", "4294967295"]).output().unwrap();
    is_one_line(&output, 2, &["--depth"]);
}

#[test]
fn a_file_system_without_direct_reads_is_one_line() {
    // /proc has none, and says so in open(2).
    let status = Path::new("/proc/self/status");
    let output = program().arg(status).output().unwrap();
    is_one_line(&output, 2, &["/proc/self/status", "O_DIRECT", "--buffered"]);

    let mut command = program();
    refuse(&mut command, libc::SYS_openat, When::Flag(libc::O_DIRECT), libc::EINVAL);
    is_one_line(&command.output().unwrap(), 2, &["O_DIRECT", "--buffered"]);
    // And with --buffered it goes.
    let mut command = program();
    refuse(&mut command, libc::SYS_openat, When::Flag(libc::O_DIRECT), libc::EINVAL);
    let file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::write(&file, [7; 5000]).unwrap();
    let output = command.arg("--buffered").arg(file.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_file_that_is_not_there_is_one_line_and_a_failure() {
    let output = program().arg("/no/such/file").output().unwrap();
    is_one_line(&output, 1, &["/no/such/file", "No such file"]);
    let output = program().args(["--dir", "/no/such/folder"]).output().unwrap();
    is_one_line(&output, 2, &[]); // --dir twice: wrong usage
}

#[test]
fn wrong_usage_is_one_line_and_exit_2() {
    for wrong in [&["--depth", "0"][..], &["--block", "0"], &["--seconds", "x"], &["--fly"]]
    {
        is_one_line(&program().args(wrong).output().unwrap(), 2, &["--help"]);
    }
}
