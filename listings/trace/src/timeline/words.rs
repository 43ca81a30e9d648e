//! A trace in words: what a bar says, a table for a terminal, a paragraph for a page.

use std::fmt::Write;

use super::{SHORT, Scale, below, label, sorted};
use crate::{Call, Lane, Operation, Trace};

pub(super) fn ms(microseconds: f64) -> String {
    format!("{:.0}", microseconds / 1e3)
}

/// One call, as its bar says it when it is pointed at.
pub(super) fn in_words(call: &Call) -> String {
    let what = match call.result {
        Some(result) => format!("{} = {result}", call.name),
        None => format!("{}, which has not ended", call.name),
    };
    let whose = call.request.map(|n| format!(", for client {}", n + 1)).unwrap_or_default();
    let waited = call.waited();
    let waits = match waited >= SHORT {
        true => format!("waits for {} ms", ms(waited)),
        false => "does not wait".to_owned(),
    };
    let from = call.at.as_deref().map(|at| format!("; {}", made(call, at)));
    format!("{what}{whose}: {waits}{}", from.unwrap_or_default())
}

/// Who has made a call: the function, as one calls it in its own file, and the line.
fn made(call: &Call, at: &str) -> String {
    let names = call.within.as_deref().unwrap_or_default().split("::");
    let names: Vec<&str> = names.filter(|name| !name.starts_with('{')).collect();
    let of_type = |name: &&str| name.starts_with(char::is_uppercase);
    let function = match names[..] {
        [.., kind, name] if of_type(&kind) => format!("{kind}::{name}, "),
        [.., name] if !name.is_empty() => format!("{name}, "),
        _ => String::new(),
    };
    format!("{function}{}", inside(at))
}

/// A line's place among the listings.
pub(super) fn inside(at: &str) -> &str {
    at.strip_prefix("listings/").unwrap_or(at)
}

/// The lines that make the calls in which somebody waits.
fn lines(trace: &Trace, scale: &Scale) -> Option<String> {
    let calls = trace.lanes.iter().flat_map(|lane| &lane.calls);
    let waits = calls.filter(|call| scale.shows(call) && scale.waited(call) >= SHORT);
    let mut lines: Vec<String> = waits
        .filter_map(|call| {
            Some(format!("`{}` at {}", call.name, inside(call.at.as_ref()?)))
        })
        .collect();
    lines.sort_unstable();
    lines.dedup();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// The same for a terminal: who waited for at least a tenth of all the time, and where.
pub fn table(trace: &Trace) -> String {
    let scale = Scale::of(trace);
    let mut out = String::new();
    for (n, request) in trace.requests.iter().enumerate() {
        let (from, to) = (ms(request.asked), ms(request.answered));
        let _ = writeln!(out, "client {}:{from:>10} to {to:>4} ms", n + 1);
    }
    let (lanes, idle) = sorted(trace, &scale);
    for (n, lane) in lanes.iter().enumerate() {
        let calls = lane.calls.iter().filter(|call| scale.shows(call));
        let (label, count) = (label(&lanes, n), calls.clone().count());
        let _ = writeln!(out, "{label}: {count} call{}", if count == 1 { "" } else { "s" });
        for call in calls.filter(|call| scale.waited(call) >= scale.to / 10.0) {
            let (from, to) = (ms(call.begin.max(0.0)), ms(call.end.min(scale.to)));
            let whose = call.request.map(|n| format!("  client {}", n + 1));
            let whose = whose.unwrap_or_default();
            let by = call.at.as_deref().map(inside).unwrap_or_default();
            let row =
                format!("  {:<14}{from:>3} to {to:>4} ms{whose:<10}  {by}", call.name);
            let _ = writeln!(out, "{}", row.trim_end());
        }
        let shown = lane.operations.iter().filter(|one| one.is_shown(&scale));
        let count = shown.clone().count();
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            let _ = writeln!(out, "in its ring: {count} operation{plural}");
        }
        for one in shown.filter(|one| one.shown(&scale) >= scale.to / 10.0) {
            let (from, to) = (ms(one.begin.max(0.0)), ms(one.end.min(scale.to)));
            let whose = one.request.map(|n| format!("  client {}", n + 1));
            let whose = whose.unwrap_or_default();
            let _ = writeln!(out, "  {:<14}{from:>3} to {to:>4} ms{whose}", one.name);
        }
    }
    for line in below(trace, &[], &idle) {
        let _ = writeln!(out, "{line}");
    }
    out
}

/// What was in flight in rings, and for how long.
fn in_rings(lanes: &[&Lane], scale: &Scale) -> String {
    let all = lanes.iter().flat_map(|lane| &lane.operations);
    let all: Vec<_> = all.filter(|one| one.is_shown(scale)).collect();
    if all.is_empty() {
        return String::new();
    }
    let (long, short): (Vec<&Operation>, Vec<_>) =
        all.into_iter().partition(|one| one.shown(scale) >= SHORT);
    let long: Vec<String> = long
        .iter()
        .map(|one| {
            let whose = one.request.map(|n| format!(" for client {}", n + 1));
            let (from, time) = (ms(one.begin.max(0.0)), ms(one.shown(scale)));
            let name = &one.name;
            let whose = whose.unwrap_or_default();
            let seen = one.seen.iter().filter(|at| **at < scale.to).count();
            let seen = match seen {
                0 => String::new(),
                1 => ", with a completion meanwhile".to_owned(),
                n => format!(", with {n} completions meanwhile"),
            };
            format!("`{name}`{whose} ({time} ms, from {from} on{seen})")
        })
        .collect();
    let short = short.len();
    format!(
        " In the ring {short} operation{} done almost at once, and in flight are {}.",
        if short == 1 { " is" } else { "s are" },
        long.join(", ")
    )
}

/// A call in which somebody waits.
fn wait(call: &Call, scale: &Scale) -> String {
    let whose = call.request.map(|n| format!(" for client {}", n + 1)).unwrap_or_default();
    let (time, from) = (ms(scale.waited(call)), ms(call.begin.max(0.0)));
    format!("`{}`{whose} ({time} ms, from {from} on)", call.name)
}

/// The drawing in words, as one paragraph of Markdown.
pub fn words(trace: &Trace) -> String {
    let scale = Scale::of(trace);
    let mut out = String::new();
    let waits = trace.requests.iter().map(|r| ms(r.answered - r.asked));
    let waits: Vec<String> = waits.collect();
    let _ = write!(
        out,
        "{} clients ask at about the same time, and wait for {} ms.",
        trace.requests.len(),
        waits.join(", ")
    );
    let (lanes, idle) = sorted(trace, &scale);
    for (n, lane) in lanes.iter().enumerate() {
        let label = label(&lanes, n);
        let calls = lane.calls.iter().filter(|call| scale.shows(call));
        let others = calls.clone().filter(|call| call.waited() < SHORT).count();
        let waits = calls.filter(|call| scale.waited(call) >= SHORT);
        let _ = write!(
            out,
            " {}{} makes {} call{} without waiting",
            label[..1].to_uppercase(),
            &label[1..],
            others,
            if others == 1 { "" } else { "s" }
        );
        let waits: Vec<String> = waits.map(|call| wait(call, &scale)).collect();
        match waits.is_empty() {
            true => out.push('.'),
            false => {
                let _ = write!(out, ", and waits in {}.", waits.join(", "));
            }
        }
    }
    out.push_str(&in_rings(&lanes, &scale));
    for line in below(trace, &[], &idle) {
        let _ = write!(out, " {}{}.", line[..1].to_uppercase(), &line[1..]);
    }
    if let Some(lines) = lines(trace, &scale) {
        let _ = write!(out, " In the listings: {lines}.");
    }
    out.push('\n');
    out
}
