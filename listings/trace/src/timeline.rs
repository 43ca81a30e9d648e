//! The drawing of a trace, and the same in words.
//!
//! A lane for each thread, and one for each client above them. In a lane stand the system
//! calls: a pale bar is a call in which the thread has waited, a solid one was worked off
//! without waiting, and is as wide as can be seen, even if it was shorter. Colours are requests.

use std::fmt::Write;

use crate::{Call, Lane, Trace};

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
    let idle = others(&idle);
    let server = 44.0 + clients * ROW;
    let axis = server + 28.0 + lanes.len() as f64 * ROW;
    let mut out = format!(
        "<svg class=\"figure timeline\" viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" \
         aria-labelledby=\"{id}\" data-shows=\"{:.0} {:.0} {LEFT} {RIGHT}\" \
         xmlns=\"http://www.w3.org/2000/svg\">\n\
         <title id=\"{id}\">{} clients and the threads of {}: who waits, and when</title>\n",
        axis + if idle.is_some() { 62.0 } else { 40.0 },
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
        let (from, to) = (scale.x(request.asked), scale.x(request.answered));
        let waited = ms(request.answered - request.asked);
        let title = format!("client {} waits for {waited} ms", n + 1);
        let times = (request.asked, request.answered);
        let places = (from, to, top);
        bar(&mut out, Some(n), true, times, places, &title, &format!("{waited} ms"));
    }
    text(&mut out, 4.0, server + 8.0, "the server", true);
    for (n, lane) in lanes.iter().enumerate() {
        let top = server + 18.0 + n as f64 * ROW;
        let label = label(&lanes, n);
        text(&mut out, 4.0, top + 15.0, &label, false);
        for call in lane.calls.iter().filter(|call| scale.shows(call)) {
            let (from, to) = (scale.x(call.begin), scale.x(call.end));
            let waits = call.waited() >= SHORT;
            let (times, places) = ((call.begin, call.end), (from, to, top));
            bar(&mut out, call.request, waits, times, places, &in_words(call), &call.name);
        }
    }
    if let Some(idle) = idle {
        text(&mut out, LEFT, axis + 54.0, &idle, false);
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
            [one] if one.request.is_none() && one.waited() >= SHORT => {
                idle.push(one.name.as_str());
            }
            _ => busy.push(lane),
        }
    }
    (busy, idle)
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

/// A bar: from, to and top. Pale with an outline if somebody waits, solid if not.
fn bar(
    out: &mut String,
    request: Option<usize>,
    waits: bool,
    (begin, end): (f64, f64),
    (from, to, top): (f64, f64, f64),
    title: &str,
    label: &str,
) {
    let class = match request {
        Some(n) => format!(" request-{}", n % 4 + 1),
        None => String::new(),
    };
    let width = (to - from).max(if waits { 2.0 } else { 1.2 });
    let look = if waits {
        "fill=\"currentColor\" fill-opacity=\"0.16\" stroke=\"currentColor\""
    } else {
        "fill=\"currentColor\""
    };
    let _ = writeln!(
        out,
        "<g class=\"bar{class}\" data-at=\"{begin:.1} {end:.1}\" data-label=\"{}\"><title>{}</title>\
         <rect x=\"{from:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BAR}\" {look}/></g>",
        escaped(if waits { label } else { "" }),
        escaped(title)
    );
    if waits && width > label.len() as f64 * LETTER + 8.0 {
        out.push_str("<g class=\"label\">");
        text(out, from + 5.0, top + 15.0, label, false);
        out.push_str("</g>\n");
    }
}

fn text(out: &mut String, x: f64, y: f64, what: &str, is_bold: bool) {
    let weight = if is_bold { " font-weight=\"bold\"" } else { "" };
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"currentColor\" font-family=\"inherit\" \
         font-size=\"14\"{weight}>{}</text>",
        escaped(what)
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

fn ms(microseconds: f64) -> String {
    format!("{:.0}", microseconds / 1e3)
}

/// One call, as its bar says it when it is pointed at.
fn in_words(call: &Call) -> String {
    let what = match call.result {
        Some(result) => format!("{} = {result}", call.name),
        None => format!("{}, which has not ended", call.name),
    };
    let whose = call.request.map(|n| format!(", for client {}", n + 1)).unwrap_or_default();
    let waited = call.waited();
    if waited >= SHORT {
        format!("{what}{whose}: waits for {} ms", ms(waited))
    } else {
        format!("{what}{whose}: does not wait")
    }
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
            let _ = writeln!(out, "  {:<14}{from:>3} to {to:>4} ms{whose}", call.name);
        }
    }
    if let Some(idle) = others(&idle) {
        let _ = writeln!(out, "{idle}");
    }
    out
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
        let waits: Vec<String> = waits
            .map(|call| {
                let whose = call.request.map(|n| format!(" for client {}", n + 1));
                format!(
                    "`{}`{} ({} ms, from {} on)",
                    call.name,
                    whose.unwrap_or_default(),
                    ms(scale.waited(call)),
                    ms(call.begin.max(0.0)),
                )
            })
            .collect();
        match waits.is_empty() {
            true => out.push('.'),
            false => {
                let _ = write!(out, ", and waits in {}.", waits.join(", "));
            }
        }
    }
    if let Some(idle) = others(&idle) {
        let _ = write!(out, " {}{}.", idle[..1].to_uppercase(), &idle[1..]);
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Request;

    fn call(name: &str, [begin, end]: [f64; 2], request: Option<usize>) -> Call {
        let slept = u64::from(end - begin > 1000.0);
        let (name, result) = (name.to_owned(), Some(1));
        Call { name, begin, end, request, result, slept, ..Call::default() }
    }

    fn trace() -> Trace {
        let lane = |calls| Lane { process: 1, name: "server".into(), calls };
        let request = |asked, answered| Request { asked, answered, status: 200 };
        Trace {
            program: "a <server>".into(),
            requests: vec![request(0.0, 100_000.0), request(2000.0, 201_000.0)],
            lanes: vec![
                lane(vec![
                    call("accept4", [-9000.0, 100.0], None),
                    call("read", [200.0, 99_000.0], Some(0)),
                    call("write", [99_100.0, 99_200.0], Some(0)),
                    call("read", [100_000.0, 200_000.0], Some(1)),
                ]),
                lane(vec![call("futex", [-9000.0, 300_000.0], None)]),
            ],
            ..Trace::default()
        }
    }

    #[test]
    fn a_bar_for_each_call_says_what_it_was_and_for_whom() {
        let svg = svg(&trace(), "t");
        assert_eq!(svg.matches("<rect").count(), 2 + 4, "two clients, and four calls");
        for title in [
            "2 clients and the threads of a &lt;server>: who waits, and when",
            "client 2 waits for 199 ms",
            "read = 1, for client 1: waits for 99 ms",
            "write = 1, for client 1: does not wait",
            "accept4 = 1: waits for 9 ms",
        ] {
            assert!(svg.contains(&format!(">{title}</title>")), "{title}\n{svg}");
        }
        assert_eq!(svg.matches("class=\"bar request-1\"").count(), 3);
        assert!(svg.contains("one more thread waits in futex all the time"));
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn the_words_and_the_table_have_the_same_facts() {
        assert_eq!(
            words(&trace()),
            "2 clients ask at about the same time, and wait for 100, 199 ms. One thread \
             makes 1 call without waiting, and waits in `read` \
             for client 1 (99 ms, from 0 on), `read` for client 2 (100 ms, from 100 on). One \
             more thread waits in futex all the time.\n"
        );
        assert_eq!(
            table(&trace()),
            "client 1:         0 to  100 ms\n\
             client 2:         2 to  201 ms\n\
             one thread: 4 calls\n  \
             read            0 to   99 ms  client 1\n  \
             read          100 to  200 ms  client 2\n\
             one more thread waits in futex all the time\n"
        );
    }

    #[test]
    fn two_drawings_may_show_the_same_time() {
        let mut other = trace();
        let x = |svg: &str| svg.split("<path d=\"").nth(2).map(str::to_owned);
        let alone = x(&svg(&other, "a"));
        other.span = 400.0;
        assert_ne!(alone, x(&svg(&other, "a")), "half as wide");
    }
}
