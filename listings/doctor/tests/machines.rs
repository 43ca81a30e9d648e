//! The same program on machines that allow less.

#![cfg(target_os = "linux")]

mod confined;

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use confined::{
    deny, deny_flags, in_own_user_namespace, limit, on_one_processor,
    without_lock_privilege,
};
use libc::{ENOSYS, EOPNOTSUPP, EPERM};
use nix::errno::Errno;
use nix::sys::signal::killpg;
use nix::unistd::Pid;
use rustix::process::Resource;
use serde_json::Value;

const NAMES: [&str; 21] = [
    "kernel",
    "processors",
    "memory",
    "machine",
    "system calls",
    "io_uring",
    "io_uring features",
    "registered buffers",
    "Linux AIO",
    "file system",
    "O_DIRECT",
    "RWF_NOWAIT",
    "openat2",
    "ptrace",
    "processes",
    "descriptors",
    "listen queue",
    "loopback",
    "compiler",
    "strace, curl",
    "nginx, ab, wrk",
];

fn doctor() -> Command {
    Command::new(env!("CARGO_BIN_EXE_doctor"))
}

/// Runs it, and looks whether it left a process behind.
fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.process_group(0).spawn().expect("doctor, or what is taken from it");
    let group = Pid::from_raw(child.id() as i32);
    let output = child.wait_with_output().unwrap();
    assert_eq!(killpg(group, None), Err(Errno::ESRCH), "a process was left behind");
    output
}

/// What it prints, having been able to look.
fn printed(command: &mut Command) -> String {
    let output = output(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// The findings as JSON, checked for what holds on every machine.
struct Seen(Value);

impl Seen {
    fn by(command: &mut Command) -> Self {
        let text = printed(command.arg("--json"));
        let seen = Self(serde_json::from_str(&text).expect("JSON"));
        assert_eq!(seen.0["version"], 1);
        let findings = seen.0["findings"].as_array().unwrap();
        let names: Vec<&str> =
            findings.iter().map(|f| f["name"].as_str().unwrap()).collect();
        assert_eq!(names, NAMES);
        let mut affected = Vec::new();
        for finding in findings {
            let verdict = finding["verdict"].as_str().unwrap();
            assert!(["yes", "limited", "no"].contains(&verdict), "{finding}");
            assert_eq!(finding["remedy"].is_null(), verdict == "yes", "{finding}");
            assert!(!finding["found"].as_str().unwrap().is_empty(), "{finding}");
            for chapter in finding["chapters"].as_array().unwrap() {
                if verdict != "yes" && !affected.contains(chapter) {
                    affected.push(chapter.clone());
                }
            }
        }
        assert_eq!(seen.0["affected"], Value::from(affected));
        seen
    }

    fn finding(&self, name: &str) -> &Value {
        let findings = self.0["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["name"] == name).expect(name)
    }

    fn verdict(&self, name: &str) -> &str {
        self.finding(name)["verdict"].as_str().unwrap()
    }

    fn found(&self, name: &str) -> &str {
        self.finding(name)["found"].as_str().unwrap()
    }

    fn affects(&self, part_of_a_title: &str) -> bool {
        let affected = self.0["affected"].as_array().unwrap();
        affected.iter().any(|title| title.as_str().unwrap().contains(part_of_a_title))
    }
}

/// The names at the left of the text. A line that begins with spaces belongs to the one
/// above it.
fn names(text: &str) -> Vec<&str> {
    let (findings, summary) = text.split_once("\n\n").expect("an empty line");
    assert_eq!(summary.lines().count(), 1, "{summary}");
    let first = findings.lines().filter(|line| !line.starts_with(' '));
    first.map(|line| line.split_once("  ").expect("two spaces after the name").0).collect()
}

#[test]
fn json_has_every_finding() {
    let seen = Seen::by(&mut doctor());
    assert!(seen.found("kernel").starts_with("Linux "));
    assert!(seen.0["affected"].is_array());
}

#[test]
fn the_text_has_the_same_names_everywhere_and_no_long_line() {
    let mut worst = doctor();
    deny(&mut worst, libc::SYS_io_uring_setup, EPERM);
    deny(&mut worst, libc::SYS_io_setup, EPERM);
    deny(&mut worst, libc::SYS_ptrace, EPERM);
    limit(&mut worst, Resource::Nofile, 32);
    worst.current_dir("/dev").env("PATH", "/nonexistent");
    for command in [&mut doctor(), &mut worst] {
        let text = printed(command);
        assert_eq!(names(&text), NAMES, "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= 92, "{line}");
        }
    }
    assert!(
        printed(&mut worst)
            .trim_end()
            .ends_with("chapters are affected; all others run here.")
    );
}

#[test]
fn every_chapter_is_in_the_table_of_contents() {
    let summary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/SUMMARY.md");
    let summary = fs::read_to_string(summary).unwrap();
    for title in doctor::chapters::ALL {
        assert!(summary.contains(&format!("[{title}](")), "SUMMARY.md has no {title:?}");
    }
    let seen = Seen::by(&mut doctor());
    for finding in seen.0["findings"].as_array().unwrap() {
        for title in finding["chapters"].as_array().unwrap() {
            assert!(doctor::chapters::ALL.contains(&title.as_str().unwrap()), "{title}");
        }
    }
}

#[test]
fn a_filter_that_forbids_io_uring_is_named() {
    let errors = [
        (EPERM, "io_uring_setup(2): EPERM: ", "a seccomp filter"),
        (ENOSYS, "io_uring_setup(2): ENOSYS: ", "a seccomp filter hides it"),
    ];
    for (errno, call, who) in errors {
        let mut command = doctor();
        deny(&mut command, libc::SYS_io_uring_setup, errno);
        let seen = Seen::by(&mut command);
        let found = seen.found("io_uring");
        assert_eq!(seen.verdict("io_uring"), "no");
        assert!(found.starts_with(call) && found.contains(who), "{found}");
        assert_eq!(seen.verdict("io_uring features"), "no");
        assert_eq!(seen.verdict("registered buffers"), "no");
        assert_eq!(seen.verdict("system calls"), "limited");
        assert!(seen.affects("Two rings"));
    }
}

#[test]
fn a_kernel_that_has_every_feature_shows_them() {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let seen = Seen::by(&mut doctor());
    if seen.verdict("io_uring") != "yes" || version < (6, 1) {
        return flags::skipped("io_uring is forbidden here, or the kernel older than 6.1");
    }
    assert_eq!(
        seen.verdict("io_uring features"),
        "yes",
        "{}",
        seen.found("io_uring features")
    );
    let found = seen.found("io_uring");
    let operations = found.split_whitespace().find_map(|word| word.parse::<u32>().ok());
    // 49 in Linux 6.1, and one or two more with each version since.
    assert!(
        operations.is_some_and(|operations| (49..128).contains(&operations)),
        "{found}"
    );
}

#[test]
fn namespaces_make_a_container() {
    let mut command = doctor();
    in_own_user_namespace(&mut command);
    if let Err(error) = command.output() {
        return flags::skipped(format_args!("no user namespace may be made here: {error}"));
    }
    let seen = Seen::by(&mut command);
    let found = seen.found("machine");
    assert!(
        found.starts_with("a container: ") && found.ends_with("user namespace"),
        "{found}"
    );
}

#[test]
fn a_filter_between_the_calls_of_io_uring_is_found_too() {
    if Seen::by(&mut doctor()).verdict("io_uring") != "yes" {
        return flags::skipped("io_uring is forbidden here anyway");
    }
    let mut command = doctor();
    deny(&mut command, libc::SYS_io_uring_register, EPERM);
    let seen = Seen::by(&mut command);
    assert!(seen.found("io_uring").contains("operations are unknown: EPERM"));
    assert!(
        seen.found("io_uring features").contains("buffer rings (EPERM: a seccomp filter")
    );
    assert_eq!(seen.verdict("registered buffers"), "no");

    let mut command = doctor();
    deny(&mut command, libc::SYS_io_uring_enter, EPERM);
    let seen = Seen::by(&mut command);
    let found = seen.found("io_uring features");
    assert!(found.contains("multishot accept (EPERM"), "{found}");
    assert!(found.contains("multishot receive (EPERM"), "{found}");
}

#[test]
fn a_filter_that_forbids_linux_aio_is_named() {
    let mut command = doctor();
    deny(&mut command, libc::SYS_io_setup, EPERM);
    let seen = Seen::by(&mut command);
    assert_eq!(seen.verdict("Linux AIO"), "no");
    assert_eq!(seen.found("Linux AIO"), "io_setup(2): EPERM: a seccomp filter forbids it");
    assert!(seen.affects("Linux AIO"));
}

#[test]
fn a_filter_that_forbids_tracing_is_named() {
    let seen = Seen::by(&mut doctor());
    if seen.verdict("ptrace") != "yes" {
        return flags::skipped(format_args!(
            "nobody may trace here: {}",
            seen.found("ptrace")
        ));
    }
    let mut command = doctor();
    deny(&mut command, libc::SYS_ptrace, EPERM);
    let seen = Seen::by(&mut command);
    assert_eq!(seen.verdict("ptrace"), "no");
    assert_eq!(seen.found("ptrace"), "EPERM: a seccomp filter forbids it");
    assert!(seen.affects("drawn from real traces"));
}

#[test]
fn a_filter_that_hides_openat2_is_named() {
    let mut command = doctor();
    deny(&mut command, libc::SYS_openat2, ENOSYS);
    let seen = Seen::by(&mut command);
    assert_eq!(seen.verdict("openat2"), "limited");
    assert!(seen.found("openat2").contains("a seccomp filter hides it"));
}

#[test]
fn few_descriptors_are_said_and_nothing_fails() {
    let mut command = doctor();
    limit(&mut command, Resource::Nofile, 64);
    let seen = Seen::by(&mut command);
    assert_eq!(seen.verdict("descriptors"), "limited");
    assert!(seen.found("descriptors").starts_with("64 now, 64 at most;"));
    assert!(seen.affects("forking"));

    // Standard input, output and error, and one for whatever is looked at.
    let mut command = doctor();
    limit(&mut command, Resource::Nofile, 4);
    let seen = Seen::by(&mut command);
    assert_eq!(seen.verdict("descriptors"), "limited");
    assert_eq!(seen.verdict("loopback"), "no");
    assert!(seen.found("loopback").contains("EMFILE"), "{}", seen.found("loopback"));
}

#[test]
fn too_little_locked_memory_is_named() {
    if Seen::by(&mut doctor()).verdict("io_uring") != "yes" {
        return flags::skipped("io_uring is forbidden here anyway");
    }
    let mut command = doctor();
    limit(&mut command, Resource::Memlock, 0);
    without_lock_privilege(&mut command);
    let seen = Seen::by(&mut command);
    let buffers = seen.found("registered buffers");
    // Some kernels count rings as locked memory, others do not.
    match seen.verdict("io_uring") {
        "yes" => assert_eq!(buffers, "ENOMEM for 64 KiB; 0 KiB may be locked"),
        _ => {
            let found = seen.found("io_uring");
            assert!(found.contains("ENOMEM: the limit on locked memory"), "{found}");
        }
    }
    assert_eq!(seen.verdict("registered buffers"), "no");
    assert!(seen.affects("who forbids it"));
}

#[test]
fn one_processor_is_limited() {
    let mut command = doctor();
    on_one_processor(&mut command);
    let seen = Seen::by(&mut command);
    assert_eq!(seen.verdict("processors"), "limited");
    assert!(seen.found("processors").starts_with("1 usable"));
    assert!(seen.affects("load generator"));
}

#[test]
fn memory_is_no_disk() {
    let shm = Path::new("/dev/shm");
    let is_tmpfs =
        rustix::fs::statfs(shm).is_ok_and(|found| found.f_type as u32 == 0x0102_1994);
    let Some(folder) = tempfile::tempdir_in(shm).ok().filter(|_| is_tmpfs) else {
        return flags::skipped("/dev/shm is no tmpfs that we may write to");
    };
    let seen = Seen::by(doctor().current_dir(folder.path()));
    assert_eq!(seen.verdict("file system"), "limited");
    assert!(seen.found("file system").starts_with("tmpfs"));
    // Accepted since 6.6, refused before.
    assert_ne!(seen.verdict("O_DIRECT"), "yes");
    assert!(seen.affects("A read that blocks"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn no_file_is_left_behind() {
    // Once with files that have no name, once where the file system has none.
    let without_names = |_: &mut Command| {};
    let with_names = |command: &mut Command| {
        // O_TMPFILE's own bit; the other is O_DIRECTORY's.
        let own = (libc::O_TMPFILE & !libc::O_DIRECTORY) as u32;
        deny_flags(command, libc::SYS_openat, own, EOPNOTSUPP);
    };
    let here = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for take in [&without_names as &dyn Fn(&mut Command), &with_names] {
        let folder = tempfile::tempdir_in(here).unwrap();
        let mut command = doctor();
        take(&mut command);
        let seen = Seen::by(command.current_dir(folder.path()));
        let found = seen.found("O_DIRECT");
        assert!(!found.contains("no file could be tried"), "{found}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_folder_without_files_is_said() {
    let seen = Seen::by(doctor().current_dir("/proc"));
    for name in ["O_DIRECT", "RWF_NOWAIT"] {
        assert_eq!(seen.verdict(name), "no");
        assert!(
            seen.found(name).contains("no file could be tried"),
            "{}",
            seen.found(name)
        );
    }
    assert_eq!(seen.verdict("file system"), "limited");
}

#[test]
fn missing_tools_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Seen::by(doctor().env("PATH", folder.path()));
    if Path::new("/usr/sbin/cc").exists() {
        return flags::skipped("/usr/sbin has every program here");
    }
    assert_eq!(seen.verdict("compiler"), "no");
    assert_eq!(seen.found("compiler"), "without cc");
    assert_eq!(seen.verdict("strace, curl"), "no");
    // A file that nobody may execute is no program.
    fs::write(folder.path().join("cc"), "").unwrap();
    assert_eq!(Seen::by(doctor().env("PATH", folder.path())).verdict("compiler"), "no");
}

#[test]
fn wrong_usage_is_one_line_and_exit_2() {
    let output = output(doctor().arg("--brief"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn output_that_cannot_be_written_is_one_line_and_exit_1() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = doctor().stdout(full).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.lines().count() == 1 && said.starts_with("doctor: "), "{said}");
}
