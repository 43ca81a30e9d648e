//! Every point as a line, for a spreadsheet or another program.

use std::fmt::Write;

use crate::Chart;

/// The chart as comma-separated values: `series,layer,x,y,low,high,note`, in the order of the
/// data, with every digit.
pub fn csv(chart: &Chart) -> String {
    let mut out = String::from("series,layer,x,y,low,high,note\n");
    for series in &chart.series {
        let (name, layer) = (quoted(&series.name), series.layer.id());
        for point in &series.points {
            let value =
                |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
            let _ = writeln!(
                out,
                "{name},{layer},{},{},{},{},{}",
                point.x,
                value(point.y),
                value(point.low),
                value(point.high),
                quoted(point.note.as_deref().unwrap_or_default()),
            );
        }
    }
    out
}

/// In quotes where a reader of the file would see the end of the field.
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
