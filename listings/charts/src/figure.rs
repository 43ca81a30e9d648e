//! The drawing with its legend and its numbers, as one block of HTML.
//!
//! There is no blank line in it: Markdown takes one for the block's end.

use std::fmt::Write;

use crate::look::look;
use crate::svg::{classes, dashes, svg};
use crate::table::table;
use crate::words::escaped;
use crate::{Chart, Layer};

/// The chart as a figure: the drawing, a legend, and the numbers behind it. With
/// [`crate::SCRIPT`] the legend becomes buttons, and points say what they are.
pub fn figure(chart: &Chart) -> String {
    format!("<figure class=\"chart\">\n{}</figure>\n", body(chart))
}

/// What stands in the [`figure`]: for a page that writes `<figure class="chart">` itself, with
/// its own `figcaption` before or behind.
pub fn body(chart: &Chart) -> String {
    let (svg, legend, tables) = (svg(chart), legend(chart), table(chart));
    format!(
        "{svg}{legend}<details class=\"chart-data\"><summary>The numbers of this chart</summary>\n\
         {tables}</details>\n"
    )
}

/// The book's curves and the reader's. The script adds those of 2019, which it alone can show.
fn legend(chart: &Chart) -> String {
    let mut out = String::from("<div class=\"chart-legend\">\n");
    let has_heads = chart.of(Layer::Reader).next().is_some();
    for layer in [Layer::Book, Layer::Reader] {
        if chart.of(layer).next().is_none() {
            continue;
        }
        if has_heads {
            let _ = writeln!(out, "<p>{}</p>", layer.says());
        }
        out.push_str("<ul>\n");
        for (number, series) in chart.of(layer) {
            let look = look(chart, number);
            let _ = writeln!(
                out,
                "<li data-series=\"{number}\"><svg class=\"chart-key {}\" viewBox=\"0 0 44 16\" \
                 aria-hidden=\"true\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"2\">\
                 <path class=\"chart-line\" d=\"M1 8H43\"{}/>\
                 <path class=\"chart-mark\" d=\"M22 8{}\"/></svg>{}</li>",
                classes(&look, layer),
                dashes(&look),
                look.mark,
                escaped(&series.name)
            );
        }
        out.push_str("</ul>\n");
    }
    out.push_str("</div>\n");
    out
}
