//! The same figures for people.

use super::report::{AIO_BLOCKS, Cell, Ratio, Reader, Run, Way};
use crate::table::Table;

/// The cells of one way to read.
#[must_use]
pub fn cells(run: &Run, way: Way, cells: &[Cell]) -> String {
    let cells: Vec<&Cell> = cells.iter().filter(|cell| cell.case.way == way).collect();
    let Some(first) = cells.first() else { return String::new() };
    let names = ["depth", "", "reads a second", "p50", "p99", "p99.9", "processor"];
    let mut table = Table::new(names, 2);
    for (number, cell) in cells.iter().enumerate() {
        let begins = number == 0 || cells[number - 1].case.depth != cell.case.depth;
        table.push(row(cell, begins));
    }
    let mut text = heading(run, first) + &table.to_string();
    if cells.iter().any(|cell| cell.caveat.is_some()) {
        text += &format!("* {AIO_BLOCKS}\n");
    }
    text
}

fn heading(run: &Run, first: &Cell) -> String {
    let (block, mib) = (first.case.block, run.size >> 20);
    let way = match first.case.way {
        Way::Direct => "past the page cache (O_DIRECT)",
        Way::Cached => "from the page cache",
    };
    format!(
        "\n{block} bytes at random out of {mib} MiB, {way}: medians (lowest to highest) of {} rounds of {} s, times in µs\n",
        first.rounds, run.seconds
    )
}

fn row(cell: &Cell, begins: bool) -> Vec<String> {
    let star = if cell.caveat.is_some() { "*" } else { "" };
    let by = if cell.reader == Reader::Fio { "fio " } else { "" };
    let who = format!("{by}{}{star}", cell.case.engine.name());
    let Cell { per_second, p50_us, p99_us, p999_us, .. } = cell;
    vec![
        if begins { cell.case.depth.to_string() } else { String::new() },
        who,
        format!("{per_second:.0}"),
        p50_us.to_string(),
        p99_us.to_string(),
        p999_us.to_string(),
        cell.cpu_us.map_or(String::new(), |cpu| format!("{:.1}", cpu.median)),
    ]
}

/// Ours against fio.
#[must_use]
pub fn ratios(ratios: &[Ratio]) -> String {
    if ratios.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["depth", "", "", "ours / fio's", ""], 3);
    for ratio in ratios {
        let way = if ratio.case.way == Way::Direct { "direct" } else { "cached" };
        let mark = match ratio.floor {
            Some(floor) if ratio.is_below() => format!("BELOW THE FLOOR OF {floor}"),
            _ => String::new(),
        };
        table.push(vec![
            ratio.case.depth.to_string(),
            ratio.case.engine.name().into(),
            way.into(),
            format!("{:.2}", ratio.ratio),
            mark,
        ]);
    }
    format!(
        "\nreads a second against fio, same engine, block and depth: medians (lowest to highest) of rounds one behind the other\n{table}"
    )
}
