//! The matrix of server against row: gathered from verdicts, kept as data, rendered as
//! Markdown.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::rows::{ROWS, Row};

/// Reads the verdicts that tests left below `folder`: `SERVER/row-NN.TIER.json`.
///
/// The result has the servers' names as keys; below each, the numbers of rows; below each
/// row, its tiers.
pub fn gather(folder: &Path) -> io::Result<Value> {
    let mut servers = Map::new();
    for server in sorted(folder)? {
        let mut rows = Map::new();
        for file in sorted(&folder.join(&server))? {
            let path = folder.join(&server).join(&file);
            let odd = |why: &str| {
                io::Error::other(format!(
                    "{}: {why}; remove it and run the tests",
                    path.display()
                ))
            };
            let number = file
                .strip_prefix("row-")
                .and_then(|rest| rest.get(..2))
                .ok_or_else(|| odd("no verdict"))?;
            let mut verdict: Value = serde_json::from_str(&fs::read_to_string(&path)?)
                .map_err(|error| odd(&error.to_string()))?;
            let tier = verdict.as_object_mut().and_then(|verdict| verdict.remove("tier"));
            let tier =
                tier.as_ref().and_then(Value::as_str).ok_or_else(|| odd("no tier"))?;
            let row = rows.entry(number).or_insert_with(|| json!({}));
            row[tier] = verdict;
        }
        servers.insert(server, Value::Object(rows));
    }
    Ok(Value::Object(servers))
}

fn sorted(folder: &Path) -> io::Result<Vec<String>> {
    let mut names: Vec<String> = fs::read_dir(folder)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// Lays fresh verdicts over committed ones: a tier that did not run this time keeps what it
/// had.
#[must_use]
pub fn merge(mut committed: Value, fresh: &Value) -> Value {
    for (server, rows) in fresh.as_object().into_iter().flatten() {
        for (row, tiers) in rows.as_object().into_iter().flatten() {
            for (tier, verdict) in tiers.as_object().into_iter().flatten() {
                committed[server][row][tier] = verdict.clone();
            }
        }
    }
    committed
}

/// Where fresh verdicts and committed ones differ, in verdict, number of cases or note;
/// empty when they agree.
#[must_use]
pub fn differences(committed: &Value, fresh: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    for (server, rows) in fresh.as_object().into_iter().flatten() {
        for (row, tiers) in rows.as_object().into_iter().flatten() {
            for (tier, verdict) in tiers.as_object().into_iter().flatten() {
                for key in ["verdict", "cases", "note"] {
                    let (was, is) = (&committed[server][row][tier][key], &verdict[key]);
                    if was != is {
                        differences.push(format!("{server}, row {row}, {tier}: {key} is {is}, matrix.json says {was}"));
                    }
                }
            }
        }
    }
    // A row of the first tier that left no verdict has failed, or was not run.
    for (server, rows) in committed.as_object().into_iter().flatten() {
        for row in rows
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, tiers)| !tiers["test"].is_null())
        {
            let number = row.0;
            if fresh[server][number]["test"].is_null()
                && fresh[server][number]["long"].is_null()
            {
                differences.push(format!(
                    "{server}, row {number}: no verdict; run cargo test -p {server}"
                ));
            }
        }
    }
    differences
}

/// The servers in the order of the book. One that is not named here comes last.
const ORDER: &[&str] = &[
    "iterative",
    "forking",
    "preforked",
    "threaded",
    "prethreaded",
    "framework",
    "select-loop",
    "poll-loop",
    "epoll-loop",
    "uring-loop",
    "executor",
];

/// A row that is not tried with each server: its number, the word for it in the table, and
/// where it is tested.
const ELSEWHERE: &[(u8, &str, &str)] = &[
    (3, "shared", "the parsers that all servers share: `ci/fuzz.sh`"),
    (18, "shared", "the store that all servers share, in `listings/store`"),
    (
        19,
        "n/a",
        "whoever uses a ring: `uring-read`, `uring-loop` and `executor` under a real seccomp filter, in `tests/refused.rs`",
    ),
    (
        20,
        "n/a",
        "`uring-loop`: `--entries 4` is one of its forms, and its unit tests answer every operation with every error",
    ),
    (
        21,
        "n/a",
        "`uring-read` and `uring-loop`: `tests/in_flight.rs`, `tests/drop.rs`, and both under `ci/asan.sh`",
    ),
    (
        22,
        "n/a",
        "`aio-direct`, in `tests/refused.rs`, `tests/odd_sizes.rs` and `tests/in_flight.rs`",
    ),
    (25, "n/a", "the book's own server, in `ci/book`"),
];

/// Under this name a script leaves its verdict about what all servers share.
const SHARED: &str = "shared";

/// The tiers as data and in words.
const TIERS: &[(&str, &str)] =
    &[("test", "`cargo test`"), ("ci", "`.ci/run`"), ("long", "the long form")];

/// The matrix as Markdown: a table with one line to a row and one column to a server, and
/// below it what stands behind each row.
#[must_use]
pub fn render(data: &Value) -> String {
    let names = data.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let mut servers: Vec<&str> = names.filter(|name| *name != SHARED).collect();
    servers.sort_by_key(|name| {
        (ORDER.iter().position(|known| known == name).unwrap_or(ORDER.len()), *name)
    });
    let mut text = String::from(
        "<!-- Made from matrix.json by `cargo run -p conformance -- matrix`. -->\n\
         <!-- ANCHOR: table -->\n",
    );
    text += &format!("| # | what goes wrong | {} |\n", servers.join(" | "));
    text += &format!("| --: | --- |{}\n", " --- |".repeat(servers.len()));
    for row in ROWS {
        let cells: Vec<String> =
            servers.iter().map(|server| cell(row, &data[*server][key(row)])).collect();
        let (number, fault) = (row.number, row.fault);
        text +=
            &format!("| [{number}](#row-{number}) | {fault} | {} |\n", cells.join(" | "));
    }
    text += "<!-- ANCHOR_END: table -->\n\n<!-- ANCHOR: rows -->\n";
    for row in ROWS {
        text += &details(row, &servers, data);
    }
    text + "<!-- ANCHOR_END: rows -->\n"
}

fn key(row: &Row) -> String {
    format!("{:02}", row.number)
}

/// One word, and how many cases a reader's `cargo test` tries.
fn cell(row: &Row, tiers: &Value) -> String {
    let elsewhere = ELSEWHERE.iter().find(|(number, ..)| *number == row.number);
    let (verdict, with_tool) = (&tiers["test"], &tiers["ci"]);
    match verdict["verdict"].as_str() {
        Some("pass") => format!("holds {}", verdict["cases"]),
        Some("lacking") => format!("lacks some of {}", verdict["cases"]),
        Some("not-applicable") if with_tool["verdict"] == "pass" => {
            format!("holds {} (CI)", with_tool["cases"])
        }
        Some("not-applicable") => "n/a".into(),
        Some(other) => other.into(),
        None => elsewhere.map_or("later", |(_, word, _)| word).into(),
    }
}

/// What must hold, how many cases there are, and the notes: what several servers have in
/// common is said once.
fn details(row: &Row, servers: &[&str], data: &Value) -> String {
    let Row { number, fault, must_hold, .. } = row;
    let mut text =
        format!("{number}. <a id=\"row-{number}\"></a>**{fault}**: {must_hold}.");
    if let Some((.., place)) = ELSEWHERE.iter().find(|(elsewhere, ..)| elsewhere == number)
    {
        text += &format!(" This is about {place}.");
    }
    for (tier, place) in TIERS {
        let shared = &data[SHARED][key(row)][*tier];
        if let (Some(cases), Some(note)) =
            (shared["cases"].as_u64(), shared["note"].as_str())
        {
            text += &format!(" Cases: {cases} in {place}, {note}.");
        }
    }
    let with_verdict: Vec<&str> = servers
        .iter()
        .copied()
        .filter(|server| !data[*server][key(row)].is_null())
        .collect();
    let mut cases = Vec::new();
    let mut notes = String::new();
    for (tier, place) in TIERS {
        let of = |server: &str| &data[server][key(row)][*tier];
        // A long form that only repeats what was sampled says nothing new.
        let repeats = |server: &str, what: &str| {
            *tier == "long" && of(server)[what] == data[server][key(row)]["test"][what]
        };
        let here: Vec<&str> = with_verdict
            .iter()
            .copied()
            .filter(|server| {
                let again = repeats(server, "cases") && repeats(server, "note");
                !of(server).is_null() && !again
            })
            .collect();
        let counts = grouped(&here, |server| match of(server)["cases"].as_u64() {
            None | Some(0) => String::new(),
            Some(_) if repeats(server, "cases") => String::new(),
            Some(number) => number.to_string(),
        });
        let counts: Vec<String> = counts
            .iter()
            .map(|(who, count)| match who.len() == with_verdict.len() {
                true => count.clone(),
                false => format!("{count} ({})", who.join(", ")),
            })
            .collect();
        if !counts.is_empty() {
            cases.push(format!("{} in {place}", counts.join(", ")));
        }
        for (who, note) in grouped(&here, |server| note(tier, of(server))) {
            let who = match who.len() == with_verdict.len() {
                true => String::new(),
                false => format!("{}: ", who.join(", ")),
            };
            let place = match *tier {
                "test" => String::new(),
                _ => format!(" (in {place})"),
            };
            notes += &format!("    - {who}{note}{place}\n");
        }
    }
    if !cases.is_empty() {
        text += &format!(" Cases: {}.", cases.join("; "));
    }
    format!("{text}\n{notes}")
}

/// The note of a verdict, and what was measured.
fn note(tier: &str, verdict: &Value) -> String {
    let parts: Vec<&str> = ["note", "measured"]
        .iter()
        .filter_map(|name| verdict[*name].as_str())
        .filter(|text| !text.is_empty())
        .collect();
    match verdict["verdict"].as_str() {
        Some("not-applicable") if tier == "test" => format!("n/a: {}", parts.join("; ")),
        // The first tier has something that does apply.
        Some("not-applicable") => String::new(),
        _ => parts.join("; "),
    }
}

/// Servers about which the same is to be said, in their order; those about which there is
/// nothing to say are left out.
fn grouped<'a>(
    servers: &[&'a str],
    say: impl Fn(&str) -> String,
) -> Vec<(Vec<&'a str>, String)> {
    let mut groups: Vec<(Vec<&str>, String)> = Vec::new();
    for server in servers {
        let said = say(server);
        match groups.iter_mut().find(|(_, other)| *other == said) {
            _ if said.is_empty() => {}
            Some((who, _)) => who.push(server),
            None => groups.push((vec![server], said)),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(cases: u32) -> Value {
        json!({"verdict": "pass", "cases": cases, "skipped": [], "note": "", "measured": ""})
    }

    #[test]
    fn what_differs_is_named() {
        let committed = json!({"a": {"01": {"test": verdict(3)}, "02": {"test": verdict(1), "ci": verdict(9)}}});
        assert_eq!(differences(&committed, &committed), Vec::<String>::new());
        let fresh = json!({"a": {"01": {"test": verdict(4)}}});
        let found = differences(&committed, &fresh);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("cases is 4, matrix.json says 3"), "{found:?}");
        assert!(found[1].contains("row 02: no verdict"), "{found:?}");
        assert_eq!(merge(committed, &fresh)["a"]["01"]["test"], verdict(4));
    }

    #[test]
    fn servers_stand_in_the_order_of_the_book_and_what_they_share_is_said_once() {
        let mut measured = verdict(5);
        measured["verdict"] = json!("measured");
        measured["note"] = json!("nobody else is served");
        let mut alone = verdict(0);
        alone["verdict"] = json!("not-applicable");
        alone["note"] = json!("has no workers");
        let mut fuzzed = verdict(2);
        fuzzed["note"] = json!("20 s each");
        let data = json!({
            "forking": {"01": {"test": verdict(3)}, "12": {"test": measured}, "17": {"test": alone}},
            "iterative": {"01": {"test": verdict(3), "long": verdict(9)}, "12": {"test": measured},
                "09": {"test": alone, "ci": verdict(4)}},
            "shared": {"03": {"ci": fuzzed}},
        });
        let text = render(&data);
        let lines = text.lines().filter(|line| line.ends_with(" |")).count();
        assert_eq!(lines, ROWS.len() + 2, "one to a row, and the head");
        for expected in [
            "| # | what goes wrong | iterative | forking |",
            "| holds 3 | holds 3 |",
            "| measured | measured |",
            "| later | n/a |",
            "| shared | shared |",
            "| holds 4 (CI) | later |",
            "This is about the parsers that all servers share: `ci/fuzz.sh`. Cases: 2 in `.ci/run`, 20 s each.",
            "Cases: 3 in `cargo test`; 9 (iterative) in the long form.",
            "    - nobody else is served\n",
            "    - n/a: has no workers\n",
        ] {
            assert!(text.contains(expected), "{expected} is missing in\n{text}");
        }
        assert_eq!(text.matches("nobody else is served").count(), 1);
    }
}
