//! A page with two charts of invented numbers, complete in one file: what a chart looks like,
//! and what the browser test looks at.

use charts::{Axis, Chart, Layer, Point, SCRIPT, STYLE, Series, figure};

const FEW: [f64; 13] = [
    1.0, 20.0, 50.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0, 1000.0,
];
const MANY: [f64; 9] =
    [1500.0, 2000.0, 2500.0, 3000.0, 5000.0, 8000.0, 11_000.0, 13_000.0, 15_000.0];

/// A curve that rises to `most` and bends down from `knee` on.
fn rounds(xs: &[f64], most: f64, knee: f64) -> Vec<Point> {
    let at = |x: &f64| {
        let y = most * x / (x + 12.0) / (1.0 + x / knee);
        // Not the same for each, and the same each time.
        let spread = 0.02 + (x * most).sin().abs() * 0.05;
        let whole = |y: f64| y.round();
        Point::new(*x, whole(y))
            .between(whole(y * (1.0 - spread)), whole(y * (1.0 + spread)))
    };
    xs.iter().map(at).collect()
}

fn series(name: &str, layer: Layer, points: Vec<Point>) -> Series {
    Series { name: name.to_owned(), layer, style: None, points }
}

/// Twelve curves, as many as the book ever has: two end early, one has a gap.
fn twelve(xs: &[f64]) -> Vec<Series> {
    let name = |n: usize| format!("example {}", n + 1);
    let mut all: Vec<Series> = (0..12)
        .map(|n| {
            // The lower ones are close to one another.
            let most = 4000.0 + 800.0 * (n as f64).powi(2);
            let knee = 900.0 * (1.0 + n as f64).powf(1.4);
            series(&name(n), Layer::Book, rounds(xs, most, knee))
        })
        .collect();
    all[1].points.retain(|point| point.x <= 400.0);
    all[1].points.push(Point::missing(500.0, "died: SIGSEGV"));
    all[4].points.retain(|point| point.x <= 700.0);
    let last = all[4].points.pop().expect("it has points");
    all[4].points.push(last.noted("the last before it stopped answering"));
    all[7].points[6] = Point::missing(400.0, "thrown away: its generator was 95 % busy");
    all
}

/// A layer of 2019, off at first.
fn linear() -> Chart {
    let past = |name: &str, most, knee| {
        series(name, Layer::Past2019, rounds(&FEW[1..], most, knee))
    };
    let mut all = twelve(&FEW);
    all.extend([past("example of 2019, a", 2400.0, 9000.0), past("b", 900.0, 400.0)]);
    Chart {
        name: "demo-linear".into(),
        title: "Twelve examples, invented".into(),
        x: Axis::linear("clients"),
        y: Axis::linear("requests a second"),
        series: all,
    }
}

/// And one of the reader's.
fn logarithmic() -> Chart {
    let xs = [&FEW[..], &MANY[..]].concat();
    let mut all = twelve(&xs);
    all.truncate(5);
    let past = rounds(&xs[1..], 2400.0, 9000.0);
    all.extend([
        series("example 3", Layer::Reader, rounds(&xs, 15_000.0, 4000.0)),
        series("example 5", Layer::Reader, rounds(&xs[..16], 52_000.0, 3000.0)),
        series("example of 2019, a", Layer::Past2019, past),
    ]);
    Chart {
        name: "demo-log".into(),
        title: "Five examples and two of yours, invented".into(),
        x: Axis::log("clients"),
        y: Axis::log("requests a second"),
        series: all,
    }
}

fn page() -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Two charts, as an example</title>\n<link rel=\"icon\" href=\"data:,\">\n\
         <style>\n:root {{ color-scheme: light dark; background: Canvas; }}\n\
         body {{ max-width: 50rem; margin: 1rem auto; padding: 0 1rem; font-family: serif; }}\n\
         {STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Two charts, as an example</h1>\n\
         <p>Every number here is invented.</p>\n{}{}</main>\n\
         <script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        figure(&linear()),
        figure(&logarithmic()),
    )
}

fn main() {
    print!("{}", page());
}
