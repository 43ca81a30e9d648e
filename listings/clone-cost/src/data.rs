//! Interleaved rounds of samples, the environment they were taken in, and tables of them.

use std::fmt::{self, Display};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::counts;
use crate::create::{Created, Took};
use crate::idle::{Stays, Who};
use crate::memory::Kind;
use crate::sample::take;
use crate::switch::{Between, Turn};

/// What was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Data {
    /// On which machine.
    pub environment: Environment,
    /// How often each cell was measured.
    pub rounds: usize,
    /// A process and a thread, made.
    pub creation: Vec<Cell<Beside, Created>>,
    /// Turns, taken.
    pub turns: Vec<Cell<Takers, Turn>>,
    /// What stays of those who wait.
    pub idle: Vec<Cell<Waiting, Stays>>,
    /// What was not measured, and why.
    pub left_out: Vec<String>,
}

/// One thing, measured in each round.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cell<What, Sample> {
    /// What it is.
    pub what: What,
    /// One for each round.
    pub samples: Vec<Sample>,
}

/// Beside which memory something was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// Of which kind it is.
    pub memory: Kind,
    /// How much it is.
    pub mib: usize,
}

/// Who takes turns, on how many processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takers {
    /// Who.
    pub between: Between,
    /// How many processors.
    pub cores: usize,
}

/// Who waits, and how many they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Who.
    pub who: Who,
    /// How many.
    pub number: usize,
}

/// The machine.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Environment {
    /// The kernel's release.
    pub kernel: String,
    /// The processor's name, and how many there are.
    pub processor: String,
    /// How many of them this program may use.
    pub processors: usize,
    /// KiB of an ordinary page.
    pub page_kib: usize,
    /// MiB of memory that were available.
    pub available_mib: u64,
    /// When the kernel uses huge pages.
    pub huge_pages: String,
    /// What the kernel does about Spectre, version 2: a part of each switch between processes.
    pub spectre_v2: String,
    /// The load before and after: how many processes wanted a processor, over a minute. A
    /// quiet machine has 0 before.
    pub load: [String; 2],
    /// How it was scheduled: SCHED_OTHER is the ordinary way. With SCHED_FIFO (chrt -f 1) a
    /// busy machine disturbs little.
    pub policy: String,
    /// Whether this program was built with optimization.
    pub optimized: bool,
}

impl Environment {
    fn now() -> io::Result<Self> {
        let line = |file: &str| {
            fs::read_to_string(file).map_or("unknown".into(), |text| text.trim().to_owned())
        };
        let cpuinfo = line("/proc/cpuinfo");
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
        Ok(Self {
            kernel: line("/proc/sys/kernel/osrelease"),
            processor: model
                .map_or("unknown", |name| name.trim_matches([' ', '\t', ':']))
                .into(),
            processors: counts::processors()?.len(),
            page_kib: rustix::param::page_size() / 1024,
            available_mib: counts::of_machine("MemAvailable:")? / 1024,
            huge_pages: line("/sys/kernel/mm/transparent_hugepage/enabled"),
            spectre_v2: line("/sys/devices/system/cpu/vulnerabilities/spectre_v2"),
            load: [load(), String::new()],
            policy: policy(&line("/proc/self/stat")).into(),
            optimized: !cfg!(debug_assertions),
        })
    }
}

/// The scheduling policy, which is field 41 of `/proc/PID/stat`; the second field, a name in
/// parentheses, may have spaces.
fn policy(stat: &str) -> &'static str {
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    match fields.split_whitespace().nth(41 - 3) {
        Some("0") => "SCHED_OTHER",
        Some("1") => "SCHED_FIFO",
        _ => "another",
    }
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// What is to be measured.
#[derive(Debug, Default)]
pub struct Plan {
    /// How often.
    pub rounds: usize,
    /// Made beside this.
    pub creation: Vec<Beside>,
    /// Taking turns.
    pub turns: Vec<Takers>,
    /// Waiting.
    pub idle: Vec<Waiting>,
}

impl Data {
    /// Measures: in each round everything once, in the order of the plan. What this machine
    /// refuses is left out, and said.
    ///
    /// # Errors
    /// A sample that fails for another reason.
    pub fn measure(plan: Plan) -> io::Result<Self> {
        let mut data = Self {
            environment: Environment::now()?,
            rounds: plan.rounds,
            creation: plan.creation.into_iter().map(Cell::new).collect(),
            turns: plan.turns.into_iter().map(Cell::new).collect(),
            idle: plan.idle.into_iter().map(Cell::new).collect(),
            left_out: Vec::new(),
        };
        // Twice as much as the largest, for the rest of the machine.
        let room = data.environment.available_mib / 2;
        data.creation.retain(|cell| {
            let fits = cell.what.mib as u64 <= room;
            if !fits {
                let mib = cell.what.mib;
                data.left_out
                    .push(format!("{mib} MiB: half of what is available is {room}"));
            }
            fits
        });
        for _ in 0..plan.rounds {
            sample_each(
                &mut data.creation,
                &mut data.left_out,
                |Beside { memory, mib }| words("create", memory, *mib),
            )?;
            sample_each(
                &mut data.turns,
                &mut data.left_out,
                |Takers { between, cores }| words("switch", between, *cores),
            )?;
            sample_each(&mut data.idle, &mut data.left_out, |Waiting { who, number }| {
                words("idle", who, *number)
            })?;
        }
        data.environment.load[1] = load();
        Ok(data)
    }

    /// Reads a file of them.
    pub fn read(file: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(file)?;
        Ok(serde_json::from_str(&text)?)
    }
}

impl<W, S> Cell<W, S> {
    fn new(what: W) -> Self {
        Self { what, samples: Vec::new() }
    }

    /// The median of something, and how far it went.
    pub fn spread(&self, of: impl Fn(&S) -> f64) -> Spread {
        let values: Vec<f64> = self.samples.iter().map(of).collect();
        Spread {
            median: median(&values),
            low: values.iter().copied().fold(f64::INFINITY, f64::min),
            high: values.iter().copied().fold(0.0, f64::max),
        }
    }
}

fn words<T: Serialize>(sample: &str, what: &T, number: usize) -> io::Result<Vec<String>> {
    // The names on the command line are those in the data.
    let name = serde_json::to_value(what)?;
    Ok(vec![sample.into(), name.as_str().unwrap_or_default().into(), number.to_string()])
}

/// One more sample for each cell. A cell that is refused goes.
fn sample_each<W, S: DeserializeOwned>(
    cells: &mut Vec<Cell<W, S>>,
    left_out: &mut Vec<String>,
    words: impl Fn(&W) -> io::Result<Vec<String>>,
) -> io::Result<()> {
    let mut kept = Vec::new();
    for mut cell in cells.drain(..) {
        match take(&words(&cell.what)?) {
            Ok(sample) => {
                cell.samples.push(sample);
                kept.push(cell);
            }
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                left_out.push(error.to_string());
            }
            Err(error) => return Err(error),
        }
    }
    *cells = kept;
    Ok(())
}

/// The one in the middle; of an even number, between the two.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => sorted[n / 2 - 1].midpoint(sorted[n / 2]),
    }
}

/// A median, and the lowest and the highest value. Shown with two digits: more would say more
/// than was measured.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

impl Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!(
            "{} ({}-{})",
            two_digits(self.median),
            two_digits(self.low),
            two_digits(self.high)
        );
        f.pad(&text)
    }
}

/// A number with its first two digits, and zeros for the others.
pub fn two_digits(number: f64) -> String {
    if number <= 0.0 || !number.is_finite() {
        return "0".into();
    }
    let power = number.log10().floor() as i32 - 1;
    let unit = 10f64.powi(power);
    let rounded = (number / unit).round() * unit;
    let decimals = if power < 0 { -power as usize } else { 0 };
    format!("{rounded:.decimals$}")
}

/// The table of what was made.
pub struct Creation<'a>(pub &'a Data);
/// The table of turns.
pub struct Turns<'a>(pub &'a Data);
/// The table of those who wait.
pub struct Idle<'a>(pub &'a Data);

impl Display for Creation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        type Part = fn(&Took) -> f64;
        let parts: [(&str, Part); 2] =
            [("the call, µs", |took| took.call), ("with its end, µs", |took| took.whole)];
        for (n, (title, part)) in parts.into_iter().enumerate() {
            let line = if n > 0 { "\n\n" } else { "" };
            write!(f, "{line}{title:<17}{:>22}{:>18}", "fork", "thread")?;
            write!(f, "{:>20}{:>15}", "spawn \"true\"", "fork / thread")?;
            for cell in &self.0.creation {
                let Beside { memory, mib } = cell.what;
                let fork = cell.spread(|sample| part(&sample.fork));
                let thread = cell.spread(|sample| part(&sample.thread));
                let spawn = cell.spread(|sample| part(&sample.spawn));
                let ratio = two_digits(fork.median / thread.median);
                write!(f, "\n{memory:<8}{mib:>5} MiB{fork:>22}{thread:>18}")?;
                write!(f, "{spawn:>20}{ratio:>15}")?;
            }
        }
        Ok(())
    }
}

impl Display for Turns<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<32}{:<11}{:>22}{:>10}",
            "there and back", "processors", "ns", "switches"
        )?;
        for cell in &self.0.turns {
            let Takers { between, cores } = cell.what;
            let ns = cell.spread(|turn| turn.ns);
            let switches = cell.spread(|turn| turn.voluntary + turn.involuntary).median;
            write!(f, "\n{between:<32}{cores:<11}{ns:>22}{switches:>10.0}")?;
        }
        Ok(())
    }
}

impl Display for Idle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<22}", "KiB for each")?;
        for cell in &self.0.idle {
            write!(f, "{:>18}", cell.what.who)?;
        }
        type Part = fn(&Stays) -> f64;
        let parts: [(&str, Part); 4] = [
            ("its memory", |stays| stays.user),
            ("page tables", |stays| stays.page_tables),
            ("kernel stack", |stays| stays.kernel_stack),
            ("together", Stays::sum),
        ];
        for (title, part) in parts {
            write!(f, "\n{title:<22}")?;
            for cell in &self.0.idle {
                write!(f, "{:>18}", cell.spread(part))?;
            }
        }
        Ok(())
    }
}

impl Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tables: Vec<String> = Vec::new();
        if !self.creation.is_empty() {
            tables.push(Creation(self).to_string());
        }
        if !self.turns.is_empty() {
            tables.push(Turns(self).to_string());
        }
        if !self.idle.is_empty() {
            tables.push(Idle(self).to_string());
        }
        tables.extend(self.left_out.iter().map(|line| format!("left out: {line}")));
        f.write_str(&tables.join("\n\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn two_digits_are_kept() {
        for (number, text) in [
            (33_412.0, "33000"),
            (99.6, "100"),
            (17.0, "17"),
            (4.26, "4.3"),
            (0.123, "0.12"),
            (0.0, "0"),
        ] {
            assert_eq!(two_digits(number), text);
        }
    }
}
