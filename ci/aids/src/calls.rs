//! The index from system call to chapters, which stands in the book for
//! `{{#system-calls}}`.
//!
//! `ci/aids/calls.toml` says how each call looks in the source of a listing. From that
//! come the places: the excerpts that show it, the files that make it and are not shown,
//! and the chapters whose prose names it. What the prose calls `name(2)` must be there,
//! and what is there must be found.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context, Result, bail};
use mdbook_markdown::pulldown_cmark::{Event, Parser, Tag, TagEnd, TextMergeWithOffset};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};
use mdbook_preprocessor::book::{Book, Chapter};
use regex::Regex;
use runs::{Problem, includes};
use serde::Deserialize;

use crate::rust::bare;
use crate::sources::{self, inside, listing};

/// What the index stands for.
const DIRECTIVE: &str = "{{#system-calls}}";
/// Where the calls are described, relative to the book's root.
const DATA: &str = "ci/aids/calls.toml";
/// A system call by the name of its page in section 2 of the manual.
static PAGE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b([a-z_][a-z0-9_]*)\(2\)").expect("a regex"));
/// A function's name in code: `read`, `listen(fd, n)`.
static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^([a-z_][a-z0-9_]*)(\(.*\))?$").expect("a regex"));

/// One system call.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    /// What the kernel calls it, which is what strace prints.
    name: String,
    /// What else it is called: by the C library, in the manual, or on other processors.
    #[serde(default)]
    also: Vec<String>,
    /// What it does.
    does: String,
    /// Who waits in it.
    waits: String,
    /// How it looks in Rust: regular expressions for a line without comments and strings.
    #[serde(default)]
    source: Vec<String>,
}

impl Call {
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.also.iter().any(|also| also == name)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    call: Vec<Call>,
}

/// The calls in alphabetical order, and their patterns: number of the call, regex.
struct Calls {
    calls: Vec<Call>,
    patterns: Vec<(usize, Regex)>,
}

impl Calls {
    fn read(root: &Path) -> Result<Self> {
        let text = fs::read_to_string(root.join(DATA)).context(DATA)?;
        let Data { mut call } = toml::from_str(&text).context(DATA)?;
        call.sort_by(|a, b| a.name.cmp(&b.name));
        let mut patterns = Vec::new();
        for (n, call) in call.iter().enumerate() {
            for source in &call.source {
                let regex = Regex::new(source).with_context(|| {
                    format!("{DATA}: {}: no regex: {source}", call.name)
                })?;
                patterns.push((n, regex));
            }
        }
        Ok(Self { calls: call, patterns })
    }

    /// The numbers of the calls that may be meant by a name.
    fn called(&self, name: &str) -> impl Iterator<Item = usize> {
        let is = move |call: &Call| call.is_called(name);
        self.calls.iter().enumerate().filter(move |(_, call)| is(call)).map(|(n, _)| n)
    }
}

/// A line of a listing: its file, relative to the root, and its number, counted from 1.
type Line = (PathBuf, usize);

/// What the listings' sources make.
#[derive(Default)]
struct Made {
    /// For each call, the lines.
    lines: Vec<BTreeSet<Line>>,
    /// The patterns that were found.
    found: HashSet<usize>,
}

impl Made {
    /// Looks through `src/` of every listing.
    fn read(root: &Path, calls: &Calls) -> Result<Self> {
        let mut made =
            Self { lines: vec![BTreeSet::new(); calls.calls.len()], ..Self::default() };
        for file in rust_files(&root.join("listings"))? {
            let text =
                fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let file = file.strip_prefix(root).unwrap_or(&file);
            if !inside(file).is_some_and(|file| file.starts_with("src")) {
                continue;
            }
            for (n, line) in bare(&text).lines().enumerate() {
                // By custom a file's tests stand at its end.
                if line.trim() == "#[cfg(test)]" {
                    break;
                }
                for (p, (call, regex)) in calls.patterns.iter().enumerate() {
                    if regex.is_match(line) {
                        made.lines[*call].insert((file.to_owned(), n + 1));
                        made.found.insert(p);
                    }
                }
            }
        }
        Ok(made)
    }
}

/// Every Rust file below a folder.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The crates under `listings/` whose sources make a call, by each of the call's names.
///
/// # Errors
/// A file that cannot be read, and a pattern that is no regular expression.
pub fn makers(root: &Path) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let calls = Calls::read(root)?;
    let made = Made::read(root, &calls)?;
    let mut makers = BTreeMap::<_, BTreeSet<_>>::new();
    for (call, lines) in calls.calls.iter().zip(&made.lines) {
        for name in call.also.iter().chain([&call.name]) {
            let crates =
                lines.iter().filter_map(|(file, _)| Some(listing(file)?.to_owned()));
            makers.entry(name.clone()).or_default().extend(crates);
        }
    }
    Ok(makers)
}

/// A place in a chapter that can be linked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) title: String,
    /// Empty for what stands above the first section.
    pub(crate) id: String,
}

impl Section {
    fn opening() -> Self {
        Self { title: "the opening".to_owned(), id: String::new() }
    }
}

/// What one chapter has to do with system calls.
struct Read {
    name: String,
    path: PathBuf,
    /// What it shows, in its order: the section, and lines of listings.
    shown: Vec<(Section, Vec<Line>)>,
    /// The listings whose output it shows.
    runs: BTreeSet<String>,
    /// For each call that its prose names: where first.
    named: HashMap<usize, Section>,
    problems: Vec<Problem>,
}

impl Read {
    fn chapter(root: &Path, calls: &Calls, path: &Path, chapter: &Chapter) -> Self {
        let file = Path::new("src").join(path);
        let source = runs::Chapter { file, text: chapter.content.clone() };
        let sections = sections(&source.text);
        let mut read = Self {
            name: chapter.name.clone(),
            path: path.to_owned(),
            shown: Vec::new(),
            runs: runs::fences(&source)
                .into_iter()
                .flatten()
                .filter_map(|fence| Some(fence.name.split_once('/')?.0.to_owned()))
                .collect(),
            named: HashMap::new(),
            problems: Vec::new(),
        };
        for include in includes::find(&source).0 {
            // What is wrong with an include is said by `runs::includes::check`.
            if listing(&include.target).is_some()
                && let Ok(text) = fs::read_to_string(root.join(&include.target))
                && let Ok(lines) = include.shown(&text)
            {
                let lines =
                    lines.iter().map(|(n, _)| (include.target.clone(), *n)).collect();
                read.shown.push((section(&sections, include.line), lines));
            }
        }
        read.prose(calls, &source, &sections);
        read
    }

    /// Finds the names in the prose.
    fn prose(
        &mut self,
        calls: &Calls,
        source: &runs::Chapter,
        sections: &[(usize, Section)],
    ) {
        let line = |at: usize| 1 + source.text[..at].matches('\n').count();
        let mut in_block = false;
        for (event, range) in
            TextMergeWithOffset::new(parser(&source.text).into_offset_iter())
        {
            match event {
                Event::Start(Tag::CodeBlock(_)) => in_block = true,
                Event::End(TagEnd::CodeBlock) => in_block = false,
                Event::Text(text)
                | Event::Code(text)
                | Event::Html(text)
                | Event::InlineHtml(text)
                    if !in_block =>
                {
                    let pages: Vec<&str> = PAGE
                        .captures_iter(&text)
                        .filter_map(|found| Some(found.get(1)?.as_str()))
                        .collect();
                    let is_code = source.text[range.clone()].starts_with('`');
                    let name = is_code.then(|| NAME.captures(&text)).flatten();
                    for page in &pages {
                        if calls.called(page).next().is_none() {
                            self.problems.push(Problem {
                                file: source.file.clone(),
                                line: line(range.start),
                                what: format!("{page}(2) is not in {DATA}"),
                            });
                        }
                    }
                    let name = name.as_ref().and_then(|found| found.get(1));
                    for word in pages.into_iter().chain(name.map(|name| name.as_str())) {
                        for call in calls.called(word) {
                            self.named
                                .entry(call)
                                .or_insert_with(|| section(sections, line(range.start)));
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// Markdown as mdBook reads it.
fn parser(text: &str) -> Parser<'_> {
    let mut options = MarkdownOptions::default();
    options.smart_punctuation = false;
    new_cmark_parser(text, &options)
}

/// The sections of a chapter, and the lines that they begin in.
pub(crate) fn sections(text: &str) -> Vec<(usize, Section)> {
    let mut sections = Vec::new();
    let mut used = HashMap::new();
    let mut title: Option<String> = None;
    for (event, range) in parser(text).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { .. }) => title = Some(String::new()),
            Event::Text(piece) | Event::Code(piece) => {
                if let Some(title) = &mut title {
                    title.push_str(&piece);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let title = title.take().unwrap_or_default();
                let line = 1 + text[..range.start].matches('\n').count();
                let id = id(&title, &mut used);
                sections.push((line, Section { title, id }));
            }
            _ => {}
        }
    }
    // The first heading is the chapter's own.
    if let Some((_, first)) = sections.first_mut() {
        *first = Section::opening();
    }
    sections
}

/// The id that mdBook gives to a heading (`utils.rs` of mdbook-html 0.5).
fn id(title: &str, used: &mut HashMap<String, usize>) -> String {
    let id: String = title
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c),
            c if c.is_whitespace() => Some('-'),
            _ => None,
        })
        .collect();
    let times = used.entry(id.clone()).or_default();
    *times += 1;
    if *times == 1 { id } else { format!("{id}-{}", *times - 1) }
}

/// The section that a line stands in.
pub(crate) fn section(sections: &[(usize, Section)], line: usize) -> Section {
    let above = sections.iter().rev().find(|(first, _)| *first <= line);
    above.map_or_else(Section::opening, |(_, section)| section.clone())
}

/// Puts the index into the book, which must be as its author wrote it. A book without
/// `{{#system-calls}}` is left alone.
///
/// # Errors
/// Every line of the prose that says `name(2)` where `calls.toml` has no such name; every
/// call there that is found in no listing and no chapter, and every pattern that matches
/// nothing.
pub fn apply(root: &Path, book: &mut Book) -> Result<()> {
    let is_index = |chapter: &Chapter| {
        chapter.content.lines().any(|line| line.trim_end() == DIRECTIVE)
    };
    if !book.chapters().any(is_index) {
        return Ok(());
    }
    let calls = Calls::read(root)?;
    let chapters: Vec<Read> = book
        .chapters()
        .filter(|chapter| !is_index(chapter))
        .filter_map(|chapter| {
            let path = chapter.source_path.as_ref()?;
            Some(Read::chapter(root, &calls, path, chapter))
        })
        .collect();

    let owners = owners(&chapters);
    let made = Made::read(root, &calls)?;
    let mut problems: Vec<String> =
        chapters.iter().flat_map(|read| &read.problems).map(ToString::to_string).collect();
    let unmatched =
        calls.patterns.iter().enumerate().filter(|(p, _)| !made.found.contains(p));
    problems.extend(unmatched.map(|(_, (call, regex))| {
        let name = &calls.calls[*call].name;
        format!("{DATA}: {name}: no listing has {regex}")
    }));
    let nowhere = calls.calls.iter().enumerate().filter(|(n, call)| {
        call.source.is_empty() && !chapters.iter().any(|read| read.named.contains_key(n))
    });
    problems.extend(nowhere.map(|(_, call)| {
        format!("{DATA}: {}: no chapter names it, no pattern finds it", call.name)
    }));
    if !problems.is_empty() {
        bail!(problems.join("\n"));
    }

    let index = index(&calls, &chapters, &made, &owners);
    book.for_each_chapter_mut(|chapter| {
        if is_index(chapter) {
            chapter.content = chapter.content.replace(DIRECTIVE, &index);
        }
    });
    Ok(())
}

/// The chapter that a listing's files belong to where no excerpt shows them: the first that
/// shows something of the listing, or else the first that runs it.
fn owners(chapters: &[Read]) -> HashMap<String, usize> {
    let mut owners = HashMap::new();
    for (n, read) in chapters.iter().enumerate() {
        for (file, _) in read.shown.iter().flat_map(|(_, lines)| lines) {
            owners.entry(listing(file).unwrap_or_default().to_owned()).or_insert(n);
        }
    }
    for (n, read) in chapters.iter().enumerate() {
        for listing in &read.runs {
            owners.entry(listing.clone()).or_insert(n);
        }
    }
    owners
}

/// All calls, each with its places, as Markdown.
fn index(
    calls: &Calls,
    chapters: &[Read],
    made: &Made,
    owners: &HashMap<String, usize>,
) -> String {
    let shown: BTreeSet<&Line> =
        chapters.iter().flat_map(|read| &read.shown).flat_map(|(_, lines)| lines).collect();
    let (mut links, mut text) = (Vec::new(), String::new());
    for (n, call) in calls.calls.iter().enumerate() {
        let mut items = String::new();
        for (c, read) in chapters.iter().enumerate() {
            let of_chapter = |line: &&Line| {
                listing(&line.0).and_then(|name| owners.get(name)) == Some(&c)
            };
            let not_shown = made.lines[n].iter().filter(|line| !shown.contains(line));
            let files =
                not_shown.filter(of_chapter).map(|(file, _)| file.as_path()).collect();
            let places = places(n, read, &made.lines[n], &files);
            if !places.is_empty() {
                let page = page(&read.path);
                items += &format!("- [{}]({page}): {}\n", read.name, places.join("; "));
            }
        }
        // A listing that no chapter shows yet may have calls of its own.
        if items.is_empty() {
            continue;
        }
        // The names stand alone in the heading and with their section below, so that the
        // search finds them typed either way.
        let names: Vec<&String> = [&call.name].into_iter().chain(&call.also).collect();
        links.extend(names.iter().map(|name| (*name, &call.name)));
        let listed = |section: &str| -> String {
            let names: Vec<String> =
                names.iter().map(|name| format!("`{name}{section}`")).collect();
            names.join(", ")
        };
        text += &format!(
            "\n## {} {{#{}}}\n\n{} *Who waits:* {} *Manual:* {}.\n\n{items}",
            listed(""),
            call.name,
            call.does,
            call.waits,
            listed("(2)")
        );
    }
    links.sort();
    // clone(2) is behind two of them, and one link is enough.
    links.dedup_by_key(|(name, _)| *name);
    let links: Vec<String> =
        links.iter().map(|(name, id)| format!("[`{name}`](#{id})")).collect();
    links.join(" ") + "\n" + &text
}

/// Where a chapter has a call: shown, made in files that are not shown, named.
fn places(
    call: usize,
    read: &Read,
    made: &BTreeSet<Line>,
    files: &BTreeSet<&Path>,
) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut shown: Vec<&Section> = Vec::new();
    for (section, lines) in &read.shown {
        // A listing that is shown whole at the end has been shown in parts before.
        let new =
            lines.iter().filter(|line| made.contains(line) && seen.insert(*line)).count();
        if new > 0 && !shown.contains(&section) {
            shown.push(section);
        }
    }
    let link = |section: &Section| {
        let hash = if section.id.is_empty() { "" } else { "#" };
        format!("[{}]({}{hash}{})", section.title, page(&read.path), section.id)
    };
    let mut places = Vec::new();
    if !shown.is_empty() {
        let links: Vec<String> = shown.into_iter().map(link).collect();
        places.push(format!("shown in {}", links.join(", ")));
    }
    if !files.is_empty() {
        let links: Vec<String> = files.iter().filter_map(|file| source(file)).collect();
        places.push(format!("made in {}", links.join(", ")));
    }
    if let (true, Some(section)) = (places.is_empty(), read.named.get(&call)) {
        places.push(format!("named in {}", link(section)));
    }
    places
}

fn page(chapter: &Path) -> String {
    chapter.with_extension("html").to_string_lossy().into_owned()
}

/// A file of a listing, as a link to the page that shows it whole.
fn source(file: &Path) -> Option<String> {
    let (listing, within) = (listing(file)?, inside(file)?);
    let (page, anchor) = (sources::page(listing), sources::anchor(within));
    Some(format!("[`{listing}/{}`]({page}#{anchor})", within.display()))
}
