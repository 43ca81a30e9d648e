//! What this machine says about itself, in files and through git.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::{Resource, getrlimit};
use time::OffsetDateTime;

/// Settings of the kernel that change what is measured.
const SETTINGS: [&str; 16] = [
    "fs.file-max",
    "kernel.io_uring_disabled",
    "kernel.pid_max",
    "kernel.threads-max",
    "net.core.somaxconn",
    "net.core.netdev_max_backlog",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_abort_on_overflow",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_wmem",
    "vm.max_map_count",
    "vm.overcommit_memory",
];

/// A file as text, trimmed; empty where there is none.
pub fn read(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default().trim().to_owned()
}

/// What follows a name at the beginning of a line.
pub fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// The name that the processor has on x86, or what arm64 has instead.
pub fn processor(cpuinfo: &str) -> String {
    let of =
        |name| field(cpuinfo, name).map(|text| text.trim_start_matches([':', '\t', ' ']));
    of("model name").map_or_else(
        || {
            format!(
                "implementer {}, part {}",
                of("CPU implementer").unwrap_or("?"),
                of("CPU part").unwrap_or("?")
            )
        },
        str::to_owned,
    )
}

/// A time as ISO 8601 writes it, to the second.
pub fn date(now: OffsetDateTime) -> String {
    let (date, time) = (now.date(), now.time());
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    let (hour, minute, second) = time.as_hms();
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The commit of the checkout that we run in; with `+` where files differ from it.
pub fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    let Some(head) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".into();
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    if changed.is_some_and(|files| !files.is_empty()) { head + "+" } else { head }
}

/// What was done about each weakness of the processor.
pub fn mitigations() -> BTreeMap<String, String> {
    let folder = "/sys/devices/system/cpu/vulnerabilities";
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.map(|name| (name.clone(), read(&format!("{folder}/{name}")))).collect()
}

/// Limits on descriptors and processes.
pub fn limits() -> BTreeMap<String, Option<u64>> {
    let of = |name: &str, resource| {
        let limit = getrlimit(resource);
        [(format!("{name} soft"), limit.current), (format!("{name} hard"), limit.maximum)]
    };
    of("nofile", Resource::Nofile).into_iter().chain(of("nproc", Resource::Nproc)).collect()
}

/// Settings of the kernel.
pub fn settings() -> BTreeMap<String, String> {
    let of = |name: &str| read(&format!("/proc/sys/{}", name.replace('.', "/")));
    let all = SETTINGS.map(|name| (name.to_owned(), of(name).replace('\t', " ")));
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// The file system that a folder is on: that of the longest mount point above it. Source:
/// proc_pid_mountinfo(5).
pub fn file_system(mounts: &str, folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.into());
    let above = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let point = before.split(' ').nth(4)?.to_owned();
        let kind = after.split(' ').next()?.to_owned();
        folder.starts_with(&point).then_some((point.len(), kind))
    };
    // Of two on the same point the later one is seen.
    mounts
        .lines()
        .filter_map(above)
        .max_by_key(|(long, _)| *long)
        .map_or_else(|| "unknown".into(), |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_point_above_counts() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / /nowhere rw shared:1 - tmpfs t rw\n\
                      3 1 0:6 / /nowhere/else rw - overlay o rw\n4 1 0:6 / /nowhere/else rw - xfs o rw\n";
        assert_eq!(file_system(mounts, Path::new("/nowhere/x")), "tmpfs");
        assert_eq!(file_system(mounts, Path::new("/nowhere/else/x")), "xfs");
        assert_eq!(file_system(mounts, Path::new("/nowhereabouts")), "ext4");
        assert_eq!(file_system("", Path::new("/x")), "unknown");
    }

    #[test]
    fn a_processor_has_a_name_or_a_part() {
        assert_eq!(
            processor("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n"),
            "Some CPU @ 2 GHz"
        );
        let arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n";
        assert_eq!(processor(arm), "implementer 0x41, part 0xd0c");
        assert_eq!(date(OffsetDateTime::UNIX_EPOCH), "1970-01-01T00:00:00Z");
    }
}
