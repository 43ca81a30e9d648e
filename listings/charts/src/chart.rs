//! What is to be drawn, as data.

use serde::{Deserialize, Serialize};

/// Curves over common axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// Letters, digits and `-`. No other chart on the page has it: ids are made of it.
    pub name: String,
    /// One line, as a reader sees it.
    pub title: String,
    /// What was varied.
    pub x: Axis,
    /// What was measured.
    pub y: Axis,
    /// The curves, in the order of the legend.
    pub series: Vec<Series>,
}

/// What an axis shows. Where `from` or `to` is missing, it is chosen so that every point is
/// seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// What follows a number: "clients", "requests a second".
    pub label: String,
    /// How numbers become places.
    #[serde(default)]
    pub scale: Scale,
    /// The first number that is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<f64>,
    /// The last number that is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<f64>,
}

impl Axis {
    /// An axis with equal steps.
    pub fn linear(label: &str) -> Self {
        Self { label: label.to_owned(), scale: Scale::Linear, from: None, to: None }
    }

    /// An axis with equal factors. What is not above zero has no place on it.
    pub fn log(label: &str) -> Self {
        Self { scale: Scale::Log, ..Self::linear(label) }
    }
}

/// How numbers become places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Equal steps.
    #[default]
    Linear,
    /// Equal factors.
    Log,
}

/// Whose curve it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Measured for the book.
    #[default]
    Book,
    /// Measured by the reader, drawn over the book's.
    Reader,
    /// Of 2019: faint, and not shown before it is asked for.
    Past2019,
}

/// A curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What was measured. A reader's curve with the name of one of the book's looks like it.
    pub name: String,
    /// Whose it is.
    #[serde(default)]
    pub layer: Layer,
    /// Which colour, dashes and marks; if missing, the next that is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<usize>,
    /// In any order.
    pub points: Vec<Point>,
}

/// One measurement: the median of some rounds, say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// At which load.
    pub x: f64,
    /// What came of it. Nothing: the curve has a gap here.
    #[serde(default)]
    pub y: Option<f64>,
    /// The lowest of the rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The highest of the rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// What a reader has to know about it: "died: SIGSEGV". Its mark has another shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Point {
    /// A measurement without a range.
    pub fn new(x: f64, y: f64) -> Self {
        Self { x, y: Some(y), low: None, high: None, note: None }
    }

    /// Nothing came of it, and why.
    pub fn missing(x: f64, why: &str) -> Self {
        Self { x, y: None, low: None, high: None, note: Some(why.to_owned()) }
    }

    /// The same, with the lowest and the highest of its rounds.
    pub fn between(self, low: f64, high: f64) -> Self {
        Self { low: Some(low), high: Some(high), ..self }
    }

    /// The same, with a note.
    pub fn noted(self, note: &str) -> Self {
        Self { note: Some(note.to_owned()), ..self }
    }

    /// What there is of low, y and high, if there is a y.
    pub(crate) fn range(&self) -> Option<(f64, f64)> {
        let y = self.y.filter(|y| y.is_finite())?;
        let finite = |end: Option<f64>| end.filter(|end| end.is_finite()).unwrap_or(y);
        Some((y.min(finite(self.low)), y.max(finite(self.high))))
    }
}

impl Layer {
    /// As classes and attributes have it.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Book => "book",
            Self::Reader => "reader",
            Self::Past2019 => "past",
        }
    }

    /// As a reader sees it.
    pub(crate) fn says(self) -> &'static str {
        match self {
            Self::Book => "the book",
            Self::Reader => "yours",
            Self::Past2019 => "2019",
        }
    }

    /// From the back of the drawing to its front.
    pub(crate) const ALL: [Self; 3] = [Self::Past2019, Self::Book, Self::Reader];
}

impl Chart {
    /// The name, with nothing in it that an id cannot have.
    pub(crate) fn id(&self) -> String {
        let kept = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        self.name.chars().map(kept).collect()
    }

    /// The curves of a layer, and their numbers in the chart.
    pub(crate) fn of(&self, layer: Layer) -> impl Iterator<Item = (usize, &Series)> {
        self.series.iter().enumerate().filter(move |(_, series)| series.layer == layer)
    }

    /// Whether there are curves of more than one layer.
    pub(crate) fn has_layers(&self) -> bool {
        self.series.iter().any(|series| series.layer != self.series[0].layer)
    }
}
