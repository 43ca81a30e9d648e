//! Every listing that a chapter shows, whole, on a page of its own. The pages are children
//! of the chapter that has the line `{{#sources}}`, where the list of them stands.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context as _, Result, anyhow};
use mdbook_preprocessor::book::{Book, BookItem, Chapter, SectionNumber};
use regex::{NoExpand, Regex};
use runs::{Problem, includes};

use crate::excerpts::Excerpt;
use crate::{refuse, rust, up};

static DIRECTIVE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^\{\{#sources\}\}[ \t]*$").expect("a regex"));

/// The page of a listing, relative to the book's first page.
pub fn page(listing: &str) -> String {
    format!("sources/{listing}.html")
}

/// The id of a file in the page of its listing; `file` is relative to the listing's folder.
pub fn anchor(file: &Path) -> String {
    let names: Vec<_> = file.iter().map(|name| name.to_string_lossy()).collect();
    names.join("-")
}

/// The listing that a source file belongs to; `file` is relative to the book's root. None
/// for a file that has no place in a listing's page.
pub fn listing(file: &Path) -> Option<&str> {
    let mut names = file.components();
    match (names.next(), names.next(), names.next()) {
        (Some(Component::Normal(first)), Some(Component::Normal(name)), Some(_))
            if first == "listings"
                && file.extension().is_some_and(|extension| extension == "rs") =>
        {
            name.to_str()
        }
        _ => None,
    }
}

/// A source file's path inside its listing's folder; `file` is relative to the book's root.
pub(crate) fn inside(file: &Path) -> Option<&Path> {
    file.strip_prefix(Path::new("listings").join(listing(file)?)).ok()
}

/// Adds the pages of the listings that the book shows, and lists them where the directive
/// stands.
pub(crate) fn apply(root: &Path, book: &mut Book, shown: &[Excerpt]) -> Result<()> {
    let places: usize =
        book.chapters().map(|chapter| DIRECTIVE.find_iter(&chapter.content).count()).sum();
    let what = match places {
        1 => None,
        0 if shown.is_empty() => return Ok(()),
        0 => Some("no chapter has the line {{#sources}}, so the excerpts lead nowhere"),
        _ => Some("more than one line {{#sources}} in the book"),
    };
    if let Some(what) = what {
        let file = PathBuf::from("src/SUMMARY.md");
        return refuse(&[Problem { file, line: 1, what: what.to_owned() }]);
    }

    let listings = named(root, shown)?
        .iter()
        .map(|name| Listing::read(root, name))
        .collect::<Result<Vec<_>>>()?;
    book.for_each_chapter_mut(|chapter| {
        if !DIRECTIVE.is_match(&chapter.content) {
            return;
        }
        let up = chapter.path.as_deref().map_or(String::new(), up);
        let mut list = String::new();
        for Listing { name, description, .. } in &listings {
            let _ = writeln!(list, "- [`{name}`]({up}{}): {description}", page(name));
        }
        chapter.content = DIRECTIVE.replace(&chapter.content, NoExpand(&list)).into_owned();
        for listing in &listings {
            let item = child(chapter, &listing.name, listing.page(shown));
            chapter.sub_items.push(BookItem::Chapter(item));
        }
    });
    Ok(())
}

/// The listings of which a chapter shows lines, or what they print.
fn named(root: &Path, shown: &[Excerpt]) -> Result<BTreeSet<String>> {
    let mut names: BTreeSet<String> = shown
        .iter()
        .filter_map(|excerpt| Some(listing(&excerpt.file)?.to_owned()))
        .collect();
    for chapter in runs::chapters(root)? {
        let fences =
            runs::fences(&chapter).map_err(|problem| anyhow!(problem.to_string()))?;
        names.extend(fences.into_iter().filter_map(|fence| {
            let package = fence.name.split_once('/')?.0;
            root.join("listings").join(package).is_dir().then(|| package.to_owned())
        }));
    }
    Ok(names)
}

/// A chapter that has no file, below `parent`.
fn child(parent: &Chapter, name: &str, content: String) -> Chapter {
    let mut parents = parent.parent_names.clone();
    parents.push(parent.name.clone());
    let path = Path::new(&page(name)).with_extension("md");
    let mut chapter = Chapter::new(name, content, path, parents);
    chapter.source_path = None;
    let number =
        u32::try_from(parent.sub_items.len()).unwrap_or(u32::MAX).saturating_add(1);
    chapter.number = parent.number.as_ref().map(|section| {
        SectionNumber::new(section.iter().copied().chain([number]).collect::<Vec<_>>())
    });
    chapter
}

/// A crate of `listings/`.
struct Listing {
    name: String,
    description: String,
    /// Its files in the order in which they are read, with their text.
    files: Vec<(PathBuf, String)>,
}

impl Listing {
    fn read(root: &Path, name: &str) -> Result<Listing> {
        let folder = root.join("listings").join(name);
        let mut paths = vec![PathBuf::from("Cargo.toml")];
        let mut folders = vec![folder.clone()];
        while let Some(within) = folders.pop() {
            for entry in
                fs::read_dir(&within).with_context(|| within.display().to_string())?
            {
                let path = entry?.path();
                if path.is_dir() && !path.ends_with("target") {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    paths.push(path.strip_prefix(&folder)?.to_owned());
                }
            }
        }
        paths.sort_by_cached_key(|path| (rank(path), path.clone()));
        let mut files = Vec::new();
        for path in paths {
            let shown = Path::new("listings").join(name).join(&path);
            let text = fs::read_to_string(root.join(&shown))
                .with_context(|| shown.display().to_string())?;
            files.push((path, text));
        }
        let manifest = files.iter().find(|(path, _)| path == Path::new("Cargo.toml"));
        let manifest: toml::Table = manifest
            .map_or("", |(_, text)| text)
            .parse()
            .with_context(|| format!("listings/{name}/Cargo.toml"))?;
        let description = manifest
            .get("package")
            .and_then(|package| package.get("description"))
            .and_then(toml::Value::as_str)
            .with_context(|| format!("listings/{name}/Cargo.toml: no description"))?;
        Ok(Listing { name: name.to_owned(), description: description.to_owned(), files })
    }

    /// The page, in Markdown.
    fn page(&self, shown: &[Excerpt]) -> String {
        let name = &self.name;
        let mut page = format!(
            "# `{name}`\n\n{}. It lies in `listings/{name}`; `cargo test -p {name}` tests it.\n\n",
            self.description
        );
        for (path, text) in &self.files {
            let (file, count) = (path.display(), text.lines().count());
            let _ = writeln!(page, "- [`{file}`](#{}), {count} lines", anchor(path));
        }
        for (path, text) in &self.files {
            let file = Path::new("listings").join(name).join(path);
            let of_file: Vec<_> =
                shown.iter().filter(|excerpt| excerpt.file == file).collect();
            page.push_str(&section(path, text, &of_file));
        }
        page
    }
}

/// lib.rs first, what is run apart from it later, tests at the end.
fn rank(path: &Path) -> u8 {
    let path = path.to_string_lossy();
    match &*path {
        "src/lib.rs" => 0,
        "src/main.rs" => 1,
        "Cargo.toml" => 5,
        bin if bin.starts_with("src/bin/") => 3,
        src if src.starts_with("src/") => 2,
        _ => 4,
    }
}

/// One file, as HTML without an empty line, which would end the block.
fn section(path: &Path, text: &str, shown: &[&Excerpt]) -> String {
    let id = anchor(path);
    let lines: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line))
        .filter(|(_, line)| !includes::is_anchor(line))
        .collect();
    let numbers: Vec<String> = lines.iter().map(|(n, _)| n.to_string()).collect();
    let code = lines.iter().map(|(_, line)| *line).collect::<Vec<_>>().join("\n");
    let (class, code) = if path.extension().is_some_and(|extension| extension == "rs") {
        ("rust", rust::html(&code))
    } else {
        ("toml", rust::escaped(&code))
    };
    // A range is drawn over the rows of the page, which are fewer than the file's lines
    // where anchors are left out.
    let ranges: BTreeMap<(usize, usize), String> = shown
        .iter()
        .filter_map(|excerpt| {
            let (first, last) = excerpt.lines?;
            let row = 1 + lines.iter().filter(|(n, _)| *n < first).count();
            let rows = lines.iter().filter(|(n, _)| (first..=last).contains(n)).count();
            let range = format!(
                "<span class=\"range\" id=\"{}\" style=\"--from:{row};--lines:{rows}\"></span>\n",
                excerpt.anchor()
            );
            Some(((first, last), range))
        })
        .collect();
    format!(
        "\n<section class=\"source\" id=\"{id}\">\n<h2><code>{file}</code></h2>\n{shown}\
         <div class=\"lines\">\n{ranges}\
         <pre class=\"numbers\" aria-hidden=\"true\">{numbers}</pre>\n\
         <pre class=\"code\"><code class=\"{class}\">{code}</code></pre>\n</div>\n</section>\n",
        file = path.display(),
        shown = shown_in(shown),
        ranges = ranges.into_values().collect::<String>(),
        numbers = numbers.join("&#10;"),
    )
}

/// The chapters that show lines of a file, with a link to each excerpt.
fn shown_in(shown: &[&Excerpt]) -> String {
    let mut out = String::new();
    let mut rest = shown;
    while let [first, ..] = rest {
        let count = rest.iter().take_while(|other| other.page == first.page).count();
        let (here, others) = rest.split_at(count);
        rest = others;
        let mut places: Vec<String> = here
            .iter()
            .map(|excerpt| {
                let (page, id) = (excerpt.page.display(), &excerpt.id);
                format!("<a href=\"../{page}#{id}\">{}</a>", excerpt.in_words())
            })
            .collect();
        places.dedup();
        let _ = writeln!(
            out,
            "<p class=\"shown\">Shown in <a href=\"../{}\">{}</a>: {}.</p>",
            first.page.display(),
            rust::escaped(&first.chapter),
            places.join(", ")
        );
    }
    out
}
