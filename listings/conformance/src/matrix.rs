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

/// The matrix as Markdown: one line to a row, one column to a server, and the notes below.
#[must_use]
pub fn render(data: &Value) -> String {
    let servers: Vec<&String> =
        data.as_object().map(|servers| servers.keys().collect()).unwrap_or_default();
    let mut text = String::from(
        "<!-- Made from matrix.json by `cargo run -p conformance -- matrix`. -->\n\n",
    );
    text += "| # | what goes wrong | what must hold |";
    for server in &servers {
        text += &format!(" {server} |");
    }
    text += &format!("\n| --: | --- | --- |{}\n", " --- |".repeat(servers.len()));
    let mut notes = Vec::new();
    for row in ROWS {
        text += &format!("| {} | {} | {} |", row.number, row.fault, row.must_hold);
        for server in &servers {
            text += &format!(
                " {} |",
                cell(row, server, &data[server.as_str()][key(row)], &mut notes)
            );
        }
        text.push('\n');
    }
    for (number, note) in notes.iter().enumerate() {
        text += &format!("{}{}. {note}\n", if number == 0 { "\n" } else { "" }, number + 1);
    }
    text
}

fn key(row: &Row) -> String {
    format!("{:02}", row.number)
}

fn cell(row: &Row, server: &str, tiers: &Value, notes: &mut Vec<String>) -> String {
    if tiers.is_null() {
        return "later".into();
    }
    let mut parts = Vec::new();
    for (tier, label) in
        [("test", ""), ("ci", " in `.ci/run`"), ("long", " in the long form")]
    {
        let verdict = &tiers[tier];
        let Some(name) = verdict["verdict"].as_str() else { continue };
        // A long form that only repeats what was sampled says nothing new.
        if tier == "long"
            && ["cases", "note"].iter().all(|key| verdict[key] == tiers["test"][key])
        {
            continue;
        }
        let word = match name {
            "pass" => "holds",
            "not-applicable" => "does not apply",
            other => other,
        };
        let note = [&verdict["note"], &verdict["measured"]]
            .map(|text| text.as_str().unwrap_or_default());
        let note: Vec<&str> = note.into_iter().filter(|text| !text.is_empty()).collect();
        let mut part = format!("{word}, {} cases{label}", verdict["cases"]);
        if !note.is_empty() {
            notes.push(format!(
                "{server}, row {}{label}: {}.",
                row.number,
                note.join("; ")
            ));
            part += &format!(" ({})", notes.len());
        }
        parts.push(part);
    }
    parts.join("; ")
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
    fn every_row_is_a_line() {
        let text = render(&json!({"a": {"01": {"test": verdict(3), "long": verdict(9)}}}));
        assert_eq!(
            text.lines().filter(|line| line.ends_with(" |")).count(),
            ROWS.len() + 2
        );
        assert!(
            text.contains("| holds, 3 cases; holds, 9 cases in the long form |"),
            "{text}"
        );
        assert!(text.contains("| later |"), "{text}");
    }
}
