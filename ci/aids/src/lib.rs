//! What mdBook lacks for this book, as two preprocessors: [`Aids`] runs before mdBook puts
//! the includes in place, [`Colours`] after.
//!
//! `ci/book` has them in its own process; a stock mdBook calls `mdbook-aids`, which is the
//! same. They read `src/`, `listings/`, the exercises of `ci/workshop/`, and what was recorded,
//! `static/recorded-steps/`, under the book's root, and nothing else.

pub mod calls;
pub mod charts;
pub mod claims;
mod excerpts;
mod exercises;
pub mod rust;
pub mod sources;
pub mod steps;
pub mod waits;

use std::path::Path;

use anyhow::{Result, bail};
use mdbook_markdown::pulldown_cmark::{CodeBlockKind, Event, Tag, TagEnd};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};
use mdbook_preprocessor::book::Book;
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};
use runs::{Problem, includes};

/// Says who waits, which system calls there are, and where each excerpt comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Aids;

/// Colours the Rust.
#[derive(Clone, Copy, Debug, Default)]
pub struct Colours;

impl Preprocessor for Aids {
    fn name(&self) -> &str {
        "aids"
    }

    fn run(&self, context: &PreprocessorContext, mut book: Book) -> Result<Book> {
        aids(&context.root, &mut book)?;
        Ok(book)
    }

    fn supports_renderer(&self, renderer: &str) -> Result<bool> {
        Ok(renderer == "html")
    }
}

impl Preprocessor for Colours {
    fn name(&self) -> &str {
        "colours"
    }

    fn run(&self, _context: &PreprocessorContext, mut book: Book) -> Result<Book> {
        colours(&mut book);
        Ok(book)
    }

    fn supports_renderer(&self, renderer: &str) -> Result<bool> {
        Ok(renderer == "html")
    }
}

/// Carries out the directives of `exercises`, `waits`, `calls`, `steps`, `charts`, `claims` and `sources`, and puts
/// below each excerpt where it was taken from. The book must be as its author wrote it, with its
/// includes not yet in place.
///
/// # Errors
/// A line `src/<chapter>.md:<line>: what` for each thing that must not stand in the book.
pub fn aids(root: &Path, book: &mut Book) -> Result<()> {
    refuse(&includes::check(root))?;
    exercises::apply(root, book)?;
    calls::apply(root, book)?;
    waits::apply(root, book)?;
    let mut shown = excerpts::apply(root, book)?;
    steps::apply(root, book, &mut shown)?;
    charts::apply(root, book)?;
    shown.extend(claims::apply(root, book, ::claims::TOPICS)?);
    sources::apply(root, book, &shown)
}

/// Colours every `rust` block of the book, and names each chapter as its page. Hidden
/// lines, and the comments that mark an excerpt's ends, are left out.
pub fn colours(book: &mut Book) {
    book.for_each_chapter_mut(|chapter| {
        let mut text = std::mem::take(&mut chapter.content);
        for fence in rust_fences(&text).into_iter().rev() {
            let html = rust::html(&visible(&fence.body));
            let block =
                format!("<pre class=\"code\"><code class=\"rust\">{html}</code></pre>");
            text.replace_range(fence.range, &block);
        }
        chapter.content = text;
        // mdBook takes the name of the page from the path whatever the path's extension; the
        // theme's table of contents links to the path as it is.
        chapter.path = chapter.path.take().map(|path| path.with_extension("html"));
    });
}

/// The speaker's notes beside a chapter, `poll.notes.md` beside `poll.md`, as HTML; none where
/// there are none. `chapter` is its page, `poll.html`.
pub fn notes(root: &Path, chapter: &str) -> Option<String> {
    // It comes from a browser.
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let name = chapter.strip_suffix(".html").filter(|name| name.chars().all(plain))?;
    let file = root.join("src").join(name).with_extension("notes.md");
    let text = std::fs::read_to_string(file).ok()?;
    // Its title is the chapter's.
    let (_, text) = text.split_once('\n')?;
    let mut html = String::new();
    mdbook_markdown::pulldown_cmark::html::push_html(
        &mut html,
        new_cmark_parser(text, &MarkdownOptions::default()),
    );
    let wrapped = html.replace("<table>", "<div class=\"table-wrapper\"><table>");
    Some(wrapped.replace("</table>", "</table></div>"))
}

fn refuse(problems: &[Problem]) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    bail!(lines.join("\n"))
}

/// The way from a page to the book's first.
fn up(page: &Path) -> String {
    "../".repeat(page.components().count().saturating_sub(1))
}

/// A fenced block of Rust.
struct Fence {
    /// From its opening fence to its closing one, in bytes, without the last line's end.
    range: std::ops::Range<usize>,
    /// What stands between them, without what a list or a quotation puts before each line.
    body: String,
}

/// The fences of a text that have `rust` among their words, as mdBook would find them.
fn rust_fences(text: &str) -> Vec<Fence> {
    let mut fences = Vec::new();
    let mut open: Option<Fence> = None;
    let events = new_cmark_parser(text, &MarkdownOptions::default()).into_offset_iter();
    for (event, mut range) in events {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(words)))
                if words.split([' ', '\t', ',']).any(|word| word == "rust") =>
            {
                range.end = range.start + text[range.clone()].trim_end().len();
                open = Some(Fence { range, body: String::new() });
            }
            Event::Text(piece) => {
                if let Some(fence) = &mut open {
                    fence.body.push_str(&piece);
                }
            }
            Event::End(TagEnd::CodeBlock) => fences.extend(open.take()),
            _ => {}
        }
    }
    fences
}

/// The lines that mdBook would show of a block of Rust, without those that only mark the
/// ends of an anchor, which it does show where a file is included whole. What was cut out
/// of a module stands at the margin.
fn visible(body: &str) -> String {
    let mut lines = Vec::new();
    for line in body.lines().filter(|line| !includes::is_anchor(line)) {
        let code = line.trim_start();
        if code == "#" || code.starts_with("# ") {
            continue;
        }
        if code.starts_with("##") {
            let indent = &line[..line.len() - code.len()];
            lines.push(format!("{indent}{}", &code[1..]));
        } else {
            lines.push(line.to_owned());
        }
    }
    let margin = |line: &String| line.len() - line.trim_start_matches(' ').len();
    let written = lines.iter().filter(|line| !line.trim().is_empty());
    let common = written.map(margin).min().unwrap_or(0);
    let lines: Vec<&str> =
        lines.iter().map(|line| line.get(common..).unwrap_or_default()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_out_of_a_module_stands_at_the_margin() {
        let cut =
            "    // ANCHOR: x\n    fn a() {\n        b()\n\n  \n    }\n# fn hidden() {}\n";
        assert_eq!(visible(cut), "fn a() {\n    b()\n\n\n}");
        let whole = "mod x {\n    //! é\n}\n";
        assert_eq!(visible(whole), whole.trim_end());
        assert_eq!(visible("    \n# x\n"), "    ");
    }
}
