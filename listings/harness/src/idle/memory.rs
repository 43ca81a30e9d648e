//! Memory: of a server's processes, and of the kernel.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::proc;

/// What the processes of a server have in memory, in bytes. Source: `smaps_rollup` in
/// proc_pid_smaps(5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Resident, what several share being divided among them (`Pss`).
    pub pss: u64,
    /// Resident, and nobody else's (`Private_Clean` and `Private_Dirty`).
    pub private: u64,
}

impl User {
    /// Of all processes of a group.
    #[must_use]
    pub fn of(group: u32) -> Self {
        let of = |pid| fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
        let processes = proc::group(group);
        // One that has ended meanwhile has no memory any more.
        let texts = processes.iter().filter_map(|process| of(process.pid).ok());
        texts.map(|text| Self::parsed(&text)).fold(Self::default(), |sum, one| Self {
            pss: sum.pss + one.pss,
            private: sum.private + one.private,
        })
    }

    fn parsed(text: &str) -> Self {
        let bytes = |name| kib(text, name).unwrap_or(0);
        Self {
            pss: bytes("Pss:"),
            private: bytes("Private_Clean:") + bytes("Private_Dirty:"),
        }
    }
}

/// What the kernel has for itself on the whole machine, in bytes. Source: proc_meminfo(5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// Its own objects (`Slab`): sockets, their inodes, open files, descriptor tables, what
    /// epoll and io_uring keep for a descriptor.
    pub slab: u64,
    /// The part of them that it cannot give back when asked (`SUnreclaim`). The inode of a
    /// socket is counted as if it could, and is there as long as the socket.
    pub unreclaimable: u64,
    /// A stack for each thread (`KernelStack`).
    pub stacks: u64,
    /// What maps addresses to memory (`PageTables`).
    pub page_tables: u64,
    /// Buffers of TCP (`mem` in /proc/net/sockstat). A connection that is idle has none.
    pub tcp: u64,
}

impl Kernel {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        let read = |file| fs::read_to_string(file).unwrap_or_default();
        let page = rustix::param::page_size() as u64;
        Self::parsed(&read("/proc/meminfo"), &read("/proc/net/sockstat"), page)
    }

    fn parsed(meminfo: &str, sockstat: &str, page: u64) -> Self {
        let bytes = |name| kib(meminfo, name).unwrap_or(0);
        Self {
            slab: bytes("Slab:"),
            unreclaimable: bytes("SUnreclaim:"),
            stacks: bytes("KernelStack:"),
            page_tables: bytes("PageTables:"),
            tcp: tcp_pages(sockstat).unwrap_or(0) * page,
        }
    }

    /// All of it. `SUnreclaim` is a part of `Slab`; a buffer of TCP may be in `Slab` as well,
    /// and be counted twice.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.slab + self.stacks + self.page_tables + self.tcp
    }
}

/// `TCP: inuse 5 orphan 0 tw 1 alloc 8 mem 2`: in pages.
fn tcp_pages(sockstat: &str) -> Option<u64> {
    let mut words = sockstat.lines().find_map(|line| line.strip_prefix("TCP:"))?.split(' ');
    words.find(|word| *word == "mem")?;
    words.next()?.trim().parse().ok()
}

/// `Name:   12 kB`, in bytes.
fn kib(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = rest.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_its_part_of_what_is_shared() {
        let text = "5581 7ffd ---p 00000000 00:00 0    [rollup]\nRss:    4000 kB\n\
                    Pss:    1500 kB\nPss_Dirty:  900 kB\nShared_Clean:  1800 kB\n\
                    Private_Clean:   100 kB\nPrivate_Dirty:  700 kB\nReferenced: 1 kB\n";
        assert_eq!(User::parsed(text), User { pss: 1500 << 10, private: 800 << 10 });
        assert_eq!(User::parsed(""), User::default());
        let own = User::of(proc_group());
        assert!(own.pss > 100_000 && own.private > 10_000, "{own:?}");
    }

    fn proc_group() -> u32 {
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        proc::Stat::parsed(&stat).unwrap().group
    }

    #[test]
    fn the_kernels_own_is_added_up_once() {
        let meminfo = "MemTotal: 9 kB\nSlab:   50 kB\nSReclaimable: 20 kB\nSUnreclaim: 30 kB\n\
                       KernelStack:  7 kB\nPageTables:  5 kB\nSecPageTables: 99 kB\n";
        let sockstat = "sockets: used 40\nTCP: inuse 5 orphan 0 tw 1 alloc 8 mem 2\n\
                        UDP: inuse 1 mem 77\n";
        let kernel = Kernel::parsed(meminfo, sockstat, 4096);
        let expected = Kernel {
            slab: 50 << 10,
            unreclaimable: 30 << 10,
            stacks: 7 << 10,
            page_tables: 5 << 10,
            tcp: 8192,
        };
        assert_eq!(kernel, expected);
        assert_eq!(kernel.total(), (62 << 10) + 8192);
        assert_eq!(Kernel::parsed("", "", 4096), Kernel::default());
        assert!(Kernel::now().total() > 1 << 20);
    }

    #[test]
    fn a_line_without_its_unit_is_no_memory() {
        assert_eq!(kib("Slab: 12 kB\n", "Slab:"), Some(12 << 10));
        assert_eq!(kib("Slab: 12\n", "Slab:"), None);
        assert_eq!(kib("Slab: kB\n", "Slab:"), None);
        assert_eq!(tcp_pages("TCP: inuse 5\nUDP: inuse 0 mem 3\n"), None);
    }
}
