//! The charts: curves that the harness has measured, drawn when the book is built.
//!
//! A chapter has one in a line of its own:
//!
//! ```markdown
//! {{#chart guestbook-close-rate}}
//! ```
//!
//! In its place stands the drawing and the table behind it. What is drawn are the reference
//! results of the book (`static/reference/charts.json`, which `cargo harness reference`
//! writes), or the file that `WHO_WAITS_CHARTS` names: `cargo harness book` puts the reader's
//! own curves over the book's so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use ::charts::{Chart, body};
use anyhow::{Context as _, Result};
use mdbook_preprocessor::book::Book;
use regex::{Captures, Regex};
use runs::Problem;

use crate::refuse;

/// A line with a directive of this module, a broken one as well; one behind a backslash is
/// text.
static DIRECTIVE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^.*\{\{\s*#chart\b.*$").expect("a regex"));
static NAMED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\{\{#chart ([a-z0-9-]+)\}\}\s*$").expect("a regex"));

/// Where the charts are, relative to the book's root.
pub const REFERENCE: &str = "static/reference/charts.json";
/// Names another file.
pub const OTHER: &str = "WHO_WAITS_CHARTS";

/// Puts the charts into the book.
///
/// # Errors
/// Every line of `src/` where a directive is malformed, names a chart that there is not, or
/// names one a second time.
pub(crate) fn apply(root: &Path, book: &mut Book) -> Result<()> {
    let (mut known, mut used, mut problems) = (None, BTreeSet::new(), Vec::new());
    book.for_each_chapter_mut(|chapter| {
        let text = std::mem::take(&mut chapter.content);
        let drawn = DIRECTIVE.replace_all(&text, |found: &Captures| {
            let line = &found[0];
            if line.contains(r"\{{") {
                return line.to_owned();
            }
            let drawn = match NAMED.captures(line) {
                None => {
                    Err("a chart is one line at the left margin: {{#chart NAME}}".into())
                }
                Some(named) if !used.insert(named[1].to_owned()) => {
                    Err(format!("a second {{{{#chart {}}}}}; the book has one", &named[1]))
                }
                Some(named) => {
                    let known: &Result<_, String> = known.get_or_insert_with(|| {
                        read(root).map_err(|error| format!("{error:#}"))
                    });
                    known.as_ref().map_err(Clone::clone).and_then(|known| {
                        known.get(&named[1]).map(body).ok_or_else(|| {
                            format!("there is no chart {} in {REFERENCE}", &named[1])
                        })
                    })
                }
            };
            drawn.unwrap_or_else(|what| {
                let at = found.get(0).map_or(0, |found| found.start());
                let path = chapter.source_path.as_deref().unwrap_or(Path::new("?"));
                let line_number = 1 + text[..at].matches('\n').count();
                let file = Path::new("src").join(path);
                problems.push(Problem { file, line: line_number, what });
                line.to_owned()
            })
        });
        chapter.content = drawn.into_owned();
    });
    refuse(&problems)
}

/// The charts that there are, by name.
fn read(root: &Path) -> Result<BTreeMap<String, Chart>> {
    let other = std::env::var_os(OTHER).map(PathBuf::from);
    let file = other.unwrap_or_else(|| root.join(REFERENCE));
    let name = || file.display().to_string();
    let text = fs::read_to_string(&file).with_context(name)?;
    let charts: Vec<Chart> = serde_json::from_str(&text).with_context(name)?;
    Ok(charts.into_iter().map(|chart| (chart.name.clone(), chart)).collect())
}

#[cfg(test)]
mod tests {
    use mdbook_preprocessor::book::{BookItem, Chapter};

    use super::*;

    fn book(text: &str) -> Book {
        let chapter = Chapter::new("a", text.to_owned(), "a.md", Vec::new());
        Book::new_with_items(vec![BookItem::Chapter(chapter)])
    }

    fn applied(text: &str) -> Result<String> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join(REFERENCE);
        fs::create_dir_all(file.parent().expect("a folder"))?;
        let chart = r#"[{ "name": "one", "title": "One", "x": { "label": "clients" },
            "y": { "label": "a second" }, "series": [{ "name": "epoll-loop", "points": [
            { "x": 1, "y": 2 }, { "x": 10, "y": 300.5 } ] }] }]"#;
        fs::write(file, chart)?;
        let mut book = book(text);
        apply(folder.path(), &mut book)?;
        let text = book.chapters().next().map(|chapter| chapter.content.clone());
        Ok(text.expect("a chapter"))
    }

    #[test]
    fn a_chart_stands_where_it_is_named() {
        let text = applied("before\n\n{{#chart one}}\n\nafter\n").unwrap();
        assert!(text.contains("<svg") && text.contains("epoll-loop"), "{text}");
        assert!(text.starts_with("before\n\n") && text.ends_with("\n\nafter\n"), "{text}");
        let text = applied("\\{{#chart two}}\n").unwrap();
        assert_eq!(text, "\\{{#chart two}}\n");
    }

    #[test]
    fn what_is_no_chart_is_named_with_its_line() {
        for (text, says) in [
            ("a\n{{#chart two}}\n", "src/a.md:2: there is no chart two"),
            ("{{#chart}}\n", "src/a.md:1: a chart is one line"),
            ("a {{#chart one}}\n", "src/a.md:1: a chart is one line"),
            ("{{#chart one}}\n\n{{#chart one}}\n", "src/a.md:3: a second"),
        ] {
            let refused = applied(text).expect_err(text).to_string();
            assert!(refused.starts_with(says), "{refused}");
        }
    }
}
