//! How many processes and descriptors this user may have.

use rustix::process::{Resource, geteuid, getrlimit};

use crate::cgroup::Group;
use crate::chapters::*;
use crate::finding::Finding;
use crate::numbers::grouped;
use crate::proc;

/// What the servers with a process or a thread for each connection may take.
const PROCESSES: u64 = 1024;
/// What the preface asks for.
const DESCRIPTORS: u64 = 1024;
/// What 15,000 clients take.
const FOR_CLIENTS: u64 = 16_384;

pub fn processes() -> Finding {
    let group = Group::of("pids").and_then(|group| group.processes());
    let machine: Option<u64> = proc::value("/proc/sys/kernel/pid_max");
    // The limit does not bind root.
    let user = getrlimit(Resource::Nproc).current.filter(|_| !geteuid().is_root());
    described(user, group, machine)
}

fn described(
    user: Option<u64>,
    group: Option<(u64, u64)>,
    machine: Option<u64>,
) -> Finding {
    let mut found = match user {
        Some(limit) => format!("{} for this user", grouped(limit)),
        None => "no limit for this user".into(),
    };
    if let Some((used, most)) = group {
        found += &format!("; the control group has {} of {}", grouped(used), grouped(most));
    }
    if let Some(most) = machine {
        found += &format!("; the machine allows {}", grouped(most));
    }
    let (name, chapters) = ("processes", &[FORKING, PREFORKED, THREADED, PRETHREADED]);
    let left = group.map(|(used, most)| most.saturating_sub(used));
    if [user, left, machine].into_iter().flatten().all(|room| room >= PROCESSES) {
        return Finding::yes(name, chapters, found);
    }
    let remedy = "Raise it: ulimit -u 4096, or docker run --pids-limit 4096. Without, give the \
                  servers fewer workers and a lower --max-connections.";
    Finding::limited(name, chapters, found, remedy)
}

pub fn descriptors() -> Finding {
    let limit = getrlimit(Resource::Nofile);
    let machine = proc::value("/proc/sys/fs/file-max");
    allowed(limit.current, limit.maximum, machine)
}

fn allowed(soft: Option<u64>, hard: Option<u64>, machine: Option<u64>) -> Finding {
    let shown = |limit: Option<u64>| match limit {
        // What the kernel says where there is no limit to speak of.
        Some(limit) if limit < 1 << 40 => grouped(limit),
        _ => "unlimited".into(),
    };
    let found = format!(
        "{} now, {} at most; the machine: {}",
        shown(soft),
        shown(hard),
        shown(machine)
    );
    let name = "descriptors";
    let least =
        |limit: Option<u64>| limit.unwrap_or(u64::MAX).min(machine.unwrap_or(u64::MAX));
    if least(soft) < DESCRIPTORS {
        let chapters =
            &[ITERATIVE, FORKING, PREFORKED, THREADED, PRETHREADED, METHOD, OWN_CHARTS];
        let remedy = "Raise it: ulimit -n 1024, or docker run --ulimit nofile=20000. Without, keep \
                      --max-connections and the number of clients below it.";
        return Finding::limited(name, chapters, found, remedy);
    }
    if least(hard) < FOR_CLIENTS {
        let remedy = "An administrator raises the hard limit (limits.conf, docker run --ulimit \
                      nofile=20000). Without, leave out the rows with 15,000 clients.";
        return Finding::limited(name, &[METHOD, OWN_CHARTS], found, remedy);
    }
    Finding::yes(name, &[METHOD, OWN_CHARTS], found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    #[test]
    fn the_narrowest_limit_decides_on_processes() {
        let verdict = |user, group, machine| described(user, group, machine).verdict;
        assert_eq!(verdict(None, None, Some(32_768)), Verdict::Yes);
        assert_eq!(verdict(Some(512), None, Some(32_768)), Verdict::Limited);
        assert_eq!(verdict(None, Some((10, 1000)), None), Verdict::Limited);
        assert_eq!(verdict(None, Some((10, 4096)), Some(300)), Verdict::Limited);
    }

    #[test]
    fn descriptors_are_enough_for_the_servers_and_for_the_clients() {
        let all = Some(u64::MAX >> 1);
        assert_eq!(allowed(Some(1024), Some(20_000), all).verdict, Verdict::Yes);
        assert_eq!(allowed(None, None, all).verdict, Verdict::Yes);
        let few_clients = allowed(Some(1024), Some(4096), all);
        assert_eq!(few_clients.verdict, Verdict::Limited);
        assert!(!few_clients.chapters.contains(&FORKING));
        assert!(allowed(Some(64), Some(20_000), all).chapters.contains(&FORKING));
        assert!(allowed(Some(1024), Some(20_000), Some(100)).chapters.contains(&FORKING));
    }
}
