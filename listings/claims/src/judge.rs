//! Runs each check in a process of its own, with a time limit, several at once.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;
use std::{env, io};

use serde::{Deserialize, Serialize};

use crate::{Cannot, Case, Claim, Outcome, Seen};

/// The word by which this program is told to perform a check: `claims check ID CASE`.
pub(crate) const CHECK: &str = "check";
/// The info string by which a page says that a table follows.
const TABLE: &str = "run=claims/claims";
/// The counter-situation, as a word of that command.
const COUNTER: &str = "counter";

/// Whether a sentence holds on the running kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Says {
    /// It does.
    #[serde(rename = "holds")]
    Holds,
    /// It does not.
    #[serde(rename = "does not hold")]
    DoesNotHold,
    /// This machine does not let us see.
    #[serde(rename = "cannot tell")]
    CannotTell,
}

impl Says {
    /// It in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::DoesNotHold => "does not hold",
            Self::CannotTell => "cannot tell",
        }
    }
}

/// Whether a sentence holds on the running kernel, and why one says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether it holds.
    #[serde(rename = "verdict")]
    pub says: Says,
    /// What was seen, or what is missing.
    pub why: String,
}

impl Verdict {
    fn cannot_tell(why: String) -> Self {
        Self { says: Says::CannotTell, why }
    }
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Ok(Seen { holds: true, what }) => Self { says: Says::Holds, why: what },
            Ok(Seen { holds: false, what }) => Self { says: Says::DoesNotHold, why: what },
            Err(Cannot(why)) => Self::cannot_tell(why),
        }
    }
}

/// One line of the table that `claims` prints.
pub fn line(claim: &Claim, verdict: &Verdict) -> String {
    let width = crate::all().map(|claim| claim.id.len()).max().unwrap_or(0);
    format!("{:<13}  {:<width$}  {}", verdict.says.words(), claim.id, verdict.why)
}

/// Reads the table that `claims` has printed and that stands in a chapter: the release of
/// the kernel, and the verdicts. None if the text has no such table.
pub fn recorded(text: &str) -> Option<(String, BTreeMap<String, Verdict>)> {
    let mut lines = text.lines().skip_while(|line| !line.contains(TABLE)).skip(1);
    let (release, _) = lines.next()?.strip_prefix("Linux ")?.split_once(' ')?;
    let verdicts = lines.map_while(|line| {
        let mut all = [Says::Holds, Says::DoesNotHold, Says::CannotTell].into_iter();
        let says = all.find(|says| line.starts_with(&format!("{}  ", says.words())))?;
        let rest = line[says.words().len()..].trim_start();
        let (id, why) = rest.split_once("  ").unwrap_or((rest, ""));
        Some((id.to_owned(), Verdict { says, why: why.trim_start().to_owned() }))
    });
    Some((release.to_owned(), verdicts.collect()))
}

/// What is wrong with a claim, on a kernel of this version: it does not hold where it should,
/// or holds where it should not, the counter-situation included.
pub fn complaint(
    claim: &Claim,
    version: (u32, u32),
    here: &Verdict,
    counter: &Verdict,
) -> Option<String> {
    let (id, why) = (claim.id, &here.why);
    match (here.says, claim.kernels.include(version), counter.says) {
        (Says::DoesNotHold, true, _) => {
            Some(format!("{id} does not hold: {why}\n  \"{}\"", claim.sentence))
        }
        (Says::Holds, false, _) => {
            Some(format!("{id} holds on a kernel where it is said not to: {why}"))
        }
        (Says::Holds, true, Says::Holds) => {
            let (counter, why) = (claim.counter, &counter.why);
            Some(format!("{id} holds in its counter-situation ({counter}): {why}"))
        }
        (Says::Holds, true, Says::CannotTell) => {
            let (counter, why) = (claim.counter, &counter.why);
            Some(format!("{id} cannot be told in its counter-situation ({counter}): {why}"))
        }
        // Where the sentence's own situation cannot be made, the other need not be.
        _ => None,
    }
}

/// What is wrong with the recording of a claim, on the kernel that it was made on.
pub fn stale(
    page: Option<&(String, BTreeMap<String, Verdict>)>,
    release: &str,
    claim: &Claim,
    here: &Verdict,
) -> Option<String> {
    let Some((recorded_on, verdicts)) = page else {
        return Some("src/claims.md shows no table of claims/claims".to_owned());
    };
    let shown = verdicts.get(claim.id).map_or("nothing", |verdict| verdict.says.words());
    let (id, is) = (claim.id, here.says.words());
    let told = here.says != Says::CannotTell;
    (recorded_on == release && told && shown != is).then(|| {
        format!(
            "{id} {is}, and src/claims.md says {shown}: cargo book record claims/claims"
        )
    })
}

/// Performs a check and ends, if that is what this process was started for. A program that
/// calls [`judge`] calls this first.
pub fn told_to_check() {
    let mut words = env::args().skip(1);
    if words.next().is_none_or(|word| word != CHECK) {
        return;
    }
    let (id, case) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    // Without a claim it has only to start and to end; one check measures how long that takes.
    if let Some(claim) = crate::find(&id) {
        let case = if case == COUNTER { Case::Counter } else { Case::Claimed };
        let mut line =
            serde_json::to_vec(&Verdict::from((claim.check)(case))).unwrap_or_default();
        line.push(b'\n');
        // Whoever started us says that the check died if it does not get this.
        let _ = io::stdout().write_all(&line);
    }
    std::process::exit(0);
}

/// Checks a claim in one situation. The calling program starts itself again for it.
pub fn judge(claim: &Claim, case: Case) -> Verdict {
    match performed(claim, case) {
        Ok(Some(output)) => verdict(&output),
        Ok(None) => Verdict::cannot_tell(format!("not done after {} s", limit().as_secs())),
        Err(error) => Verdict::cannot_tell(format!("the check was not started: {error}")),
    }
}

/// Checks claims, several at once, and hands each verdict to `told`, in the order of the
/// claims.
pub fn judge_all(
    claims: impl IntoIterator<Item = (&'static Claim, Case)>,
    mut told: impl FnMut(&'static Claim, Case, Verdict),
) {
    let claims: Vec<_> = claims.into_iter().collect();
    let next = AtomicUsize::new(0);
    let (tell, hear) = mpsc::channel();
    let work = |tell: Sender<_>| {
        while let n = next.fetch_add(1, Ordering::Relaxed)
            && let Some((claim, case)) = claims.get(n)
        {
            tell.send((n, judge(claim, *case))).expect("it is heard below");
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs() {
            let tell = tell.clone();
            scope.spawn(|| work(tell));
        }
        drop(tell);
        let mut done: Vec<Option<Verdict>> = vec![None; claims.len()];
        let mut first = 0;
        for (n, verdict) in hear {
            done[n] = Some(verdict);
            while let Some(verdict) = done.get_mut(first).and_then(Option::take) {
                told(claims[first].0, claims[first].1, verdict);
                first += 1;
            }
        }
    });
}

/// What the check printed, or nothing if its time was over.
fn performed(claim: &Claim, case: Case) -> io::Result<Option<Output>> {
    let mut command = Command::new(env::current_exe()?);
    command.args([CHECK, claim.id, case.pick("claimed", COUNTER)]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let child = command.spawn()?;
    #[cfg(target_os = "linux")]
    let group = nix::unistd::Pid::from_raw(child.id().cast_signed());
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(child.wait_with_output()));
    let done = told.recv_timeout(limit());
    // Whatever the check has started has no more to do.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
    match done {
        Ok(output) => output.map(Some),
        Err(_) => Ok(None),
    }
}

fn verdict(output: &Output) -> Verdict {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().find(|line| !line.is_empty()).unwrap_or("silently");
        let why = format!("the check died, {}: {last}", output.status);
        Verdict { says: Says::DoesNotHold, why }
    })
}

/// How long a check may take: 20 s, or `CLAIMS_SECONDS`.
fn limit() -> Duration {
    Duration::from_secs(number("CLAIMS_SECONDS").unwrap_or(20))
}

/// How many checks run at once: two for each processor, since most of them wait, or
/// `CLAIMS_JOBS`.
fn jobs() -> u64 {
    let processors = || thread::available_parallelism().map_or(1, usize::from) as u64;
    number("CLAIMS_JOBS").unwrap_or_else(|| 2 * processors()).max(1)
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

/// The running kernel, as in `uname -r`, and its version in numbers.
pub fn release() -> (String, (u32, u32)) {
    let path = "/proc/sys/kernel/osrelease";
    let text = fs::read_to_string(path).unwrap_or_else(|_| env::consts::OS.to_owned());
    let release = text.trim().to_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0);
    let version = (next(), next());
    (release, version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kernels;

    const CLAIM: Claim = Claim {
        id: "x",
        sentence: "It is so.",
        chapter: "x.md",
        kernels: Kernels::Since { version: (6, 5), before: "it is not" },
        source: "x(2)",
        counter: "not",
        check: |_| Err(Cannot(String::new())),
    };

    fn verdict(says: Says) -> Verdict {
        Verdict { says, why: "seen".to_owned() }
    }

    #[test]
    fn a_claim_is_complained_of_where_it_should_not_be_so() {
        use Says::{CannotTell, DoesNotHold, Holds};
        let found = |version, here, counter| {
            complaint(&CLAIM, version, &verdict(here), &verdict(counter))
        };
        for (version, here, counter, words) in [
            ((6, 5), DoesNotHold, DoesNotHold, "x does not hold: seen\n  \"It is so.\""),
            (
                (6, 4),
                Holds,
                DoesNotHold,
                "x holds on a kernel where it is said not to: seen",
            ),
            ((6, 5), Holds, Holds, "x holds in its counter-situation (not): seen"),
            (
                (7, 0),
                Holds,
                CannotTell,
                "x cannot be told in its counter-situation (not): seen",
            ),
        ] {
            assert_eq!(found(version, here, counter).as_deref(), Some(words));
        }
        for (version, here, counter) in [
            ((6, 5), Holds, DoesNotHold),
            ((5, 10), DoesNotHold, DoesNotHold),
            ((6, 5), CannotTell, Holds),
        ] {
            assert_eq!(found(version, here, counter), None);
        }
    }

    #[test]
    fn what_was_printed_can_be_read_again_and_goes_stale() {
        let table = |says: &str| {
            format!(
                "text\n```text,run=claims/claims,live\nLinux 6.18.1 on x86_64\n{says}\n1 hold, 0 …\n```\n"
            )
        };
        let held = line(&CLAIM, &verdict(Says::Holds));
        let page = recorded(&table(&held)).expect("a table");
        assert_eq!(page.0, "6.18.1");
        assert_eq!(page.1.get("x"), Some(&verdict(Says::Holds)));
        assert_eq!(page.1.len(), 1);
        let found =
            |page: Option<&_>, release, says| stale(page, release, &CLAIM, &verdict(says));
        assert_eq!(found(Some(&page), "6.18.1", Says::Holds), None);
        assert_eq!(found(Some(&page), "6.18.1", Says::CannotTell), None);
        assert_eq!(found(Some(&page), "6.18.2", Says::DoesNotHold), None);
        let words = "x does not hold, and src/claims.md says holds: cargo book record claims/claims";
        assert_eq!(found(Some(&page), "6.18.1", Says::DoesNotHold).as_deref(), Some(words));
        let other = recorded(&table("holds  y  seen")).expect("a table");
        assert!(found(Some(&other), "6.18.1", Says::Holds).is_some());
        assert!(found(recorded("no table").as_ref(), "6.18.1", Says::Holds).is_some());
    }
}
