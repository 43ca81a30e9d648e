//! A kernel that refuses, or something that fails: one line, with the cause and the remedy.

use std::fmt;
use std::fs;
use std::io;
use std::process::ExitCode;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// Why a program of this listing ends early.
#[derive(Debug)]
pub enum Trouble {
    /// io_uring_setup(2) was refused.
    Setup(io::Error),
    /// Buffers could not be registered.
    Buffers(io::Error),
    /// The file cannot be opened past the page cache.
    Direct(io::Error),
    /// Anything else.
    Failed(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl std::error::Error for Trouble {}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(error) => {
                let (why, remedy) = setup(errno(error), &Facts::here());
                write!(f, "io_uring_setup: {}: {why}; {remedy}", name(error))
            }
            Self::Buffers(error) => {
                let (why, remedy) = buffers(errno(error));
                write!(f, "io_uring_register: {}: {why}; {remedy}", name(error))
            }
            Self::Direct(error) => write!(
                f,
                "O_DIRECT: {}: this file system does not read past the page cache; name a \
                 file on a disk, or leave --direct away",
                name(error)
            ),
            Self::Failed(error) => write!(f, "{error}"),
        }
    }
}

/// Ends a program: 0, 1 for a failure, 2 for a kernel that refuses.
pub fn report(program: &str, result: Result<(), Trouble>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble @ Trouble::Failed(_)) => {
            flags::fail(flags::FAILED, format_args!("{program}: {trouble}"))
        }
        Err(trouble) => flags::fail(flags::REFUSED, format_args!("{program}: {trouble}")),
    }
}

/// What a process can find out about who refused.
struct Facts {
    /// `kernel.io_uring_disabled`, since 6.6.
    disabled: Option<u32>,
    /// A seccomp filter is in force.
    filtered: bool,
    /// RLIMIT_MEMLOCK, where there is a limit.
    lockable: Option<u64>,
}

impl Facts {
    fn here() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let setting = fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
        Self {
            disabled: setting.ok().and_then(|text| text.trim().parse().ok()),
            filtered: status.lines().any(|line| line == "Seccomp:\t2"),
            lockable: getrlimit(Resource::Memlock).current,
        }
    }
}

// ANCHOR: setup
/// Who refused io_uring_setup(2), and what to do about it.
fn setup(error: Errno, facts: &Facts) -> (String, &'static str) {
    let (why, remedy) = match error {
        Errno::PERM | Errno::ACCESS => match facts.disabled {
            Some(level @ 1..) => (
                format!("kernel.io_uring_disabled is {level}"),
                "an administrator allows it: sysctl kernel.io_uring_disabled=0",
            ),
            _ if facts.filtered => ("a seccomp filter forbids it".into(), FILTER),
            _ => ("a security module forbids it".into(), "ask whoever wrote its policy"),
        },
        Errno::NOSYS if facts.filtered => ("a seccomp filter hides it".into(), FILTER),
        Errno::NOSYS => (
            "this kernel has no io_uring".into(),
            "run Linux 5.10 or later, built with CONFIG_IO_URING",
        ),
        Errno::NOMEM => match facts.lockable {
            Some(limit) => (
                format!("memory is short, or the {} KiB that may be locked", limit / 1024),
                "raise the limit: ulimit -l 8192",
            ),
            None => ("memory is short".into(), "free some, or raise the group's limit"),
        },
        Errno::MFILE | Errno::NFILE => {
            ("no descriptor is free".into(), "raise the limit: ulimit -n")
        }
        Errno::INVAL => ("this kernel is too old for it".into(), "run Linux 5.10 or later"),
        _ => ("unexpected".into(), "see io_uring_setup(2)"),
    };
    (why, remedy)
}
// ANCHOR_END: setup

const FILTER: &str = "run outside of the container, or with a profile that allows \
                      io_uring_setup, io_uring_enter and io_uring_register";

/// Who refused to register buffers.
fn buffers(error: Errno) -> (&'static str, &'static str) {
    match error {
        Errno::NOMEM => (
            "registered buffers count as locked memory",
            "raise the limit (ulimit -l 8192), take a smaller --depth or --block, or leave \
             --fixed away",
        ),
        Errno::PERM | Errno::NOSYS => ("it is forbidden here", "leave --fixed away"),
        _ => ("unexpected", "leave --fixed away"),
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// An error's name, as the manual has it.
pub fn name(error: &io::Error) -> String {
    let known = [
        (Errno::PERM, "EPERM"),
        (Errno::ACCESS, "EACCES"),
        (Errno::NOSYS, "ENOSYS"),
        (Errno::NOMEM, "ENOMEM"),
        (Errno::MFILE, "EMFILE"),
        (Errno::NFILE, "ENFILE"),
        (Errno::INVAL, "EINVAL"),
        (Errno::CANCELED, "ECANCELED"),
        (Errno::TIME, "ETIME"),
        (Errno::NOENT, "ENOENT"),
        (Errno::ALREADY, "EALREADY"),
        (Errno::BADF, "EBADF"),
        (Errno::INTR, "EINTR"),
        (Errno::AGAIN, "EAGAIN"),
    ];
    let errno = errno(error);
    match known.iter().find(|(known, _)| *known == errno) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("error {}", errno.raw_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_refuses_is_named() {
        let facts = |disabled, filtered| Facts { disabled, filtered, lockable: Some(0) };
        for (error, facts, said) in [
            (Errno::PERM, facts(Some(2), true), "io_uring_disabled is 2"),
            (Errno::PERM, facts(Some(1), false), "io_uring_disabled is 1"),
            (Errno::PERM, facts(Some(0), true), "filter forbids"),
            (Errno::PERM, facts(None, false), "security module"),
            (Errno::NOSYS, facts(None, true), "filter hides"),
            (Errno::NOSYS, facts(None, false), "has no io_uring"),
            (Errno::NOMEM, facts(None, false), "the 0 KiB that may be locked"),
            (Errno::MFILE, facts(None, false), "descriptor"),
            (Errno::INVAL, facts(None, false), "too old"),
            (Errno::IO, facts(None, false), "unexpected"),
        ] {
            let (why, remedy) = setup(error, &facts);
            assert!(why.contains(said), "{why}, not {said}");
            assert!(!remedy.is_empty());
        }
    }
}
