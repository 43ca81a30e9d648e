//! `conformance matrix` gathers the verdicts that the servers' tests left, into
//! `matrix.json` and `matrix.md`. `conformance matrix --check` changes nothing and fails
//! when they do not agree.
//!
//! `conformance verdict WHO ROW CASES NOTE` is for scripts of `.ci/run` that try a row by other
//! means: after it held, it leaves the verdict about a server, or about what is `shared` by
//! all of them.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
const USAGE: &str =
    "usage: conformance matrix [--check], or conformance verdict WHO ROW CASES NOTE";

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["matrix"] => update(),
        ["matrix", "--check"] => check(),
        ["verdict", who, row, cases, note] => match (row.parse(), cases.parse()) {
            (Ok(row), Ok(cases)) => verdict(who, row, cases, note),
            _ => return flags::fail(flags::REFUSED, USAGE),
        },
        _ => return flags::fail(flags::REFUSED, USAGE),
    };
    match outcome {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(why) => flags::fail(flags::FAILED, why),
    }
}

#[cfg(target_os = "linux")]
mod files {
    use std::path::{Path, PathBuf};

    use serde_json::Value;

    /// A file beside this crate's manifest.
    pub fn committed(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
    }

    pub fn data() -> Result<Value, String> {
        let path = committed("matrix.json");
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Where verdicts are left, in the folder that Cargo gives tests: `tmp` beside the folder
    /// of this program.
    pub fn verdicts() -> Result<PathBuf, String> {
        let program =
            std::env::current_exe().map_err(|error| format!("my own path: {error}"))?;
        let target =
            program.ancestors().nth(2).ok_or("this program is not in a target folder")?;
        Ok(target.join("tmp/fault-table"))
    }

    /// What the tests left there.
    pub fn fresh() -> Result<Value, String> {
        let folder = verdicts()?;
        conformance::matrix::gather(&folder).map_err(|error| {
            format!("no verdicts in {}: {error}; run cargo test first", folder.display())
        })
    }
}

#[cfg(target_os = "linux")]
fn update() -> Result<String, String> {
    let data = conformance::matrix::merge(files::data()?, &files::fresh()?);
    for (name, text) in [
        ("matrix.json", format!("{data:#}\n")),
        ("matrix.md", conformance::matrix::render(&data)),
    ] {
        let path = files::committed(name);
        std::fs::write(&path, text)
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok("matrix.json and matrix.md are up to date".into())
}

#[cfg(target_os = "linux")]
fn check() -> Result<String, String> {
    let differences = conformance::matrix::differences(&files::data()?, &files::fresh()?);
    if differences.is_empty() {
        return Ok("the verdicts are those of matrix.json".into());
    }
    let list = differences.join("\n  ");
    Err(format!(
        "matrix.json is out of date; cargo run -p conformance -- matrix refreshes it:\n  {list}"
    ))
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("conformance")
}

#[cfg(target_os = "linux")]
fn verdict(who: &str, row: u8, cases: usize, note: &str) -> Result<String, String> {
    use conformance::{Report, Tier, Verdict, rows};

    rows::row_number(row)?;
    let report = Report {
        cases,
        skipped: Vec::new(),
        verdict: Verdict::Pass,
        note: note.into(),
        measured: String::new(),
        lacking: Vec::new(),
        refused: Vec::new(),
    };
    let folder = files::verdicts()?;
    report
        .record(&folder, who, row, Tier::Ci)
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(format!("{who} holds row {row}"))
}
