//! The exercises of a chapter: `{{#exercise NAME}}` in a line of its own stands for one, and
//! `{{#exercises}}` for the table of all of them.
//!
//! What is asked, what its check says of it at first, and the hints are those of the workshop
//! (`ci/workshop/exercises/`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Result, anyhow};
use mdbook_preprocessor::book::Book;
use regex::{Captures, Regex};
use runs::Problem;
use runs::exercises::{Exercise, FOLDER, Placed, in_order};

use crate::refuse;

/// A line with a directive of this module, a broken one as well; one behind a backslash is
/// text.
static DIRECTIVE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^.*\{\{\s*#exercises?\b.*$").expect("a regex"));
static NAMED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\{\{#exercise ([a-z0-9-]+)\}\}\s*$").expect("a regex"));
const ALL: &str = "{{#exercises}}";

/// Puts the exercises into the book.
///
/// # Errors
/// Every line of `src/` where a directive is malformed; where exercises and chapters do not
/// match.
pub(crate) fn apply(root: &Path, book: &mut Book) -> Result<()> {
    let wants = book.chapters().any(|chapter| DIRECTIVE.is_match(&chapter.content));
    if !wants {
        return Ok(());
    }
    let all = in_order(root).map_err(|error| anyhow!("{error}"))?;
    let by_name: BTreeMap<&str, &Exercise> =
        all.iter().map(|one| (one.exercise.name.as_str(), &one.exercise)).collect();
    let mut problems = Vec::new();
    book.for_each_chapter_mut(|chapter| {
        let text = std::mem::take(&mut chapter.content);
        let shown = DIRECTIVE.replace_all(&text, |found: &Captures| {
            let line = &found[0];
            if line.contains(r"\{{") {
                return line.to_owned();
            }
            if line.trim_end() == ALL {
                return table(&all);
            }
            let named = NAMED.captures(line);
            match named.and_then(|named| by_name.get(&named[1]).copied()) {
                Some(exercise) => block(exercise),
                None => {
                    let at = found.get(0).map_or(0, |found| found.start());
                    let path = chapter.source_path.as_deref().unwrap_or(Path::new("?"));
                    let what = format!("{line}: {{{{#exercise NAME}}}}, of {FOLDER}");
                    let number = 1 + text[..at].matches('\n').count();
                    let file = Path::new("src").join(path);
                    problems.push(Problem { file, line: number, what });
                    line.to_owned()
                }
            }
        });
        chapter.content = shown.into_owned();
    });
    refuse(&problems)
}

fn block(exercise: &Exercise) -> String {
    let Exercise { name, title, minutes, task, .. } = exercise;
    let (kind, file) = (exercise.kind.word(), exercise.file.display());
    let [first, second, third] = exercise.hints.as_slice() else { return String::new() };
    let says = &exercise.starter.says;
    format!(
        "<div class=\"exercise\" data-exercise=\"{name}\">\n\n\
         ### {title}\n\n\
         <p class=\"exercise-about\">{kind}, about {minutes} minutes, in <code>workshop/{name}/{file}</code></p>\n\n\
         {task}\n\n\
         ```console,check={name}\n\
         $ cargo workshop start {name}\n\
         $ cargo workshop check\n\
         ```\n\n\
         <details><summary>What the check says of it at first</summary>\n\n\
         ```text\n{says}\n```\n\n</details>\n\
         <details><summary>Three hints, the first</summary>\n\n{first}\n\n\
         <details><summary>the second</summary>\n\n{second}\n\n\
         <details><summary>the third</summary>\n\n{third}\n\n\
         </details></details></details>\n\n</div>\n"
    )
}

fn table(all: &[Placed]) -> String {
    let mut text = String::from(
        "| chapter | exercise | kind | minutes |\n| --- | --- | --- | --- |\n",
    );
    let mut last = PathBuf::new();
    for Placed { exercise, chapter, title } in all {
        let of = match last == *chapter {
            true => String::new(),
            false => format!("[{title}]({}#exercises)", chapter.display()),
        };
        last.clone_from(chapter);
        let Exercise { name, title, minutes, .. } = exercise;
        text += &format!(
            "| {of} | `{name}`: {title} | {} | {minutes} |\n",
            exercise.kind.word()
        );
    }
    text
}
