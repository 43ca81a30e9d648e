//! An axis: from where to where, linear or logarithmic, and its ticks.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::{IntoLogRange, LogCoord};

use crate::{Axis, Scale};

/// What of the numbers an axis shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub scale: Scale,
    pub from: f64,
    pub to: f64,
}

impl Span {
    /// For these numbers. Those that the scale cannot show do not count.
    pub fn of(axis: &Axis, values: impl Iterator<Item = f64>, headroom: f64) -> Self {
        let scale = axis.scale;
        let fits =
            |value: &f64| value.is_finite() && (scale == Scale::Linear || *value > 0.0);
        let values: Vec<f64> = values.filter(fits).collect();
        let least = values.iter().copied().reduce(f64::min).unwrap_or(1.0);
        let most = values.iter().copied().reduce(f64::max).unwrap_or(least);
        let (from, to) = match scale {
            // A curve over a part of the axis exaggerates: show the zero, if it is not far.
            Scale::Linear if least >= 0.0 && least <= most / 4.0 => (0.0, most * headroom),
            Scale::Linear => (least, most + (most - least) * (headroom - 1.0)),
            Scale::Log => (round(least, f64::max, 1.0), round(most, f64::min, 10.0)),
        };
        let from = axis.from.filter(fits).unwrap_or(from);
        let to = axis.to.filter(fits).unwrap_or(to);
        let to = match scale {
            _ if to > from => to,
            Scale::Linear => from + 1.0,
            Scale::Log => from * 10.0,
        };
        Self { scale, from, to }
    }

    /// Whether a number has a place here.
    pub fn shows(&self, value: f64) -> bool {
        (self.from..=self.to).contains(&value)
    }

    /// As plotters has it.
    pub fn ruler(&self) -> Ruler {
        match self.scale {
            Scale::Linear => Ruler::Linear((self.from..self.to).into()),
            Scale::Log => Ruler::Log((self.from..self.to).log_scale().into()),
        }
    }
}

/// The nearest of 1, 2, 5, 10, 20 … that is not above (`f64::max`, first 1) or not below.
fn round(value: f64, nearer: fn(f64, f64) -> f64, first: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade);
    // A decade is exact up to its last bit.
    let fits = |step: &f64| match first {
        1.0 => *step <= value * (1.0 + 1e-12),
        _ => *step >= value * (1.0 - 1e-12),
    };
    steps.into_iter().filter(fits).fold(first * decade, nearer)
}

/// Plotters has a type for each scale; a chart has one for both.
pub(crate) enum Ruler {
    Linear(RangedCoordf64),
    Log(LogCoord<f64>),
}

impl Ranged for Ruler {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        match self {
            Self::Linear(coord) => coord.map(value, limit),
            Self::Log(coord) => coord.map(value, limit),
        }
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        match self {
            Self::Linear(coord) => coord.key_points(hint),
            Self::Log(coord) => decades(&coord.range(), hint.max_num_points()),
        }
    }

    fn range(&self) -> Range<f64> {
        match self {
            Self::Linear(coord) => coord.range(),
            Self::Log(coord) => coord.range(),
        }
    }
}

/// 1, 10, 100 …; and where these are few, 1, 2, 5, 10, 20, 50 …
fn decades(range: &Range<f64>, most: usize) -> Vec<f64> {
    // Plotters starts at the first whole decade; we may need a part of the one before.
    let below = 10_f64.powf(range.start.log10().floor() - 0.5);
    let coord: LogCoord<f64> = (below..range.end * (1.0 + 1e-9)).log_scale().into();
    let shown = |value: &f64| *value >= range.start * (1.0 - 1e-9);
    let whole: Vec<f64> = coord.key_points(most).into_iter().filter(shown).collect();
    let count = (range.end / below).log10().ceil() as usize;
    let mut parts = coord.key_points(count * 10);
    let digit =
        |value: f64| (value / 10_f64.powf((value * 1.000_001).log10().floor())).round();
    parts.retain(|value| shown(value) && [1.0, 2.0, 5.0].contains(&digit(*value)));
    // Plotters says ten of one decade, and one of the next.
    parts.dedup_by(|one, other| (*one / *other - 1.0).abs() < 1e-9);
    if parts.len() <= most { parts } else { whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(axis: Axis, values: &[f64], most: usize) -> Vec<f64> {
        Span::of(&axis, values.iter().copied(), 1.0).ruler().key_points(most)
    }

    #[test]
    fn linear_ticks_are_round_and_within() {
        let cases: [(&[f64], &[f64]); 4] = [
            (&[1.0, 1000.0], &[0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]),
            (&[1000.0, 15_000.0], &[0.0, 5000.0, 10_000.0, 15_000.0]),
            (&[7.0, 130_000.0], &[0.0, 50_000.0, 100_000.0]),
            (&[900.0, 1000.0], &[900.0, 920.0, 940.0, 960.0, 980.0, 1000.0]),
        ];
        for (values, wanted) in cases {
            assert_eq!(ticks(Axis::linear("n"), values, 6), wanted);
        }
    }

    #[test]
    fn log_ticks_are_decades_or_parts_of_them() {
        let cases: [(&[f64], &[f64]); 5] = [
            (&[1.0, 15_000.0], &[1.0, 10.0, 100.0, 1000.0, 10_000.0]),
            (&[7.0, 130_000.0], &[10.0, 100.0, 1000.0, 10_000.0, 100_000.0]),
            (&[30.0, 700.0], &[20.0, 50.0, 100.0, 200.0, 500.0, 1000.0]),
            (&[2000.0, 9000.0], &[2000.0, 5000.0, 10_000.0]),
            (&[0.002, 0.03], &[0.002, 0.005, 0.01, 0.02, 0.05]),
        ];
        for (values, wanted) in cases {
            let found = ticks(Axis::log("n"), values, 6);
            let near = |(a, b): (&f64, &f64)| (a / b - 1.0).abs() < 1e-9;
            assert!(
                found.len() == wanted.len() && found.iter().zip(wanted).all(near),
                "{found:?} for {values:?}"
            );
        }
    }

    #[test]
    fn equal_factors_are_equally_far() {
        let ruler = Span::of(&Axis::log("n"), [1.0, 10_000.0].into_iter(), 1.0).ruler();
        let places = [1.0, 10.0, 100.0, 1000.0, 10_000.0].map(|n| ruler.map(&n, (0, 4000)));
        assert_eq!(places, [0, 1000, 2000, 3000, 4000]);
    }

    #[test]
    fn every_axis_has_a_length() {
        for values in [&[][..], &[0.0], &[5.0, 5.0], &[f64::NAN], &[-3.0, -3.0]] {
            for axis in [Axis::linear("n"), Axis::log("n")] {
                let span = Span::of(&axis, values.iter().copied(), 1.05);
                assert!(span.to > span.from && span.from.is_finite(), "{span:?}");
            }
        }
        let upside_down = Axis { from: Some(10.0), to: Some(1.0), ..Axis::log("n") };
        let span = Span::of(&upside_down, [3.0].into_iter(), 1.0);
        assert_eq!((span.from, span.to), (10.0, 100.0));
    }

    #[test]
    fn what_is_asked_for_is_shown() {
        let axis = Axis { from: Some(100.0), to: Some(1000.0), ..Axis::linear("n") };
        let span = Span::of(&axis, [1.0, 15_000.0].into_iter(), 1.0);
        assert_eq!((span.from, span.to), (100.0, 1000.0));
        assert!(span.shows(100.0) && span.shows(1000.0) && !span.shows(99.0));
    }
}
