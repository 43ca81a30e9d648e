//! The drawing of a trace, and the same in words.
//!
//! A lane for each thread, under it thin ones for what it has in flight in a ring, and one for each client above them. In a lane stand the system
//! calls: a pale bar is a call in which the thread has waited, a solid one was worked off
//! without waiting, and is as wide as can be seen, even if it was shorter. Colours are requests.

use std::fmt::Write;

use crate::{Call, Lane, Trace};

mod operations;
mod words;

use words::{in_words, ms};
pub use words::{table, words};

/// Of the drawing, in its own units; a page makes it as wide as it has room.
const WIDTH: f64 = 760.0;
const LEFT: f64 = 118.0;
const RIGHT: f64 = 752.0;
const ROW: f64 = 30.0;
const BAR: f64 = 20.0;
/// What is shown before the first request and behind the last response, as a part of all.
const MARGIN: f64 = 0.02;
/// Width of a letter of the font that the labels have, generously.
const LETTER: f64 = 7.6;
/// A call that has waited for less than this did not wait for anybody, in microseconds.
const SHORT: f64 = 500.0;

/// How times become places.
struct Scale {
    from: f64,
    to: f64,
}

impl Scale {
    fn of(trace: &Trace) -> Self {
        let end = trace.requests.iter().map(|r| r.answered).fold(1.0, f64::max);
        let end = end.max(trace.span * 1e3);
        Self { from: -end * MARGIN, to: end * (1.0 + MARGIN) }
    }

    fn x(&self, time: f64) -> f64 {
        let part = (time - self.from) / (self.to - self.from);
        LEFT + part.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    /// How much of a call's waiting the clients have seen.
    fn waited(&self, call: &Call) -> f64 {
        call.waited().min(call.end.min(self.to) - call.begin.max(0.0))
    }

    fn shows(&self, call: &Call) -> bool {
        call.end > 0.0 && call.begin < self.to
    }
}

/// The drawing, as SVG to be put into a page. `id` is unique there.
pub fn svg(trace: &Trace, id: &str) -> String {
    let scale = Scale::of(trace);
    let clients = trace.requests.len() as f64;
    let (lanes, idle) = sorted(trace, &scale);
    let below = below(trace, &lanes, &idle);
    let server = 44.0 + clients * ROW;
    let heights = lanes.iter().map(|lane| ROW + operations::height(lane, &scale));
    let axis = server + 28.0 + heights.sum::<f64>();
    let mut out = format!(
        "<svg class=\"figure timeline\" viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" \
         aria-labelledby=\"{id}\" data-shows=\"{:.0} {:.0} {LEFT} {RIGHT}\" \
         xmlns=\"http://www.w3.org/2000/svg\">\n\
         <title id=\"{id}\">{} clients and the threads of {}: who waits, and when</title>\n",
        axis + 40.0 + 22.0 * below.len() as f64,
        scale.from,
        scale.to,
        trace.requests.len(),
        escaped(&trace.program),
    );
    grid(&mut out, &scale, axis);
    text(&mut out, 4.0, 20.0, "the clients", true);
    for (n, request) in trace.requests.iter().enumerate() {
        let top = 30.0 + n as f64 * ROW;
        text(&mut out, 4.0, top + 15.0, &format!("client {}", n + 1), false);
        let waited = ms(request.answered - request.asked);
        let bar = Bar {
            request: Some(n),
            waits: true,
            times: (request.asked, request.answered),
            title: &format!("client {} waits for {waited} ms", n + 1),
            label: &format!("{waited} ms"),
            at: None,
            marks: &[],
        };
        bar.draw(&mut out, &scale, top, BAR);
    }
    text(&mut out, 4.0, server + 8.0, "the server", true);
    let mut top = server + 18.0;
    for (n, lane) in lanes.iter().enumerate() {
        let label = label(&lanes, n);
        text(&mut out, 4.0, top + 15.0, &label, false);
        for call in lane.calls.iter().filter(|call| scale.shows(call)) {
            let bar = Bar {
                request: call.request,
                waits: call.waited() >= SHORT,
                times: (call.begin, call.end),
                title: &in_words(call),
                label: &call.name,
                at: call.at.as_deref(),
                marks: &[],
            };
            bar.draw(&mut out, &scale, top, BAR);
        }
        top += ROW;
        operations::draw(&mut out, lane, &scale, top);
        top += operations::height(lane, &scale);
    }
    for (n, line) in below.iter().enumerate() {
        text(&mut out, LEFT, axis + 54.0 + 22.0 * n as f64, line, false);
    }
    out.push_str("</svg>\n");
    out
}

/// The threads that did something while the clients waited; and the names of the calls in
/// which the others waited all the time.
fn sorted<'a>(trace: &'a Trace, scale: &Scale) -> (Vec<&'a Lane>, Vec<&'a str>) {
    let (mut busy, mut idle) = (Vec::new(), Vec::new());
    for lane in &trace.lanes {
        let calls: Vec<&Call> =
            lane.calls.iter().filter(|call| scale.shows(call)).collect();
        match calls[..] {
            [] => {}
            [one]
                if one.request.is_none()
                    && one.waited() >= SHORT
                    && lane.operations.is_empty() =>
            {
                idle.push(one.name.as_str());
            }
            _ => busy.push(lane),
        }
    }
    (busy, idle)
}

/// What is said below the drawing.
fn below(trace: &Trace, lanes: &[&Lane], idle: &[&str]) -> Vec<String> {
    let rings = lanes.iter().any(|lane| !lane.operations.is_empty());
    let thin =
        "thin: operations of the ring, from submission until their completion is seen";
    let without = trace.no_operations.as_ref().map(|why| format!("no operations: {why}"));
    let lines = [others(idle), rings.then(|| thin.to_owned()), without];
    lines.into_iter().flatten().collect()
}

/// Who else there is.
fn others(idle: &[&str]) -> Option<String> {
    let mut calls = idle.to_vec();
    calls.sort_unstable();
    calls.dedup();
    let calls = calls.join(" or ");
    match idle.len() {
        0 => None,
        1 => Some(format!("one more thread waits in {calls} all the time")),
        n => Some(format!("{n} more threads wait in {calls} all the time")),
    }
}

/// What a lane is called: threads and processes are counted as they are shown.
fn label(lanes: &[&Lane], n: usize) -> String {
    let mut processes: Vec<usize> = lanes.iter().map(|lane| lane.process).collect();
    processes.sort_unstable();
    processes.dedup();
    match (lanes.len(), processes.binary_search(&lanes[n].process)) {
        (1, _) => "one thread".to_owned(),
        (_, Ok(number)) if processes.len() > 1 => format!("process {}", number + 1),
        _ => format!("thread {}", n + 1),
    }
}

/// Lines for the time, and what they say. `static/timeline.js` draws others when it zooms.
fn grid(out: &mut String, scale: &Scale, axis: f64) {
    let whole = scale.to / 1e3;
    let steps = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];
    let step = steps.into_iter().find(|step| whole / step <= 8.0).unwrap_or(5000.0);
    let times = (0..).map(|n| f64::from(n) * step).take_while(|time| *time <= whole);
    let _ = writeln!(out, "<g class=\"ticks\" data-axis=\"{axis}\">");
    for time in times {
        let x = scale.x(time * 1e3);
        let _ = writeln!(
            out,
            "<path d=\"M{x:.1} 28V{axis}\" stroke=\"currentColor\" stroke-opacity=\"0.25\"/>"
        );
        let says = format!("{time:.0}");
        text(out, x - LETTER * 0.5 * says.len() as f64, axis + 18.0, &says, false);
    }
    out.push_str("</g>\n");
    text(out, RIGHT - 3.0 * LETTER, axis + 34.0, "ms", false);
}

/// A bar: pale with an outline if somebody waits, solid if not.
struct Bar<'a> {
    request: Option<usize>,
    waits: bool,
    times: (f64, f64),
    title: &'a str,
    label: &'a str,
    /// The line that has made the call.
    at: Option<&'a str>,
    /// Times within it.
    marks: &'a [f64],
}

impl Bar<'_> {
    fn draw(&self, out: &mut String, scale: &Scale, top: f64, height: f64) {
        let class = match self.request {
            Some(n) => format!(" request-{}", n % 4 + 1),
            None => String::new(),
        };
        let (begin, end) = self.times;
        let (from, to) = (scale.x(begin), scale.x(end));
        let width = (to - from).max(if self.waits { 2.0 } else { 1.2 });
        let look = if self.waits {
            "fill=\"currentColor\" fill-opacity=\"0.16\" stroke=\"currentColor\""
        } else {
            "fill=\"currentColor\""
        };
        let marks = self.marks.iter().map(|at| {
            let x = scale.x(*at);
            format!("<path class=\"mark\" data-time=\"{at:.1}\" d=\"M{x:.1} {top:.1}v{height}\" stroke=\"currentColor\" stroke-width=\"2\"/>")
        });
        let marks: String = marks.collect();
        let at = self.at.map(|at| format!(" data-line=\"{}\"", escaped(at)));
        let _ = writeln!(
            out,
            "<g class=\"bar{class}\" data-at=\"{begin:.1} {end:.1}\" data-label=\"{}\"{}><title>{}</title>\
             <rect x=\"{from:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height}\" {look}/>{marks}</g>",
            escaped(if self.waits { self.label } else { "" }),
            at.unwrap_or_default(),
            escaped(self.title)
        );
        if self.waits && width > self.label.len() as f64 * LETTER + 8.0 {
            out.push_str("<g class=\"label\">");
            match height >= BAR {
                true => text(out, from + 5.0, top + 15.0, self.label, false),
                false => sized(out, (from + 5.0, top + 11.5), self.label, false, 12),
            }
            out.push_str("</g>\n");
        }
    }
}

fn text(out: &mut String, x: f64, y: f64, what: &str, is_bold: bool) {
    sized(out, (x, y), what, is_bold, 14);
}

fn sized(out: &mut String, (x, y): (f64, f64), what: &str, is_bold: bool, size: u32) {
    let weight = if is_bold { " font-weight=\"bold\"" } else { "" };
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"currentColor\" font-family=\"inherit\" \
         font-size=\"{size}\"{weight}>{}</text>",
        escaped(what)
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
