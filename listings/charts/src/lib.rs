//! Curves that were measured, as drawings that follow the page's theme.
//!
//! [`plotters`] knows scales, ticks and coordinates, and draws; what it draws becomes path
//! data without a colour, and the style sheet says how that looks. So one drawing serves a
//! light page, a dark one and paper. Behind each drawing stands a table with every point.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `chart.rs` | [`Chart`] and its parts: what is to be drawn, as data |
//! | `ruler.rs` | an axis: from where to where, linear or logarithmic, and its ticks |
//! | `pen.rs` | plotters' backend that writes path data |
//! | `rows.rs` | which point stands in which row of the table |
//! | `plot.rs` | where everything stands |
//! | `labels.rs` | names at the ends of curves, none on another |
//! | `look.rs` | colour, dashes and marks of a curve |
//! | `svg.rs`, `table.rs`, `csv.rs`, `figure.rs` | [`svg`], [`table`], [`csv`], [`figure`] |
//! | `words.rs` | numbers and text as they are printed |
//!
//! The same chart gives the same bytes, always: nothing here asks a clock, a font or a map
//! without order.

mod chart;
mod csv;
mod figure;
mod labels;
mod look;
mod pen;
mod plot;
mod rows;
mod ruler;
mod svg;
mod table;
mod words;

pub use chart::{Axis, Chart, Layer, Point, Scale, Series};
pub use csv::csv;
pub use figure::{body, figure};
pub use svg::svg;
pub use table::table;

/// The style sheet of the charts: the file that the book uses. A page without the book's theme
/// gets its colours from it too; it says `color-scheme: light dark` for itself.
pub const STYLE: &str = include_str!("../../../static/charts.css");

/// What makes a [`figure`] interactive: the file that the book uses. It runs when the page is
/// parsed: deferred, or at the end of `body`.
pub const SCRIPT: &str = include_str!("../../../static/charts.js");
