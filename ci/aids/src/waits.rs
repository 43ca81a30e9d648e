//! The table "who waits?", which grows with the chapters.
//!
//! A chapter says its row in a line of its own:
//!
//! ```markdown
//! {{#waits The iterative server | the one process; and everybody else | in `recv`}}
//! ```
//!
//! In its place stand the rows of all chapters up to this one. `{{#waits-all}}` stands for
//! the rows of the whole book.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::Result;
use mdbook_markdown::pulldown_cmark::{Event, Parser, Tag, TagEnd, html};
use mdbook_preprocessor::book::{Book, Chapter};
use regex::{Captures, Regex};
use runs::{Problem, includes};

use crate::{refuse, sources};

/// A line with a directive of this module, a broken one as well; one behind a backslash is
/// text.
static DIRECTIVE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^.*\{\{\s*#waits\b.*$").expect("a regex"));
static ROW: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\{\{#waits ([^}]+)\}\}\s*$").expect("a regex"));
/// What stands for the rows of all chapters.
const ALL: &str = "{{#waits-all}}";

/// The answer of one chapter, in inline Markdown.
#[derive(Debug)]
struct Row {
    chapter: PathBuf,
    label: String,
    who: String,
    place: String,
}

/// Puts the tables into the book, which must be as its author wrote it.
///
/// # Errors
/// Every line of `src/` where a directive is malformed or a second one of its chapter, and
/// every numbered chapter that shows listings and says no row.
pub fn apply(_root: &Path, book: &mut Book) -> Result<()> {
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    for chapter in book.chapters() {
        let Some(path) = &chapter.source_path else { continue };
        let (row, found) = read(path, chapter);
        rows.extend(row);
        problems.extend(found);
    }
    refuse(&problems)?;
    book.for_each_chapter_mut(|chapter| {
        let Some(path) = &chapter.source_path else { return };
        let this = rows.iter().position(|row| row.chapter == *path);
        let text = DIRECTIVE.replace_all(&chapter.content, |found: &Captures| {
            match (found[0].trim_end(), this) {
                (ALL, _) => table(&rows, None, path),
                (line, Some(this)) if ROW.is_match(line) => {
                    table(&rows[..=this], Some(this), path)
                }
                (line, _) => line.to_owned(),
            }
        });
        chapter.content = text.into_owned();
    });
    Ok(())
}

/// The row of one chapter, and what is wrong there.
fn read(path: &Path, chapter: &Chapter) -> (Option<Row>, Vec<Problem>) {
    let (mut row, mut problems) = (None, Vec::new());
    let file = Path::new("src").join(path);
    let mut wrong = |line: usize, what: &str| {
        problems.push(Problem { file: file.clone(), line, what: what.to_owned() });
    };
    let mut tried = false;
    for line in DIRECTIVE.find_iter(&chapter.content) {
        let number = 1 + chapter.content[..line.start()].matches('\n').count();
        let text = line.as_str().trim_end();
        if text.contains(r"\{{") || text == ALL {
            continue;
        }
        let cells: Vec<&str> = ROW
            .captures(text)
            .and_then(|found| found.get(1))
            .map_or(Vec::new(), |cells| cells.as_str().split('|').map(str::trim).collect());
        match cells[..] {
            _ if tried => wrong(number, "a second row; a chapter has one"),
            [label, who, place] if ![label, who, place].contains(&"") => {
                row = Some(Row {
                    chapter: path.to_owned(),
                    label: label.to_owned(),
                    who: who.to_owned(),
                    place: place.to_owned(),
                });
            }
            _ => wrong(
                number,
                "a row is one line at the left margin: {{#waits label | who | where}}",
            ),
        }
        tried = true;
    }
    let source = runs::Chapter { file: file.clone(), text: chapter.content.clone() };
    let listing = includes::find(&source)
        .0
        .into_iter()
        .find(|include| sources::listing(&include.target).is_some());
    if let (Some(listing), Some(_), false) = (listing, &chapter.number, tried) {
        wrong(
            listing.line,
            "a listing, and the chapter does not say who waits: {{#waits label | who | where}}",
        );
    }
    (row, problems)
}

/// The rows as a table, `this` the place of the chapter that it stands in.
fn table(rows: &[Row], this: Option<usize>, from: &Path) -> String {
    let mut html = String::from(
        "<div class=\"waits\">\n<table>\n\
         <caption>When the data is not there yet, who waits?</caption>\n\
         <thead><tr><th scope=\"col\">chapter</th><th scope=\"col\">who waits</th>\
         <th scope=\"col\">where</th></tr></thead>\n<tbody>\n",
    );
    for (n, row) in rows.iter().enumerate() {
        let label = inline(&row.label);
        let (class, label) = if this == Some(n) {
            (" class=\"this\"", format!("{label} <small>(this chapter)</small>"))
        } else {
            ("", format!("<a href=\"{}\">{label}</a>", link(from, &row.chapter)))
        };
        html += &format!(
            "<tr{class}><th scope=\"row\">{label}</th><td>{}</td><td>{}</td></tr>\n",
            inline(&row.who),
            inline(&row.place)
        );
    }
    html + "</tbody>\n</table>\n</div>"
}

/// The way from one page to another.
fn link(from: &Path, to: &Path) -> String {
    let up = "../".repeat(from.components().count().saturating_sub(1));
    up + &to.with_extension("html").to_string_lossy()
}

/// One line of Markdown as HTML, without the paragraph around it.
pub(crate) fn inline(text: &str) -> String {
    let events = Parser::new(text).filter(|event| {
        !matches!(event, Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph))
    });
    let mut out = String::new();
    html::push_html(&mut out, events);
    out.trim_end().to_owned()
}
