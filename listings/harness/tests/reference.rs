//! The charts of the book are drawn of the results that stand beside them.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;

use harness::{reference, report, results};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../static/reference"))
}

#[test]
fn the_books_charts_are_those_of_its_results() {
    let read = results::read(folder()).unwrap();
    let drawn = reference::drawn(&read, None).unwrap();
    let there = fs::read_to_string(folder().join("charts.json")).unwrap();
    assert!(drawn == there, "cargo harness reference draws it again");
}

#[test]
fn every_cell_of_the_plan_was_measured_once() {
    let read = results::read(folder()).unwrap();
    let keys: Vec<_> = read.cells.iter().map(|cell| cell.key.clone()).collect();
    let planned: Vec<_> = read.plan.cells().iter().map(|todo| todo.key()).collect();
    assert_eq!(keys, planned);
}

#[test]
fn a_report_asks_nobody_for_anything() {
    let read = results::read(folder()).unwrap();
    let page = report::html(&read, Some(&read));
    // A namespace is a name, and nothing that is fetched.
    let page = page.replace("http://www.w3.org/2000/svg", "");
    for reference in ["src=", "href=", "url(", "@import", "fetch(", "http://", "https://"] {
        let found = page.find(reference).map(|at| &page[at.saturating_sub(60)..at + 40]);
        assert_eq!(found, None, "{reference}");
    }
    let lines = report::csv(&read);
    assert_eq!(lines.lines().count(), 1 + read.cells.len());
    let fields = |line: &str| line.split(',').count();
    let head = lines.lines().next().map(fields);
    assert!(lines.lines().all(|line| Some(fields(line)) == head), "{lines}");
}
