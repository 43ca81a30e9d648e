//! The chapter's chart: what a new process costs its maker, and what a new thread, by the
//! memory that is resident. Both axes are logarithmic.

use std::fmt::Write as _;

use crate::create::Created;
use crate::data::{Beside, Cell, Data, Spread};
use crate::memory::Kind;

/// The plot's edges, in the units of the drawing. What has no memory stands left of the rest,
/// since a logarithmic axis has no 0.
const LEFT: f64 = 78.0;
const NONE: f64 = 106.0;
const FIRST: f64 = 180.0;
const RIGHT: f64 = 560.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 336.0;

struct Series {
    label: String,
    memory: Kind,
    of: fn(&Created) -> f64,
    dashes: &'static str,
    shape: &'static str,
}

/// Draws it as an SVG, for a page whose style sheet has its colours.
pub fn draw(data: &Data) -> String {
    let page = data.environment.page_kib;
    let series = |label: &str, memory, of, dashes, shape| {
        let label = label.to_owned();
        Series { label, memory, of, dashes, shape }
    };
    let all = [
        series(
            &format!("fork, {page} KiB pages"),
            Kind::Private,
            |made| made.fork.call,
            "",
            DOT,
        ),
        series("Command::spawn", Kind::Private, |made| made.spawn.call, "2 4", DIAMOND),
        series("fork, huge pages", Kind::Huge, |made| made.fork.call, "7 4", SQUARE),
        series("fork, shared memory", Kind::Shared, |made| made.fork.call, "7 4", CIRCLE),
        series("a thread", Kind::Private, |made| made.thread.call, "", TRIANGLE),
    ];
    let lines: Vec<(&Series, Vec<(usize, Spread)>)> =
        all.iter().map(|series| (series, points(data, series))).collect();
    let sizes: Vec<usize> = lines[0].1.iter().map(|(mib, _)| *mib).collect();
    let spreads = || lines.iter().flat_map(|(_, points)| points.iter().map(|(_, us)| us));
    let low = spreads().map(|us| us.low).fold(f64::INFINITY, f64::min).log10().floor();
    let high = spreads().map(|us| us.high).fold(0.0, f64::max).log10().ceil();
    let largest = sizes.iter().copied().max().unwrap_or(1).max(2) as f64;
    let smallest = sizes.iter().copied().filter(|mib| *mib > 0).min().unwrap_or(1) as f64;
    let x = |mib: usize| match mib {
        0 => NONE,
        _ => {
            FIRST
                + (mib as f64 / smallest).log2() / (largest / smallest).log2()
                    * (RIGHT - FIRST)
        }
    };
    let y = |us: f64| BOTTOM - (us.log10() - low) / (high - low) * (BOTTOM - TOP);

    let mut svg = String::from(HEAD);
    axes(&mut svg, &sizes, x, low as i32..=high as i32, y);
    let mut labels: Vec<(f64, &str)> = Vec::new();
    for (series, points) in &lines {
        if let Some((_, last)) = points.last() {
            labels.push((y(last.median), &series.label));
            line(&mut svg, series, points, x, y);
        }
    }
    svg += "<g fill=\"currentColor\" font-family=\"inherit\" font-size=\"14\">\n";
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut above = f64::NEG_INFINITY;
    for (at, label) in labels {
        above = at.max(above + 17.0);
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\">{label}</text>",
            RIGHT + 14.0,
            above + 5.0
        );
    }
    svg += "</g>\n</svg>\n";
    svg
}

const HEAD: &str = "<svg class=\"figure\" viewBox=\"0 0 760 396\" role=\"img\" \
    aria-labelledby=\"clone-cost-title\" xmlns=\"http://www.w3.org/2000/svg\">\n\
    <title id=\"clone-cost-title\">What it costs to make a process or a thread: the call, by the \
    memory that is resident</title>\n";
const DOT: &str = "<circle r=\"4\" fill=\"currentColor\" ";
const CIRCLE: &str = "<circle class=\"fig-a\" r=\"4.5\" ";
const SQUARE: &str = "<path class=\"fig-b\" d=\"M-4-4h8v8h-8z\" ";
const DIAMOND: &str = "<path class=\"fig-a\" d=\"M0-6l6 6-6 6-6-6z\" ";
const TRIANGLE: &str = "<path d=\"M0-5l5 9h-10z\" fill=\"currentColor\" ";

/// A series' points, the least memory first.
fn points(data: &Data, series: &Series) -> Vec<(usize, Spread)> {
    let mut points: Vec<(usize, Spread)> = data
        .creation
        .iter()
        .filter(|cell: &&Cell<Beside, Created>| cell.what.memory == series.memory)
        .map(|cell| (cell.what.mib, cell.spread(series.of)))
        .collect();
    points.sort_by_key(|(mib, _)| *mib);
    points
}

/// The frame, with a line across for each power of ten.
fn axes(
    svg: &mut String,
    sizes: &[usize],
    x: impl Fn(usize) -> f64,
    powers: impl Iterator<Item = i32> + Clone,
    y: impl Fn(f64) -> f64,
) {
    let right = RIGHT;
    let _ = writeln!(
        svg,
        "<g fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.5\">\n\
        <path d=\"M{LEFT} {TOP}V{BOTTOM}H{right}\"/>\n</g>\n\
        <g fill=\"none\" stroke=\"currentColor\" stroke-width=\"1\" stroke-opacity=\"0.2\">"
    );
    for power in powers.clone() {
        let at = y(10f64.powi(power));
        if at < BOTTOM - 1.0 {
            let _ = writeln!(svg, "<path d=\"M{LEFT} {at:.1}H{right}\"/>");
        }
    }
    svg.push_str(
        "</g>\n<g fill=\"currentColor\" font-family=\"inherit\" font-size=\"14\">\n",
    );
    for power in powers {
        let label = match power {
            0..3 => format!("{} µs", 10u32.pow(power as u32)),
            3..6 => format!("{} ms", 10u32.pow(power as u32 - 3)),
            _ => format!("{:e} µs", 10f64.powi(power)),
        };
        let at = y(10f64.powi(power)) + 5.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{at:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 8.0
        );
    }
    for &mib in sizes {
        let (at, below) = (x(mib), BOTTOM + 22.0);
        let label = if mib == 0 { "none".into() } else { mib.to_string() };
        let _ = writeln!(
            svg,
            "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{label}</text>"
        );
    }
    let (middle, below) = (LEFT.midpoint(RIGHT), BOTTOM + 48.0);
    let _ = writeln!(
        svg,
        "<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">\
        MiB in the process that makes it</text>\n</g>"
    );
}

/// A series: its medians, joined, and how far they went.
fn line(
    svg: &mut String,
    series: &Series,
    points: &[(usize, Spread)],
    x: impl Fn(usize) -> f64,
    y: impl Fn(f64) -> f64,
) {
    let _ = writeln!(svg, "<g fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.5\">");
    let mut path = String::new();
    for (n, (mib, us)) in points.iter().enumerate() {
        let command = if n == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{command}{:.1} {:.1}", x(*mib), y(us.median));
    }
    let dashes = match series.dashes {
        "" => String::new(),
        dashes => format!(" stroke-dasharray=\"{dashes}\""),
    };
    let _ = writeln!(svg, "<path d=\"{path}\"{dashes}/>");
    for (mib, us) in points {
        let (x, low, high) = (x(*mib), y(us.low), y(us.high));
        let _ = writeln!(svg, "<path d=\"M{x:.1} {low:.1}V{high:.1}\"/>");
        let at = y(us.median);
        let _ = writeln!(svg, "{}transform=\"translate({x:.1} {at:.1})\"/>", series.shape);
    }
    svg.push_str("</g>\n");
}
