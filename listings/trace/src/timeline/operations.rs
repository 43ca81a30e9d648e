//! What a thread has in flight in its ring: thin bars, as many above each other as there are at
//! a time.

use super::words::ms;
use super::{Bar, Scale, text};
use crate::{Lane, Operation};

/// A thin bar, and the way to the next.
const BAR: f64 = 15.0;
const ROW: f64 = 18.0;
/// What is left free below them.
const GAP: f64 = 10.0;

impl Operation {
    /// Whether the clients waited while it was in flight.
    pub(super) fn is_shown(&self, scale: &Scale) -> bool {
        self.end > 0.0 && self.begin < scale.to
    }

    /// For how much of that time it was in flight.
    pub(super) fn shown(&self, scale: &Scale) -> f64 {
        self.end.min(scale.to) - self.begin.max(0.0)
    }

    /// As its bar says it.
    pub(super) fn in_words(&self) -> String {
        let whose = self.request.map(|n| format!(", for client {}", n + 1));
        let whose = whose.unwrap_or_default();
        let more = match (self.seen.len(), self.result) {
            (0, _) => String::new(),
            (n, None) => format!(", with {n} completion{}", if n == 1 { "" } else { "s" }),
            (n, Some(_)) => format!(", with {} completions", n + 1),
        };
        let what = match self.result {
            Some(result) => format!("{} = {result}{whose}: in flight for", self.name),
            None => format!("{}{whose}: still in flight, for", self.name),
        };
        format!("{what} {} ms{more}", ms(self.end - self.begin))
    }
}

/// Puts them into rows: each into the first that is free.
fn rows<'a>(lane: &'a Lane, scale: &Scale) -> Vec<Vec<&'a Operation>> {
    let mut rows: Vec<Vec<&Operation>> = Vec::new();
    for one in lane.operations.iter().filter(|one| one.is_shown(scale)) {
        // As wide as it is drawn.
        let free = |row: &&mut Vec<&Operation>| {
            row.last().is_none_or(|last| scale.x(last.end) + 2.0 <= scale.x(one.begin))
        };
        match rows.iter_mut().find(free) {
            Some(row) => row.push(one),
            None => rows.push(vec![one]),
        }
    }
    rows
}

/// How much room they need.
pub(super) fn height(lane: &Lane, scale: &Scale) -> f64 {
    match rows(lane, scale).len() {
        0 => 0.0,
        n => n as f64 * ROW + GAP,
    }
}

pub(super) fn draw(out: &mut String, lane: &Lane, scale: &Scale, top: f64) {
    for (n, row) in rows(lane, scale).iter().enumerate() {
        let top = top + n as f64 * ROW;
        if n == 0 {
            text(out, 4.0, top + 12.0, "  in its ring", false);
        }
        for one in row {
            let bar = Bar {
                request: one.request,
                waits: true,
                times: (one.begin, one.end),
                title: &one.in_words(),
                label: &one.name,
                at: None,
                marks: &one.seen,
            };
            bar.draw(out, scale, top, BAR);
        }
    }
}
