//! What a program did, seen by the tracer: what it printed, which calls it made, in which it
//! waited, and the rules that a check has for that.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use trace::{Call, Lane};

use crate::bench::{Checked, Fault};

/// As a negative result says it.
const EAGAIN: i64 = -11;
/// In microseconds.
const MOMENT: f64 = 300.0;
/// So often in a row a wait may end without anything being done.
const IN_A_ROW: usize = 20;

/// A program that was run under the tracer.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub said: String,
    /// How it ended.
    pub status: ExitStatus,
    /// It was killed: the time was over, or it had made too many calls.
    pub killed: Option<Why>,
    /// All its threads.
    pub lanes: Vec<Lane>,
    /// What is looked at: from when to when, in microseconds. Of a server, while it was asked.
    pub looked_at: (f64, f64),
    /// What those found who asked it.
    pub asked: Checked,
}

/// Why a program was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It had so many seconds.
    Time(u64),
    /// It had so many calls.
    Calls(usize),
}

/// Calls that wait until something can be done.
const WAITS: [&str; 9] = [
    "select",
    "pselect6",
    "poll",
    "ppoll",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "io_getevents",
    "clock_nanosleep",
];

impl Ran {
    /// It must have ended by itself, and with 0.
    pub fn ends_well(&self) -> Checked {
        match self.killed {
            Some(Why::Calls(most)) => return fails(self.spun(most)),
            Some(Why::Time(seconds)) => {
                // A server is told to end when those who asked it have done so, in microseconds.
                let is_told = self.looked_at.1 < seconds as f64 * 1e6;
                let told = if is_told { ", and after SIGTERM," } else { "" };
                return fails(format!(
                    "after {seconds} s{told} it still runs, and {}",
                    self.stands()
                ));
            }
            None => {}
        }
        if let Some(panic) = self.panic() {
            return fails(format!("it panics:\n{panic}"));
        }
        match self.status.success() {
            true => Ok(()),
            false => fails(format!("{}\n{}{}", self.end(), self.out, self.said)),
        }
    }

    /// How it ended, in words.
    fn end(&self) -> String {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("it ends with exit status {code}"),
            (None, signal) => {
                format!("it is ended by signal {}", signal.unwrap_or_default())
            }
        }
    }

    fn panic(&self) -> Option<String> {
        let is_one = |line: &&str| line.contains("panicked at");
        let line = self.said.lines().find(is_one)?;
        let rest = self.said.lines().skip_while(|other| *other != line);
        let rest = rest.take_while(|line| !line.starts_with("note: ")).take(4);
        Some(rest.collect::<Vec<_>>().join("\n"))
    }

    /// Where its threads stand, of one that has not ended.
    fn stands(&self) -> String {
        let alive = self.lanes.iter().filter_map(|lane| lane.calls.last());
        let alive = alive.filter(|call| !call.name.starts_with("exit"));
        let mut alive: Vec<&Call> = alive.collect();
        // Threads of the store and the like are not what is looked for.
        if alive.iter().any(|call| call.at.is_some()) {
            alive.retain(|call| call.at.is_some());
        }
        let stand = alive.into_iter().map(|call| match call.result {
            None => format!("is in {}", place(call)),
            Some(_) => format!("computes; its last call was {}", place(call)),
        });
        let stand: Vec<String> = stand.collect();
        if stand.is_empty() { "makes no call".into() } else { stand.join(", and ") }
    }

    /// What it does instead of ending.
    fn spun(&self, most: usize) -> String {
        let mut counts: Vec<(&Call, usize)> = Vec::new();
        // Of its own, and not of what it has started.
        let own = self.lanes.iter().filter(|lane| lane.process <= 1);
        for call in own.flat_map(|lane| self.calls_of(Some(lane))) {
            let same = |known: &&mut (&Call, usize)| {
                known.0.name == call.name && known.0.at == call.at
            };
            match counts.iter_mut().find(same) {
                // What is said of it is the last that has returned.
                Some(known) if call.result.is_some() => *known = (call, known.1 + 1),
                Some(known) => known.1 += 1,
                None => counts.push((call, 1)),
            }
        }
        // A wait that does not wait is why the others come so often.
        let is_wait = |call: &Call| WAITS.contains(&call.name.as_str());
        counts.sort_by_key(|(call, count)| std::cmp::Reverse((is_wait(call), *count)));
        let all: usize = counts.iter().map(|(_, count)| count).sum();
        let of = |(call, count): &(&Call, usize)| {
            format!("{count} times {}", place_and_result(call))
        };
        let often = counts.iter().filter(|(_, count)| count * 8 > all).take(3).map(of);
        let often: Vec<String> = often.collect();
        format!("it spins: it was ended after {most} calls, {}", often.join("; "))
    }

    /// It may not have been killed, or have died, while it was asked. What happened to it
    /// afterwards may come from what its clients have met before, so they are heard first.
    pub fn lives(&self) -> Checked {
        let spun_while_asked = match self.killed {
            Some(Why::Calls(most)) => self.calls().count() > most / 2,
            _ => false,
        };
        // A server without a handler is ended by our SIGTERM; otherwise it has ended by itself.
        let is_dead = self.status.code().is_some_and(|code| code != 0);
        match spun_while_asked || self.panic().is_some() || is_dead {
            true => self.ends_well(),
            false => Ok(()),
        }
    }

    /// What those found who asked it; and if it does not end afterwards, where it stands.
    pub fn is_heard(&self) -> Checked {
        match (&self.asked, self.killed) {
            (Err(Fault::Fails(why)), Some(Why::Time(_))) => {
                fails(format!("{why}\nafter SIGTERM it still runs, and {}", self.stands()))
            }
            (asked, _) => asked.clone(),
        }
    }

    /// Lines that end with these words must stand in its output, in this order.
    pub fn prints(&self, words: &[&str]) -> Checked {
        self.ends_well()?;
        let mut rest = self.out.lines();
        for wanted in words {
            let wanted_words: Vec<&str> = wanted.split_whitespace().collect();
            let is_it = |line: &str| {
                let words: Vec<&str> = line.split_whitespace().collect();
                words.ends_with(&wanted_words)
            };
            if !rest.any(is_it) {
                return fails(format!(
                    "it does not print: {wanted}\nit prints:\n{}",
                    self.out
                ));
            }
        }
        Ok(())
    }

    /// What the first thread did while it was looked at.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calls_of(self.lanes.first())
    }

    fn calls_of<'a>(&self, lane: Option<&'a Lane>) -> impl Iterator<Item = &'a Call> {
        let (from, until) = self.looked_at;
        let calls = lane.into_iter().flat_map(|lane| &lane.calls);
        calls.filter(move |call| call.begin < until && call.end >= from)
    }

    /// What it did after it has made this call for the last time.
    pub fn after_last(&self, name: &str) -> Self {
        let last = self.calls().filter(|call| call.name == name).last();
        let from = last.map_or(self.looked_at.0, |call| call.end);
        Self { looked_at: (from, self.looked_at.1), ..self.clone() }
    }

    /// What it did until this call has ended for the last time.
    pub fn up_to_last(&self, name: &str) -> Self {
        let last = self.calls().filter(|call| call.name == name).last();
        self.up_to(last.map_or(self.looked_at.1, |call| call.end))
    }

    /// The same, looked at until then, in microseconds.
    pub fn up_to(&self, until: f64) -> Self {
        Self { looked_at: (self.looked_at.0, until), ..self.clone() }
    }

    /// Its first thread may sleep in these calls, and in no other.
    pub fn waits_only_in(&self, calls: &[&str]) -> Checked {
        // Whoever makes a process stands still until that has its program, and is not asked here.
        let counts = |call: &Call| waits(call) && !call.name.starts_with("clone");
        // A wait that a signal without a handler has interrupted goes on so.
        let goes_on = |call: &Call| call.name == "restart_syscall";
        let wrong = |call: &&Call| {
            counts(call) && !calls.contains(&call.name.as_str()) && !goes_on(call)
        };
        match self.calls().find(wrong) {
            None => Ok(()),
            Some(call) => {
                // Locks are met in passing.
                let calls: Vec<&str> =
                    calls.iter().copied().filter(|call| *call != "futex").collect();
                fails(format!(
                    "it waits in {}; it is to wait in {} and nowhere else",
                    place(call),
                    calls.join(" or ")
                ))
            }
        }
    }

    /// The call in which the first thread has slept longest, if in any.
    pub fn longest_wait(&self) -> Option<&Call> {
        let waits =
            self.calls().filter(|call| waits(call) && !call.name.starts_with("clone"));
        waits.max_by(|a, b| a.waited().total_cmp(&b.waited()))
    }

    /// Nobody may make one of these calls.
    pub fn never_calls(&self, names: &[&str], why: &str) -> Checked {
        let calls = self.lanes.iter().flat_map(|lane| self.calls_of(Some(lane)));
        // What no line of the crate has called, the loader has.
        let mut calls = calls.filter(|call| call.at.is_some());
        match calls.find(|call| names.contains(&call.name.as_str())) {
            None => Ok(()),
            Some(call) => fails(format!("it calls {}: {why}", place(call))),
        }
    }

    /// What some of its calls were told or have answered must be so.
    pub fn each(&self, name: &str, holds: impl Fn(&Call) -> bool, why: &str) -> Checked {
        match self.calls().find(|call| call.name == name && !holds(call)) {
            None => Ok(()),
            Some(call) => {
                let details = call.details.as_deref().unwrap_or("says nothing");
                fails(format!("{}: {details}; {why}", place(call)))
            }
        }
    }

    /// How often the first thread has made a call.
    pub fn count(&self, name: &str) -> usize {
        self.calls().filter(|call| call.name == name).count()
    }

    /// It may make a call so often.
    pub fn calls_at_most(&self, name: &str, times: usize, why: &str) -> Checked {
        match self.calls().filter(|call| call.name == name).nth(times) {
            None => Ok(()),
            Some(call) => {
                let count = self.count(name);
                let place = place(call);
                fails(format!(
                    "{count} times it calls {place}, and {times} are enough: {why}"
                ))
            }
        }
    }

    /// One of these may be answered "not now" (EAGAIN) so often.
    pub fn in_vain_at_most(&self, names: &[&str], times: usize, why: &str) -> Checked {
        let vain = |call: &&Call| {
            names.contains(&call.name.as_str()) && call.result == Some(EAGAIN)
        };
        match self.calls().filter(vain).nth(times) {
            None => Ok(()),
            Some(call) => {
                let count = self.calls().filter(vain).count();
                fails(format!("{count} times it is told EAGAIN by {}: {why}", place(call)))
            }
        }
    }

    /// After "not now" (EAGAIN) it may not ask again before it has waited in one of these.
    pub fn waits_after_eagain(&self, waits: &[&str]) -> Checked {
        let mut told: Option<&Call> = None;
        for call in self.calls().filter(|call| call.name != "futex") {
            match told {
                Some(told) if !waits.contains(&call.name.as_str()) => {
                    let (told, next) = (place(told), place(call));
                    return fails(format!(
                        "it spins: {told} has answered EAGAIN, and the next call is {next}; it is to wait in {}",
                        waits.join(" or ")
                    ));
                }
                _ => told = (call.result == Some(EAGAIN)).then_some(call),
            }
        }
        Ok(())
    }

    /// That a client has ended its side is to be heard once of each.
    pub fn ends_at_most(&self, times: usize) -> Checked {
        let end = |call: &&Call| {
            ["recvfrom", "read"].contains(&call.name.as_str()) && call.result == Some(0)
        };
        match self.calls().filter(end).nth(times) {
            None => Ok(()),
            Some(call) => {
                let count = self.calls().filter(end).count();
                fails(format!(
                    "{count} times it is told by {} that a client is gone",
                    place(call)
                ))
            }
        }
    }

    /// A wait that ends and after which nothing is done, again and again.
    pub fn does_not_spin(&self) -> Checked {
        let mut row = 0;
        for call in self.calls() {
            row = if WAITS.contains(&call.name.as_str()) { row + 1 } else { 0 };
            if row > IN_A_ROW {
                return fails(format!(
                    "it spins: {row} times in a row it has done nothing but call {}",
                    place_and_result(call)
                ));
            }
        }
        Ok(())
    }
}

/// Whether a call has waited for somebody. One that met another thread in the kernel, at a lock
/// that is given back at once, has slept as well, and not for so long.
fn waits(call: &Call) -> bool {
    call.slept > 0 && call.waited() > MOMENT
}

/// A call, and the line that makes it: as one would type the file's name in the book's folder.
pub fn place(call: &Call) -> String {
    match &call.at {
        Some(line) => format!("{} (workshop/{line})", call.name),
        None => call.name.clone(),
    }
}

/// The same, and what came of the call, if the tracer has looked.
fn place_and_result(call: &Call) -> String {
    let details = call.details.as_ref().map(|details| format!(", which at last {details}"));
    format!("{}{}", place(call), details.unwrap_or_default())
}

/// The check has found this.
pub fn fails<T>(why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Fails(why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, slept: u64, result: i64) -> Call {
        let at = Some(format!("x/src/{name}.rs:7"));
        Call {
            name: name.into(),
            slept,
            result: Some(result),
            at,
            end: 1000.0,
            ..Call::default()
        }
    }

    fn ran(calls: Vec<Call>) -> Ran {
        Ran {
            out: "one  1\ntwo  2\n".into(),
            said: String::new(),
            status: ExitStatus::from_raw(0),
            killed: None,
            lanes: vec![Lane { calls, ..Lane::default() }],
            looked_at: (0.0, f64::INFINITY),
            asked: Ok(()),
        }
    }

    fn said(checked: Checked) -> String {
        match checked {
            Ok(()) => String::new(),
            Err(Fault::Fails(why) | Fault::Skipped(why) | Fault::Trouble(why)) => why,
        }
    }

    #[test]
    fn who_sleeps_elsewhere_is_found_by_its_line() {
        let ran = ran(vec![call("poll", 1, 1), call("read", 0, 3), call("recvfrom", 1, 3)]);
        let why = "it waits in recvfrom (workshop/x/src/recvfrom.rs:7); it is to wait in poll and nowhere else";
        assert_eq!(said(ran.waits_only_in(&["poll"])), why);
        assert_eq!(said(ran.waits_only_in(&["poll", "recvfrom"])), "");
        assert_eq!(
            said(ran.never_calls(&["read"], "no")),
            "it calls read (workshop/x/src/read.rs:7): no"
        );
        assert!(
            said(ran.calls_at_most("read", 0, "")).starts_with("1 times it calls read")
        );
    }

    #[test]
    fn who_does_nothing_between_two_waits_spins() {
        let wait = || call("epoll_wait", 0, 1);
        assert!(
            said(ran((0..21).map(|_| wait()).collect()).does_not_spin())
                .starts_with("it spins: 21")
        );
        let told = || Call { details: Some("says HUP of 5".into()), ..wait() };
        let why = said(ran((0..21).map(|_| told()).collect()).does_not_spin());
        assert!(why.ends_with(", which at last says HUP of 5"), "{why}");
        let work = (0..40).flat_map(|_| [wait(), call("recvfrom", 0, 1)]).collect();
        assert_eq!(said(ran(work).does_not_spin()), "");
        let vain = (0..3).map(|_| call("recvfrom", 0, EAGAIN)).collect();
        let why = said(ran(vain).in_vain_at_most(&["recvfrom"], 2, "nobody has said so"));
        assert_eq!(
            why,
            "3 times it is told EAGAIN by recvfrom (workshop/x/src/recvfrom.rs:7): nobody has said so"
        );
    }

    #[test]
    fn lines_are_wanted_in_their_order() {
        let ran = ran(Vec::new());
        assert_eq!(said(ran.prints(&["one 1", "two 2"])), "");
        assert!(
            said(ran.prints(&["two 2", "one 1"])).starts_with("it does not print: one 1")
        );
    }

    #[test]
    fn who_is_killed_has_stood_somewhere() {
        let mut ran = ran(vec![Call { result: None, ..call("futex", 1, 0) }]);
        ran.killed = Some(Why::Time(9));
        assert_eq!(
            said(ran.ends_well()),
            "after 9 s it still runs, and is in futex (workshop/x/src/futex.rs:7)"
        );
        ran.looked_at.1 = 3e6;
        assert_eq!(
            said(ran.ends_well()),
            "after 9 s, and after SIGTERM, it still runs, and is in futex (workshop/x/src/futex.rs:7)"
        );
        // Whoever was asked to the end of its time was told nothing.
        ran.looked_at.1 = 9.1e6;
        assert!(said(ran.ends_well()).starts_with("after 9 s it still runs, and"));
        // Where one of the learner's threads stands, the others' do not matter.
        let theirs = Call { result: None, at: None, ..call("accept4", 1, 0) };
        ran.lanes.push(Lane { calls: vec![theirs], ..Lane::default() });
        assert!(!said(ran.ends_well()).contains("accept4"));
        ran.lanes.pop();
        ran.looked_at.1 = f64::INFINITY;
        ran.killed = Some(Why::Calls(1));
        assert_eq!(
            said(ran.ends_well()),
            "it spins: it was ended after 1 calls, 1 times futex (workshop/x/src/futex.rs:7)"
        );
        // Of many calls the wait is said first, with what it said when it came back the last time.
        let waited = |result, says: &str| Call {
            result,
            details: Some(says.into()),
            ..call("poll", 0, 1)
        };
        let mut calls: Vec<Call> = (0..5).map(|_| call("sendfile", 0, 1)).collect();
        calls.extend([waited(Some(1), "says HUP of 5"), waited(None, "for 9 ms at most")]);
        ran.lanes[0].calls = calls;
        let why = said(ran.ends_well());
        let first = "it spins: it was ended after 1 calls, 2 times poll (workshop/x/src/poll.rs:7), which at last says HUP of 5; 5 times sendfile";
        assert!(why.starts_with(first), "{why}");
    }
}
