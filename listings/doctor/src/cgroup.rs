//! Limits that a control group sets: cgroups(7), in both versions.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A controller's group of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Where the hierarchy is mounted.
    mount: PathBuf,
    /// The group's folder.
    folder: PathBuf,
    /// Whether it is of version 2, whose files have other names.
    pub v2: bool,
}

impl Group {
    /// The group of this process for `cpu`, `memory` or `pids`, if one can be seen here.
    pub fn of(controller: &str) -> Option<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        Self::locate(controller, &groups, &mounts)
    }

    fn locate(controller: &str, groups: &str, mounts: &str) -> Option<Self> {
        // hierarchy:controllers:path, version 2 being hierarchy 0 without controllers.
        let path = |wanted: &dyn Fn(&str) -> bool| {
            groups.lines().find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                let (controllers, path) = rest.split_once(':')?;
                wanted(controllers).then_some(path)
            })
        };
        let has = |list: &str| list.split(',').any(|name| name == controller);
        let (path, v2) = match path(&has) {
            Some(path) => (path, false),
            None => (path(&str::is_empty)?, true),
        };
        for line in mounts.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let left: Vec<&str> = left.split(' ').collect();
            let right: Vec<&str> = right.split(' ').collect();
            let ([_, _, _, root, mount, ..], [kind, _, options]) = (&left[..], &right[..])
            else {
                continue;
            };
            let here =
                if v2 { *kind == "cgroup2" } else { *kind == "cgroup" && has(options) };
            if here {
                // In a container the group's folder itself may be what is mounted.
                let inside = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
                let mount = PathBuf::from(mount);
                let folder = mount.join(inside.strip_prefix("/").unwrap_or(inside));
                return Some(Self { mount, folder, v2 });
            }
        }
        None
    }

    /// What `file` says in this group and in those above it, which bind as well. Groups
    /// where it says something else than a `T` (`max`) are left out.
    pub fn each<T: FromStr>(&self, file: &str) -> Vec<T> {
        self.folders().filter_map(|folder| read(&folder.join(file))?.parse().ok()).collect()
    }

    /// How many processors' time the group may use, if that is limited.
    pub fn processors(&self) -> Option<f64> {
        let share = |folder: &Path| {
            let (quota, period) = if self.v2 {
                let text = read(&folder.join("cpu.max"))?;
                let (quota, period) = text.split_once(' ')?;
                (quota.to_owned(), period.to_owned())
            } else {
                (
                    read(&folder.join("cpu.cfs_quota_us"))?,
                    read(&folder.join("cpu.cfs_period_us"))?,
                )
            };
            // No limit is `max` in version 2 and -1 in version 1.
            let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
            (quota > 0.0 && period > 0.0).then_some(quota / period)
        };
        self.folders().filter_map(share).reduce(f64::min)
    }

    /// How many processes and threads there are, and how many there may be, in the group
    /// that has the least room left.
    pub fn processes(&self) -> Option<(u64, u64)> {
        let counts = |folder: &Path| {
            let number = |file| -> Option<u64> { read(&folder.join(file))?.parse().ok() };
            Some((number("pids.current")?, number("pids.max")?))
        };
        self.folders()
            .filter_map(counts)
            .min_by_key(|(used, most)| most.saturating_sub(*used))
    }

    fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folder.ancestors().take_while(|folder| folder.starts_with(&self.mount))
    }
}

fn read(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str =
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";

    fn group(mount: &str, folder: &str, v2: bool) -> Option<Group> {
        Some(Group { mount: mount.into(), folder: folder.into(), v2 })
    }

    #[test]
    fn version_2_has_one_hierarchy() {
        assert_eq!(
            Group::locate("pids", "0::/user.slice/a.scope\n", V2),
            group("/sys/fs/cgroup", "/sys/fs/cgroup/user.slice/a.scope", true)
        );
        // A container with a cgroup namespace sees itself as the root.
        assert_eq!(
            Group::locate("cpu", "0::/\n", V2),
            group("/sys/fs/cgroup", "/sys/fs/cgroup", true)
        );
    }

    #[test]
    fn version_1_has_one_for_each_controller() {
        let mounts = format!(
            "{V2}31 23 0:27 /docker/1 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
             32 23 0:28 / /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
        );
        let groups = "9:memory:/docker/1/x\n8:cpu,cpuacct:/b\n0::/\n";
        assert_eq!(
            Group::locate("memory", groups, &mounts),
            group("/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/x", false)
        );
        assert_eq!(
            Group::locate("cpu", groups, &mounts),
            group("/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct/b", false)
        );
        assert_eq!(Group::locate("memory", groups, ""), None);
    }

    #[test]
    fn the_groups_above_bind_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("pids.max"), "max\n").unwrap();
        fs::write(folder.path().join("a/pids.max"), "100\n").unwrap();
        fs::write(folder.path().join("pids.max"), "1000\n").unwrap();
        for (group, used) in [("a/b", "9"), ("a", "10"), (".", "950")] {
            fs::write(folder.path().join(group).join("pids.current"), used).unwrap();
        }
        fs::write(inner.join("cpu.max"), "max 100000\n").unwrap();
        fs::write(folder.path().join("a/cpu.max"), "150000 100000\n").unwrap();
        let mount = folder.path().to_owned();
        let group = Group { mount, folder: inner, v2: true };
        assert_eq!(group.each::<u64>("pids.max"), [100, 1000]);
        assert_eq!(group.processes(), Some((950, 1000)));
        assert_eq!(group.processors(), Some(1.5));
    }
}
