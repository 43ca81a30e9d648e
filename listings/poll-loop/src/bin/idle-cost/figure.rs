//! The data as a drawing: both axes logarithmic, so that "ten times as many" and "ten times
//! as long" are the same distance anywhere.

use std::fmt::Write;

use crate::data::{Call, Cell, Data, Kind};
use crate::table::{grouped, plain};

/// The plot's edges in the drawing.
const LEFT: f64 = 74.0;
const RIGHT: f64 = 610.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 368.0;
/// What the axis shows: idle descriptors.
const FEWEST: f64 = 7.0;
const MOST: f64 = 20_000.0;

/// The drawing, in the form of the book's other figures.
pub fn of(data: &Data) -> String {
    let scale = Scale::of(data);
    let (mut lines, mut text) = (String::new(), String::new());

    for decade in scale.lowest..=scale.highest {
        let us = 10_f64.powi(decade);
        let y = scale.y(us);
        let _ =
            writeln!(lines, r#"<path d="M{LEFT} {y:.1}H{RIGHT}" stroke-opacity="0.25"/>"#);
        let _ = writeln!(
            text,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            LEFT - 8.0,
            y + 5.0,
            duration(us)
        );
    }
    for idle in [10.0, 100.0, 1000.0, 10_000.0] {
        let x = x(idle);
        let _ = writeln!(lines, r#"<path d="M{x:.1} {BOTTOM}v6"/>"#);
        let _ = writeln!(
            text,
            r#"<text x="{x:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            BOTTOM + 22.0,
            grouped(idle)
        );
    }
    let end = x(1023.0);
    let _ = writeln!(lines, r#"<path d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}"/>"#);
    let _ =
        writeln!(lines, r#"<path d="M{end:.1} {TOP}V{BOTTOM}" stroke-dasharray="2 4"/>"#);
    let _ = writeln!(
        text,
        r#"<text x="{:.1}" y="{:.1}" text-anchor="end">1023: the C library's</text>
<text x="{:.1}" y="{:.1}" text-anchor="end">select ends here</text>"#,
        end - 6.0,
        TOP + 12.0,
        end - 6.0,
        TOP + 30.0
    );
    let _ = writeln!(
        text,
        r#"<text x="{LEFT}" y="24" font-weight="bold">how long one call takes, when one descriptor has something</text>
<text x="{RIGHT}" y="{:.1}" text-anchor="end">idle TCP connections beside it</text>"#,
        BOTTOM + 44.0
    );

    for (call, dashes) in [
        (Call::Select, "none"),
        (Call::RawSelect, "6 5"),
        (Call::Poll, "none"),
        (Call::Epoll, "none"),
    ] {
        let cells: Vec<&Cell> = data.of(Kind::Tcp, call).collect();
        let points: Vec<String> = cells
            .iter()
            .map(|cell| {
                format!("{:.1} {:.1}", x(cell.idle as f64), scale.y(cell.us.median))
            })
            .collect();
        let _ = writeln!(
            lines,
            r#"<path d="M{}" stroke-dasharray="{dashes}"/>"#,
            points.join("L")
        );
        for cell in &cells {
            let (x, y) = (x(cell.idle as f64), scale.y(cell.us.median));
            let (low, high) = (scale.y(cell.us.lowest), scale.y(cell.us.highest));
            // The range of the rounds, where one would see it.
            if low - high > 3.0 {
                let _ = writeln!(lines, r#"<path d="M{x:.1} {high:.1}V{low:.1}"/>"#);
            }
            lines.push_str(&mark(call, x, y));
        }
    }

    let at = |call, what: &str, dy: f64| {
        let last = data.of(Kind::Tcp, call).last();
        last.map_or_else(String::new, |cell| {
            format!(
                "<text x=\"{:.1}\" y=\"{:.1}\">{what}</text>\n",
                x(cell.idle as f64) + 24.0,
                scale.y(cell.us.median) + dy
            )
        })
    };
    text.push_str(&at(Call::Poll, "● poll", -2.0));
    text.push_str(&at(Call::Poll, "□ select", 16.0));
    text.push_str(&at(Call::Epoll, "▲ epoll_wait", 5.0));
    if let Some((idle, ratio)) = data.ratio() {
        let (x, poll, epoll) = (
            x(idle as f64),
            scale.y(data.at(Kind::Tcp, Call::Poll, idle).unwrap_or_default().median),
            scale.y(data.at(Kind::Tcp, Call::Epoll, idle).unwrap_or_default().median),
        );
        let _ = writeln!(
            lines,
            r#"<path d="M{x:.1} {:.1}V{:.1}" stroke-dasharray="1 4"/>"#,
            poll + 10.0,
            epoll - 10.0
        );
        let _ = writeln!(
            text,
            r#"<text x="{:.1}" y="{:.1}" font-weight="bold">{} times</text>
<text x="{:.1}" y="{:.1}">at {} idle</text>"#,
            x + 24.0,
            f64::midpoint(poll, epoll),
            plain(ratio),
            x + 24.0,
            f64::midpoint(poll, epoll) + 18.0,
            grouped(idle as f64)
        );
    }

    format!(
        r#"<svg class="figure" viewBox="0 0 760 424" role="img" aria-labelledby="idle-cost-title" xmlns="http://www.w3.org/2000/svg">
<title id="idle-cost-title">The cost of one call of select, poll and epoll_wait against the number of idle connections</title>
<g fill="none" stroke="currentColor" stroke-width="1.5">
{lines}</g>
<g fill="currentColor" font-family="inherit" font-size="14">
{text}</g>
</svg>
"#
    )
}

/// Which durations the drawing shows: whole decades, as powers of ten of a microsecond.
struct Scale {
    lowest: i32,
    highest: i32,
}

impl Scale {
    fn of(data: &Data) -> Self {
        let mut scale = Self { lowest: 0, highest: 1 };
        for cell in data.cells.iter().filter(|cell| cell.kind == Kind::Tcp) {
            scale.lowest = scale.lowest.min(cell.us.lowest.log10().floor() as i32);
            scale.highest = scale.highest.max(cell.us.highest.log10().ceil() as i32);
        }
        scale
    }

    fn y(&self, us: f64) -> f64 {
        let decades = f64::from(self.highest - self.lowest);
        BOTTOM - (us.log10() - f64::from(self.lowest)) / decades * (BOTTOM - TOP)
    }
}

fn x(idle: f64) -> f64 {
    LEFT + (idle / FEWEST).ln() / (MOST / FEWEST).ln() * (RIGHT - LEFT)
}

fn duration(us: f64) -> String {
    match us {
        us if us >= 1e6 => format!("{} s", us / 1e6),
        us if us >= 1e3 => format!("{} ms", us / 1e3),
        us if us >= 1.0 => format!("{us} µs"),
        us => format!("{us:.1} µs"),
    }
}

/// A call's mark. That of select is open, and larger than that of poll, since the two lie on
/// each other.
fn mark(call: Call, x: f64, y: f64) -> String {
    match call {
        Call::Select | Call::RawSelect => {
            format!(
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"14\" height=\"14\"/>\n",
                x - 7.0,
                y - 7.0
            )
        }
        Call::Poll => {
            format!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"currentColor\"/>\n"
            )
        }
        Call::Epoll => format!(
            "<path d=\"M{:.1} {:.1}l-5 9h10z\" fill=\"currentColor\"/>\n",
            x,
            y - 5.0
        ),
    }
}
