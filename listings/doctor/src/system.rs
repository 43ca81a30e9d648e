//! The kernel, its processors, its memory.

use std::fs;

use rustix::system::uname;
use rustix::thread::sched_getaffinity;

use crate::cgroup::Group;
use crate::chapters::*;
use crate::finding::Finding;
use crate::numbers::bytes;
use crate::proc;

/// The oldest kernel that is still maintained.
const MAINTAINED: (u32, u32) = (5, 10);

/// Below this the largest process of the chapter on fork does not fit.
const ENOUGH: u64 = 2 << 30;

/// The running kernel's version, as far as its release names one.
pub fn version() -> (u32, u32) {
    parsed(&uname().release().to_string_lossy())
}

fn parsed(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().and_then(|number| number.parse().ok()).unwrap_or(0);
    (next(), next())
}

pub fn kernel() -> Finding {
    let name = uname();
    let (release, machine) =
        (name.release().to_string_lossy(), name.machine().to_string_lossy());
    let found =
        format!("Linux {release} on {machine}; this program has {}-bit words", usize::BITS);
    if parsed(&release) >= MAINTAINED {
        return Finding::yes("kernel", &[PREFACE], found);
    }
    let (major, minor) = MAINTAINED;
    let remedy = format!(
        "The book was tried on Linux {major}.{minor} and later. Install a newer kernel; until \
         then each listing says what it misses."
    );
    Finding::limited("kernel", &[PREFACE], found, remedy)
}

pub fn processors() -> Finding {
    let name = "processors";
    let chapters = &[PREFORKED, PRETHREADED, CHART, URING_COSTS, METHOD, OWN_CHARTS];
    let usable = match sched_getaffinity(None) {
        Ok(set) => set.count(),
        Err(error) => {
            let found = format!("sched_getaffinity(2): {error}");
            return Finding::limited(name, chapters, found, "Allow the call.");
        }
    };
    let mut found = format!("{usable} usable");
    let mut room = f64::from(usable);
    if let Some(quota) = Group::of("cpu").and_then(|group| group.processors()) {
        found += &format!("; the control group allows the time of {quota:.1}");
        room = room.min(quota);
    }
    if room >= 2.0 {
        return Finding::yes(name, chapters, found);
    }
    let remedy = "Allow two (taskset, docker run --cpus 2). Everything runs on one as well, but \
                  the server and its clients then share it, and the figures show that.";
    Finding::limited(name, chapters, found, remedy)
}

pub fn memory() -> Finding {
    let name = "memory";
    let chapters = &[COSTS, OWN_CHARTS];
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = |field: &str| {
        let number = proc::field(&text, field)?.strip_suffix(" kB")?;
        Some(number.parse::<u64>().ok()? << 10)
    };
    let Some(total) = kib("MemTotal") else {
        let remedy = "Mount it (mount -t proc proc /proc): listings read it too.";
        return Finding::limited(name, chapters, "no /proc/meminfo to read", remedy);
    };
    let mut found = bytes(total);
    if let Some(available) = kib("MemAvailable") {
        found += &format!(", {} of it available", bytes(available));
    }
    let limit = Group::of("memory").and_then(|group| {
        let file = if group.v2 { "memory.max" } else { "memory.limit_in_bytes" };
        // No limit is a very large one in version 1.
        group.each::<u64>(file).into_iter().filter(|limit| *limit < total).min()
    });
    if let Some(limit) = limit {
        found += &format!("; the control group allows {}", bytes(limit));
    }
    if limit.unwrap_or(total) >= ENOUGH {
        return Finding::yes(name, chapters, found);
    }
    let remedy = "Give it 2 GiB (docker run --memory 2g). Without, leave out the largest sizes: \
                  processes of 1 GiB, and 15,000 clients.";
    Finding::limited(name, chapters, found, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_begins_with_its_version() {
        assert_eq!(parsed("6.18.44-fc-v657"), (6, 18));
        assert_eq!(parsed("5.10"), (5, 10));
        assert_eq!(parsed("7.0-rc1"), (7, 0));
        assert_eq!(parsed("custom"), (0, 0));
    }
}
