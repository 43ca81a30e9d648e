//! The numbers behind the drawing.
//!
//! A row for each x and a column for each curve: a reader compares curves at one load, and on
//! paper a chart's table takes one page. Each layer has its own.

use std::fmt::Write;

use crate::rows::Rows;
use crate::words::{escaped, number};
use crate::{Chart, Layer, Point};

/// Every point of the chart, as HTML tables: one to a layer. `static/charts.js` reads in them
/// what it says of a point.
pub fn table(chart: &Chart) -> String {
    let mut out = String::new();
    for layer in [Layer::Book, Layer::Reader, Layer::Past2019] {
        if chart.of(layer).next().is_some() {
            one(&mut out, chart, layer);
        }
    }
    out
}

fn one(out: &mut String, chart: &Chart, layer: Layer) {
    let rows = Rows::of(chart, layer);
    let whose = match chart.has_layers() {
        true => format!(" ({})", layer.says()),
        false => String::new(),
    };
    let title = escaped(&format!("{}{whose}", chart.title));
    let (x, y) = (escaped(&chart.x.label), escaped(&chart.y.label));
    // A cell's end is a line's: who takes the text out of the page keeps the numbers apart.
    // What scrolls sideways is reached with the keyboard.
    let _ = write!(
        out,
        "<div class=\"table-wrapper\" tabindex=\"0\" role=\"group\" aria-label=\"Table: {title}\">\n\
         <table>\n<caption>{title}: {y}, by {x}</caption>\n\
         <thead><tr><th scope=\"col\">{x}</th>\n"
    );
    for (number, series) in chart.of(layer) {
        let name = escaped(&series.name);
        let _ = writeln!(out, "<th scope=\"col\" data-series=\"{number}\">{name}</th>");
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    let columns: Vec<_> = chart.of(layer).map(|(_, series)| rows.place(series)).collect();
    for (row, x) in rows.xs().enumerate() {
        let _ = writeln!(out, "<tr><th scope=\"row\">{}</th>", number(x));
        for column in &columns {
            let point = column.iter().find(|(place, _)| *place == row);
            out.push_str("<td>");
            if let Some((_, point)) = point {
                cell(out, point);
            }
            out.push_str("</td>\n");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
}

fn cell(out: &mut String, point: &Point) {
    out.push_str(&number(point.y.unwrap_or(f64::NAN)));
    // As measured, even if the middle is outside.
    let y = point.y.filter(|y| y.is_finite());
    if let (Some(low), Some(high)) = (point.low.or(y), point.high.or(y))
        && low != high
    {
        let _ = write!(out, " <small>{}–<wbr>{}</small>", number(low), number(high));
    }
    if let Some(note) = &point.note {
        let _ = write!(out, " <i>{}</i>", escaped(note));
    }
}
