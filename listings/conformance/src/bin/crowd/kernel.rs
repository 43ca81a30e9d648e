//! What `/proc` says about the server, and about TCP.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of descriptors to the hard one, and returns what it is then.
pub fn allow_descriptors() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where this fails the limit says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The processes that hold a socket which listens on this port: those whose memory the
/// clients cost. Only ours can be seen, unless we are root.
pub fn who_listens(port: u16) -> Vec<u32> {
    let listening = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = fields.get(1)?.rsplit_once(':')?.1;
        // 0A is TCP_LISTEN; the tenth field is the socket's inode (proc_pid_net(5)).
        let is_it =
            u16::from_str_radix(local, 16) == Ok(port) && fields.get(3) == Some(&"0A");
        is_it.then(|| format!("socket:[{}]", fields.get(9).unwrap_or(&"")))
    };
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|text| text.lines().skip(1).filter_map(listening).collect::<Vec<_>>())
        .collect();
    let holds = |pid: u32| {
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        let mut targets =
            entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        targets.any(|target| {
            sockets.iter().any(|socket| target.as_os_str() == socket.as_str())
        })
    };
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| holds(*pid)).collect()
}

/// Resident memory of these processes, in bytes: `VmRSS` in proc_pid_status(5). None where
/// there is no process to be seen.
pub fn resident(processes: &[u32]) -> Option<u64> {
    let of = |pid: &u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    };
    let each: Vec<u64> = processes.iter().filter_map(of).collect();
    (!each.is_empty()).then(|| each.iter().sum())
}

/// Counters of this machine's TCP, in `/proc/net/netstat` and `/proc/net/snmp`. They count
/// for everybody on it.
pub struct Tcp(BTreeMap<&'static str, u64>);

/// A counter, and what it counts.
const COUNTERS: [(&str, &str); 5] = [
    ("ListenOverflows", "connections that found the accept queue full"),
    ("ListenDrops", "handshakes dropped at a listener"),
    ("TCPSynRetrans", "SYN sent again"),
    ("TCPTimeouts", "TCP timeouts"),
    ("RetransSegs", "segments sent again"),
];

/// Reads them.
pub fn tcp() -> Tcp {
    let mut counters = BTreeMap::new();
    for file in ["/proc/net/netstat", "/proc/net/snmp"] {
        let text = fs::read_to_string(file).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        // A line of names, and a line of numbers below it.
        for pair in lines.chunks(2) {
            let [names, numbers] = pair else { continue };
            for (name, number) in names.split(' ').zip(numbers.split(' ')) {
                if let Some((known, _)) = COUNTERS.iter().find(|(known, _)| *known == name)
                {
                    counters.insert(*known, number.parse().unwrap_or(0));
                }
            }
        }
    }
    Tcp(counters)
}

impl Tcp {
    /// By how much each has grown, in words.
    pub fn since(&self, before: &Self) -> Vec<(&'static str, u64)> {
        let grown = |name| {
            let count = |tcp: &Self| tcp.0.get(name).copied().unwrap_or(0);
            count(self).saturating_sub(count(before))
        };
        COUNTERS.iter().map(|(name, words)| (*words, grown(*name))).collect()
    }
}
