//! What a drawing has: every point in its place, and nothing that is not there.

mod common;

use charts::{Point, figure, svg, table};
use common::{all, chart, has, log, marks, numbers, text};
use roxmltree::Document;

#[test]
fn it_is_well_formed_and_stands_in_one_block() {
    for chart in [chart(), log(chart())] {
        for part in [svg(&chart), figure(&chart)] {
            // An element of HTML that XML would want closed.
            Document::parse(&part.replace("<wbr>", ""))
                .unwrap_or_else(|e| panic!("{e}\n{part}"));
            assert!(
                part.lines().all(|line| !line.trim().is_empty()),
                "a blank line\n{part}"
            );
            assert!(!part.contains("NaN") && !part.contains("inf"), "{part}");
        }
    }
}

#[test]
fn two_charts_have_no_id_in_common_and_what_is_referred_to_is_there() {
    let mut other = chart();
    other.name = "b".into();
    let page =
        format!("<div>{}{}</div>", figure(&chart()), figure(&other)).replace("<wbr>", "");
    let document = Document::parse(&page).unwrap();
    let ids: Vec<&str> =
        document.descendants().filter_map(|node| node.attribute("id")).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!((ids.len(), unique.len()), (4, 4), "{ids:?}");
    assert!(ids.iter().all(|id| id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')));
    for node in document.descendants() {
        for name in ["aria-labelledby", "aria-describedby"] {
            assert!(node.attribute(name).is_none_or(|id| ids.contains(&id)));
        }
    }
}

#[test]
fn marks_stand_where_the_numbers_say() {
    let linear = marks(&svg(&chart()), "0");
    assert_eq!(linear.iter().map(|mark| mark.0).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let [one, hundred, missing, _, last] = linear[..] else { panic!("{linear:?}") };
    let per_client = (last.1 - one.1) / 999.0;
    assert!((hundred.1 - one.1 - 99.0 * per_client).abs() < 0.2, "{linear:?}");
    let per_request = (last.2 - hundred.2) / 2000.0;
    assert!((one.2 - hundred.2 - 3100.0 * per_request).abs() < 0.2, "{linear:?}");
    assert!(missing.2 > one.2 && missing.2 > last.2, "at the foot");

    let log = marks(&svg(&log(chart())), "0");
    let [one, hundred, _, _, last] = log[..] else { panic!("{log:?}") };
    let per_decade = (last.1 - one.1) / 3.0;
    assert!((hundred.1 - one.1 - 2.0 * per_decade).abs() < 0.2, "{log:?}");
}

#[test]
fn a_gap_is_a_gap_and_a_note_is_another_mark() {
    let drawing = svg(&chart());
    let document = Document::parse(&drawing).unwrap();
    let lines: Vec<&str> =
        all(&document, "chart-line").filter_map(|line| line.attribute("d")).collect();
    let parts = |n: usize| lines[n].matches('M').count();
    // 2019 is drawn first.
    assert_eq!((parts(0), parts(1), parts(2), parts(3)), (1, 2, 1, 1), "{lines:?}");
    let noted = all(&document, "chart-noted").filter_map(|mark| mark.attribute("d"));
    let shape = |data: &str| data[data.find('m').unwrap()..].to_owned();
    let shapes = noted.map(shape).collect::<Vec<_>>();
    let mut plain = all(&document, "chart-marks")
        .flat_map(|marks| marks.children())
        .filter(|mark| mark.is_element() && !has(mark, "chart-noted"))
        .map(|mark| shape(mark.attribute("d").unwrap()));
    assert_eq!(shapes.len(), 2);
    assert!(plain.all(|plain| !shapes.contains(&plain)));
}

#[test]
fn whiskers_reach_from_the_lowest_to_the_highest_and_stay_in_the_plot() {
    let mut chart = chart();
    // Of the third the middle is below both: it is within its range nevertheless.
    let drawing = svg(&chart);
    let whiskers = |drawing: &str| {
        let document = Document::parse(drawing).unwrap();
        let data = all(&document, "chart-whiskers").next().unwrap().attribute("d").unwrap();
        data.split('M').skip(1).map(numbers).collect::<Vec<_>>()
    };
    let found = whiskers(&drawing);
    let marks = marks(&drawing, "0");
    assert_eq!(found.len(), 3);
    for (whisker, mark) in found.iter().zip([&marks[0], &marks[1], &marks[3]]) {
        let [x, low, to_x, high] = whisker[..] else { panic!("{whisker:?}") };
        assert_eq!((x, to_x), (mark.1, mark.1));
        assert!((high..=low).contains(&mark.2) && high < low, "{whisker:?} {mark:?}");
    }
    chart.y.to = Some(4050.0);
    let top =
        whiskers(&svg(&chart)).iter().map(|whisker| whisker[3]).fold(f64::MAX, f64::min);
    assert!((top - 34.0).abs() < 0.2, "{top}: cut off at the frame");
}

#[test]
fn everything_is_drawn_inside_the_drawing() {
    for chart in [chart(), log(chart())] {
        let drawing = svg(&chart);
        let document = Document::parse(&drawing).unwrap();
        for text in document.descendants().filter(|node| node.has_tag_name("text")) {
            let at = |name| text.attribute(name).unwrap().parse::<f64>().unwrap();
            assert!((0.0..560.0).contains(&at("x")) && (0.0..460.0).contains(&at("y")));
        }
        for number in ["0", "1", "2", "3"] {
            for (_, x, y) in marks(&drawing, number) {
                assert!((0.0..=560.0).contains(&x) && (34.0..=460.0).contains(&y));
            }
        }
    }
}

#[test]
fn what_lies_beyond_an_axis_is_not_drawn_and_stands_in_the_table() {
    let mut chart = chart();
    chart.x.to = Some(300.0);
    assert_eq!(marks(&svg(&chart), "0").len(), 3);
    assert!(table(&chart).contains("<td>2,000</td>"));
    // On a scale of factors there is no place for zero: its mark stands at the foot.
    let mut chart = log(chart);
    chart.series[2].points[1].y = Some(0.0);
    let (_, _, foot) = marks(&svg(&chart), "2")[1];
    let (_, _, other) = marks(&svg(&chart), "2")[0];
    assert!(foot > other);
    assert!(table(&chart).contains("<td>0</td>"));
}

#[test]
fn those_of_2019_are_not_shown_at_first() {
    let drawing = figure(&chart()).replace("<wbr>", "");
    let document = Document::parse(&drawing).unwrap();
    for curve in all(&document, "chart-curve") {
        let is_past = curve.attribute("data-layer") == Some("past");
        assert_eq!(curve.attribute("display") == Some("none"), is_past);
    }
    let named: Vec<String> =
        document.descendants().filter(|node| node.has_tag_name("li")).map(text).collect();
    assert_eq!(named, ["first & best", "second", "second"]);
}

#[test]
fn a_chart_of_nothing_is_a_chart() {
    let mut chart = chart();
    for empty in
        [vec![], vec![Point::missing(5.0, "no")], vec![Point::new(f64::NAN, f64::NAN)]]
    {
        chart.series[0].points = empty;
        chart.series.truncate(1);
        for chart in [chart.clone(), log(chart.clone())] {
            Document::parse(&figure(&chart)).unwrap();
            assert!(!svg(&chart).contains("NaN"));
        }
    }
    chart.series.clear();
    Document::parse(&figure(&chart)).unwrap();
}
