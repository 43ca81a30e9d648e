//! The book's own results, and the reader's over them.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::curves::charts;
use crate::results::{self, Read};

/// Where the book's charts come from, under its root.
const REFERENCE: &str = "static/reference";

/// Makes a result the book's reference: its data, and the charts that are drawn of them
#[derive(Debug, clap::Args)]
pub struct ReferenceFlags {
    /// The result: a folder, or its name; if none is said, the reference itself is drawn again
    #[arg(value_name = "RESULT")]
    pub result: Option<String>,
    /// Folder with the folders of results
    #[arg(long, default_value = "target/harness", value_name = "DIR")]
    pub results: PathBuf,
}

/// Serves the book with your own curves over its charts
#[derive(Debug, clap::Args)]
pub struct BookFlags {
    /// Your result: a folder, or its name
    #[arg(value_name = "RESULT")]
    pub result: String,
    /// Folder with the folders of results
    #[arg(long, default_value = "target/harness", value_name = "DIR")]
    pub results: PathBuf,
    /// Flags for cargo book
    #[arg(last = true, value_name = "FLAGS")]
    pub book: Vec<String>,
}

type Failure = (u8, String);

fn failed(what: &Path) -> impl Fn(io::Error) -> Failure {
    move |error| (flags::FAILED, format!("{}: {error}", what.display()))
}

fn read(folder: &Path) -> Result<Read, Failure> {
    results::read(folder).map_err(|line| (flags::REFUSED, line))
}

/// The charts of a result as the book reads them.
///
/// # Errors
/// One line.
pub fn drawn(book: &Read, reader: Option<&Read>) -> Result<String, String> {
    let text = serde_json::to_string_pretty(&charts(book, reader));
    text.map(|text| text + "\n").map_err(|error| error.to_string())
}

/// Writes the reference.
///
/// # Errors
/// An exit code and a line.
pub fn reference(flags: &ReferenceFlags) -> Result<(), Failure> {
    let folder = Path::new(REFERENCE);
    if let Some(name) = &flags.result {
        let from = results::folder(&flags.results, name);
        read(&from)?;
        fs::create_dir_all(folder).map_err(failed(folder))?;
        for name in results::FILES {
            let (from, to) = (from.join(name), folder.join(name));
            fs::copy(&from, &to).map_err(failed(&from))?;
        }
    }
    let charts = drawn(&read(folder)?, None).map_err(|line| (flags::FAILED, line))?;
    let file = folder.join("charts.json");
    fs::write(&file, charts).map_err(failed(&file))?;
    println!("{}", file.display());
    Ok(())
}

/// Serves the book.
///
/// # Errors
/// An exit code and a line.
pub fn book(flags: &BookFlags) -> Result<(), Failure> {
    let reader = results::folder(&flags.results, &flags.result);
    let charts = drawn(&read(Path::new(REFERENCE))?, Some(&read(&reader)?))
        .map_err(|line| (flags::FAILED, line))?;
    let file = reader.join("over-the-book.json");
    fs::write(&file, charts).map_err(failed(&file))?;
    let file = fs::canonicalize(&file).map_err(failed(&file))?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let error = Command::new(cargo)
        .arg("book")
        .args(&flags.book)
        .env("WHO_WAITS_CHARTS", file)
        .exec();
    Err((flags::FAILED, format!("cannot run cargo: {error}")))
}
