//! Every `{{#include}}` and `{{#rustdoc_include}}` of the book, checked.
//!
//! mdBook prints an empty block for an anchor that does not exist, and leaves the directive
//! in the page for a file that does not. Here both are refused, before anything is
//! rendered.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use crate::{Chapter, Error, Problem, chapters, read, sorted};

/// What mdBook takes for a directive (`links.rs` of mdbook-driver 0.5), an escaped one
/// included, and names with a hyphen, which it does not see.
static DIRECTIVE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\\\{\{#.*\}\}|\{\{\s*#([a-zA-Z0-9_-]+)(?:\s+([^}]*))?\}\}")
        .expect("a regex")
});
/// The directives of this book's own preprocessor, `ci/aids`, which checks them.
const OWN: [&str; 9] = [
    "chart",
    "claims",
    "exercise",
    "exercises",
    "sources",
    "steps",
    "system-calls",
    "waits",
    "waits-all",
];
static ANCHOR: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"ANCHOR:\s*([\w_-]+)").expect("a regex"));
static ANCHOR_END: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"ANCHOR_END:\s*([\w_-]+)").expect("a regex"));

/// One include of a chapter.
#[derive(Clone, Debug)]
pub struct Include {
    /// The chapter, relative to the book's root.
    pub file: PathBuf,
    /// Its line in the chapter, counted from 1.
    pub line: usize,
    /// What is included, relative to the book's root where it lies inside, `..` resolved.
    pub target: PathBuf,
    /// Whether it is a `rustdoc_include`.
    pub rustdoc: bool,
    /// What follows the path: `anchor`, `10:20`, or nothing.
    part: String,
    /// Whether something stands before it on its line: the margin of a list, say.
    indented: bool,
}

impl Include {
    /// Whether the file is included whole.
    pub fn is_whole(&self) -> bool {
        self.part.is_empty()
    }

    /// The lines of the included file that the include shows, each with its number in the
    /// file, counted from 1. `text` is the file's.
    ///
    /// # Errors
    /// What is wrong with the anchor or the range of lines, in words.
    pub fn shown<'t>(&self, text: &'t str) -> Result<Vec<(usize, &'t str)>, String> {
        let part = self.part.as_str();
        if part.is_empty() {
            Ok(numbered(text).collect())
        } else if part.starts_with(|c: char| c.is_ascii_digit() || c == ':') {
            lines(text, part).map_err(|e| format!("{}:{part}: {e}", self.target.display()))
        } else {
            anchored(text, part).map_err(|e| format!("{}: {e}", self.target.display()))
        }
    }
}

/// Whether a line of a listing is there only to mark where an anchor begins or ends.
pub fn is_anchor(line: &str) -> bool {
    ANCHOR.is_match(line) || ANCHOR_END.is_match(line)
}

/// All includes of a chapter, and what stands there that mdBook would not understand.
pub fn find(chapter: &Chapter) -> (Vec<Include>, Vec<Problem>) {
    let (mut includes, mut problems) = (Vec::new(), Vec::new());
    let folder = chapter.file.parent().unwrap_or(Path::new(""));
    for found in DIRECTIVE.captures_iter(&chapter.text) {
        let Some(kind) = found.get(1) else { continue };
        let before = &chapter.text[..found.get(0).map_or(0, |m| m.start())];
        let line = 1 + before.matches('\n').count();
        let indented = !before.is_empty() && !before.ends_with('\n');
        let mut refuse = |what: String| {
            problems.push(Problem { file: chapter.file.clone(), line, what })
        };
        let argument = found.get(2).map_or("", |m| m.as_str()).trim();
        match kind.as_str() {
            "include" | "rustdoc_include" if argument.is_empty() => {
                refuse("an include of nothing".to_owned())
            }
            kind @ ("include" | "rustdoc_include") => {
                let (path, part) = argument.split_once(':').unwrap_or((argument, ""));
                let target = resolved(&folder.join(path));
                let (file, part, rustdoc) =
                    (chapter.file.clone(), part.to_owned(), kind == "rustdoc_include");
                includes.push(Include { file, line, target, rustdoc, part, indented });
            }
            "title" => {}
            own if OWN.contains(&own) => {}
            "playground" | "playpen" => {
                refuse(format!("{{{{#{}}}}}: use rustdoc_include", kind.as_str()))
            }
            other => refuse(format!("mdBook knows no {{{{#{other}}}}}")),
        }
    }
    (includes, problems)
}

/// Checks every include of every chapter under `root/src`: the file exists, lies inside a
/// workspace member (or in `static/` or `src/`), the anchor or the lines exist, and
/// something stands there.
pub fn check(root: &Path) -> Vec<Problem> {
    match (members(root), chapters(root)) {
        (Ok(members), Ok(chapters)) => chapters
            .iter()
            .flat_map(|chapter| check_chapter(root, &members, chapter))
            .collect(),
        (Err(e), _) => {
            vec![Problem { file: "Cargo.toml".into(), line: 1, what: e.to_string() }]
        }
        (_, Err(e)) => vec![Problem { file: "src".into(), line: 1, what: e.to_string() }],
    }
}

fn check_chapter(root: &Path, members: &[PathBuf], chapter: &Chapter) -> Vec<Problem> {
    let (includes, mut problems) = find(chapter);
    for include in includes {
        if let Err(what) = check_one(root, members, &include) {
            problems.push(Problem { file: include.file, line: include.line, what });
        }
    }
    problems.sort();
    problems
}

fn check_one(root: &Path, members: &[PathBuf], include: &Include) -> Result<(), String> {
    let shown = include.target.display();
    let inside =
        members.iter().map(PathBuf::as_path).chain([Path::new("static"), Path::new("src")]);
    if !inside.into_iter().any(|folder| include.target.starts_with(folder)) {
        return Err(format!("{shown} lies in no workspace member, so nothing tests it"));
    }
    let text = fs::read_to_string(root.join(&include.target))
        .map_err(|e| format!("{shown}: {e}"))?;
    let taken = include.shown(&text)?;
    if taken.iter().all(|(_, line)| line.trim().is_empty()) {
        return Err(format!("{shown}:{} is empty", include.part));
    }
    if include.indented && taken.len() > 1 {
        return Err(format!(
            "mdBook would put only the first of these {} lines of {shown} behind the margin; include them outside of lists and quotations",
            taken.len()
        ));
    }
    Ok(())
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(n, line)| (n + 1, line))
}

/// `10`, `10:20`, `10:` or `:20`, as mdBook reads them: from 1, both ends included.
fn lines<'t>(text: &'t str, part: &str) -> Result<Vec<(usize, &'t str)>, String> {
    let number =
        |s: &str| s.parse::<usize>().map_err(|_| "not a range of lines".to_owned());
    let count = text.lines().count();
    let (from, to) = match part.split_once(':') {
        None => (number(part)?, number(part)?),
        Some((from, to)) => (
            if from.is_empty() { 1 } else { number(from)? },
            if to.is_empty() { count } else { number(to)? },
        ),
    };
    if from == 0 || from > to || to > count {
        return Err(format!("the file has the lines 1 to {count}"));
    }
    Ok(numbered(text).skip(from - 1).take(to + 1 - from).collect())
}

/// What stands between `ANCHOR: name` and `ANCHOR_END: name`, other anchors' lines left
/// out.
fn anchored<'t>(text: &'t str, name: &str) -> Result<Vec<(usize, &'t str)>, String> {
    let (start, end) = ends(text, name)?;
    let between = numbered(text).skip(start).take(end - start - 1);
    Ok(between.filter(|(_, line)| !is_anchor(line)).collect())
}

/// The lines with `ANCHOR: name` and `ANCHOR_END: name`, counted from 1.
pub(crate) fn ends(text: &str, name: &str) -> Result<(usize, usize), String> {
    let at = |regex: &Regex| -> Vec<usize> {
        let is = |line| regex.captures(line).is_some_and(|found| &found[1] == name);
        numbered(text).filter(|(_, line)| is(line)).map(|(n, _)| n).collect()
    };
    match (at(&ANCHOR).as_slice(), at(&ANCHOR_END).as_slice()) {
        ([], _) => Err(format!("no `ANCHOR: {name}`")),
        ([start], [end]) if start < end => Ok((*start, *end)),
        ([_], [] | [_]) => {
            Err(format!("`ANCHOR: {name}` has no `ANCHOR_END: {name}` below it"))
        }
        _ => Err(format!("the anchor {name} stands there more than once")),
    }
}

/// The workspace's members, as folders relative to the root.
fn members(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let manifest: toml::Table = read(&root.join("Cargo.toml"))?
        .parse()
        .map_err(|e: toml::de::Error| Error::new(e.message()))?;
    let listed = manifest
        .get("workspace")
        .and_then(|w| w.get("members"))
        .and_then(toml::Value::as_array);
    let mut folders = BTreeSet::new();
    for member in listed.into_iter().flatten().filter_map(toml::Value::as_str) {
        match member.strip_suffix("/*") {
            None => _ = folders.insert(PathBuf::from(member)),
            Some(folder) => {
                for path in sorted(&root.join(folder))?
                    .into_iter()
                    .filter(|path| path.join("Cargo.toml").is_file())
                {
                    folders.insert(path.strip_prefix(root).unwrap_or(&path).to_owned());
                }
            }
        }
    }
    Ok(folders.into_iter().collect())
}

/// The path without `.` and, as far as there is something to leave, without `..`.
fn resolved(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if resolved.file_name().is_some() => _ = resolved.pop(),
            other => resolved.push(other),
        }
    }
    resolved
}
