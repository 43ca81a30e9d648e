//! Which processor everybody runs on.

use std::fs;
use std::io;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};

/// The processors of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cores {
    /// The server's, and nobody else's where there are two.
    pub server: usize,
    /// The generator's.
    pub generator: usize,
    /// The store's and the harness's own. Where there are two processors this is the
    /// generator's: what is taken from the generator shows in how busy it is, and what is
    /// taken from the server would show in nothing.
    pub others: usize,
    /// The server and the generator are two threads of one core, and take from each other.
    pub siblings: bool,
}

impl Cores {
    /// Chooses among those that this process may use; none where there is no choice.
    #[must_use]
    pub fn choose() -> Option<Self> {
        let allowed = sched_getaffinity(None).ok()?;
        let all: Vec<usize> =
            (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
        Self::among(&all, &siblings)
    }

    /// `siblings` says which processors share a core with this one.
    fn among(all: &[usize], siblings: &dyn Fn(usize) -> Vec<usize>) -> Option<Self> {
        let server = *all.first()?;
        let near = siblings(server);
        let (near, far): (Vec<usize>, Vec<usize>) =
            all[1..].iter().partition(|cpu| near.contains(cpu));
        let generator = far.first().or(near.first()).copied()?;
        // Not beside the server, where there is another place.
        let others = far.get(1).copied().unwrap_or(generator);
        Some(Self { server, generator, others, siblings: far.is_empty() })
    }

    /// All on the first processor, for whoever insists.
    #[must_use]
    pub fn one() -> Self {
        let allowed = sched_getaffinity(None).ok();
        let first = |set: CpuSet| (0..CpuSet::MAX_CPU).find(|cpu| set.is_set(*cpu));
        let only = allowed.and_then(first).unwrap_or(0);
        Self { server: only, generator: only, others: only, siblings: true }
    }

    /// In a sentence.
    #[must_use]
    pub fn said(&self) -> String {
        let Self { server, generator, others, siblings } = *self;
        if server == generator {
            return format!(
                "everything runs on processor {server}: server and generator take it from each other"
            );
        }
        let place = match others == generator {
            true => format!("the generator, the store and the harness on {generator}"),
            false => format!(
                "the generator on {generator}, the store and the harness on {others}"
            ),
        };
        let near = if siblings { "; the two are threads of one core" } else { "" };
        format!("the server runs on processor {server}, {place}{near}")
    }
}

/// The processors that are threads of the same core, itself among them.
fn siblings(cpu: usize) -> Vec<usize> {
    let file = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    parsed(&fs::read_to_string(file).unwrap_or_default())
}

/// A list as the kernel writes it: `0-1,8`.
fn parsed(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<usize>().ok()?..=last.parse().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

/// This thread, and whatever it starts from now on.
///
/// # Errors
/// What sched_setaffinity(2) answers.
pub fn pin_this_thread(cpu: usize) -> io::Result<()> {
    pin(None, cpu)
}

/// All threads of a process that is there already.
///
/// # Errors
/// What sched_setaffinity(2) answers.
pub fn pin_process(pid: u32, cpu: usize) -> io::Result<()> {
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let name = thread?.file_name();
        let id = name.to_str().and_then(|name| name.parse().ok());
        pin(id.and_then(Pid::from_raw), cpu)?;
    }
    Ok(())
}

fn pin(thread: Option<Pid>, cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(thread, &set)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_and_generator_never_share_a_core_that_they_need_not_share() {
        let pairs = |cpu: usize| vec![cpu / 2 * 2, cpu / 2 * 2 + 1];
        let alone = |cpu: usize| vec![cpu];
        let chosen = |all: &[usize], siblings: &dyn Fn(usize) -> Vec<usize>| {
            Cores::among(all, siblings)
                .map(|c| (c.server, c.generator, c.others, c.siblings))
        };
        assert_eq!(chosen(&[0, 1], &alone), Some((0, 1, 1, false)));
        assert_eq!(chosen(&[0, 1], &pairs), Some((0, 1, 1, true)));
        assert_eq!(chosen(&[0, 1, 2, 3], &pairs), Some((0, 2, 3, false)));
        assert_eq!(chosen(&[4, 5, 6, 7], &alone), Some((4, 5, 6, false)));
        assert_eq!(chosen(&[3], &alone), None);
        assert_eq!(chosen(&[], &alone), None);
    }

    #[test]
    fn a_list_of_processors_has_ranges() {
        assert_eq!(parsed("0-2,8\n"), [0, 1, 2, 8]);
        assert_eq!(parsed("3\n"), [3]);
        assert_eq!(parsed(""), [0; 0]);
    }
}
