//! A chart to look at, and ways to look at what came of it.

#![allow(dead_code, reason = "each test file needs a part")]

use charts::{Axis, Chart, Layer, Point, Scale, Series};
use roxmltree::{Document, Node};

pub fn series(name: &str, layer: Layer, points: Vec<Point>) -> Series {
    Series { name: name.into(), layer, style: None, points }
}

/// Two of the book, one of a reader, one of 2019; a gap, two notes, ranges; text that means
/// something to a parser.
pub fn chart() -> Chart {
    let first = vec![
        Point::new(1.0, 900.0).between(850.0, 1000.0),
        Point::new(100.0, 4000.0).between(3900.0, 4100.0),
        Point::missing(200.0, "thrown away: its generator was 95 % busy"),
        Point::new(500.0, 3000.0).between(3100.0, 3300.0),
        Point::new(1000.0, 2000.0),
    ];
    let second = vec![
        Point::new(100.0, 7000.0),
        Point::new(1.0, 500.0),
        Point::new(200.0, 6000.0).noted("died: <SIGSEGV> & \"more\"\n\nof it"),
    ];
    Chart {
        name: "a chart & more".into(),
        title: "What <two> do".into(),
        x: Axis::linear("clients"),
        y: Axis::linear("requests a second"),
        series: vec![
            series("first & best", Layer::Book, first),
            series("second", Layer::Book, second),
            series(
                "second",
                Layer::Reader,
                vec![Point::new(1.0, 400.0), Point::new(150.0, 6.5)],
            ),
            series(
                "old",
                Layer::Past2019,
                vec![Point::new(20.0, 7.0), Point::new(900.0, 8.0)],
            ),
        ],
    }
}

pub fn log(mut chart: Chart) -> Chart {
    (chart.x.scale, chart.y.scale) = (Scale::Log, Scale::Log);
    chart
}

pub fn has(node: &Node, class: &str) -> bool {
    node.attribute("class").is_some_and(|all| all.split(' ').any(|one| one == class))
}

pub fn all<'a>(
    document: &'a Document,
    class: &'a str,
) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| has(node, class))
}

pub fn text(node: Node) -> String {
    node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect()
}

/// Every number of some path data.
pub fn numbers(data: &str) -> Vec<f64> {
    data.split(['M', ' ', 'H', 'v', 'h'])
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().unwrap_or_else(|_| panic!("{part:?} in {data}")))
        .collect()
}

/// The places of a curve's marks, by their row.
pub fn marks(drawing: &str, number: &str) -> Vec<(usize, f64, f64)> {
    let document = Document::parse(drawing).unwrap();
    let curve = all(&document, "chart-curve")
        .find(|curve| curve.attribute("data-series") == Some(number))
        .expect("the curve is drawn");
    let place = |mark: Node| {
        let row = mark.attribute("data-row")?.parse().unwrap();
        let data = mark.attribute("d").unwrap();
        let at = numbers(&data[..data.find('m').expect("a mark is drawn from its place")]);
        Some((row, at[0], at[1]))
    };
    curve.descendants().filter_map(place).collect()
}
