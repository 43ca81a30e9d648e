//! Colour, dashes and marks of a curve: any two of the first twelve are told apart by their
//! marks alone, on paper and by those who see no colours.

use crate::{Chart, Layer};

/// How a curve looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// Of the style sheet's colours, from 1.
    pub hue: usize,
    /// As `stroke-dasharray` has it.
    pub dash: &'static str,
    /// As path data, from the place where it stands.
    pub mark: &'static str,
    /// Whether the mark is an outline.
    pub is_hollow: bool,
}

const HUES: usize = 6;
const DASHES: [&str; 4] = ["", "9 4", "2 3", "12 3 2 3"];
/// Circle, square, triangle, rhomb, triangle upside down, and a cross of some width.
const MARKS: [&str; 6] = [
    "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "m-3.6-3.6h7.2v7.2h-7.2z",
    "m0-5 4.6 8h-9.2z",
    "m0-5.4 5.4 5.4-5.4 5.4-5.4-5.4z",
    "m0 5 4.6-8h-9.2z",
    "m-1.5-4.6h3v3.1h3.1v3h-3.1v3.1h-3v-3.1h-3.1v-3h3.1z",
];

/// The mark of a point that has a note: no curve has it.
pub(crate) const NOTED: &str = "m-5.5-5.5 11 11m0-11-11 11";

/// The same over a curve's own mark, of which it leaves enough to be seen.
pub(crate) const AWAY: &str = "m-8-8 16 16m0-16-16 16";

/// How the curve with this number looks.
pub(crate) fn look(chart: &Chart, number: usize) -> Look {
    let series = &chart.series[number];
    let first = chart.series.iter().position(|other| other.name == series.name);
    let same = &chart.series[first.unwrap_or(number)];
    let style = series.style.or(same.style).unwrap_or_else(|| {
        let before = &chart.series[..first.unwrap_or(number)];
        before.iter().enumerate().filter(|(n, one)| is_new(chart, *n, &one.name)).count()
    });
    Look {
        hue: (style + style / (2 * HUES)) % HUES + 1,
        dash: if series.layer == Layer::Past2019 { "1 4" } else { DASHES[style % 4] },
        mark: MARKS[style % MARKS.len()],
        is_hollow: style / MARKS.len() % 2 == 1,
    }
}

/// Whether no curve before this one has the name.
fn is_new(chart: &Chart, number: usize, name: &str) -> bool {
    chart.series[..number].iter().all(|before| before.name != name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Axis, Series};

    fn chart(series: &[(&str, Layer)]) -> Chart {
        let series = series.iter().map(|(name, layer)| Series {
            name: (*name).to_owned(),
            layer: *layer,
            style: None,
            points: vec![],
        });
        Chart {
            name: "c".into(),
            title: "t".into(),
            x: Axis::linear("x"),
            y: Axis::linear("y"),
            series: series.collect(),
        }
    }

    #[test]
    fn twelve_curves_are_told_apart_without_colour() {
        let names: Vec<String> = (0..12).map(|n| format!("series {n}")).collect();
        let series: Vec<_> =
            names.iter().map(|name| (name.as_str(), Layer::Book)).collect();
        let chart = chart(&series);
        let mut marks: Vec<_> = (0..12)
            .map(|n| look(&chart, n))
            .map(|look| (look.mark, look.is_hollow))
            .collect();
        marks.sort_unstable();
        marks.dedup();
        assert_eq!(marks.len(), 12);
        // And those that share a mark's shape and a colour do not share their dashes.
        for n in 0..6 {
            assert_ne!(look(&chart, n).dash, look(&chart, n + 6).dash);
        }
    }

    #[test]
    fn the_same_name_looks_the_same_in_each_layer() {
        let (book, reader, past) = (Layer::Book, Layer::Reader, Layer::Past2019);
        let mut chart = chart(&[
            ("a", book),
            ("b", book),
            ("b", reader),
            ("a", reader),
            ("old", past),
            ("c", reader),
        ]);
        let looks = |chart: &Chart| [0, 1, 2, 3, 4, 5].map(|n| look(chart, n).mark);
        let [a, b, b2, a2, old, c] = looks(&chart);
        assert_eq!((a, b), (a2, b2));
        assert!(old != a && old != b && c != old && c != a && c != b);
        chart.series[1].style = Some(5);
        assert_eq!(
            looks(&chart)[1..3],
            [MARKS[5]; 2],
            "a style that was chosen holds for both"
        );
    }
}
