//! The middle of some figures, and how far they lie apart, as results have it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::figures;

/// What is said of the rounds of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// As many are above as below.
    pub median: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

impl Spread {
    /// Of these figures; of none, all is 0.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        figures::Spread::of(values).map(Self::from).unwrap_or_default()
    }
}

impl From<figures::Spread> for Spread {
    fn from(spread: figures::Spread) -> Self {
        let figures::Spread { median, low, high, .. } = spread;
        Self { median, low, high }
    }
}

/// To a width, and with a decimal place below ten.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, low, high } = self;
        let places = f.precision().unwrap_or(if *median < 10.0 { 1 } else { 0 });
        let text = format!("{median:.places$} ({low:.places$} to {high:.places$})");
        match f.width() {
            Some(width) => write!(f, "{text:>width$}"),
            None => f.write_str(&text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_with_the_places_that_it_needs() {
        let spread = Spread { median: 2.5, low: -1.0, high: 12.25 };
        assert_eq!(spread.to_string(), "2.5 (-1.0 to 12.2)");
        assert_eq!(format!("{spread:.0}"), "2 (-1 to 12)");
        assert_eq!(format!("{spread:>14.0}!"), "  2 (-1 to 12)!");
        let large = Spread { median: 1234.5, ..spread };
        assert_eq!(large.to_string(), "1234 (-1 to 12)");
    }
}
