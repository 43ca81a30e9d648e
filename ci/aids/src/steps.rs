//! The step-by-step simulator: what a loop called, recorded, and what the kernel held.
//!
//! A chapter has it in a line of its own:
//!
//! ```markdown
//! {{#steps poll-loop}}
//! ```
//!
//! In its place stands a table of every system call that the server made while three clients
//! came (`static/recorded-steps/poll-loop.json`, which `record-steps` writes), complete without
//! script and on paper, and the same as data. `static/steps.js` makes a page element of it in
//! which the reader says what comes next. Of a loop over io_uring it has the two queues as well:
//! [`rings`].

pub mod kernel;
pub mod page;
pub mod predict;
pub mod recording;
pub mod rings;
pub mod trace;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context as _, Result, anyhow};
use mdbook_preprocessor::book::{Book, Chapter};
use regex::{Captures, Regex};
use runs::{Problem, includes};

use crate::excerpts::{self, Excerpt};
use crate::{refuse, sources, up};
use recording::{Label, Recording};

/// A line with a directive of this module, a broken one as well; one behind a backslash is
/// text.
static DIRECTIVE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^.*\{\{\s*#steps\b.*$").expect("a regex"));
static NAMED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\{\{#steps ([a-z-]+)\}\}\s*$").expect("a regex"));

/// Where the recordings are, relative to the book's root.
const RECORDINGS: &str = "static/recorded-steps";

/// Puts the simulators into the book, and the lines of the listings that they link to among
/// those that the book shows.
///
/// # Errors
/// Every line of `src/` where a directive is malformed, names what was not recorded, names it
/// a second time, or whose listing does not mark the lines of the five steps with anchors.
pub(crate) fn apply(root: &Path, book: &mut Book, shown: &mut Vec<Excerpt>) -> Result<()> {
    let mut used = BTreeSet::new();
    let mut problems = Vec::new();
    book.for_each_chapter_mut(|chapter| {
        let text = std::mem::take(&mut chapter.content);
        chapter.content = DIRECTIVE
            .replace_all(&text, |found: &Captures| {
                let line = &found[0];
                if line.contains(r"\{{") {
                    return line.to_owned();
                }
                let at = found.get(0).map_or(0, |found| found.start());
                let simulator = match NAMED.captures(line) {
                    None => Err(anyhow!(
                        "a simulator is one line at the left margin: {{{{#steps NAME}}}}"
                    )),
                    Some(named) if !used.insert(named[1].to_owned()) => Err(anyhow!(
                        "a second {{{{#steps {}}}}}; the book has one",
                        &named[1]
                    )),
                    Some(named) => simulator(root, chapter, &named[1], shown),
                };
                simulator.unwrap_or_else(|e| {
                    problems.push(Problem {
                        file: Path::new("src")
                            .join(chapter.source_path.as_deref().unwrap_or(Path::new("?"))),
                        line: 1 + text[..at].matches('\n').count(),
                        what: format!("{e:#}"),
                    });
                    line.to_owned()
                })
            })
            .into_owned();
    });
    refuse(&problems)
}

/// What was recorded of a loop.
#[derive(Clone, Debug)]
pub enum Recorded {
    /// Its calls, and two queues.
    Rings(rings::Recording),
    /// Its calls.
    Calls(Recording),
}

impl Recorded {
    /// What stands in the file of a recording.
    ///
    /// # Errors
    /// Where it is not one.
    pub fn from_json(text: &str) -> serde_json::Result<Self> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        Ok(match value.get("rings") {
            Some(_) => Self::Rings(serde_json::from_value(value)?),
            None => Self::Calls(serde_json::from_value(value)?),
        })
    }
}

/// The simulator of one recording.
fn simulator(
    root: &Path,
    chapter: &Chapter,
    name: &str,
    shown: &mut Vec<Excerpt>,
) -> Result<String> {
    let file = Path::new(RECORDINGS).join(name).with_extension("json");
    let text = fs::read_to_string(root.join(&file)).with_context(|| {
        format!(
            "{}: {name} was not recorded (cargo run -p aids --bin record-steps)",
            file.display()
        )
    })?;
    let recording =
        Recorded::from_json(&text).with_context(|| file.display().to_string())?;
    let page = chapter.path.as_deref().unwrap_or(Path::new("")).with_extension("html");
    let mut lines = Vec::new();
    for label in Label::ALL {
        let mut excerpt = marked(root, chapter, name, &label.to_string(), &page)?;
        let link = format!("{}{}#{}", up(&page), sources::page(name), excerpt.anchor());
        lines.push((label, link, excerpt.in_words()));
        if shown
            .iter()
            .all(|known| known.file != excerpt.file || known.lines != excerpt.lines)
        {
            excerpt.id = format!("steps-{name}");
            shown.push(excerpt);
        }
    }
    match recording {
        Recorded::Rings(recording) => rings::page::html(name, &recording, &lines),
        Recorded::Calls(recording) => page::html(name, &recording, &lines),
    }
    .map_err(|why| anyhow!("{}: {why}", file.display()))
}

/// The lines of a listing between the anchors of this name, in the first of its files that has
/// them.
fn marked(
    root: &Path,
    chapter: &Chapter,
    listing: &str,
    anchor: &str,
    page: &Path,
) -> Result<Excerpt> {
    let folder = Path::new("listings").join(listing).join("src");
    let mut files: Vec<PathBuf> = fs::read_dir(root.join(&folder))
        .with_context(|| folder.display().to_string())?
        .filter_map(|entry| Some(folder.join(entry.ok()?.file_name())))
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    // lib.rs holds the loop; what it does not have may stand beside it.
    files.sort_by_key(|file| (!file.ends_with("lib.rs"), file.clone()));
    let mark = format!("ANCHOR: {anchor}");
    for file in &files {
        let text = fs::read_to_string(root.join(file))
            .with_context(|| file.display().to_string())?;
        if !text.lines().any(|line| line.trim_end().ends_with(&mark)) {
            continue;
        }
        let include = runs::Chapter {
            file: Path::new("src").join("steps.md"),
            text: format!("{{{{#include ../{}:{anchor}}}}}", file.display()),
        };
        if let [include] = &includes::find(&include).0[..] {
            return excerpts::excerpt(root, include, &chapter.name, page);
        }
    }
    Err(anyhow!("no file in {} has `{mark}`", folder.display()))
}
