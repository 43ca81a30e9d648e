//! What was measured, and where.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use rustix::process::{Resource, getrlimit};
use rustix::system::uname;
use serde::{Deserialize, Serialize};

/// Of what the idle descriptors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Connected TCP sockets: what a server has.
    Tcp,
    /// The cheapest descriptor that can become ready: a counter.
    Eventfd,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Tcp, Self::Eventfd];
}

/// Which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// select(2) as the C library offers it.
    Select,
    /// select(2) as the kernel offers it, with a longer set.
    RawSelect,
    Poll,
    Epoll,
}

/// One measured number, in microseconds: the median of the rounds, and between which ends
/// they lay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub median: f64,
    pub lowest: f64,
    pub highest: f64,
}

impl Spread {
    pub fn of(mut rounds: Vec<f64>) -> Self {
        rounds.sort_by(f64::total_cmp);
        let rounded = |us: f64| (us * 1000.0).round() / 1000.0;
        Self {
            median: rounded(rounds[rounds.len() / 2]),
            lowest: rounded(rounds[0]),
            highest: rounded(rounds[rounds.len() - 1]),
        }
    }
}

/// What one call took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    pub kind: Kind,
    pub call: Call,
    /// How many descriptors were idle.
    pub idle: usize,
    pub us: Spread,
}

/// The machine, as it was before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    pub kernel: String,
    pub processor: String,
    pub processors: usize,
    pub load_average: String,
    pub descriptor_limit: Option<u64>,
    pub build: String,
    /// What the kernel does against faults of the processor, where there is one.
    pub mitigations: BTreeMap<String, String>,
}

impl Environment {
    pub fn of_this_machine() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
        let load: Vec<String> =
            read("/proc/loadavg").split(' ').take(3).map(str::to_owned).collect();
        let build = if cfg!(debug_assertions) { "debug" } else { "release" };
        Self {
            kernel: uname().release().to_string_lossy().into_owned(),
            processor: model
                .map_or("unknown", |model| model.trim_start_matches([':', '\t', ' ']))
                .to_owned(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            load_average: load.join(" "),
            descriptor_limit: getrlimit(Resource::Nofile).maximum,
            build: build.to_owned(),
            mitigations: mitigations().unwrap_or_default(),
        }
    }
}

fn mitigations() -> io::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/sys/devices/system/cpu/vulnerabilities")? {
        let entry = entry?;
        let says = fs::read_to_string(entry.path())?;
        if says.trim() != "Not affected" {
            found.insert(
                entry.file_name().to_string_lossy().into_owned(),
                says.trim().to_owned(),
            );
        }
    }
    Ok(found)
}

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Data {
    pub environment: Environment,
    pub rounds: usize,
    pub cells: Vec<Cell>,
}

impl Data {
    pub fn read(file: &Path) -> io::Result<Self> {
        let named =
            |error| io::Error::other(format!("cannot read {}: {error}", file.display()));
        let text = fs::read_to_string(file).map_err(|error| named(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| named(error.to_string()))
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("all of it has a form in JSON") + "\n"
    }

    /// The cells of one call, by rising number of idle descriptors.
    pub fn of(&self, kind: Kind, call: Call) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(move |cell| cell.kind == kind && cell.call == call)
    }

    /// One cell.
    pub fn at(&self, kind: Kind, call: Call, idle: usize) -> Option<Spread> {
        self.of(kind, call).find(|cell| cell.idle == idle).map(|cell| cell.us)
    }

    /// What select took, and which: the C library's as far as it goes, then the kernel's.
    pub fn select(&self, kind: Kind, idle: usize) -> Option<(Call, Spread)> {
        [Call::Select, Call::RawSelect]
            .into_iter()
            .find_map(|call| Some((call, self.at(kind, call, idle)?)))
    }

    /// The largest number of idle connections, and how many times as long poll took there as
    /// epoll_wait.
    pub fn ratio(&self) -> Option<(usize, f64)> {
        let poll = self.of(Kind::Tcp, Call::Poll).last()?;
        let epoll = self.at(Kind::Tcp, Call::Epoll, poll.idle)?;
        Some((poll.idle, poll.us.median / epoll.median))
    }
}

/// Writes a file.
pub fn write(file: &Path, text: &str) -> io::Result<()> {
    fs::write(file, text).map_err(|error| {
        io::Error::other(format!("cannot write {}: {error}", file.display()))
    })
}
