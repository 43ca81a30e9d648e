//! Below each excerpt stands where it was taken from, with a link to those lines inside
//! their file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context as _, Result};
use mdbook_preprocessor::book::{Book, Chapter};
use regex::Regex;
use runs::includes::{self, Include};

use crate::{Fence, rust_fences, sources, up};

/// A line of a fence that is an include and nothing else.
static INCLUDE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*\{\{\s*#(rustdoc_)?include\s[^}]*\}\}\s*$").expect("a regex")
});

/// An excerpt of a listing that stands in a chapter.
#[derive(Clone, Debug)]
pub struct Excerpt {
    /// The file that it was taken from, relative to the book's root.
    pub(crate) file: PathBuf,
    /// The first and the last line, counted from 1; none for the whole file.
    pub(crate) lines: Option<(usize, usize)>,
    /// The chapter's name.
    pub(crate) chapter: String,
    /// The chapter's page, relative to the book's first.
    pub(crate) page: PathBuf,
    /// The id in that page.
    pub(crate) id: String,
}

impl Excerpt {
    /// The id of these lines in their source page.
    pub(crate) fn anchor(&self) -> String {
        let file = sources::anchor(sources::inside(&self.file).unwrap_or(&self.file));
        match self.lines {
            None => file,
            Some((first, last)) => format!("{file}-{first}-{last}"),
        }
    }

    /// How much of the file it is: `line 3`, `lines 3 to 8`.
    pub(crate) fn in_words(&self) -> String {
        match self.lines {
            None => "the whole file".to_owned(),
            Some((first, last)) if first == last => format!("line {first}"),
            Some((first, last)) => format!("lines {first} to {last}"),
        }
    }
}

/// Puts the captions into the book and says what it shows.
pub(crate) fn apply(root: &Path, book: &mut Book) -> Result<Vec<Excerpt>> {
    let mut all = Vec::new();
    let mut failed = None;
    book.for_each_chapter_mut(|chapter| match captioned(root, chapter) {
        Ok((text, excerpts)) => {
            chapter.content = text;
            all.extend(excerpts);
        }
        Err(e) => failed = Some(e),
    });
    failed.map_or(Ok(all), Err)
}

/// The chapter's text with captions, and its excerpts.
fn captioned(root: &Path, chapter: &Chapter) -> Result<(String, Vec<Excerpt>)> {
    let mut text = chapter.content.clone();
    let (Some(source), Some(path)) = (&chapter.source_path, &chapter.path) else {
        return Ok((text, Vec::new()));
    };
    let page = path.with_extension("html");
    let up = up(&page);
    let file = Path::new("src").join(source);
    let (includes, _) = includes::find(&runs::Chapter { file, text: text.clone() });

    let mut excerpts: Vec<Excerpt> = Vec::new();
    let mut captions = Vec::new();
    for fence in rust_fences(&text) {
        let body = fence.body.trim();
        if body.is_empty() || !body.lines().all(|line| INCLUDE.is_match(line)) {
            continue;
        }
        let mut links = Vec::new();
        let first = excerpts.len();
        for include in within(&text, &fence, &includes) {
            let Some(name) = sources::listing(&include.target) else { continue };
            let excerpt = excerpt(root, include, &chapter.name, &page)?;
            links.push(format!(
                "<a href=\"{up}{}#{}\">{}, {}</a>",
                sources::page(name),
                excerpt.anchor(),
                excerpt.file.display(),
                excerpt.in_words(),
            ));
            excerpts.push(excerpt);
        }
        if let Some(excerpt) = excerpts.get(first) {
            // What a chapter shows twice has its id where it is shown first.
            let twice = excerpts[..first].iter().any(|before| before.id == excerpt.id);
            let id = if twice { String::new() } else { format!(" id=\"{}\"", excerpt.id) };
            captions.push((fence.range, id, links.join("; ")));
        }
    }
    for (range, id, links) in captions.into_iter().rev() {
        let margin = margin(&text, range.start);
        let below =
            format!("\n{margin}\n{margin}<p class=\"from\">{links}</p></div>\n{margin}");
        text.insert_str(range.end, &below);
        let above = format!("<div class=\"excerpt\"{id}>\n{margin}\n{margin}");
        text.insert_str(range.start, &above);
    }
    Ok((text, excerpts))
}

/// The includes that stand in a fence.
fn within<'i>(
    text: &str,
    fence: &Fence,
    includes: &'i [Include],
) -> impl Iterator<Item = &'i Include> {
    let line = |at: usize| 1 + text[..at].matches('\n').count();
    let lines = line(fence.range.start)..=line(fence.range.end);
    includes.iter().filter(move |include| lines.contains(&include.line))
}

/// Where an include's lines stand.
pub(crate) fn excerpt(
    root: &Path,
    include: &Include,
    chapter: &str,
    page: &Path,
) -> Result<Excerpt> {
    let path = root.join(&include.target);
    let source =
        fs::read_to_string(&path).with_context(|| include.target.display().to_string())?;
    let shown = include.shown(&source).map_err(anyhow::Error::msg)?;
    let lines = match (shown.first(), shown.last()) {
        (Some((first, _)), Some((last, _))) if !include.is_whole() => Some((*first, *last)),
        _ => None,
    };
    let mut excerpt = Excerpt {
        file: include.target.clone(),
        lines,
        chapter: chapter.to_owned(),
        page: page.to_owned(),
        id: String::new(),
    };
    let name = sources::listing(&excerpt.file).unwrap_or_default();
    excerpt.id = format!("excerpt-{name}-{}", excerpt.anchor());
    Ok(excerpt)
}

/// What must stand before each further line of a block that begins at `start`: spaces for
/// the mark of a list, the marks of quotations as they are.
fn margin(text: &str, start: usize) -> String {
    let line = text[..start].rfind('\n').map_or(0, |n| n + 1);
    text[line..start].chars().map(|c| if c == '>' { '>' } else { ' ' }).collect()
}
