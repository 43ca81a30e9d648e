//! io_uring: whether it may be used, what of it is there, and if not, who forbids it.

use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::chapters::*;
use crate::confinement::{CAP_IPC_LOCK, CAP_SYS_ADMIN, Process, errno, error_name};
use crate::finding::Finding;
use crate::numbers::bytes;
use crate::{proc, ring, system};

const RING: &str = "io_uring";
const FEATURES: &str = "io_uring features";
const BUFFERS: &str = "registered buffers";
const FOR_RINGS: &[&str] = &[RINGS, URING_SERVER, URING_COSTS, LIBRARY, OWN_CHARTS];
const FOR_FEATURES: &[&str] = &[URING_SERVER, URING_COSTS, OWN_CHARTS];
const FOR_BUFFERS: &[&str] = &[URING_COSTS];

/// Three findings: the ring, its features, and registered buffers.
pub fn look(me: &Process) -> [Finding; 3] {
    let mut ring = match ring::set_up() {
        Ok(ring) => ring,
        Err(error) => {
            let facts = Facts {
                disabled: proc::value("/proc/sys/kernel/io_uring_disabled"),
                group: proc::value("/proc/sys/kernel/io_uring_group"),
                version: system::version(),
                lockable: getrlimit(Resource::Memlock).current,
                me,
            };
            let (found, remedy) = refused(errno(&error), &facts);
            let without = |name, chapters| {
                Finding::no(name, chapters, "no ring to try them with", "As for io_uring.")
            };
            return [
                Finding::no(RING, FOR_RINGS, found, remedy),
                without(FEATURES, FOR_FEATURES),
                without(BUFFERS, FOR_BUFFERS),
            ];
        }
    };
    let found = match ring::operations(&ring) {
        Ok(operations) => {
            format!("a ring was set up; the kernel knows {operations} operations")
        }
        Err(error) => {
            format!(
                "a ring was set up; its operations are unknown: {}",
                error_name(errno(&error))
            )
        }
    };
    let features = [
        ("multishot accept", "5.19", ring::multishot_accept(&mut ring)),
        ("buffer rings", "5.19", ring::buffer_ring(&ring)),
        ("multishot receive", "6.0", ring::multishot_receive(&mut ring)),
        ("deferred task work", "6.1", ring::deferred_work()),
    ];
    [Finding::yes(RING, FOR_RINGS, found), described(&features, me), buffers(&ring)]
}

/// What is known when a ring cannot be set up.
struct Facts<'a> {
    /// `kernel.io_uring_disabled`, since 6.6.
    disabled: Option<u32>,
    /// `kernel.io_uring_group`: who may nevertheless, where that is 1.
    group: Option<i64>,
    version: (u32, u32),
    /// `RLIMIT_MEMLOCK` in bytes, if there is a limit.
    lockable: Option<u64>,
    me: &'a Process,
}

/// Who refused io_uring_setup(2), and what to do.
fn refused(error: Errno, facts: &Facts) -> (String, String) {
    let me = facts.me;
    let excepted =
        me.may(CAP_SYS_ADMIN) || facts.group.is_some_and(|id| me.groups.contains(&id));
    // In a user namespace a capability may look like one and not count.
    let disabled = match facts.disabled {
        Some(2) => Some(2),
        Some(1) if !excepted || !me.filtered => Some(1),
        _ => None,
    };
    let (who, remedy) = match error {
        Errno::PERM | Errno::ACCESS => match (disabled, me.filtered) {
            (Some(level), filtered) => (
                format!(
                    "kernel.io_uring_disabled is {level}{}",
                    if filtered {
                        ", and a seccomp filter may forbid it as well"
                    } else {
                        ""
                    }
                ),
                "An administrator allows it: sysctl kernel.io_uring_disabled=0, or 1 with your \
                 group in kernel.io_uring_group.",
            ),
            (None, true) => (me.refuser(error).into(), FILTER),
            (None, false) => (
                me.refuser(error).into(),
                "Ask whoever wrote its policy (SELinux, AppArmor, a BPF program).",
            ),
        },
        Errno::NOSYS if facts.version < (5, 1) => {
            ("the kernel is older than 5.1".into(), "Run a newer kernel, 6.1 at best.")
        }
        // The setting is there: so is io_uring.
        Errno::NOSYS if me.filtered && facts.disabled.is_some() => {
            ("a seccomp filter hides it".into(), FILTER)
        }
        Errno::NOSYS if me.filtered => (me.refuser(error).into(), FILTER),
        Errno::NOSYS => (
            "the kernel was built without it".into(),
            "Run a kernel with CONFIG_IO_URING, as distributions ship it.",
        ),
        // Rings count as locked memory until 5.11, and again in 6.18.
        Errno::NOMEM if facts.lockable.is_some() && !me.may(CAP_IPC_LOCK) => (
            format!(
                "the limit on locked memory leaves no room ({})",
                bytes(facts.lockable.unwrap_or(0))
            ),
            "Raise it: ulimit -l 8192, or docker run --ulimit memlock=-1.",
        ),
        Errno::NOMEM => {
            ("no memory for it".into(), "Free some, or raise the group's limit.")
        }
        Errno::MFILE | Errno::NFILE => ("no descriptor is free".into(), "Raise ulimit -n."),
        _ => (me.refuser(error).into(), "See io_uring_setup(2) for this error."),
    };
    let remedy =
        format!("{remedy} Until then part 7 can be read: its outputs are in the text.");
    (format!("io_uring_setup(2): {}: {who}", error_name(error)), remedy)
}

const FILTER: &str = "Run outside of the container, or: docker run --security-opt seccomp=FILE, a \
                      profile that allows io_uring_setup, io_uring_enter and io_uring_register.";

/// A feature's name, the kernel it came with, and what trying it came to.
type Tried<'a> = (&'a str, &'a str, io::Result<bool>);

fn described(features: &[Tried], me: &Process) -> Finding {
    let missing: Vec<String> = features
        .iter()
        .filter_map(|(name, since, tried)| match tried {
            Ok(true) => None,
            Ok(false) => Some(format!("{name} (Linux {since})")),
            Err(error) => {
                let errno = errno(error);
                Some(format!("{name} ({}: {})", error_name(errno), me.refuser(errno)))
            }
        })
        .collect();
    if missing.is_empty() {
        let all = "multishot accept and receive, buffer rings, deferred task work";
        return Finding::yes(FEATURES, FOR_FEATURES, all);
    }
    let found = format!("without {}", missing.join(", "));
    let remedy = "Run Linux 6.1 or later, outside of a filter. Without them the io_uring server \
                  makes more system calls for each request, and its figures are lower.";
    if missing.len() == features.len() {
        Finding::no(FEATURES, FOR_FEATURES, found, remedy)
    } else {
        Finding::limited(FEATURES, FOR_FEATURES, found, remedy)
    }
}

fn buffers(ring: &io_uring::IoUring) -> Finding {
    let limit = match getrlimit(Resource::Memlock).current {
        Some(limit) => format!("{} may be locked", bytes(limit)),
        None => "no limit on locked memory".into(),
    };
    match ring::registered_buffer(ring) {
        Ok(()) => Finding::yes(BUFFERS, FOR_BUFFERS, format!("64 KiB registered; {limit}")),
        Err(error) => Finding::no(
            BUFFERS,
            FOR_BUFFERS,
            format!("{} for 64 KiB; {limit}", error_name(errno(&error))),
            "Raise the limit: ulimit -l 8192, or docker run --ulimit memlock=-1. Only the figure \
             for registered buffers needs it.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(
        error: Errno,
        disabled: Option<u32>,
        version: (u32, u32),
        me: &Process,
    ) -> String {
        refused(error, &Facts { disabled, group: Some(27), version, lockable: Some(0), me })
            .0
    }

    #[test]
    fn who_forbids_it_is_said() {
        let plain = Process::default();
        let filtered = Process { filtered: true, ..Process::default() };
        let member = Process { groups: vec![27], ..filtered.clone() };
        let locker = Process { capabilities: 1 << CAP_IPC_LOCK, ..Process::default() };
        let new = (6, 18);
        let cases = [
            (Errno::PERM, Some(2), new, &plain, "EPERM: kernel.io_uring_disabled is 2"),
            (Errno::PERM, Some(1), new, &plain, "EPERM: kernel.io_uring_disabled is 1"),
            (Errno::PERM, Some(2), new, &filtered, "filter may forbid it as well"),
            (Errno::PERM, Some(1), new, &filtered, "filter may forbid it as well"),
            (Errno::PERM, Some(1), new, &member, "EPERM: a seccomp filter forbids it"),
            (Errno::PERM, Some(0), new, &filtered, "EPERM: a seccomp filter forbids it"),
            (Errno::PERM, None, (5, 15), &filtered, "EPERM: a seccomp filter forbids it"),
            (Errno::PERM, Some(0), new, &plain, "EPERM: a security module forbids it"),
            (Errno::NOSYS, None, (4, 19), &filtered, "older than 5.1"),
            (Errno::NOSYS, Some(0), new, &filtered, "ENOSYS: a seccomp filter hides it"),
            (Errno::NOSYS, None, (6, 1), &filtered, "hides it, or the kernel lacks it"),
            (Errno::NOSYS, None, (6, 1), &plain, "built without it"),
            (Errno::NOMEM, Some(0), new, &plain, "locked memory leaves no room (0 KiB)"),
            (Errno::NOMEM, Some(0), new, &locker, "ENOMEM: no memory"),
            (Errno::MFILE, None, new, &plain, "EMFILE: no descriptor"),
        ];
        for (error, disabled, version, me, expected) in cases {
            let found = found(error, disabled, version, me);
            assert!(found.contains(expected), "{found}, not {expected}");
        }
        assert!(!found(Errno::NOSYS, Some(0), new, &filtered).contains("lacks"));
        assert!(!found(Errno::PERM, Some(0), new, &member).contains("disabled"));
    }

    #[test]
    fn a_missing_feature_is_named_with_its_kernel() {
        let refused = || io::Error::from_raw_os_error(Errno::PERM.raw_os_error());
        let me = Process { filtered: true, ..Process::default() };
        let all = described(&[("a", "5.19", Ok(true)), ("b", "6.0", Ok(true))], &me);
        assert_eq!(all.verdict, crate::Verdict::Yes);
        let some = described(&[("a", "5.19", Ok(true)), ("b", "6.0", Ok(false))], &me);
        assert_eq!(some.verdict, crate::Verdict::Limited);
        assert_eq!(some.found, "without b (Linux 6.0)");
        let none = described(&[("a", "5.19", Err(refused()))], &me);
        assert_eq!(none.verdict, crate::Verdict::No);
        assert_eq!(none.found, "without a (EPERM: a seccomp filter forbids it)");
    }
}
