//! Names at the ends of curves: beside the plot for those that reach its end, none on
//! another; inside for those that end before, where the fewest lines are.
//!
//! `static/charts.js` places those beside the plot again when a curve comes or goes.

use crate::pen::FINE;
use crate::plot::{Curve, Place, Plot, TEXT, WIDTH, width};
use crate::{Chart, Layer, Series};

/// More of a name is not written at the end of its curve.
const LONGEST: usize = 15;
/// From the plot to the names.
const AWAY: i32 = 14;
/// From one name to the next.
const STEP: i32 = TEXT + 1;

/// A name, and where it stands.
#[derive(Debug, PartialEq)]
pub(crate) struct Label {
    pub number: usize,
    pub says: String,
    pub at: Place,
    /// Which end of it stands there: `text-anchor`.
    pub anchor: &'static str,
    /// The end of its curve, if the name stands away from it: a line leads there.
    pub from: Option<Place>,
    /// Beside the plot.
    pub is_beside: bool,
    /// There is another of this name that is drawn over it.
    pub is_hidden: bool,
    /// The reader's.
    pub is_bold: bool,
}

/// Whether names are written at all: one curve is what the title says.
fn has_labels(chart: &Chart) -> bool {
    chart.series.iter().filter(|series| series.layer != Layer::Past2019).count() > 1
}

/// What they need beside the plot.
pub(crate) fn room(chart: &Chart) -> i32 {
    let names = chart.series.iter().filter(|series| series.layer != Layer::Past2019);
    match has_labels(chart) {
        true => names.map(wide).fold(0.0, f64::max) as i32 + AWAY + 4,
        // Half of the last number below.
        false => 2 * TEXT,
    }
}

/// A reader's name is bold.
fn wide(series: &Series) -> f64 {
    width(&short(&series.name)) * if series.layer == Layer::Reader { 1.1 } else { 1.0 }
}

fn short(name: &str) -> String {
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", name[..end].trim_end()),
        None => name.to_owned(),
    }
}

/// The names of the book's curves and the reader's.
pub(crate) fn labels(plot: &Plot, curves: &[Curve]) -> Vec<Label> {
    if !has_labels(plot.chart) {
        return Vec::new();
    }
    let (mut beside, mut inside) = (Vec::new(), Vec::new());
    for curve in curves {
        let series = &plot.chart.series[curve.number];
        // Where its line ends; a mark for "died" at the foot is not near it.
        let end = curve.runs.last().and_then(|run| run.last());
        let Some(&end) = end.or(curve.marks.last().map(|mark| &mark.at)) else { continue };
        if series.layer == Layer::Past2019 {
            continue;
        }
        let is_hidden = series.layer == Layer::Book
            && plot.chart.of(Layer::Reader).any(|(_, other)| other.name == series.name);
        let says = short(&series.name);
        let label = Label {
            number: curve.number,
            says,
            at: end,
            anchor: "start",
            from: None,
            is_beside: false,
            is_hidden,
            is_bold: series.layer == Layer::Reader,
        };
        let reaches = end.0 > plot.right - (plot.right - plot.left) / 12;
        match reaches || plot.goes_on(curve.number) {
            true => beside.push(label),
            false => inside.push(label),
        }
    }
    place_beside(plot, &mut beside);
    let taken =
        beside.iter().map(|label| area(&label.says, (label.at.0, label.at.1, "start")));
    place_inside(plot, curves, &mut inside, taken.collect());
    beside.append(&mut inside);
    beside
}

fn place_beside(plot: &Plot, labels: &mut [Label]) {
    labels.sort_by_key(|label| (label.at.1, label.number));
    let (hidden, shown): (Vec<&mut Label>, _) =
        labels.iter_mut().partition(|label| label.is_hidden);
    // A hidden name will have its place when it is shown.
    for group in [hidden, shown] {
        let wanted: Vec<i32> = group.iter().map(|label| label.at.1).collect();
        let top = (TEXT / 2) * FINE;
        // Below it stand the numbers.
        let places = spread(&wanted, STEP * FINE, top, plot.bottom);
        for (label, y) in group.into_iter().zip(places) {
            (label.from, label.is_beside) = (Some(label.at), true);
            label.at = (plot.right + AWAY * FINE, y);
        }
    }
}

/// Places that are at least a step apart, and as near to the wanted ones, which are in order,
/// as can be. If there is not room for all, the steps are shorter.
fn spread(wanted: &[i32], step: i32, top: i32, bottom: i32) -> Vec<i32> {
    let gaps = wanted.len().saturating_sub(1).max(1) as i32;
    let step = step.min((bottom - top) / gaps);
    // Groups that touch: the sum of what their first ones want, and how many there are.
    let mut groups: Vec<(i64, i64)> = Vec::new();
    let start = |(sum, count): (i64, i64)| {
        let last = i64::from(bottom) - (count - 1) * i64::from(step);
        (sum / count).clamp(i64::from(top), last.max(i64::from(top)))
    };
    for want in wanted {
        groups.push((i64::from(*want), 1));
        while let [.., above, below] = groups[..] {
            let room = start(below) - start(above);
            if room >= above.1 * i64::from(step) {
                break;
            }
            let moved = below.0 - below.1 * above.1 * i64::from(step);
            groups.truncate(groups.len() - 2);
            groups.push((above.0 + moved, above.1 + below.1));
        }
    }
    let each = |group: (i64, i64)| {
        (0..group.1).map(move |n| (start(group) + n * i64::from(step)) as i32)
    };
    groups.into_iter().flat_map(each).collect()
}

/// Left, top, right, bottom.
type Area = [i32; 4];

/// As near as can be, and where the fewest lines and marks are.
fn place_inside(plot: &Plot, curves: &[Curve], labels: &mut [Label], mut taken: Vec<Area>) {
    let dots = dots(curves);
    for label in labels {
        let (x, y) = label.at;
        let (side, high) = (9 * FINE, TEXT * FINE);
        let sides = [(x + side, "start"), (x, "middle"), (x - side, "end")];
        let candidates = [0, -1, 1, -2, 2, -3, 3, -4, 4]
            .into_iter()
            .flat_map(|rows| sides.map(|(x, anchor)| (rows, x, anchor)))
            .filter(|(rows, _, anchor)| *rows != 0 || *anchor != "middle");
        let cost = |(rows, x, anchor): &(i32, i32, &'static str)| {
            let area = area(&label.says, (*x, y + rows * high, anchor));
            let [left, top, right, bottom] = area;
            let is_out = left < plot.left || top < plot.top || bottom > plot.bottom;
            let is_out = is_out || right > WIDTH * FINE;
            let inside =
                |(x, y): Place| (left..=right).contains(&x) && (top..=bottom).contains(&y);
            let under = dots.iter().filter(|(place, _)| inside(*place));
            let on = taken.iter().filter(|other| overlap(&area, other)).count() as i32;
            let crossed: i32 = under.map(|(_, weight)| weight).sum();
            crossed + 3 * rows.abs() + 1000 * on + 500 * i32::from(is_out)
        };
        // The first of equals.
        let best = candidates.min_by_key(cost).expect("there are some");
        let (rows, left, anchor) = best;
        label.from = (rows.abs() > 1).then_some(label.at);
        (label.at, label.anchor) = ((left, y + rows * high), anchor);
        taken.push(area(&label.says, (left, y + rows * high, anchor)));
    }
}

/// What a name covers that stands there.
fn area(says: &str, (x, y, anchor): (i32, i32, &str)) -> Area {
    let (wide, high) = ((width(says) * f64::from(FINE)) as i32, TEXT * FINE);
    let left = match anchor {
        "start" => x,
        "middle" => x - wide / 2,
        _ => x - wide,
    };
    [left, y - high / 2, left + wide, y + high / 2]
}

fn overlap(one: &Area, other: &Area) -> bool {
    one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3]
}

/// The lines and marks of all curves, as dots that are close enough for a name not to fall
/// between two; and how much each disturbs.
fn dots(curves: &[Curve]) -> Vec<(Place, i32)> {
    let marks = curves.iter().flat_map(|curve| &curve.marks);
    let mut dots: Vec<(Place, i32)> = marks.map(|mark| (mark.at, 6)).collect();
    let pairs = curves.iter().flat_map(|curve| &curve.runs).flat_map(|run| run.windows(2));
    for pair in pairs {
        let ((x, y), (to_x, to_y)) = (pair[0], pair[1]);
        let count = ((to_x - x).abs().max((to_y - y).abs()) / (4 * FINE)).max(1);
        let dot = |n| (x + (to_x - x) * n / count, y + (to_y - y) * n / count);
        dots.extend((0..count).map(|n| (dot(n), 1)));
    }
    dots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_distance_and_their_order() {
        assert_eq!(spread(&[], 10, 0, 100), []);
        assert_eq!(spread(&[50], 10, 0, 100), [50]);
        assert_eq!(spread(&[20, 50], 10, 0, 100), [20, 50], "who has room stays");
        assert_eq!(spread(&[50, 50], 10, 0, 100), [45, 55], "and who has not, moves half");
        assert_eq!(spread(&[0, 1, 2], 10, 0, 100), [0, 10, 20], "never above the top");
        assert_eq!(
            spread(&[99, 100, 100], 10, 0, 100),
            [80, 90, 100],
            "nor below the foot"
        );
        let many: Vec<i32> = (0..30).map(|n| 40 + n / 10).collect();
        let places = spread(&many, 10, 0, 100);
        assert!(places.is_sorted() && places[0] >= 0 && places[29] <= 100, "{places:?}");
    }

    #[test]
    fn a_long_name_is_cut() {
        assert_eq!(short("epoll-loop"), "epoll-loop");
        assert_eq!(short("a name that nobody reads"), "a name that nob…");
    }
}
