//! What each chapter holds, as a table, and what must not stand there, as failures.
//!
//! A test of its own is made for each chapter, so that one with nothing tested fails by its
//! name.

use std::io::{self, Write};
use std::path::PathBuf;

use book_tests::snippets::{Snippets, read};
use libtest_mimic::{Arguments, Trial, run};

fn main() {
    let arguments = Arguments::from_args();
    let book = read(book_tests::root());
    if !arguments.list && arguments.filter.is_none() && !book.rows.is_empty() {
        // Not a failure if nobody reads it.
        let _ = table(&book, io::stdout().lock());
    }
    run(&arguments, trials(book)).exit();
}

/// A trial for each file with a problem, and one for each chapter without.
fn trials(book: Snippets) -> Vec<Trial> {
    let mut files: Vec<_> = book.rows.iter().map(|row| row.file.clone()).collect();
    files.extend(book.problems.iter().map(|problem| problem.file.clone()));
    files.sort();
    files.dedup();
    let trial = |file: PathBuf| {
        let problems: Vec<_> = book
            .problems
            .iter()
            .filter(|problem| problem.file == file)
            .map(ToString::to_string)
            .collect();
        Trial::test(file.display().to_string(), move || {
            if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
        })
    };
    files.into_iter().map(trial).collect()
}

fn table(book: &Snippets, mut out: impl Write) -> io::Result<()> {
    let heads = ["excerpts", "compiled", "and run", "calling a listing"];
    writeln!(
        out,
        "\n{:<40}{:>10}{:>10}{:>10}{:>20}",
        "snippets in", heads[0], heads[1], heads[2], heads[3]
    )?;
    for row in &book.rows {
        let (file, compiled) = (row.file.display().to_string(), row.compiled + row.run);
        writeln!(
            out,
            "{file:<40}{:>10}{compiled:>10}{:>10}{:>20}",
            row.excerpts, row.run, row.calling
        )?;
    }
    Ok(())
}
