//! The drawing.
//!
//! What it needs to be seen at all stands in its attributes, in `currentColor`; colours and
//! sizes of letters are the style sheet's.

use std::fmt::Write;

use crate::labels::{Label, labels};
use crate::look::{AWAY, Look, NOTED};
use crate::pen::{FINE, place, unit};
use crate::plot::{Curve, HEIGHT, Plot, WIDTH};
use crate::words::{escaped, number};
use crate::{Chart, Layer, Point, Series};

/// The chart as SVG, to be put into a page that has [`crate::STYLE`].
pub fn svg(chart: &Chart) -> String {
    let plot = Plot::of(chart);
    let curves = plot.curves();
    let id = chart.id();
    let mut out = format!(
        "<svg class=\"chart-drawing\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-labelledby=\"chart-{id}-title\" aria-describedby=\"chart-{id}-words\" \
         data-x=\"{}\" data-y=\"{}\" data-frame=\"{} {}\" font-size=\"{}\" \
         xmlns=\"http://www.w3.org/2000/svg\">\n\
         <title id=\"chart-{id}-title\">{}</title>\n\
         <desc id=\"chart-{id}-words\">{}</desc>\n",
        escaped(&chart.x.label),
        escaped(&chart.y.label),
        plot.right / FINE,
        plot.bottom / FINE,
        crate::plot::TEXT,
        escaped(&chart.title),
        escaped(&words(chart)),
    );
    mesh(&mut out, &plot);
    for curve in &curves {
        draw(&mut out, chart, curve);
    }
    names(&mut out, &labels(&plot, &curves), &curves);
    out.push_str("</svg>\n");
    out
}

/// The lines behind the curves, the numbers at their ends, and what is counted.
fn mesh(out: &mut String, plot: &Plot) {
    let ticks = plot.ticks();
    out.push_str("<g class=\"chart-mesh\" aria-hidden=\"true\" fill=\"currentColor\">\n");
    let mut grid = String::new();
    for tick in ticks.iter().filter(|tick| !tick.is_x) {
        let _ = write!(grid, "M{}H{}", place(tick.from), unit(tick.to.0));
    }
    let mut axis = format!("M{}H{}", place((plot.left, plot.bottom)), unit(plot.right));
    for tick in ticks.iter().filter(|tick| tick.is_x) {
        let _ = write!(axis, "M{}v6", place(tick.from));
    }
    let _ = writeln!(
        out,
        "<path class=\"chart-grid\" d=\"{grid}\" stroke=\"currentColor\" \
         stroke-opacity=\".25\"/>\n<path class=\"chart-axis\" d=\"{axis}\" \
         stroke=\"currentColor\"/>"
    );
    for tick in &ticks {
        let (x, y) = tick.from;
        let (at, anchor, dy) = match tick.is_x {
            true => ((x, y + 9 * FINE), "middle", ".75em"),
            false => ((x - 6 * FINE, y), "end", ".35em"),
        };
        text(out, at, anchor, dy, &tick.says);
    }
    text(out, (4 * FINE, 10 * FINE), "start", ".35em", &plot.chart.y.label);
    let below = (HEIGHT - 11) * FINE;
    text(out, (plot.right, below), "end", ".35em", &plot.chart.x.label);
    out.push_str("</g>\n");
}

fn text(out: &mut String, (x, y): (i32, i32), anchor: &str, dy: &str, says: &str) {
    let (x, y, says) = (unit(x), unit(y), escaped(says));
    let anchor = match anchor {
        "start" => String::new(),
        other => format!(" text-anchor=\"{other}\""),
    };
    let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" dy=\"{dy}\"{anchor}>{says}</text>");
}

/// The classes of whatever belongs to a curve.
pub(crate) fn classes(look: &Look, layer: Layer) -> String {
    let hollow = if look.is_hollow { " chart-hollow" } else { "" };
    format!("chart-hue-{} chart-{}{hollow}", look.hue, layer.id())
}

/// The attributes of a curve's line.
pub(crate) fn dashes(look: &Look) -> String {
    match look.dash {
        "" => String::new(),
        dash => format!(" stroke-dasharray=\"{dash}\""),
    }
}

fn draw(out: &mut String, chart: &Chart, curve: &Curve) {
    let series = &chart.series[curve.number];
    let (look, layer) = (&curve.look, series.layer);
    let (width, hidden) = match layer {
        Layer::Book => ("2", ""),
        Layer::Reader => ("4", ""),
        Layer::Past2019 => ("1.5", " display=\"none\""),
    };
    let _ = writeln!(
        out,
        "<g class=\"chart-curve {}\" data-series=\"{}\" data-name=\"{}\" data-layer=\"{}\" \
         fill=\"none\" stroke=\"currentColor\" stroke-width=\"{width}\" \
         stroke-linejoin=\"round\"{hidden}>",
        classes(look, layer),
        curve.number,
        escaped(&series.name),
        layer.id(),
    );
    if !curve.whiskers.is_empty() {
        let _ = writeln!(out, "<path class=\"chart-whiskers\" d=\"{}\"/>", curve.whiskers);
    }
    // The legend shows its dashes even if no two points are joined.
    let _ =
        writeln!(out, "<path class=\"chart-line\" d=\"{}\"{}/>", curve.line, dashes(look));
    let fill = if look.is_hollow { "Canvas" } else { "currentColor" };
    let _ = writeln!(out, "<g class=\"chart-marks\" fill=\"{fill}\">");
    for mark in &curve.marks {
        let at = place(mark.at);
        if mark.is_away {
            // Its curve's own mark under it: colour alone does not say whose it is.
            let _ = writeln!(out, "<path d=\"M{at}{}\"/>", look.mark);
        }
        let (class, shape) = match (mark.is_noted, mark.is_away) {
            (true, true) => (" class=\"chart-noted\"", AWAY),
            (true, false) => (" class=\"chart-noted\"", NOTED),
            (false, _) => ("", look.mark),
        };
        let row = mark.row;
        let _ = writeln!(out, "<path d=\"M{at}{shape}\" data-row=\"{row}\"{class}/>");
    }
    out.push_str("</g>\n</g>\n");
}

/// The names at the curves' ends, each with a line from there.
fn names(out: &mut String, labels: &[Label], curves: &[Curve]) {
    out.push_str("<g class=\"chart-names\" aria-hidden=\"true\" fill=\"currentColor\">\n");
    for label in labels {
        let Some(curve) = curves.iter().find(|curve| curve.number == label.number) else {
            continue;
        };
        let hidden = if label.is_hidden { " display=\"none\"" } else { "" };
        let bold = if label.is_bold { " font-weight=\"bold\"" } else { "" };
        let _ = write!(
            out,
            "<g class=\"chart-hue-{}\" data-series=\"{}\"{hidden}{bold}",
            curve.look.hue, label.number
        );
        if let Some(from) = label.from.filter(|_| label.is_beside) {
            let _ = write!(out, " data-from=\"{}\"", place(from));
        }
        out.push_str(">\n");
        if let Some(from) = label.from {
            let line = format!("M{} {}", place(leaves(label, from)), place(arrives(label)));
            let _ =
                writeln!(out, "<path d=\"{line}\" fill=\"none\" stroke=\"currentColor\"/>");
        }
        text(out, label.at, label.anchor, ".35em", &label.says);
        out.push_str("</g>\n");
    }
    out.push_str("</g>\n");
}

/// Where the line to a name leaves the curve: at its side, or above or below its end.
fn leaves(label: &Label, (x, y): (i32, i32)) -> (i32, i32) {
    match label.is_beside {
        true => (x + 6 * FINE, y),
        false => (x, y + 6 * FINE * (label.at.1 - y).signum()),
    }
}

/// And where it arrives.
fn arrives(label: &Label) -> (i32, i32) {
    let (x, y) = label.at;
    match label.anchor {
        "start" => (x - 4 * FINE, y),
        "middle" => (x, y),
        _ => (x + 4 * FINE, y),
    }
}

/// What a reader takes from the drawing, for those who do not see it. (The table has it all.)
fn words(chart: &Chart) -> String {
    let mut out = format!("{} against {}.", chart.y.label, chart.x.label);
    for series in chart.series.iter().filter(|series| series.layer != Layer::Past2019) {
        let whose = if chart.has_layers() {
            format!(" ({})", series.layer.says())
        } else {
            String::new()
        };
        let _ = write!(out, " {}{whose}: {}.", series.name, course(series));
    }
    out
}

/// Where a curve begins, its highest point, and where it ends.
fn course(series: &Series) -> String {
    let mut points: Vec<&Point> = series.points.iter().collect();
    points.sort_by(|one, other| one.x.total_cmp(&other.x));
    let says = |(point, y): (&Point, f64)| format!("{} at {}", number(y), number(point.x));
    let with = |point: &&Point| point.y.filter(|y| y.is_finite());
    let known = || points.iter().filter_map(|point| Some((*point, with(point)?)));
    let highest = known().reduce(|best, one| if one.1 > best.1 { one } else { best });
    let (Some(first), Some(highest), Some(last)) =
        (known().next(), highest, known().next_back())
    else {
        return "no result".to_owned();
    };
    let mut parts = vec![says(first)];
    if highest.0.x > first.0.x && highest.0.x < last.0.x {
        parts.push(format!("at most {}", says(highest)));
    }
    if last.0.x > first.0.x {
        parts.push(says(last));
    }
    if let Some(note) = points.last().and_then(|point| point.note.as_ref()) {
        parts.push(format!("at {} {note}", number(points[points.len() - 1].x)));
    }
    parts.join(", ")
}
