//! The findings as text for people and as JSON for programs.

use std::fmt::{self, Write};

use serde_json::{Value, json};

use crate::{Finding, Verdict};

/// Columns of the text.
const WIDTH: usize = 92;
/// Where the verdicts begin, and the lines on what to do.
const VERDICT: usize = 20;
/// Where what was found begins.
const FOUND: usize = 29;

/// All findings, in the order of the text.
#[derive(Clone, Debug)]
pub struct Report(pub Vec<Finding>);

impl Report {
    /// The chapters that something affects, in the order of the findings, each once.
    pub fn affected(&self) -> Vec<&'static str> {
        let mut titles = Vec::new();
        for finding in self.0.iter().filter(|finding| finding.verdict != Verdict::Yes) {
            for title in finding.chapters {
                if !titles.contains(title) {
                    titles.push(*title);
                }
            }
        }
        titles
    }

    /// The keys are listed in the crate's documentation.
    pub fn json(&self) -> Value {
        let findings: Vec<Value> = self
            .0
            .iter()
            .map(|finding| {
                json!({
                    "name": finding.name,
                    "verdict": finding.verdict.to_string(),
                    "found": finding.found,
                    "chapters": finding.chapters,
                    "remedy": finding.remedy,
                })
            })
            .collect();
        json!({ "version": 1, "findings": findings, "affected": self.affected() })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.0 {
            write!(f, "{:<VERDICT$}{:<9}", finding.name, finding.verdict)?;
            let found = wrapped(&finding.found, FOUND);
            f.write_str(found.trim_start())?;
            if let Some(remedy) = &finding.remedy {
                if !finding.chapters.is_empty() {
                    let titles = finding.chapters.join("\", \"");
                    f.write_str(&wrapped(&format!("affects \"{titles}\""), VERDICT))?;
                }
                f.write_str(&wrapped(remedy, VERDICT))?;
            }
            f.write_char('\n')?;
        }
        f.write_char('\n')?;
        match self.affected().len() {
            0 => f.write_str("Everything in this book runs here."),
            1 => f.write_str("1 chapter is affected; all others run here."),
            n => write!(f, "{n} chapters are affected; all others run here."),
        }
    }
}

/// The text in lines of at most [`WIDTH`] columns, each after a line end and `indent`
/// spaces. Words longer than a line are cut.
fn wrapped(text: &str, indent: usize) -> String {
    let room = WIDTH - indent;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        for piece in letters.chunks(room) {
            match lines.last_mut() {
                Some(line) if line.chars().count() + 1 + piece.len() <= room => {
                    line.push(' ');
                    line.extend(piece);
                }
                _ => lines.push(piece.iter().collect()),
            }
        }
    }
    lines.iter().map(|line| format!("\n{:indent$}{line}", "")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chapters;

    #[test]
    fn what_is_not_yes_says_whom_it_affects_and_what_to_do() {
        let report = Report(vec![
            Finding::yes("a", &[chapters::READ], "as it should be"),
            Finding::no("b", &[chapters::READ, chapters::AIO], "not there", "get one"),
            Finding::limited("c", &[chapters::AIO], "too few", "get more"),
        ]);
        let text = report.to_string();
        let lines: Vec<&str> = text.lines().collect();
        let indent = " ".repeat(VERDICT);
        assert_eq!(lines[0], "a                   yes      as it should be");
        assert_eq!(lines[1], "b                   no       not there");
        let titles = "\"A read that blocks\", \"Linux AIO: io_submit(2) and O_DIRECT\"";
        assert_eq!(lines[2], format!("{indent}affects {titles}"));
        assert_eq!(lines[3], format!("{indent}get one"));
        assert_eq!(lines.last(), Some(&"2 chapters are affected; all others run here."));
        assert_eq!(report.affected(), [chapters::READ, chapters::AIO]);
    }

    #[test]
    fn a_machine_without_limits_is_one_line_for_each_finding() {
        let report = Report(vec![Finding::yes("a", &[chapters::READ], "there")]);
        let text = report.to_string();
        assert_eq!(
            text,
            "a                   yes      there\n\nEverything in this book runs here."
        );
    }

    #[test]
    fn no_line_is_too_long_whatever_was_found() {
        let long = format!("{} {}", "x".repeat(300), "word ".repeat(80));
        let report = Report(vec![Finding::no("a", &chapters::ALL, long.clone(), long)]);
        let text = report.to_string();
        assert!(text.lines().count() > 20, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }
}
