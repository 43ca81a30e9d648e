//! `cargo book`: builds the book, serves it, records its output blocks.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

/// Builds and serves the book (`serve` is what it does when nothing else is said)
#[derive(Parser)]
#[command(
    name = "cargo book",
    bin_name = "cargo book",
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Verb {
    /// Serves the book on 127.0.0.1, rebuilds it when something changes, and runs its
    /// listings
    Serve(Serve),
    /// Writes the static site
    Build {
        /// Folder to write to; target/book of the workspace if nothing is said
        #[arg(long, value_name = "DIR")]
        dest: Option<PathBuf>,
    },
    /// Performs runs and writes what they print into the chapters
    Record {
        /// The runs, as in `blocking-read/pipe`; all that the chapters show if nothing is
        /// said
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Runs a program until standard input ends
    #[command(hide = true)]
    Guard {
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

#[derive(clap::Args)]
struct Serve {
    /// Port on 127.0.0.1; 0 lets the kernel choose one
    #[arg(long, default_value = "3000")]
    port: u16,
    /// For a speaker: notes at the head of each chapter
    #[arg(long)]
    notes: bool,
}

fn main() -> ExitCode {
    let cli: Cli = flags::parse();
    let verb = match cli.verb.unwrap_or(Verb::Serve(cli.serve)) {
        Verb::Guard { command } => return book::guard::guard(&command),
        verb => verb,
    };
    let Some(root) = root() else {
        return flags::fail(
            flags::REFUSED,
            "no book.toml here or above; go to the book's folder and try again",
        );
    };
    let done = match verb {
        Verb::Serve(Serve { port, notes }) => book::serve::serve(&root, port, notes),
        Verb::Build { dest } => {
            build(&root, &dest.unwrap_or_else(|| root.join("target/book")))
        }
        Verb::Record { names } => record(&root, &names),
        Verb::Guard { .. } => unreachable!("done above"),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(flags::FAILED, format_args!("{error:#}")),
    }
}

/// The nearest folder, from here upwards, with a `book.toml`.
fn root() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors()
        .find(|folder| folder.join("book.toml").is_file())
        .map(Path::to_path_buf)
}

fn build(root: &Path, dest: &Path) -> Result<()> {
    book::site::build(root, dest)?;
    println!("built in {}", dest.display());
    Ok(())
}

fn record(root: &Path, names: &[String]) -> Result<()> {
    for change in runs::record(root, names).context("not recorded")? {
        let place = format!("{}:{}", change.file.display(), change.line);
        match change.what {
            runs::What::Kept => {
                println!("{place}: {} prints what stands there", change.name);
            }
            runs::What::Written => println!("{place}: {} written anew", change.name),
            runs::What::Skipped(why) => {
                println!("{place}: {} left as it is: {why}", change.name);
            }
        }
    }
    Ok(())
}
