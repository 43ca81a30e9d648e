//! What TCP counts on this machine. Source: the kernel's `Documentation/networking/snmp_counter.rst`.

use std::fs;

use crate::record::Network;

/// The counters, and how many connections there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    listen_overflows: u64,
    listen_drops: u64,
    timeouts: u64,
    retransmitted: u64,
    established: u64,
}

impl Counters {
    /// Reads them; none where `/proc/net` has none.
    #[must_use]
    pub fn now() -> Option<Self> {
        let netstat = fs::read_to_string("/proc/net/netstat").ok()?;
        Self::parsed(&netstat, &fs::read_to_string("/proc/net/snmp").ok()?)
    }

    fn parsed(netstat: &str, snmp: &str) -> Option<Self> {
        Some(Self {
            listen_overflows: counter(netstat, "TcpExt:", "ListenOverflows")?,
            listen_drops: counter(netstat, "TcpExt:", "ListenDrops")?,
            timeouts: counter(netstat, "TcpExt:", "TCPTimeouts")?,
            retransmitted: counter(snmp, "Tcp:", "RetransSegs")?,
            established: counter(snmp, "Tcp:", "CurrEstab")?,
        })
    }

    /// What was counted since `before`. `most` is the most connections that were seen.
    #[must_use]
    pub fn since(self, before: Self, most: u64) -> Network {
        Network {
            established: both_ends(before.established, most),
            listen_overflows: self.listen_overflows.saturating_sub(before.listen_overflows),
            listen_drops: self.listen_drops.saturating_sub(before.listen_drops),
            timeouts: self.timeouts.saturating_sub(before.timeouts),
            retransmitted: self.retransmitted.saturating_sub(before.retransmitted),
        }
    }
}

/// On one machine a connection is counted twice, once for each of its ends.
fn both_ends(before: u64, most: u64) -> u64 {
    most.saturating_sub(before) / 2
}

/// How many connections are established now, both ends counted.
#[must_use]
pub fn established() -> u64 {
    let snmp = fs::read_to_string("/proc/net/snmp").unwrap_or_default();
    counter(&snmp, "Tcp:", "CurrEstab").unwrap_or(0)
}

/// A line of names, and below it one of numbers.
fn counter(text: &str, protocol: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(protocol));
    let at = lines.next()?.split_whitespace().position(|word| word == name)?;
    lines.next()?.split_whitespace().nth(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETSTAT: &str = "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPTimeouts\n\
                           TcpExt: 1 20 30 40\nIpExt: InNoRoutes\nIpExt: 5\n";
    const SNMP: &str = "Ip: Forwarding\nIp: 2\nTcp: RtoAlgorithm MaxConn CurrEstab RetransSegs\n\
                        Tcp: 1 -1 12 50\nUdp: InDatagrams\nUdp: 9\n";

    #[test]
    fn counters_stand_below_their_names() {
        let all = Counters::parsed(NETSTAT, SNMP).unwrap();
        let expected = Counters {
            listen_overflows: 20,
            listen_drops: 30,
            timeouts: 40,
            retransmitted: 50,
            established: 12,
        };
        assert_eq!(all, expected);
        assert_eq!(Counters::parsed("", SNMP), None);
        assert_eq!(counter(SNMP, "Udp:", "InDatagrams"), Some(9));
        assert_eq!(counter(SNMP, "Tcp:", "MaxConn"), None, "it is no number of ours");
    }

    #[test]
    fn what_was_before_is_not_ours() {
        let before = Counters::parsed(NETSTAT, SNMP).unwrap();
        let after = Counters { retransmitted: 57, listen_overflows: 19, ..before };
        let network = after.since(before, 12 + 2 * 1000);
        assert_eq!((network.retransmitted, network.listen_overflows), (7, 0));
        assert_eq!((network.established, network.timeouts), (1000, 0));
    }
}
