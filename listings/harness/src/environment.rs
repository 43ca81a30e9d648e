//! The machine, as data: what a figure cannot be read without.

use std::collections::BTreeMap;
use std::path::Path;

use rustix::system::uname;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::cores::Cores;
use crate::machine::{
    commit, date, field, file_system, limits, mitigations, processor, read, settings,
};

/// What was measured on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// When it began, in UTC.
    pub date: String,
    /// The harness's version.
    pub harness: String,
    /// The commit of the checkout; with `+` where files differ from it.
    pub commit: String,
    /// The kernel's release and build, and the machine's kind.
    pub kernel: String,
    /// The processor's name.
    pub processor: String,
    /// How many there are, and how many may be used.
    pub processors: (usize, usize),
    /// Who ran where.
    pub cores: Cores,
    /// A hypervisor is below: others may have taken time.
    pub virtual_machine: bool,
    /// How the frequency is chosen, where the kernel says so.
    pub governor: Option<String>,
    /// What was done about each weakness of the processor.
    pub mitigations: BTreeMap<String, String>,
    /// Limits on descriptors and processes; none: there is none.
    pub limits: BTreeMap<String, Option<u64>>,
    /// Settings of the kernel.
    pub settings: BTreeMap<String, String>,
    /// What the served file lies on.
    pub file_system: String,
    /// Memory of the machine, in KiB.
    pub memory_kib: u64,
    /// The load average before: what else was running.
    pub load_before: String,
}

impl Environment {
    /// Looks.
    #[must_use]
    pub fn now(cores: Cores, folder: &Path) -> Self {
        let name = uname();
        let said = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        let parts = [said(name.release()), said(name.version()), said(name.machine())];
        let cpuinfo = read("/proc/cpuinfo");
        let governor = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
        Self {
            date: date(OffsetDateTime::now_utc()),
            harness: env!("CARGO_PKG_VERSION").into(),
            commit: commit(),
            kernel: parts.join(" "),
            processor: processor(&cpuinfo),
            processors: (
                cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
                std::thread::available_parallelism().map_or(1, usize::from),
            ),
            cores,
            virtual_machine: cpuinfo.split_whitespace().any(|flag| flag == "hypervisor"),
            governor: Some(read(governor)).filter(|text| !text.is_empty()),
            mitigations: mitigations(),
            limits: limits(),
            settings: settings(),
            file_system: file_system(&read("/proc/self/mountinfo"), folder),
            memory_kib: field(&read("/proc/meminfo"), "MemTotal:")
                .and_then(|text| text.split(' ').next()?.parse().ok())
                .unwrap_or(0),
            load_before: read("/proc/loadavg"),
        }
    }

    /// What to know before measuring while others work.
    #[must_use]
    pub fn busy(&self) -> Option<String> {
        let load: f64 = self.load_before.split(' ').next()?.parse().ok()?;
        let most = 0.25 * self.processors.1 as f64;
        let line = "something else is running, and takes time from what is measured";
        (load > most).then(|| format!("the load average is {load}: {line}"))
    }

    /// What of it must not change between two cells of one result: name, then, now.
    #[must_use]
    pub fn differs(&self, now: &Self) -> Option<(&'static str, String, String)> {
        let pairs = |of: &Self| {
            [
                ("the kernel", of.kernel.clone()),
                ("the commit", of.commit.clone()),
                ("the processor", format!("{}, {:?}", of.processor, of.processors)),
                ("who runs where", of.cores.said()),
            ]
        };
        let (then, now) = (pairs(self), pairs(now));
        let mut both = then.into_iter().zip(now);
        both.find(|(then, now)| then != now)
            .map(|((name, then), (_, now))| (name, then, now))
    }

    /// Everything that differs but the date, a line each, for whoever compares two results.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let lines = |of: &Self| match serde_json::to_value(of) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let (one, two) = (lines(self), lines(other));
        let differ = |(name, value): (&String, &serde_json::Value)| {
            let there = two.get(name)?;
            let is_meant = name != "date" && name != "load_before" && there != value;
            is_meant.then(|| format!("{name}: {value} and {there}"))
        };
        one.iter().filter_map(differ).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_kernel_is_another_result_and_another_hour_is_not() {
        let then = Environment::now(Cores::one(), Path::new("."));
        let later =
            Environment { date: "later".into(), load_before: "9".into(), ..then.clone() };
        assert_eq!(then.differs(&later), None);
        assert_eq!(then.differences(&later), [""; 0]);
        let other = Environment { kernel: "another".into(), memory_kib: 1, ..then.clone() };
        assert_eq!(
            then.differs(&other).map(|(name, _, now)| (name, now)),
            Some(("the kernel", "another".into()))
        );
        assert_eq!(then.differences(&other).len(), 2);
        let quiet = Environment { load_before: "0.10 9 9 1/2 3".into(), ..then.clone() };
        assert_eq!((quiet.busy(), later.busy().is_some()), (None, true));
        let json = serde_json::to_string(&then).unwrap();
        assert_eq!(serde_json::from_str::<Environment>(&json).unwrap(), then);
    }
}
