use std::ops::Range;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use crate::{Error, Problem, read, sorted};

/// A Markdown file of the book.
#[derive(Clone, Debug)]
pub struct Chapter {
    /// Relative to the book's root: `src/preface.md`.
    pub file: PathBuf,
    /// All of it.
    pub text: String,
}

/// A block that shows the output of a named run.
#[derive(Clone, Debug)]
pub struct Fence {
    /// The chapter's file, relative to the book's root.
    pub file: PathBuf,
    /// The line of the opening fence, counted from 1.
    pub line: usize,
    /// The run's name.
    pub name: String,
    /// What the block shows, with its last newline.
    pub body: String,
    /// Where `body` stands in the chapter, in bytes.
    pub range: Range<usize>,
}

/// Every Markdown file under `root/src`, sorted by path, except SUMMARY.md, which is the table of
/// contents, and the speaker's notes beside the chapters.
pub fn chapters(root: &Path) -> Result<Vec<Chapter>, Error> {
    let mut chapters = Vec::new();
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for path in sorted(&folder)? {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "md")
                && path != root.join("src/SUMMARY.md")
                && !is_notes(&path)
            {
                let text = read(&path)?;
                let file = path.strip_prefix(root).unwrap_or(&path).to_owned();
                chapters.push(Chapter { file, text });
            }
        }
    }
    chapters.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(chapters)
}

/// Whether a file is what a speaker has beside a chapter: `poll.notes.md` beside `poll.md`.
pub fn is_notes(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".notes.md"))
}

/// The blocks of a chapter whose info string has `run=NAME` among its words.
///
/// Refuses one that stands in a quotation or a list: its lines do not follow each other in
/// the file, so it could not be written anew.
pub fn fences(chapter: &Chapter) -> Result<Vec<Fence>, Problem> {
    let text = &chapter.text;
    let mut fences: Vec<Fence> = Vec::new();
    let mut open: Option<Fence> = None;
    for (event, range) in Parser::new(text).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                let words = info
                    .split([',', ' '])
                    .find_map(|word| word.trim().strip_prefix("run="));
                open = words.map(|name| {
                    let line = 1 + text[..range.start].matches('\n').count();
                    // Until some text is found the body is the empty place below the
                    // opening fence.
                    let below = text[range.start..]
                        .find('\n')
                        .map_or(range.end, |n| range.start + n + 1);
                    let (file, name) = (chapter.file.clone(), name.to_owned());
                    Fence { file, line, name, body: String::new(), range: below..below }
                });
            }
            Event::Text(piece) => {
                if let Some(fence) = &mut open {
                    if fence.body.is_empty() {
                        fence.range = range.clone();
                    }
                    fence.range.end = range.end;
                    fence.body.push_str(&piece);
                }
            }
            Event::End(TagEnd::CodeBlock) => {
                if let Some(fence) = open.take() {
                    let start = text[..fence.range.start].rfind('\n').map_or(0, |n| n + 1);
                    if text[fence.range.clone()] != fence.body || start != fence.range.start
                    {
                        let what =
                            "a block with run= stands at the left margin, in no list and no quotation".to_owned();
                        return Err(Problem { file: fence.file, line: fence.line, what });
                    }
                    fences.push(fence);
                }
            }
            _ => {}
        }
    }
    Ok(fences)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chapter(text: &str) -> Chapter {
        Chapter { file: "src/x.md".into(), text: text.to_owned() }
    }

    #[test]
    fn finds_the_blocks_their_lines_and_their_places() {
        let text = "# X\n\n```text\nno run\n```\n\n```text,run=a/b\none\n\ntwo\n```\n````text,run=c/d-e\n```\n````\n";
        let found = fences(&chapter(text)).unwrap();
        let seen: Vec<_> =
            found.iter().map(|f| (f.line, f.name.as_str(), f.body.as_str())).collect();
        assert_eq!(seen, [(7, "a/b", "one\n\ntwo\n"), (12, "c/d-e", "```\n")]);
        for fence in found {
            assert_eq!(text[fence.range], fence.body);
        }
    }

    #[test]
    fn an_empty_block_has_its_place_below_the_opening_fence() {
        let text = "```text,run=a/b\n```\n";
        assert_eq!(fences(&chapter(text)).unwrap()[0].range, 16..16);
    }

    #[test]
    fn a_block_that_cannot_be_rewritten_is_refused() {
        for text in [
            "> ```text,run=a/b\n> one\n> two\n> ```\n",
            "- x\n\n  ```text,run=a/b\n  one\n  ```\n",
        ] {
            let problem = fences(&chapter(text)).unwrap_err();
            assert!(problem.to_string().starts_with("src/x.md:"), "{problem}");
        }
    }

    #[test]
    fn a_block_shown_inside_another_is_no_block() {
        assert!(
            fences(&chapter("````markdown\n```text,run=a/b\n```\n````\n"))
                .unwrap()
                .is_empty()
        );
    }
}
