//! From results to charts.

use std::collections::BTreeMap;

use charts::{Axis, Chart, Layer, Point, Series};

use crate::figures::Spread;
use crate::record::{Cell, Ending};
use crate::results::Read;
use crate::summary::BUSY;
use crate::workload::Workload;

/// The 2019 experiment, read off its published charts: architecture, concurrency, requests a
/// second.
const PAST: &str = include_str!("../zerohttpd-2019.csv");
/// The source's charts end or begin here.
const MANY: usize = 1000;

/// What a chart shows of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Requests answered in a second.
    Rate,
    /// The server's processor time for a request.
    Processor,
    /// The most memory of all of its processes.
    Memory,
}

impl Quantity {
    fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Processor => "processor",
            Self::Memory => "memory",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Rate => "requests a second",
            Self::Processor => "µs of processor for each request",
            Self::Memory => "MiB",
        }
    }

    fn of(self, cell: &Cell) -> Option<f64> {
        match self {
            Self::Rate => cell.rate(),
            Self::Processor => cell.processor_each(),
            Self::Memory => cell.usage.map(|usage| usage.peak_kib as f64 / 1024.0),
        }
    }
}

/// Which part of the axis a chart shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    To,
    From,
    All,
}

/// Every chart of a result; over it, if there is one, what the reader has measured.
#[must_use]
pub fn charts(book: &Read, reader: Option<&Read>) -> Vec<Chart> {
    let mut all = Vec::new();
    for workload in Workload::ALL {
        for part in [Part::To, Part::From, Part::All] {
            all.push(chart(book, reader, workload, Quantity::Rate, part));
        }
        for quantity in [Quantity::Processor, Quantity::Memory] {
            all.push(chart(book, reader, workload, quantity, Part::All));
        }
    }
    // A line needs two points.
    all.retain(|chart| {
        let measured = chart.series.iter().filter(|one| one.layer != Layer::Past2019);
        let longest = measured.map(|series| series.points.len()).max();
        longest.unwrap_or(0) >= 2
    });
    all
}

fn chart(
    book: &Read,
    reader: Option<&Read>,
    workload: Workload,
    quantity: Quantity,
    part: Part,
) -> Chart {
    let names = names(book, reader);
    let mut series = layer(book, Layer::Book, &names, workload, quantity, part);
    if let Some(reader) = reader {
        series.extend(layer(reader, Layer::Reader, &names, workload, quantity, part));
    }
    if workload == Workload::GuestbookClose && quantity == Quantity::Rate {
        series.extend(past(&names, part));
    }
    let (suffix, range) = match part {
        Part::To => ("-to-1000", ", up to 1,000 clients"),
        Part::From => ("-from-1000", ", 1,000 clients and more"),
        Part::All => ("", ""),
    };
    let axis = if part == Part::All { Axis::log } else { Axis::linear };
    Chart {
        name: format!("{workload}-{}{suffix}", quantity.name()),
        title: format!("{}: {}{range}", said(workload), quantity.label()),
        x: axis("clients"),
        y: axis(quantity.label()),
        series,
    }
}

fn said(workload: Workload) -> &'static str {
    match workload {
        Workload::StaticKeepAlive => "A small file, connections kept",
        Workload::StaticClose => "A small file, a connection for each request",
        Workload::GuestbookKeepAlive => "The guestbook, connections kept",
        Workload::GuestbookClose => "The guestbook, a connection for each request",
    }
}

/// All servers, each with its look.
fn names(book: &Read, reader: Option<&Read>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for read in [Some(book), reader].into_iter().flatten() {
        for server in &read.plan.servers {
            if !names.contains(&server.name) {
                names.push(server.name.clone());
            }
        }
    }
    names
}

fn layer(
    read: &Read,
    layer: Layer,
    names: &[String],
    workload: Workload,
    quantity: Quantity,
    part: Part,
) -> Vec<Series> {
    let of_server = |(style, name): (usize, &String)| {
        let mut by_clients: BTreeMap<usize, Vec<&Cell>> = BTreeMap::new();
        for cell in &read.cells {
            let key = &cell.key;
            if key.server == *name && key.workload == workload && part.has(key.clients) {
                by_clients.entry(key.clients).or_default().push(cell);
            }
        }
        let points = by_clients
            .into_iter()
            .map(|(clients, cells)| point(clients, &cells, quantity))
            .collect();
        Series { name: name.clone(), layer, style: Some(style), points }
    };
    let all = names.iter().enumerate().map(of_server);
    all.filter(|series| !series.points.is_empty()).collect()
}

impl Part {
    fn has(self, clients: usize) -> bool {
        match self {
            Self::To => clients <= MANY,
            Self::From => clients >= MANY,
            Self::All => true,
        }
    }
}

/// The median of the rounds, from the lowest to the highest, and what has to be known beside
/// it.
fn point(clients: usize, cells: &[&Cell], quantity: Quantity) -> Point {
    let values: Vec<f64> =
        cells.iter().filter_map(|cell| quantity.of(cell)).filter(|v| *v > 0.0).collect();
    let note = note(clients, cells);
    let x = clients as f64;
    let Some(spread) = Spread::of(&values) else {
        return Point::missing(x, note.as_deref().unwrap_or("nobody was answered"));
    };
    let point = Point::new(x, spread.median);
    let point = match spread.number {
        1 => point,
        _ => point.between(spread.low, spread.high),
    };
    match note {
        Some(note) => point.noted(&note),
        None => point,
    }
}

/// What went otherwise than it should have.
fn note(clients: usize, cells: &[&Cell]) -> Option<String> {
    let mut notes = Vec::new();
    if let Some(cell) = cells.iter().find(|cell| cell.ending != Ending::Well) {
        notes.push(cell.ending.to_string());
    }
    let outcomes = || cells.iter().filter_map(|cell| cell.outcome.as_ref());
    if let Some(came) = outcomes().map(|outcome| outcome.ramp.clients).min()
        && came < clients as u64
    {
        notes.push(format!("{came} of {clients} clients came in time"));
    }
    let errors: u64 = cells.iter().map(|cell| cell.errors()).sum();
    if errors > 0 {
        let mut kinds = BTreeMap::new();
        for (kind, number) in outcomes().flat_map(|outcome| outcome.errors.by_kind()) {
            *kinds.entry(kind).or_insert(0) += number;
        }
        let kinds = kinds.iter().filter(|(_, number)| **number > 0);
        let kinds: Vec<String> = kinds.map(|(kind, n)| format!("{n} {kind}")).collect();
        notes.push(format!("errors: {}", kinds.join(", ")));
    }
    let busy = cells.iter().map(|cell| cell.generator_busy()).fold(0.0, f64::max);
    if busy > BUSY {
        notes.push(format!("the generator was {:.0} % busy", busy * 100.0));
    }
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// The curves of 2019. What was measured then had another store, on another machine.
fn past(names: &[String], part: Part) -> Vec<Series> {
    let mut series: Vec<Series> = Vec::new();
    for line in PAST.lines().skip(1) {
        let mut fields = line.split(',');
        let (Some(name), Some(clients), Some(rate)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (Ok(clients), Ok(rate)) = (clients.parse::<usize>(), rate.parse()) else {
            continue;
        };
        if !part.has(clients) {
            continue;
        }
        let point = Point::new(clients as f64, rate);
        if let Some(series) = series.iter_mut().find(|series| series.name == name) {
            series.points.push(point);
            continue;
        }
        let same = |ours: &String| ours == name || ours.strip_suffix("-loop") == Some(name);
        series.push(Series {
            name: name.to_owned(),
            layer: Layer::Past2019,
            style: names.iter().position(same),
            points: vec![point],
        });
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_of_2019_is_read() {
        let all = past(&["poll-loop".into()], Part::All);
        let points: usize = all.iter().map(|series| series.points.len()).sum();
        assert_eq!(points, PAST.lines().count() - 1);
        assert_eq!(all.len(), 7);
        let poll = all.iter().find(|series| series.name == "poll").unwrap();
        assert_eq!(poll.style, Some(0), "as our own poll-loop looks");
        let (to, from) = (past(&[], Part::To), past(&[], Part::From));
        let at = |all: &[Series], many| {
            let points = all.iter().flat_map(|series| &series.points);
            points.filter(|point| point.x == many).count()
        };
        assert!(at(&to, 1000.0) > 0 && at(&to, 1000.0) == at(&from, 1000.0));
    }
}
