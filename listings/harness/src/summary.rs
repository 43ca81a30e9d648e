//! What a result says, in a table for each workload.

use crate::figures::Spread;
use crate::record::{Cell, Ending};
use crate::results::Read;
use crate::table::Table;
use crate::workload::Workload;

/// From here on the generator's processor was the limit.
pub const BUSY: f64 = 0.9;

/// The tables, and what the marks in them mean.
#[must_use]
pub fn summary(of: &Read) -> String {
    let mut text = String::new();
    for workload in &of.plan.workloads {
        let table = table(of, *workload);
        if !table.is_empty() {
            text += &format!("\n{workload}, requests a second, by clients\n{table}");
        }
    }
    for (mark, meaning) in MEANINGS {
        if text.contains(mark) {
            text += &format!("{mark} {meaning}\n");
        }
    }
    if of.plan.rounds < 3 {
        let times = if of.plan.rounds == 1 { "once" } else { "twice" };
        text += &format!(
            "Each cell was seen {times}: enough to see who dies, too little for a ratio. --rounds 5 gives one.\n"
        );
    }
    text
}

const MEANINGS: [(char, &str); 3] = [
    ('~', "not all clients had had a response when it began to be measured"),
    ('*', "the generator's processor was more than 90 % busy: it may be the limit"),
    ('!', "some requests were not answered as they should have been"),
];

fn table(of: &Read, workload: Workload) -> Table {
    let mut clients: Vec<usize> =
        cells(of, workload).map(|cell| cell.key.clients).collect();
    clients.sort_unstable();
    clients.dedup();
    let names =
        ["server".to_owned()].into_iter().chain(clients.iter().map(usize::to_string));
    let mut table = Table::new(names, 1);
    for server in &of.plan.servers {
        let those = |clients: usize| -> Vec<&Cell> {
            let is = |cell: &&Cell| {
                cell.key.server == server.name && cell.key.clients == clients
            };
            cells(of, workload).filter(is).collect()
        };
        let all: Vec<Vec<&Cell>> = clients.iter().map(|number| those(*number)).collect();
        if all.iter().any(|cells| !cells.is_empty()) {
            let texts = all.iter().map(|cells| shown(cells));
            table.push([server.name.clone()].into_iter().chain(texts).collect());
        }
    }
    table
}

fn cells(of: &Read, workload: Workload) -> impl Iterator<Item = &Cell> {
    of.cells.iter().filter(move |cell| cell.key.workload == workload)
}

/// The median of the rounds with its marks, or how it ended where it did not end well.
#[must_use]
pub fn shown(cells: &[&Cell]) -> String {
    if cells.is_empty() {
        return String::new();
    }
    if let Some(cell) = cells.iter().find(|cell| cell.ending != Ending::Well) {
        return cell.ending.word().into();
    }
    let rates: Vec<f64> = cells.iter().filter_map(|cell| cell.rate()).collect();
    let rate = Spread::of(&rates).map_or(0.0, |spread| spread.median);
    format!("{rate:.0}{}", marks(cells))
}

/// What has to be known beside a figure.
#[must_use]
pub fn marks(cells: &[&Cell]) -> String {
    let few = |cell: &&Cell| {
        cell.outcome.as_ref().is_some_and(|o| o.ramp.clients < cell.key.clients as u64)
    };
    let found = [
        ('*', cells.iter().any(|cell| cell.generator_busy() > BUSY)),
        ('~', cells.iter().any(few)),
        ('!', cells.iter().any(|cell| cell.errors() > 0)),
    ];
    found.iter().filter(|(_, is)| *is).map(|(mark, _)| *mark).collect()
}
