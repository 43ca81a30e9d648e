//! `mdbook-aids [colours]`: the preprocessors for a stock mdBook, which hands over the
//! book on standard input and takes it back on standard output.

use std::env;
use std::io;
use std::process::ExitCode;

use aids::{Aids, Colours};
use mdbook_preprocessor::{Preprocessor, parse_input};

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (preprocessor, words): (&dyn Preprocessor, &[&str]) = match &words[..] {
        ["colours", words @ ..] => (&Colours, words),
        words => (&Aids, words),
    };
    let done = match words {
        [] => run(preprocessor),
        ["supports", renderer] => match preprocessor.supports_renderer(renderer) {
            Ok(true) => Ok(()),
            _ => return ExitCode::FAILURE,
        },
        _ => {
            eprintln!(
                "mdbook-aids: mdbook calls it as mdbook-aids [colours] [supports RENDERER]"
            );
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(preprocessor: &dyn Preprocessor) -> anyhow::Result<()> {
    let (context, book) = parse_input(io::stdin())?;
    let book = preprocessor.run(&context, book)?;
    Ok(serde_json::to_writer(io::stdout(), &book)?)
}
