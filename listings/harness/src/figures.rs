//! The arithmetic of a comparison.

/// Several measurements of the same: the middle one, the lowest and the highest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Half of them are below.
    pub median: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
    /// How many there are.
    pub number: usize,
}

impl Spread {
    /// None of nothing.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        let (number, middle) = (sorted.len(), sorted.len() / 2);
        let median = match number % 2 {
            1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        };
        Some(Self { median, low, high, number })
    }
}

/// What one is of another: the ratio of the medians, and how the ratio of two that were
/// measured one after another in the same round spreads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// Of the medians.
    pub of_medians: f64,
    /// Of each pair.
    pub pairs: Spread,
}

impl Ratio {
    /// None of less than two rounds that have both: what was seen once is no ratio.
    #[must_use]
    pub fn of(ours: &[(usize, f64)], against: &[(usize, f64)]) -> Option<Self> {
        let other =
            |round| against.iter().find(|(of, _)| *of == round).map(|(_, value)| *value);
        let pair = |(round, value): &(usize, f64)| Some(value / other(*round)?);
        let pairs: Vec<f64> = ours.iter().filter_map(pair).collect();
        let pairs = Spread::of(&pairs).filter(|pairs| pairs.number >= 2)?;
        let median = |all: &[(usize, f64)]| {
            let values: Vec<f64> = all.iter().map(|(_, value)| *value).collect();
            Spread::of(&values).map(|spread| spread.median)
        };
        Some(Self { of_medians: median(ours)? / median(against)?, pairs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let spread = |values: &[f64]| Spread::of(values).map(|s| (s.low, s.median, s.high));
        assert_eq!(spread(&[3.0, 1.0, 9.0]), Some((1.0, 3.0, 9.0)));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 9.0]), Some((1.0, 3.0, 9.0)));
        assert_eq!(spread(&[7.0]), Some((7.0, 7.0, 7.0)));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn a_ratio_needs_two_rounds_that_have_both() {
        let ours = [(1, 20.0), (2, 30.0), (3, 60.0)];
        let against = [(1, 10.0), (2, 10.0), (3, 15.0)];
        let ratio = Ratio::of(&ours, &against).unwrap();
        assert_eq!(ratio.of_medians, 3.0);
        // 2, 3 and 4: each with its own round.
        assert_eq!(
            (ratio.pairs.low, ratio.pairs.median, ratio.pairs.high),
            (2.0, 3.0, 4.0)
        );
        assert_eq!(Ratio::of(&ours[..1], &against), None);
        assert_eq!(Ratio::of(&ours[..2], &against[1..]), None, "one round in common");
    }
}
