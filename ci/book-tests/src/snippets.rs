//! The `rust` blocks of the book: which ones skeptic gets, and in which form.
//!
//! A block that is nothing but `{{#include}}` of a workspace member's source is an excerpt:
//! its crate is compiled and tested, and [`runs::includes`] checks that the excerpt is
//! there. Every other `rust` block is a snippet; one that shows a file whole, by
//! `{{#rustdoc_include}}`, is compiled and not run, since running it is its listing's
//! affair.
//!
//! `build.rs` takes this file in by its path, the tests through the library.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context, Result};
use mdbook_driver::MDBook;
use mdbook_driver::book::{Book, BookItem, Chapter};
use mdbook_driver::builtin_preprocessors::LinkPreprocessor;
use mdbook_driver::config::Config;
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};
use pulldown_cmark::{CodeBlockKind, Event, LinkType, Parser, Tag, TagEnd};
use regex::Regex;
use runs::{Problem, includes};

static EXCERPT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*\{\{\s*#include\s[^}]*\}\}\s*$").expect("a regex"));
static RUSTDOC: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(^|[^\\])\{\{\s*#rustdoc_include\s").expect("a regex"));
static MAIN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^\s*(# +)?(pub\s+)?fn\s+main\s*\(").expect("a regex")
});

/// All that can be said about the snippets of a book without compiling one.
#[derive(Debug, Default)]
pub struct Snippets {
    /// What skeptic gets, in the book's order.
    pub snippets: Vec<Snippet>,
    /// What must not stand in the book.
    pub problems: Vec<Problem>,
    /// One row for each chapter, in the book's order.
    pub rows: Vec<Row>,
    /// The files that all of this was made from, relative to the root.
    pub sources: BTreeSet<PathBuf>,
}

/// A block of Rust in the prose that is compiled, and, unless `no_run`, run.
#[derive(Clone, Debug)]
pub struct Snippet {
    /// The chapter, relative to the root: `src/x.md`.
    pub file: PathBuf,
    /// The line of the opening fence, counted from 1.
    pub line: usize,
    /// The block says `no_run`, or shows a listing's file whole.
    pub no_run: bool,
    /// The block says `should_panic`.
    pub should_panic: bool,
    /// What the compiler gets: a whole program, its lines the chapter's where no include
    /// came between.
    pub code: String,
}

/// What one chapter holds.
#[derive(Clone, Debug)]
pub struct Row {
    /// The chapter, relative to the root.
    pub file: PathBuf,
    /// The listings whose Rust it includes.
    pub listings: BTreeSet<String>,
    /// `rust` blocks that are excerpts of listings.
    pub excerpts: usize,
    /// Snippets that are compiled only.
    pub compiled: usize,
    /// Snippets that are compiled and run.
    pub run: usize,
    /// Snippets that use one of `listings`.
    pub calling: usize,
}

impl Snippet {
    /// What skeptic reads: the name and the text of a document with this snippet as its
    /// only block, on its line.
    ///
    /// skeptic takes a snippet that does not compile for one that panics, so one that
    /// should has a second document that only compiles.
    pub fn documents(&self) -> Vec<(String, String)> {
        let name = self.file.strip_prefix("src").unwrap_or(&self.file).with_extension("");
        let name = name.to_string_lossy().replace(['/', '\\'], "-");
        let document = |name: String, words: &str| {
            let above = "\n".repeat(self.line - 1);
            (name + ".md", format!("{above}`````rust{words}\n{}`````\n", self.code))
        };
        if self.should_panic {
            vec![
                document(format!("{name}-compiles"), ",no_run"),
                document(name, ",should_panic"),
            ]
        } else {
            vec![document(name, if self.no_run { ",no_run" } else { "" })]
        }
    }
}

/// Reads the book of the workspace at `root`: its chapters as book.toml and SUMMARY.md name
/// them, and its includes.
///
/// Runs no preprocessor but mdBook's own for includes, and no renderer.
pub fn read(root: &Path) -> Snippets {
    let mut all = Snippets::default();
    all.sources.extend(["book.toml", "Cargo.toml", "src"].map(PathBuf::from));
    all.problems = includes::check(root);
    all.problems.extend(missing(root));
    // mdBook gives up at the first chapter that is missing; those are named already.
    if all.problems.iter().any(|problem| problem.file == Path::new("src/SUMMARY.md")) {
        return all;
    }
    match load(root) {
        Ok((config, chapters)) => {
            for (file, text) in &chapters {
                all.add(document(root, &config, file, text));
            }
            all.problems.extend(unlisted(root, &chapters));
        }
        Err(e) => all.problems.push(Problem {
            file: "src/SUMMARY.md".into(),
            line: 1,
            what: format!("{e:#}"),
        }),
    }
    all.problems.extend(all.rows.iter().filter_map(Row::problem));
    all.problems.sort();
    all
}

/// Reads one document that is no chapter of the book.
pub fn of_document(root: &Path, file: &Path) -> Result<Snippets> {
    let text =
        fs::read_to_string(root.join(file)).with_context(|| file.display().to_string())?;
    let mut all = Snippets::default();
    all.add(document(root, &Config::default(), file, &text));
    Ok(all)
}

impl Snippets {
    fn add(&mut self, document: Result<Snippets, Problem>) {
        match document {
            Err(problem) => self.problems.push(problem),
            Ok(one) => {
                self.snippets.extend(one.snippets);
                self.problems.extend(one.problems);
                self.rows.extend(one.rows);
                self.sources.extend(one.sources);
            }
        }
    }
}

impl Row {
    /// Excerpts pass skeptic by, so a chapter could come to have nothing that is tested
    /// through its listing.
    fn problem(&self) -> Option<Problem> {
        if self.listings.is_empty() || self.calling > 0 {
            return None;
        }
        let listings = self
            .listings
            .iter()
            .map(|name| name.replace('-', "_") + "::…")
            .collect::<Vec<_>>()
            .join(", ");
        let what = format!(
            "shows a listing, but no snippet that skeptic compiles uses one of {listings}"
        );
        Some(Problem { file: self.file.clone(), line: 1, what })
    }
}

/// The chapters that SUMMARY.md names and that are not there.
fn missing(root: &Path) -> Vec<Problem> {
    let file = PathBuf::from("src/SUMMARY.md");
    let text = match fs::read_to_string(root.join(&file)) {
        Ok(text) => text,
        Err(e) => return vec![Problem { file, line: 1, what: e.to_string() }],
    };
    let links =
        Parser::new(&text).into_offset_iter().filter_map(|(event, range)| match event {
            Event::Start(Tag::Link { link_type: LinkType::Inline, dest_url, .. })
                if !dest_url.is_empty() =>
            {
                Some((dest_url, 1 + text[..range.start].matches('\n').count()))
            }
            _ => None,
        });
    links
        .filter(|(chapter, _)| !root.join("src").join(&**chapter).is_file())
        .map(|(chapter, line)| {
            let what =
                format!("the chapter src/{chapter} does not exist; write it, or leave the link empty for a draft");
            Problem { file: file.clone(), line, what }
        })
        .collect()
}

/// The files under src that mdBook would ignore: neither in SUMMARY.md nor included.
fn unlisted(root: &Path, chapters: &[(PathBuf, String)]) -> Vec<Problem> {
    let Ok(files) = runs::chapters(root) else { return Vec::new() };
    let mut known: BTreeSet<_> = chapters.iter().map(|(file, _)| file.clone()).collect();
    known.extend(
        files.iter().flat_map(|file| includes::find(file).0).map(|include| include.target),
    );
    let what =
        "in no line of SUMMARY.md and in no include: nothing shows it, nothing tests it";
    let strays = files.into_iter().filter(|file| !known.contains(&file.file));
    strays.map(|file| Problem { file: file.file, line: 1, what: what.to_owned() }).collect()
}

/// The book's configuration, and file and text of each chapter that is written.
fn load(root: &Path) -> Result<(Config, Vec<(PathBuf, String)>)> {
    let book = MDBook::load(root)?;
    let chapters = book.book.chapters().filter_map(|chapter| {
        let path = chapter.source_path.as_ref()?;
        Some((book.config.book.src.join(path), chapter.content.clone()))
    });
    Ok((book.config.clone(), chapters.collect()))
}

/// A fenced block.
struct Block {
    line: usize,
    words: Vec<String>,
    body: String,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (event, range) in Parser::new(text).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                let line = 1 + text[..range.start].matches('\n').count();
                let words = info
                    .split([',', ' ', '\t'])
                    .filter(|word| !word.is_empty())
                    .map(str::to_owned)
                    .collect();
                open = Some(Block { line, words, body: String::new() });
            }
            Event::Text(piece) => {
                if let Some(block) = &mut open {
                    block.body.push_str(&piece);
                }
            }
            Event::End(TagEnd::CodeBlock) => blocks.extend(open.take()),
            _ => {}
        }
    }
    blocks.retain(|block| block.words.iter().any(|word| word == "rust"));
    blocks
}

/// The snippets of one document, whose `file` is relative to the root.
fn document(
    root: &Path,
    config: &Config,
    file: &Path,
    text: &str,
) -> Result<Snippets, Problem> {
    let problem = |line: usize, what: String| Problem { file: file.to_owned(), line, what };
    let expanded = |text: &str| {
        expand(root, config, file, text).map_err(|e| problem(1, format!("{e:#}")))
    };
    let (found, _) =
        includes::find(&runs::Chapter { file: file.to_owned(), text: text.to_owned() });
    let is_rust =
        |include: &includes::Include| include.target.extension().is_some_and(|e| e == "rs");
    let mut all = Snippets::default();
    all.sources.extend(found.iter().map(|include| include.target.clone()));
    let mut row = Row {
        file: file.to_owned(),
        listings: found
            .iter()
            .filter(|include| is_rust(include))
            .filter_map(|i| listing(&i.target))
            .collect(),
        excerpts: 0,
        compiled: 0,
        run: 0,
        calling: 0,
    };
    let calls: Vec<_> = row
        .listings
        .iter()
        .filter_map(|name| Regex::new(&format!(r"\b{}::", name.replace('-', "_"))).ok())
        .collect();
    let blocks = blocks(text);
    if self::blocks(&expanded(text)?).len() != blocks.len() {
        return Err(problem(
            1,
            "an include brings a rust block of its own, which nothing tests; write it here"
                .to_owned(),
        ));
    }
    for block in blocks {
        if let Some(what) = untestable(&block) {
            all.problems.push(problem(block.line, what));
            continue;
        }
        let lines = block.line..=block.line + block.body.lines().count();
        let in_member = |i: &includes::Include| {
            is_rust(i) && (listing(&i.target).is_some() || i.target.starts_with("ci"))
        };
        // ANCHOR: excerpt-or-snippet
        let mut inside = found.iter().filter(|include| lines.contains(&include.line));
        let only_includes =
            block.body.lines().all(|line| line.trim().is_empty() || EXCERPT.is_match(line));
        if only_includes && !block.body.trim().is_empty() && inside.all(in_member) {
            row.excerpts += 1;
            continue;
        }
        // ANCHOR_END: excerpt-or-snippet
        let says = |word: &str| block.words.iter().any(|w| w == word);
        let snippet = Snippet {
            file: file.to_owned(),
            line: block.line,
            no_run: says("no_run") || RUSTDOC.is_match(&block.body),
            should_panic: says("should_panic"),
            code: program(file, &block, &expanded(&block.body)?),
        };
        *if snippet.no_run { &mut row.compiled } else { &mut row.run } += 1;
        row.calling += usize::from(calls.iter().any(|call| call.is_match(&snippet.code)));
        all.snippets.push(snippet);
    }
    all.rows.push(row);
    Ok(all)
}

/// The listing that a file belongs to.
fn listing(file: &Path) -> Option<String> {
    let below = file.strip_prefix("listings").ok()?;
    Some(below.components().next()?.as_os_str().to_string_lossy().into_owned())
}

/// Why nothing could say whether this block is right, if so.
fn untestable(block: &Block) -> Option<String> {
    let says = |word: &str| block.words.iter().any(|w| w == word);
    for word in &block.words {
        let why = match word.as_str() {
            "compile_fail" => {
                "skeptic would compile it as if it should succeed; show it as text, with the compiler's answer"
            }
            "ignore" => "nothing would test it; use no_run, or text for what is no Rust",
            "test_harness" => "skeptic knows no test harness",
            "norun" | "no-run" => "it is written no_run",
            "shouldpanic" | "should-panic" => "it is written should_panic",
            other if other.starts_with("ignore-") => "nothing would test it there",
            other if other.starts_with("edition") && other != "edition2024" => {
                "snippets are edition 2024"
            }
            _ => continue,
        };
        return Some(format!("a rust block says {word}: {why}"));
    }
    if says("should_panic") && (says("no_run") || RUSTDOC.is_match(&block.body)) {
        return Some("a rust block that is not run says should_panic: what does not run does not panic".to_owned());
    }
    let body = block.body.trim();
    body.is_empty().then(|| "an empty rust block".to_owned())
}

/// The text with mdBook's includes in place.
fn expand(root: &Path, config: &Config, file: &Path, text: &str) -> Result<String> {
    let path = file.strip_prefix(&config.book.src).unwrap_or(file);
    // A file outside src has its includes seen from where it lies; `join` keeps an absolute
    // path as it is.
    let path = if path == file { root.join(file) } else { path.to_owned() };
    let book = Book::new_with_items(vec![BookItem::Chapter(Chapter::new(
        "",
        text.to_owned(),
        path,
        Vec::new(),
    ))]);
    let context =
        PreprocessorContext::new(root.to_owned(), config.clone(), "html".to_owned());
    let book = LinkPreprocessor::new().run(&context, book)?;
    let chapter = book.chapters().next().context("the chapter is gone")?;
    Ok(chapter.content.clone())
}

/// The block as a program: with the comment that says where it stands, and with a `main`.
///
/// As with rustdoc, statements without a `main` are wrapped in one, which returns a result
/// where the last line is `Ok::<(), E>(())`. A whole file that is included has its items
/// stay where they are.
fn program(file: &Path, block: &Block, expanded: &str) -> String {
    let (before, after) = if MAIN.is_match(expanded) {
        ("", "")
    } else if RUSTDOC.is_match(&block.body) {
        ("", "fn main() {}\n")
    } else if expanded.trim_end().ends_with("(())") {
        (
            "fn main() { fn inner() -> Result<(), impl core::fmt::Debug> { ",
            "} inner().unwrap() }\n",
        )
    } else {
        ("fn main() { ", "}\n")
    };
    let aligned = expanded.lines().count() == block.body.lines().count();
    let place = format!(
        "{}:{}{}",
        file.display(),
        block.line,
        if aligned { "" } else { " (expanded)" }
    );
    // skeptic puts one line above; with this the code's first line has the number that it
    // has in the chapter.
    let above = "\n".repeat(if aligned { block.line.saturating_sub(2) } else { 0 });
    let newline = if expanded.ends_with('\n') { "" } else { "\n" };
    format!("{above}#![allow(unused)] {before}//@ {place}\n{expanded}{newline}{after}")
}
