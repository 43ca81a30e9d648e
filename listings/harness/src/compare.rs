//! Two results, or two servers of one, side by side.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::figures::{Ratio, Spread};
use crate::record::{Cell, Ending};
use crate::results::{self, Read};
use crate::summary::marks;
use crate::table::Table;
use crate::workload::Workload;

/// Compares two results, or two servers of one result
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// A result's folder or its name; with --in: a server
    #[arg(value_name = "A")]
    pub one: String,
    /// What it is compared with
    #[arg(value_name = "B")]
    pub other: String,
    /// The result whose servers are compared: a folder or a name
    #[arg(long = "in", value_name = "DIR")]
    pub within: Option<String>,
    /// Folder with the folders of results
    #[arg(long, default_value = "target/harness", value_name = "DIR")]
    pub results: PathBuf,
}

/// What two cells have in common that are compared: the workload, the clients, the server.
type Place = (Workload, usize, String);
/// The rounds of a place.
type Rounds<'a> = BTreeMap<Place, Vec<&'a Cell>>;

/// Prints the comparison.
///
/// # Errors
/// An exit code and a line.
pub fn compare(flags: &Flags) -> Result<(), (u8, String)> {
    let refused = |line| (flags::REFUSED, line);
    let read =
        |name: &str| results::read(&results::folder(&flags.results, name)).map_err(refused);
    let text = match &flags.within {
        Some(name) => servers(&read(name)?, &flags.one, &flags.other).map_err(refused)?,
        None => folders(&read(&flags.one)?, &read(&flags.other)?),
    };
    print!("{text}");
    Ok(())
}

fn servers(of: &Read, one: &str, other: &str) -> Result<String, String> {
    let own = |server: &str| -> Result<Rounds<'_>, String> {
        let cells: Vec<&Cell> =
            of.cells.iter().filter(|cell| cell.key.server == server).collect();
        match cells.is_empty() {
            true => Err(format!("there is no cell of {server} in this result")),
            // Both have the same place but for the server's name.
            false => Ok(by_place(cells, |_| String::new())),
        }
    };
    let table = table(&own(one)?, &own(other)?, one, other);
    Ok(format!("{}{table}{NOTE}", heading(of)))
}

fn folders(one: &Read, other: &Read) -> String {
    let (ours, theirs) = (places(one), places(other));
    let table = table(&ours, &theirs, "A", "B");
    let mut text = format!("A: {}B: {}{table}{NOTE}", heading(one), heading(other));
    let differ = one.environment.differences(&other.environment);
    if !differ.is_empty() {
        text += &format!("What differs beside the servers:\n  {}\n", differ.join("\n  "));
    }
    if one.plan.settings != other.plan.settings {
        text += &format!(
            "They were measured in different ways:\n  {:?}\n  {:?}\n",
            one.plan.settings, other.plan.settings
        );
    }
    let alone = ours.keys().filter(|place| !theirs.contains_key(*place)).count()
        + theirs.keys().filter(|place| !ours.contains_key(*place)).count();
    if alone > 0 {
        text += &format!("{alone} cells are in one of them alone, and are left out.\n");
    }
    text
}

fn places(of: &Read) -> Rounds<'_> {
    by_place(of.cells.iter().collect(), |cell| cell.key.server.clone())
}

fn heading(of: &Read) -> String {
    let environment = &of.environment;
    format!(
        "{}, commit {}, {}, {}\n",
        environment.date, environment.commit, environment.kernel, environment.processor
    )
}

fn by_place(cells: Vec<&Cell>, server: impl Fn(&Cell) -> String) -> Rounds<'_> {
    let mut places = Rounds::new();
    for cell in cells {
        let place = (cell.key.workload, cell.key.clients, server(cell));
        places.entry(place).or_default().push(cell);
    }
    places
}

const NOTE: &str = "\
Medians of the rounds (lowest to highest), requests a second. The ratio is B's median by A's; in
parentheses, of two that were measured in the same round. p99 in milliseconds, processor time
for a request in microseconds.
* the generator was more than 90 % busy. ~ not all clients had come. ! there were errors. One
round gives no ratio.
";

fn table(one: &Rounds<'_>, other: &Rounds<'_>, name: &str, against: &str) -> Table {
    // Of two servers there is no other name to say.
    let named = one.keys().any(|(_, _, server)| !server.is_empty());
    let words = if named { 2 } else { 1 };
    let names = ["workload".to_owned(), "server".to_owned()].into_iter().take(words);
    let numbers = ["clients", name, against, "ratio"].map(str::to_owned);
    let of_both = ["p99", "µs"]
        .iter()
        .flat_map(|what| [name, against].map(|who| format!("{what} {who}")));
    let mut table = Table::new(names.chain(numbers).chain(of_both), words);
    for ((workload, clients, server), ours) in one {
        let place = (*workload, *clients, server.clone());
        let Some(theirs) = other.get(&place) else { continue };
        let names = [workload.to_string(), server.clone()].into_iter().take(words);
        let rates = [clients.to_string(), rate(ours), rate(theirs), ratio(ours, theirs)];
        let p99s = [median(ours, p99), median(theirs, p99)];
        let each = [ours, theirs].map(|cells| median(cells, Cell::processor_each));
        table.push(names.chain(rates).chain(p99s).chain(each).collect());
    }
    table
}

fn p99(cell: &Cell) -> Option<f64> {
    cell.outcome.as_ref().map(|outcome| outcome.latency.at(0.99).as_secs_f64() * 1e3)
}

fn median(cells: &[&Cell], of: impl Fn(&Cell) -> Option<f64>) -> String {
    let values: Vec<f64> = cells.iter().filter_map(|cell| of(cell)).collect();
    Spread::of(&values).map_or_else(|| "-".into(), |spread| format!("{:.1}", spread.median))
}

/// The rounds that ended well, with their rates. Of the others there is nothing to divide.
fn rates(cells: &[&Cell]) -> Vec<(usize, f64)> {
    let well = cells.iter().filter(|cell| cell.ending == Ending::Well);
    well.filter_map(|cell| Some((cell.key.round, cell.rate()?))).collect()
}

fn rate(cells: &[&Cell]) -> String {
    let badly = cells.iter().find(|cell| cell.ending != Ending::Well);
    let values: Vec<f64> = rates(cells).into_iter().map(|(_, rate)| rate).collect();
    let range = Spread::of(&values).map(|spread| match spread.number {
        1 => format!("{:.0}", spread.median),
        _ => format!("{:.0} ({:.0} to {:.0})", spread.median, spread.low, spread.high),
    });
    let word = badly.map(|cell| cell.ending.word().to_owned());
    let parts: Vec<String> = range.into_iter().chain(word).collect();
    parts.join(", ") + &marks(cells)
}

fn ratio(ours: &[&Cell], theirs: &[&Cell]) -> String {
    let ratio = Ratio::of(&rates(theirs), &rates(ours));
    ratio.map_or_else(
        || "-".into(),
        |Ratio { of_medians, pairs }| {
            format!("{of_medians:.2} ({:.2} to {:.2})", pairs.low, pairs.high)
        },
    )
}

#[cfg(test)]
mod tests;
