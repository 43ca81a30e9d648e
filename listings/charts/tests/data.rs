//! What stands behind a drawing: a table and a file with every point; and what a chart is read from.

mod common;

use charts::{Chart, Layer, Scale, csv, figure, svg, table};
use common::{chart, text};
use roxmltree::{Document, Node};

#[test]
fn the_same_chart_gives_the_same_bytes_and_another_does_not() {
    assert_eq!(figure(&chart()), figure(&chart()));
    let copy: Chart =
        serde_json::from_str(&serde_json::to_string(&chart()).unwrap()).unwrap();
    assert_eq!(copy, chart());
    assert_eq!(figure(&copy), figure(&chart()));
    let mut shuffled = chart();
    shuffled.series[0].points.reverse();
    assert_eq!(figure(&shuffled), figure(&chart()), "the order of the points is no matter");
    let mut other = chart();
    other.series[0].points[1].y = Some(4050.0);
    assert_ne!(svg(&other), svg(&chart()));
}

#[test]
fn what_is_left_out_of_the_data_is_what_one_expects() {
    let data = r#"{"name":"n","title":"t","x":{"label":"x","scale":"log"},"y":{"label":"y"},
        "series":[{"name":"s","points":[{"x":1,"y":2},{"x":2}]}]}"#;
    let chart: Chart = serde_json::from_str(data).unwrap();
    assert_eq!((chart.x.scale, chart.y.scale), (Scale::Log, Scale::Linear));
    assert_eq!(chart.series[0].layer, Layer::Book);
    assert_eq!(chart.series[0].points[1].y, None);
}

#[test]
fn the_table_has_every_point() {
    let tables = format!("<div>{}</div>", table(&chart()).replace("<wbr>", ""));
    let document = Document::parse(&tables).unwrap();
    let rows: Vec<Vec<String>> = document
        .descendants()
        .filter(|node| node.has_tag_name("tr"))
        .map(|row| row.children().filter(Node::is_element).map(text).collect())
        .collect();
    let note = "– thrown away: its generator was 95 % busy";
    let died = "6,000 died: <SIGSEGV> & \"more\"  of it";
    assert_eq!(
        rows,
        [
            &["clients", "first & best", "second"][..],
            &["1", "900 850–1,000", "500"],
            &["100", "4,000 3,900–4,100", "7,000"],
            &["200", note, died],
            &["500", "3,000 3,100–3,300", ""],
            &["1,000", "2,000", ""],
            &["clients", "second"],
            &["1", "400"],
            &["150", "6.5"],
            &["clients", "old"],
            &["20", "7"],
            &["900", "8"],
        ]
    );
    for head in document.descendants().filter(|node| node.has_tag_name("th")) {
        assert!(matches!(head.attribute("scope"), Some("col" | "row")));
    }
    let captions =
        document.descendants().filter(|node| node.has_tag_name("caption")).map(text);
    assert_eq!(
        captions.collect::<Vec<_>>(),
        ["the book", "yours", "2019"]
            .map(|whose| format!("What <two> do ({whose}): requests a second, by clients"))
    );
}

#[test]
fn the_file_has_every_point_with_every_digit() {
    let mut chart = chart();
    chart.series[2].points[1].y = Some(6.123456789);
    chart.series[3].points[0].note = Some("as \"said\"".into());
    let csv = csv(&chart);
    assert!(csv.starts_with(
        "series,layer,x,y,low,high,note\nfirst & best,book,1,900,850,1000,\n"
    ));
    assert!(
        csv.contains(
            "\nfirst & best,book,200,,,,thrown away: its generator was 95 % busy\n"
        )
    );
    assert!(csv.contains(
        "\nsecond,book,200,6000,,,\"died: <SIGSEGV> & \"\"more\"\"\n\nof it\"\n"
    ));
    assert!(csv.contains("\nsecond,reader,150,6.123456789,,,\n"));
    assert!(csv.ends_with("\nold,past,20,7,,,\"as \"\"said\"\"\"\nold,past,900,8,,,\n"));
}
