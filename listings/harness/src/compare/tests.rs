//! The arithmetic of a comparison, with cells whose figures are known.

use std::time::Duration;

use load::{Errors, Generator, Latency, Outcome, Ramp};

use super::*;
use crate::record::{Key, Usage};

/// A cell of one second: so many answers, the generator's processor so busy.
fn cell(server: &str, clients: usize, round: usize, answered: u64, busy: f64) -> Cell {
    let mut latency = Latency::default();
    latency.0.record_n(2_000_000, answered).unwrap();
    let outcome = serde_json::json!({
        "ramp": Ramp { clients: clients as u64, ..Ramp::default() }, "seconds": 1.0, "answered": answered, "connected": 0, "received": 0,
        "errors": Errors::default(), "retried": 0, "unsent": 0, "unfinished": 0, "latency": latency,
        "generator": Generator { processor: busy, peak_kib: 1 },
    });
    Cell {
        key: Key { server: server.into(), workload: Workload::StaticClose, clients, round },
        ending: Ending::Well,
        outcome: Some(serde_json::from_value::<Outcome>(outcome).unwrap()),
        busy,
        usage: Some(Usage { processor: 0.5, ..Usage::default() }),
        network: None,
        calls: None,
        no_calls: None,
        said: None,
    }
}

fn rows(one: &[Cell], other: &[Cell]) -> Vec<String> {
    let rounds = |cells| by_place(cells, |_| String::new());
    let (one, other) = (rounds(one.iter().collect()), rounds(other.iter().collect()));
    let text = table(&one, &other, "a", "b").to_string();
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(words).collect()
}

#[test]
fn medians_ranges_and_ratios_of_three_rounds() {
    let a: Vec<Cell> = [100, 300, 200]
        .iter()
        .zip(1..)
        .map(|(n, round)| cell("a", 7, round, *n, 0.5))
        .collect();
    let b: Vec<Cell> = [200, 300, 600]
        .iter()
        .zip(1..)
        .map(|(n, round)| cell("b", 7, round, *n, 0.5))
        .collect();
    let expected = [
        "workload clients a b ratio p99 a p99 b µs a µs b",
        "static-close 7 200 (100 to 300) 300 (200 to 600) 1.50 (1.00 to 3.00) 2.0 2.0 2500.0 1666.7",
    ];
    assert_eq!(rows(&a, &b), expected);
    assert_eq!(p99(&a[0]).map(|ms| ms.round()), Some(2.0));
    assert!(
        Duration::from_millis(2).abs_diff(a[0].outcome.as_ref().unwrap().latency.at(0.99))
            < Duration::from_micros(10)
    );
}

#[test]
fn what_was_seen_once_is_no_ratio_and_a_busy_generator_is_marked() {
    let rows = rows(&[cell("a", 7, 1, 100, 0.5)], &[cell("b", 7, 1, 200, 0.95)]);
    assert!(rows[1].starts_with("static-close 7 100 200* - "), "{}", rows[1]);
}

#[test]
fn who_died_is_named_and_not_counted() {
    let mut dead = cell("b", 7, 3, 999, 0.5);
    dead.ending = Ending::Died { code: None, signal: Some(9) };
    let a =
        [cell("a", 7, 1, 100, 0.5), cell("a", 7, 2, 100, 0.5), cell("a", 7, 3, 100, 0.5)];
    let b = [cell("b", 7, 1, 200, 0.5), cell("b", 7, 2, 200, 0.5), dead];
    let rows = rows(&a, &b);
    assert!(rows[1].contains("200 (200 to 200), died 2.00 (2.00 to 2.00)"), "{}", rows[1]);
    assert_eq!(rows.len(), 2);
}

#[test]
fn what_must_be_known_beside_a_figure_is_marked() {
    let [quiet, mut few, mut wrong] = [1, 2, 3].map(|round| cell("a", 7, round, 100, 0.5));
    few.outcome.as_mut().unwrap().ramp.clients = 6;
    wrong.outcome.as_mut().unwrap().errors.status = 1;
    assert_eq!(marks(&[&quiet]), "");
    assert_eq!(marks(&[&quiet, &few]), "~");
    assert_eq!(marks(&[&few, &wrong, &cell("a", 7, 4, 100, 0.91)]), "*~!");
}
