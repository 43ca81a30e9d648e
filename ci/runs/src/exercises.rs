//! The exercises of the workshop: one file to each, `ci/workshop/exercises/NAME.md`.
//!
//! ````markdown
//! # Fill the set again
//!
//! - kind: fix
//! - minutes: 10
//! - file: listings/select-loop/src/bin/two-pipes.rs
//! - cut: again
//!
//! What is to be done, in Markdown.
//!
//! ## Hint
//!
//! Three of them.
//!
//! ## Starter
//!
//! ```rust
//! what stands in the place of the anchor `again` at first
//! ```
//!
//! ```text
//! what the check says of it, or a part of that
//! ```
//!
//! ## Wrong: a name
//!
//! The same of a wrong answer, of which the check must say that.
//! ````
//!
//! The answer is the listing itself: what stands between the anchor's ends. So the two cannot
//! drift apart, and [`Exercise::file_with`] makes one from the other. A chapter has an exercise by a
//! line of its own, `{{#exercise NAME}}`; the order of these lines is the order of the workshop.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use crate::{Error, Problem, includes, read, sorted};

/// Where the files are.
pub const FOLDER: &str = "ci/workshop/exercises";

/// A chapter in the table of contents, and the name that it has there.
static LINK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\[([^\]]+)\]\(([^)]+\.md)\)").expect("a regex"));
static DIRECTIVE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^\{\{#exercise ([a-z0-9-]+)\}\}\s*$").expect("a regex")
});

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is a mistake in it.
    Fix,
    /// A few lines are missing.
    Complete,
    /// The part is missing.
    Write,
    /// It is to do more than it does.
    Extend,
}

impl Kind {
    /// As it stands in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fix => "fix",
            Self::Complete => "complete",
            Self::Write => "write",
            Self::Extend => "extend",
        }
    }
}

/// Code in the place of the answer, and what a check says of it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What it does, for people; `starter`.
    pub name: String,
    /// The code, at the margin.
    pub code: String,
    /// What the check says, or a part of that; lines apart may have others between them.
    pub says: String,
}

/// An exercise.
#[derive(Clone, Debug)]
pub struct Exercise {
    /// Its name: the file's.
    pub name: String,
    /// For people.
    pub title: String,
    /// What is asked for.
    pub kind: Kind,
    /// How long it takes.
    pub minutes: u32,
    /// The package that it is a part of.
    pub listing: String,
    /// The file, relative to the package's folder.
    pub file: PathBuf,
    /// The anchor.
    pub cut: String,
    /// In Markdown.
    pub task: String,
    /// In Markdown; three.
    pub hints: Vec<String>,
    /// What the learner begins with.
    pub starter: Attempt,
    /// Answers that must not pass.
    pub wrong: Vec<Attempt>,
}

/// An exercise in its place.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The exercise.
    pub exercise: Exercise,
    /// The chapter's file, relative to `src/`.
    pub chapter: PathBuf,
    /// Its name in the table of contents.
    pub title: String,
}

/// All exercises, by name.
///
/// # Errors
/// A file that is not written as it should be; the message names it.
pub fn load(root: &Path) -> Result<BTreeMap<String, Exercise>, Error> {
    let mut all = BTreeMap::new();
    for path in sorted(&root.join(FOLDER))? {
        if path.extension().is_some_and(|extension| extension == "md") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let parsed = match root.join("listings").join(&name).exists() {
                true => {
                    Err("a listing has this name, and its crate would have the same".into())
                }
                false => parse(&name, &read(&path)?),
            };
            let exercise =
                parsed.map_err(|why| Error::new(format!("{FOLDER}/{name}.md: {why}")))?;
            all.insert(name, exercise);
        }
    }
    Ok(all)
}

/// All exercises, in the order of the book.
///
/// # Errors
/// As [`load`]; and where chapters and exercises do not match, one line for each.
pub fn in_order(root: &Path) -> Result<Vec<Placed>, Error> {
    let mut all = load(root)?;
    let summary = read(&root.join("src/SUMMARY.md"))?;
    let (mut placed, mut problems, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for link in LINK.captures_iter(&summary) {
        let (title, chapter) = (link[1].to_owned(), PathBuf::from(&link[2]));
        let file = Path::new("src").join(&chapter);
        let text = read(&root.join(&file))?;
        for found in DIRECTIVE.captures_iter(&text) {
            let name = &found[1];
            let before = found.get(0).map_or(0, |found| found.start());
            let line = 1 + text[..before].matches('\n').count();
            let what = match all.remove(name) {
                Some(exercise) => {
                    seen.insert(name.to_owned());
                    let (title, chapter) = (title.clone(), chapter.clone());
                    placed.push(Placed { exercise, chapter, title });
                    continue;
                }
                None if seen.contains(name) => {
                    format!("the exercise {name} for the second time")
                }
                None => format!("there is no exercise {name} in {FOLDER}"),
            };
            problems.push(Problem { file: file.clone(), line, what });
        }
    }
    let unused = all.keys().map(|name| Problem {
        file: format!("{FOLDER}/{name}.md").into(),
        line: 1,
        what: format!("no chapter has it: {{{{#exercise {name}}}}}"),
    });
    problems.extend(unused);
    match problems.is_empty() {
        true => Ok(placed),
        false => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Err(Error::new(lines.join("\n")))
        }
    }
}

impl Exercise {
    /// The file with this code in the place of the answer, or, if none is given, with the
    /// answer. Anchors are left out. `source` is the listing's file.
    ///
    /// # Errors
    /// The anchor is not there.
    pub fn file_with(&self, source: &str, code: Option<&str>) -> Result<String, Error> {
        let (start, end) = self.ends(source)?;
        let lines: Vec<&str> = source.lines().collect();
        let answer = &lines[start..end - 1];
        let margin = margin(answer);
        let mut text = String::new();
        let mut add = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        let others = |lines: &[&str], add: &mut dyn FnMut(&str)| {
            lines
                .iter()
                .filter(|line| !includes::is_anchor(line))
                .for_each(|line| add(line));
        };
        others(&lines[..start], &mut add);
        add(&format!("{margin}// EXERCISE: {}", self.title));
        match code {
            None => others(answer, &mut add),
            Some(code) => code.lines().for_each(|line| match line.trim().is_empty() {
                true => add(""),
                false => add(&format!("{margin}{line}")),
            }),
        }
        add(&format!("{margin}// END OF EXERCISE"));
        others(&lines[end..], &mut add);
        Ok(text)
    }

    /// The answer alone, at the margin.
    ///
    /// # Errors
    /// The anchor is not there.
    pub fn answer(&self, source: &str) -> Result<String, Error> {
        let (start, end) = self.ends(source)?;
        let lines: Vec<&str> = source.lines().skip(start).take(end - start - 1).collect();
        let margin = margin(&lines);
        let lines = lines.iter().filter(|line| !includes::is_anchor(line));
        Ok(lines
            .map(|line| line.strip_prefix(margin).unwrap_or(line).to_owned() + "\n")
            .collect())
    }

    /// The file in the workspace, relative to its root.
    pub fn source(&self) -> PathBuf {
        Path::new("listings").join(&self.listing).join(&self.file)
    }

    fn ends(&self, source: &str) -> Result<(usize, usize), Error> {
        includes::ends(source, &self.cut).map_err(|why| {
            Error::new(format!("{}: {}: {why}", self.name, self.source().display()))
        })
    }
}

/// What stands before the first line that says something.
fn margin<'t>(lines: &[&'t str]) -> &'t str {
    let says = |line: &&&str| !line.trim().is_empty() && !includes::is_anchor(line);
    lines.iter().find(says).map_or("", |line| &line[..line.len() - line.trim_start().len()])
}

/// A section of a file: its heading, without the marks, and what stands below.
struct Section<'t> {
    heading: &'t str,
    body: &'t str,
}

/// The sections, cut at the lines that begin with one mark or two, outside of fences.
fn sections(text: &str) -> Vec<Section<'_>> {
    let (mut cuts, mut at, mut fenced) = (Vec::new(), 0, false);
    for line in text.split_inclusive('\n') {
        fenced ^= line.starts_with("```");
        if !fenced && (line.starts_with("# ") || line.starts_with("## ")) {
            cuts.push((at, at + line.len()));
        }
        at += line.len();
    }
    let ends = cuts.iter().skip(1).map(|(start, _)| *start).chain([text.len()]);
    let section = |((start, below), end): (&(usize, usize), usize)| Section {
        heading: text[*start..*below].trim_start_matches('#').trim(),
        body: text[*below..end].trim(),
    };
    cuts.iter().zip(ends).map(section).collect()
}

fn parse(name: &str, text: &str) -> Result<Exercise, String> {
    let mut sections = sections(text).into_iter();
    let head = sections.next().ok_or("it begins with # and a title")?;
    let (fields, task) = head.body.split_once("\n\n").unwrap_or((head.body, ""));
    let field = |name: &str| {
        let line =
            fields.lines().find_map(|line| line.strip_prefix(&format!("- {name}: ")));
        line.map(str::trim)
            .ok_or(format!("a line `- {name}: …` is missing below the title"))
    };
    let kind = match field("kind")? {
        "fix" => Kind::Fix,
        "complete" => Kind::Complete,
        "write" => Kind::Write,
        "extend" => Kind::Extend,
        other => {
            return Err(format!("kind: fix, complete, write or extend, and not {other}"));
        }
    };
    let minutes = field("minutes")?.parse().map_err(|_| "minutes: a number")?;
    let file = Path::new(field("file")?);
    let inside = file.strip_prefix("listings").map_err(|_| "file: listings/…")?;
    let mut parts = inside.components();
    let listing = parts.next().ok_or("file: listings/…")?.as_os_str().to_string_lossy();
    let (mut hints, mut starter, mut wrong) = (Vec::new(), None, Vec::new());
    for Section { heading, body } in sections {
        match heading.split_once(": ") {
            None if heading == "Hint" => hints.push(body.to_owned()),
            None if heading == "Starter" => starter = Some(attempt("starter", body)?),
            Some(("Wrong", name)) => wrong.push(attempt(name, body)?),
            _ => return Err(format!("{heading}: a section is Hint, Starter or Wrong: …")),
        }
    }
    if hints.len() != 3 {
        return Err(format!("three hints, and not {}", hints.len()));
    }
    if task.trim().is_empty() || wrong.is_empty() {
        return Err("a task, and at least one wrong answer".into());
    }
    Ok(Exercise {
        name: name.to_owned(),
        title: head.heading.to_owned(),
        kind,
        minutes,
        listing: listing.into_owned(),
        file: parts.as_path().to_owned(),
        cut: field("cut")?.to_owned(),
        task: task.trim().to_owned(),
        hints,
        starter: starter.ok_or("a section ## Starter is missing")?,
        wrong,
    })
}

/// A fence of Rust, and one of text.
fn attempt(name: &str, body: &str) -> Result<Attempt, String> {
    let fence = |info: &str| {
        let (_, rest) = body.split_once(&format!("```{info}\n"))?;
        rest.split_once("```").map(|(inside, _)| inside.to_owned())
    };
    let missing = |what| format!("{name}: a fence of {what} is missing");
    let code = fence("rust").ok_or_else(|| missing("rust"))?;
    let says = fence("text").ok_or_else(|| missing("text"))?;
    if says.trim().is_empty() {
        return Err(format!("{name}: the check says something of it"));
    }
    Ok(Attempt { name: name.to_owned(), code, says: says.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# A title\n\n- kind: fix\n- minutes: 10\n- file: listings/a/src/bin/b.rs\n- cut: c\n\n\
        Do it.\n\n```rust\n# not a heading\n```\n\n## Hint\n\none\n\n## Hint\n\ntwo\n\n## Hint\n\nthree\n\n\
        ## Starter\n\n```rust\nlet x = 1;\n\n```\n\n```text\nit says 1\n```\n\n## Wrong: it says 2\n\n\
        ```rust\nlet x = 2;\n```\n\n```text\nit says 2\n```\n";
    const SOURCE: &str = "fn f() {\n    // ANCHOR: c\n    let x = 3;\n    // ANCHOR: d\n    g(x);\n    // ANCHOR_END: d\n    // ANCHOR_END: c\n}\n";

    #[test]
    fn a_file_is_an_exercise() {
        let exercise = parse("b", FILE).expect("it is");
        assert_eq!((exercise.kind, exercise.minutes), (Kind::Fix, 10));
        assert_eq!(exercise.source(), Path::new("listings/a/src/bin/b.rs"));
        assert_eq!(exercise.task, "Do it.\n\n```rust\n# not a heading\n```");
        assert_eq!(exercise.hints, ["one", "two", "three"]);
        assert_eq!(exercise.wrong[0].name, "it says 2");
        for (broken, why) in [
            (
                FILE.replace("- cut: c\n", ""),
                "a line `- cut: …` is missing below the title",
            ),
            (
                FILE.replace("kind: fix", "kind: mend"),
                "kind: fix, complete, write or extend, and not mend",
            ),
            (FILE.replacen("## Hint\n\none\n\n", "", 1), "three hints, and not 2"),
            (FILE.replace("it says 1\n", ""), "starter: the check says something of it"),
        ] {
            assert_eq!(parse("b", &broken).map(|_| ()), Err(why.to_owned()));
        }
    }

    #[test]
    fn the_answer_is_the_listing_and_the_starter_is_cut_into_it() {
        let exercise = parse("b", FILE).expect("it is");
        let around = |inside: &str| {
            format!(
                "fn f() {{\n    // EXERCISE: A title\n{inside}    // END OF EXERCISE\n}}\n"
            )
        };
        let with = |code| exercise.file_with(SOURCE, code).expect("the anchor is there");
        assert_eq!(with(None), around("    let x = 3;\n    g(x);\n"));
        assert_eq!(with(Some(&exercise.starter.code)), around("    let x = 1;\n\n"));
        assert_eq!(exercise.answer(SOURCE).expect("it is there"), "let x = 3;\ng(x);\n");
        assert!(exercise.file_with("fn f() {}\n", None).is_err());
    }
}
