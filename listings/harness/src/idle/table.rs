//! The same figures for people.

use super::report::Cell;
use crate::table::Table;

/// All servers.
#[must_use]
pub fn table(cells: &[Cell]) -> String {
    let Some(first) = cells.first() else { return String::new() };
    let mut table = Table::new(["", "connections", "server", "kernel, both ends", ""], 1);
    for cell in cells {
        let mark = match cell.floor {
            Some(floor) if cell.is_missed() => format!("ABOVE {floor:.0}"),
            _ => String::new(),
        };
        let star = if cell.caveat.is_some() { "*" } else { "" };
        table.push(vec![
            format!("{}{star}", cell.server),
            cell.connections.to_string(),
            format!("{:.0}", cell.user),
            format!("{:.0}", cell.kernel),
            mark,
        ]);
    }
    let mut text = format!(
        "\nbytes for an idle connection: medians (lowest to highest) of {} rounds\n{table}",
        first.rounds
    );
    for cell in cells {
        if let Some(caveat) = &cell.caveat {
            text += &format!("* {}: {caveat}\n", cell.server);
        }
    }
    text + ENDS
}

const ENDS: &str = "server: Pss of its processes; kernel: slab, stacks of threads, page tables and \
                    buffers of TCP on the whole machine, on which both ends of each connection are\n";
