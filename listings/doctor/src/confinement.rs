//! What stands between this process and the kernel: a container, a seccomp filter, missing
//! privileges; and who it is that refuses a call.

use std::env;
use std::fs;
use std::path::Path;

use rustix::io::Errno;

use crate::finding::Finding;
use crate::proc;

/// Capabilities by their numbers in capabilities(7).
pub const CAP_IPC_LOCK: u32 = 14;
pub const CAP_SYS_PTRACE: u32 = 19;
pub const CAP_SYS_ADMIN: u32 = 21;

/// What `/proc/self/status` says about us.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// Whether it could be read.
    pub known: bool,
    /// Whether a seccomp filter looks at our system calls.
    pub filtered: bool,
    /// How many, where the kernel says so (5.9 and later).
    pub filters: Option<u32>,
    /// The effective capabilities, a bit each.
    pub capabilities: u64,
    /// The effective group and the supplementary ones.
    pub groups: Vec<i64>,
    /// Whether somebody traces us.
    pub traced: bool,
}

impl Process {
    /// This process. Where `/proc` cannot be read: nothing special about it.
    pub fn this() -> Self {
        Self::parsed(&fs::read_to_string("/proc/self/status").unwrap_or_default())
    }

    fn parsed(status: &str) -> Self {
        let field = |name| proc::field(status, name).unwrap_or_default();
        let numbers = |text: &str| -> Vec<i64> {
            text.split_whitespace().filter_map(|number| number.parse().ok()).collect()
        };
        // Real, effective, saved, file system.
        let mut groups: Vec<i64> =
            numbers(field("Gid")).get(1).copied().into_iter().collect();
        groups.extend(numbers(field("Groups")));
        Self {
            known: !status.is_empty(),
            filtered: field("Seccomp") == "2",
            filters: field("Seccomp_filters").parse().ok(),
            capabilities: u64::from_str_radix(field("CapEff"), 16).unwrap_or(0),
            groups,
            traced: field("TracerPid").parse().is_ok_and(|tracer: u32| tracer != 0),
        }
    }

    pub fn may(&self, capability: u32) -> bool {
        self.capabilities >> capability & 1 == 1
    }

    /// Who answers a system call with this error, where it is not the call's own.
    pub fn refuser(&self, errno: Errno) -> &'static str {
        match (errno, self.filtered) {
            (Errno::PERM | Errno::ACCESS, true) => "a seccomp filter forbids it",
            (Errno::PERM | Errno::ACCESS, false) => "a security module forbids it",
            (Errno::NOSYS, true) => "a seccomp filter hides it, or the kernel lacks it",
            (Errno::NOSYS, false) => "the kernel lacks it",
            _ => "the kernel refuses it",
        }
    }
}

/// `EPERM` and the like.
pub fn error_name(errno: Errno) -> String {
    format!("{:?}", nix::errno::Errno::from_raw(errno.raw_os_error()))
}

/// The number of an error that a system call made.
pub fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// Container or not. Nothing follows from it alone: what it forbids is tried elsewhere.
pub fn machine() -> Finding {
    // The first PID and user namespaces have numbers that are part of the kernel's interface
    // (include/linux/proc_ns.h).
    let own = [("pid", "pid:[4026531836]"), ("user", "user:[4026531837]")];
    // None where /proc does not tell.
    let namespaces: Option<Vec<&str>> = own
        .into_iter()
        .map(|(kind, first)| {
            let link = fs::read_link(format!("/proc/self/ns/{kind}")).ok()?;
            Some((link != Path::new(first)).then_some(kind))
        })
        .collect::<Option<Vec<_>>>()
        .map(|kinds| kinds.into_iter().flatten().collect());
    let mut marks: Vec<String> = ["/.dockerenv", "/run/.containerenv"]
        .into_iter()
        .filter(|path| Path::new(path).exists())
        .map(Into::into)
        .collect();
    marks.extend(env::var("container").ok().map(|kind| format!("container={kind}")));
    marks.extend(env::var_os("KUBERNETES_SERVICE_HOST").map(|_| "Kubernetes".into()));
    let found = described(namespaces.as_deref(), &marks);
    match namespaces {
        Some(_) => Finding::yes("machine", &[], found),
        None => Finding::limited("machine", &[], found, NO_PROC),
    }
}

const NO_PROC: &str = "Mount it (mount -t proc proc /proc), and look again.";

fn described(namespaces: Option<&[&str]>, marks: &[String]) -> String {
    let marks = marks.join(", ");
    match (namespaces, marks.is_empty()) {
        (None, true) => "no /proc/self/ns to tell whether this is a container".into(),
        (None, false) => format!("perhaps a container: {marks}"),
        (Some([]), true) => {
            "no container: PID and user namespaces are the machine's own".into()
        }
        (Some([]), false) => {
            format!("no container in spite of {marks}: the namespaces tell")
        }
        (Some(own), true) => format!("a container: own {} namespace", own.join(" and ")),
        (Some(own), false) => {
            format!("a container: {marks}, own {} namespace", own.join(" and "))
        }
    }
}

pub fn system_calls(me: &Process) -> Finding {
    let name = "system calls";
    if !me.known {
        let found = "no /proc/self/status to tell whether they are filtered";
        return Finding::limited(name, &[], found, NO_PROC);
    }
    if !me.filtered {
        return Finding::yes(name, &[], "no seccomp filter before them");
    }
    let found = match me.filters {
        Some(1) | None => "a seccomp filter stands before them".into(),
        Some(filters) => format!("{filters} seccomp filters stand before them"),
    };
    let remedy = "By itself no harm: what the filter refuses shows in the lines below.";
    Finding::limited(name, &[], found, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_file_says_who_we_are() {
        let me = Process::parsed(
            "TracerPid:\t0\nGid:\t1001\t1002\t1001\t1001\nGroups:\t4 27 \n\
             CapEff:\t0000000000200000\nSeccomp:\t2\nSeccomp_filters:\t3\n",
        );
        assert!(me.filtered && !me.traced);
        assert_eq!((me.filters, me.groups.as_slice()), (Some(3), &[1002, 4, 27][..]));
        assert!(me.may(CAP_SYS_ADMIN) && !me.may(CAP_SYS_PTRACE));
    }

    #[test]
    fn a_mark_alone_makes_no_container() {
        let docker = ["/.dockerenv".to_owned()];
        assert!(described(Some(&[]), &docker).starts_with("no container in spite"));
        assert!(described(Some(&[]), &[]).starts_with("no container:"));
        assert!(described(None, &[]).starts_with("no /proc/self/ns"));
        assert!(described(None, &docker).starts_with("perhaps"));
        assert_eq!(
            described(Some(&["pid"]), &docker),
            "a container: /.dockerenv, own pid namespace"
        );
        assert!(
            described(Some(&["pid", "user"]), &[]).contains("own pid and user namespace")
        );
    }
}
