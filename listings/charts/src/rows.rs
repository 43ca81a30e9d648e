//! Which point of a curve stands in which row of the table: a row for each x, and one more
//! where a curve has two points there.

use crate::{Chart, Layer, Point, Series};

/// An x, and how often the curve had it before.
type Key = (f64, usize);

/// The rows of a layer's table.
pub(crate) struct Rows(Vec<Key>);

impl Rows {
    pub fn of(chart: &Chart, layer: Layer) -> Self {
        let mut keys: Vec<Key> = chart
            .of(layer)
            .flat_map(|(_, series)| keyed(series))
            .map(|(key, _)| key)
            .collect();
        keys.sort_by(order);
        keys.dedup_by(|one, other| order(one, other).is_eq());
        Self(keys)
    }

    /// What each row is about.
    pub fn xs(&self) -> impl Iterator<Item = f64> {
        self.0.iter().map(|(x, _)| *x)
    }

    /// The points of a curve by x, each with its row.
    pub fn place<'a>(&self, series: &'a Series) -> Vec<(usize, &'a Point)> {
        let row = |key: Key| self.0.binary_search_by(|other| order(other, &key));
        keyed(series)
            .into_iter()
            .filter_map(|(key, point)| Some((row(key).ok()?, point)))
            .collect()
    }
}

fn order(one: &Key, other: &Key) -> std::cmp::Ordering {
    one.0.total_cmp(&other.0).then(one.1.cmp(&other.1))
}

fn keyed(series: &Series) -> Vec<(Key, &Point)> {
    let mut points: Vec<&Point> = series.points.iter().collect();
    points.sort_by(|one, other| one.x.total_cmp(&other.x));
    let mut keyed: Vec<(Key, &Point)> = Vec::new();
    for point in points {
        let again = match keyed.last() {
            Some(((x, again), _)) if x.total_cmp(&point.x).is_eq() => again + 1,
            _ => 0,
        };
        keyed.push(((point.x, again), point));
    }
    keyed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Axis;

    #[test]
    fn each_point_has_its_own_row_beside_those_of_others() {
        let series = |xs: &[f64]| Series {
            name: format!("{xs:?}"),
            layer: Layer::Book,
            style: None,
            points: xs.iter().map(|x| Point::new(*x, *x)).collect(),
        };
        let chart = Chart {
            name: "c".into(),
            title: "t".into(),
            x: Axis::linear("x"),
            y: Axis::linear("y"),
            series: vec![series(&[5.0, 1.0, 5.0]), series(&[5.0, 2.0])],
        };
        let rows = Rows::of(&chart, Layer::Book);
        assert_eq!(rows.xs().collect::<Vec<_>>(), [1.0, 2.0, 5.0, 5.0]);
        let places = |n: usize| -> Vec<usize> {
            rows.place(&chart.series[n]).into_iter().map(|(row, _)| row).collect()
        };
        assert_eq!(places(0), [0, 2, 3]);
        assert_eq!(places(1), [1, 2]);
    }
}
