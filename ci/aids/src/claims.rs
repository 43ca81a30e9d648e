//! The page of the claims, for `{{#claims}}`: what the ledger (`listings/claims`) says, the
//! verdicts of the kernel that the book was made on, and those of the kernels in
//! `listings/claims/kernels.json`.
//!
//! A chapter links a sentence to its row: `[epoll refuses it](claims.md#epoll-refuses-…)`.
//! A link to a claim that is not in the ledger is refused here; a claim that its chapter
//! does not link to is found by [`unlinked`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use claims::{Claim, Kernels, Says, Verdict};
use mdbook_markdown::pulldown_cmark::{Event, Tag};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};
use mdbook_preprocessor::book::{Book, Chapter};
use runs::Problem;
use serde::Deserialize;

use crate::calls::{Section, section, sections};
use crate::excerpts::Excerpt;
use crate::rust::escaped;
use crate::waits::inline;
use crate::{refuse, sources};

/// What the page stands for.
const DIRECTIVE: &str = "{{#claims}}";
/// Its file in `src/`, which links name.
const PAGE: &str = "claims.md";
/// The verdicts of other kernels, relative to the book's root.
const KERNELS: &str = "listings/claims/kernels.json";

/// The claims by the file in `src/` of the ledger that they stand in.
pub type Ledger = [(&'static str, &'static [Claim])];

/// A link from a chapter to a claim.
#[derive(Debug)]
struct Link {
    id: String,
    /// In `src/`.
    chapter: PathBuf,
    line: usize,
    section: Section,
}

/// The verdicts of one kernel.
#[derive(Debug, Deserialize)]
struct Kernel {
    release: String,
    #[serde(default)]
    package: String,
    #[serde(default)]
    version: String,
    verdicts: BTreeMap<String, Verdict>,
}

/// A kernel that was started and gave no result.
#[derive(Debug, Deserialize)]
struct Silent {
    package: String,
    why: String,
}

#[derive(Debug, Default, Deserialize)]
struct Matrix {
    kernels: Vec<Kernel>,
    #[serde(default)]
    silent: Vec<Silent>,
}

/// Puts the page into the book, which must be as its author wrote it, and says which lines
/// of the ledger it links to. A book without `{{#claims}}` has no claims.
///
/// # Errors
/// Every line of a chapter that links to a claim that there is not.
pub fn apply(root: &Path, book: &mut Book, ledger: &Ledger) -> Result<Vec<Excerpt>> {
    let is_page = |chapter: &Chapter| {
        chapter.content.lines().any(|line| line.trim_end() == DIRECTIVE)
    };
    let page = book.chapters().find(|chapter| is_page(chapter)).cloned();
    let known: BTreeSet<&str> = match page {
        Some(_) => {
            ledger.iter().flat_map(|(_, claims)| *claims).map(|claim| claim.id).collect()
        }
        None => BTreeSet::new(),
    };
    let links = links(book);
    let problems: Vec<Problem> = links
        .iter()
        .filter(|link| !known.contains(&*link.id))
        .map(|link| Problem {
            file: Path::new("src").join(&link.chapter),
            line: link.line,
            what: format!("no claim has the id {}: listings/claims has them all", link.id),
        })
        .collect();
    refuse(&problems)?;
    let Some(page) = page else { return Ok(Vec::new()) };

    let excerpts = excerpts(root, ledger, &page)?;
    let columns = columns(root, &page.content)?;
    let html = html(book, ledger, &links, &excerpts, &columns);
    book.for_each_chapter_mut(|chapter| {
        if is_page(chapter) {
            chapter.content = chapter.content.replace(DIRECTIVE, &html);
        }
    });
    Ok(excerpts)
}

/// The claims that no chapter links to, or not the one that they name.
pub fn unlinked(book: &Book, ledger: &Ledger) -> Vec<String> {
    let links = links(book);
    let mut problems = Vec::new();
    for Claim { id, chapter, .. } in ledger.iter().flat_map(|(_, claims)| *claims) {
        let linking: BTreeSet<String> = links
            .iter()
            .filter(|link| link.id == *id)
            .map(|link| link.chapter.display().to_string())
            .collect();
        if linking.is_empty() {
            problems.push(format!("{id}: no chapter links to {PAGE}#{id}"));
        } else if !linking.contains(*chapter) {
            let others: Vec<_> = linking.into_iter().collect();
            let (does, others) =
                (if others.len() > 1 { "do" } else { "does" }, others.join(", "));
            problems
                .push(format!("{id}: {chapter} does not link to it, and {others} {does}"));
        }
    }
    problems
}

/// The links of all chapters to the page.
fn links(book: &Book) -> Vec<Link> {
    let mut links = Vec::new();
    for chapter in book.chapters() {
        let Some(path) = &chapter.source_path else { continue };
        let (text, sections) = (&chapter.content, sections(&chapter.content));
        let events = new_cmark_parser(text, &MarkdownOptions::default()).into_offset_iter();
        for (event, range) in events {
            let Event::Start(Tag::Link { dest_url, .. }) = event else { continue };
            let Some(id) =
                dest_url.strip_prefix(PAGE).and_then(|rest| rest.strip_prefix('#'))
            else {
                continue;
            };
            let line = 1 + text[..range.start].matches('\n').count();
            links.push(Link {
                id: id.to_owned(),
                chapter: path.clone(),
                line,
                section: section(&sections, line),
            });
        }
    }
    links
}

/// Where each claim stands in the ledger, in its order.
fn excerpts(root: &Path, ledger: &Ledger, page: &Chapter) -> Result<Vec<Excerpt>> {
    let path = page.path.clone().unwrap_or_else(|| PAGE.into()).with_extension("html");
    let mut excerpts = Vec::new();
    for (name, claims) in ledger {
        let file = Path::new("listings/claims/src").join(name);
        let text = fs::read_to_string(root.join(&file))
            .with_context(|| file.display().to_string())?;
        for claim in *claims {
            let lines = lines(&text, claim.id)
                .with_context(|| format!("{}: no claim {}", file.display(), claim.id))?;
            excerpts.push(Excerpt {
                file: file.clone(),
                lines: Some(lines),
                chapter: page.name.clone(),
                page: path.clone(),
                id: claim.id.to_owned(),
            });
        }
    }
    Ok(excerpts)
}

/// The first and the last line of a claim, as rustfmt writes it: from the line above its id
/// to the next that ends a block at the same margin.
fn lines(text: &str, id: &str) -> Option<(usize, usize)> {
    let wanted = format!("id: \"{id}\",");
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().position(|line| line.trim() == wanted)?.checked_sub(1)?;
    let margin = |line: &str| line.len() - line.trim_start().len();
    let ends =
        |line: &&str| line.trim_start() == "}," && margin(line) == margin(lines[first]);
    let last = first + lines[first..].iter().position(ends)?;
    Some((first + 1, last + 1))
}

/// The kernels to show: first the one that the book was made on, as the page has recorded
/// it, then those of the matrix, which may be missing.
fn columns(root: &Path, page: &str) -> Result<(Vec<Kernel>, Vec<Silent>)> {
    let mut kernels = Vec::new();
    if let Some((release, verdicts)) = claims::recorded(page) {
        let (package, version) = (String::new(), String::new());
        kernels.push(Kernel { release, package, version, verdicts });
    }
    let path = root.join(KERNELS);
    let matrix = match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).context(KERNELS)?,
        Err(_) => Matrix::default(),
    };
    kernels.extend(matrix.kernels);
    Ok((kernels, matrix.silent))
}

/// The claims of each chapter, in the book's order.
fn html(
    book: &Book,
    ledger: &Ledger,
    links: &[Link],
    excerpts: &[Excerpt],
    (kernels, silent): &(Vec<Kernel>, Vec<Silent>),
) -> String {
    let names: BTreeMap<&Path, &str> = book
        .chapters()
        .filter_map(|chapter| Some((chapter.source_path.as_deref()?, &*chapter.name)))
        .collect();
    let mut order: Vec<&str> = book
        .chapters()
        .filter_map(|chapter| chapter.source_path.as_deref()?.to_str())
        .collect();
    let all: Vec<(&Claim, &Excerpt)> =
        ledger.iter().flat_map(|(_, claims)| *claims).zip(excerpts).collect();
    // A claim may be written before its chapter is.
    for (claim, _) in &all {
        if !order.contains(&claim.chapter) {
            order.push(claim.chapter);
        }
    }
    let mut out = head(kernels, silent);
    for chapter in order {
        let rows: String = all
            .iter()
            .filter(|(claim, _)| claim.chapter == chapter)
            .map(|(claim, excerpt)| {
                let links = links.iter().filter(|link| link.id == claim.id);
                row(claim, excerpt, &places(links, chapter, &names), kernels)
            })
            .collect();
        if rows.is_empty() {
            continue;
        }
        let name = names.get(Path::new(chapter)).unwrap_or(&chapter);
        let heads: String = kernels
            .iter()
            .enumerate()
            .map(|(n, kernel)| {
                let whose = if n == 0 { "<br>book’s" } else { "" };
                format!("<th scope=\"col\">{}{whose}</th>", escaped(short(&kernel.release)))
            })
            .collect();
        let _ = write!(
            out,
            "\n## {name}\n\n<div class=\"claims table-wrapper\">\n<table>\n<thead><tr>\
             <th scope=\"col\">claim</th>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n\
             </table>\n</div>\n"
        );
    }
    out
}

/// Which kernels these are.
fn head(kernels: &[Kernel], silent: &[Silent]) -> String {
    let mut out = String::new();
    let Some((book, others)) = kernels.split_first() else { return out };
    let _ = writeln!(out, "- {}, on which the book was made", book.release);
    for Kernel { release, package, version, .. } in others {
        let _ = writeln!(out, "- {release}, Debian’s `{package}` {version}");
    }
    for Silent { package, why } in silent {
        let _ = writeln!(out, "- `{package}` was started and did not report: {why}");
    }
    out
}

/// `6.18` of `6.18.44-fc-v657`.
fn short(release: &str) -> &str {
    let end =
        release.match_indices(['.', '-', '+']).nth(1).map_or(release.len(), |(at, _)| at);
    &release[..end]
}

/// Where a claim is stated.
fn places<'l>(
    links: impl Iterator<Item = &'l Link>,
    chapter: &str,
    names: &BTreeMap<&Path, &str>,
) -> Vec<String> {
    let mut places: Vec<String> = links
        .map(|link| {
            let page = link.chapter.with_extension("html");
            let (page, Section { title, id }) = (page.display(), &link.section);
            let title = escaped(title);
            let name = match names.get(&*link.chapter) {
                Some(name) if link.chapter != Path::new(chapter) => {
                    format!("{}: {title}", escaped(name))
                }
                _ => title,
            };
            format!("<a href=\"{page}#{id}\">{name}</a>")
        })
        .collect();
    places.dedup();
    places
}

fn row(claim: &Claim, test: &Excerpt, places: &[String], kernels: &[Kernel]) -> String {
    let mut facts = Vec::new();
    match claim.kernels {
        Kernels::All => {}
        Kernels::Since { version: (major, minor), before } => {
            facts.push(format!("Since Linux {major}.{minor}; before, {}.", inline(before)));
        }
        Kernels::Between { version: (major, minor), until: (end, patch), otherwise } => {
            let range =
                format!("From Linux {major}.{minor} on, and no longer on {end}.{patch}");
            facts.push(format!("{range}; otherwise, {}.", inline(otherwise)));
        }
    }
    facts.push(format!("Source: {}.", inline(claim.source)));
    let of = test.file.file_name().unwrap_or_default().to_string_lossy();
    facts.push(format!(
        "<a href=\"{}#{}\">Its test</a> is in <code>{of}</code>; counter-situation: {}.",
        sources::page("claims"),
        test.anchor(),
        inline(claim.counter)
    ));
    if !places.is_empty() {
        facts.push(format!("Stated in {}.", places.join("; ")));
    }
    let mut others: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    let mut cells = String::new();
    for kernel in kernels {
        let verdict = kernel.verdicts.get(claim.id);
        let (class, text) = match verdict.map(|verdict| verdict.says) {
            Some(Says::Holds) => ("yes", "yes"),
            Some(Says::DoesNotHold) => ("no", "no"),
            Some(Says::CannotTell) => ("unknown", "–"),
            None => ("unknown", ""),
        };
        let _ = write!(cells, "<td class=\"{class}\">{text}</td>");
        if let Some(Verdict { says: says @ (Says::DoesNotHold | Says::CannotTell), why }) =
            verdict
        {
            others.entry((says.words(), why)).or_default().push(short(&kernel.release));
        }
    }
    for ((says, why), on) in others {
        facts.push(format!("{}: {says}, {}.", on.join(", "), escaped(why)));
    }
    format!(
        "<tr id=\"{}\"><th scope=\"row\">{} <small>{}</small></th>{cells}</tr>\n",
        claim.id,
        inline(claim.sentence),
        facts.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_found_by_its_margin() {
        let text = "x\n    Claim {\n        id: \"a\",\n        y: {\n        },\n    },\n    Claim {\n        id: \"ab\",\n    },\n";
        assert_eq!(lines(text, "a"), Some((2, 6)));
        assert_eq!(lines(text, "ab"), Some((7, 9)));
        assert_eq!(lines(text, "b"), None);
    }

    #[test]
    fn a_release_is_shown_by_its_first_two_numbers() {
        let releases = ["6.18.44-fc-v657", "7.0-rc3", "6.1.0+deb12", "6.1"];
        assert_eq!(releases.map(short), ["6.18", "7.0", "6.1", "6.1"]);
    }
}
