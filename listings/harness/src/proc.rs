//! What `/proc` says about the processes of a server. Source: proc(5).
//!
//! A server is started in a process group of its own, and none of ours leaves it: so its
//! processes are found by that number, those too whose parent has ended.

use std::fs;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;

/// What `/proc/PID/stat` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// The process.
    pub pid: u32,
    /// Its group.
    pub group: u32,
    /// Ticks of processor time in user mode, of its ended children that were waited for too.
    pub user: u64,
    /// The same in the kernel.
    pub system: u64,
    /// How many threads it has.
    pub threads: u64,
}

impl Stat {
    /// Reads the line.
    #[must_use]
    pub fn parsed(line: &str) -> Option<Self> {
        let (pid, rest) = line.split_once(" (")?;
        // The name may hold anything, so count from its last parenthesis.
        let (_, rest) = rest.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // The state is field 3 of proc(5), and the first one here.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            pid: pid.trim().parse().ok()?,
            group: u32::try_from(number(5)?).ok()?,
            // utime and cutime, stime and cstime.
            user: number(14)? + number(16)?,
            system: number(15)? + number(17)?,
            threads: number(20)?,
        })
    }
}

/// The processes of a group. Those that have ended and that nobody waited for are among them:
/// their processor time is nobody else's yet.
#[must_use]
pub fn group(group: u32) -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let is_process = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_process(name))
        .filter_map(|pid| {
            Stat::parsed(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
        })
        .filter(|stat| stat.group == group)
        .collect()
}

/// Ticks as time.
#[must_use]
pub fn time(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / clock_ticks_per_second().max(1))
}

/// Whether a process is the embedded store: the server's own program in another role.
#[must_use]
pub fn is_store(pid: u32) -> bool {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    words.split(|byte| *byte == 0).nth(1) == Some(b"embedded-store")
}

/// Memory of a process in KiB, its part of what it shares with others counted.
#[must_use]
pub fn memory(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    field(&text, "Pss:").unwrap_or(0)
}

/// How often the living threads of a process gave up a processor, and how often one was taken
/// from them.
#[must_use]
pub fn switches(pid: u32) -> (u64, u64) {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else { return (0, 0) };
    entries
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("status")).ok())
        .map(|text| {
            let number = |name| field(&text, name).unwrap_or(0);
            (number("voluntary_ctxt_switches:"), number("nonvoluntary_ctxt_switches:"))
        })
        .fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1))
}

/// The number after a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_counted_from_the_end_of_the_name() {
        let line = "4711 (a ) R 1 (b) S 12 4700 4700 0 -1 4194304 100 20 0 0 \
                    7 8 30 40 20 0 5 0 12345 1000000 250\n";
        let stat = Stat { pid: 4711, group: 4700, user: 37, system: 48, threads: 5 };
        assert_eq!(Stat::parsed(line), Some(stat));
        for wrong in ["", "4711", "4711 (a) S", "x (a) S 1 2 3"] {
            assert_eq!(Stat::parsed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn fields_have_names_and_units() {
        let status =
            "Name:\tx\nvoluntary_ctxt_switches:\t42\nnonvoluntary_ctxt_switches:\t7\n";
        assert_eq!(field(status, "voluntary_ctxt_switches:"), Some(42));
        assert_eq!(field(status, "nonvoluntary_ctxt_switches:"), Some(7));
        assert_eq!(field("Rss:  12 kB\nPss:     345 kB\n", "Pss:"), Some(345));
        assert_eq!(field("Pss: kB\n", "Pss:"), None);
    }

    #[test]
    fn this_process_is_in_its_group() {
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        let own = Stat::parsed(&own).unwrap();
        assert_eq!(own.pid, std::process::id());
        assert!(group(own.group).iter().any(|stat| stat.pid == own.pid));
        assert!(memory(own.pid) > 100 && !is_store(own.pid));
        assert_eq!(group(u32::MAX), []);
    }
}
