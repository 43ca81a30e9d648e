//! What stands at the head of each chapter that shows listings: what it teaches, how many
//! minutes it takes, and which kernel it needs, before its first section.

use std::path::Path;

use mdbook_driver::MDBook;
use mdbook_markdown::pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};

const NEEDED: [&str; 3] = ["You will be able to", "Takes", "Kernel"];
const ALLOWED: [&str; 1] = ["If refused"];

/// The definition lists above the first section: each term, and what is said about it.
fn head(text: &str) -> Vec<(String, String)> {
    let mut head: Vec<(String, String)> = Vec::new();
    let (mut in_term, mut in_definition) = (false, false);
    for event in new_cmark_parser(text, &MarkdownOptions::default()) {
        match event {
            Event::Start(Tag::Heading { level, .. }) if level >= HeadingLevel::H2 => break,
            Event::Start(Tag::DefinitionListTitle) => {
                head.push(Default::default());
                in_term = true;
            }
            Event::End(TagEnd::DefinitionListTitle) => in_term = false,
            Event::Start(Tag::DefinitionListDefinition) => in_definition = true,
            Event::End(TagEnd::DefinitionListDefinition) => in_definition = false,
            Event::Text(piece) | Event::Code(piece) => {
                if let Some((term, definition)) = head.last_mut() {
                    if in_term {
                        term.push_str(&piece);
                    } else if in_definition {
                        definition.push_str(&piece);
                    }
                }
            }
            _ => {}
        }
    }
    head
}

/// What is wrong with a chapter's head.
fn fault(text: &str) -> Option<String> {
    let head = head(text);
    if let Some(term) = NEEDED.iter().find(|term| !head.iter().any(|(t, _)| t == *term)) {
        return Some(format!("the head does not say: {term}"));
    }
    for (term, definition) in &head {
        if !NEEDED.contains(&&**term) && !ALLOWED.contains(&&**term) {
            return Some(format!("the head says what no other does: {term}"));
        }
        if definition.trim().is_empty() {
            return Some(format!("the head says nothing about: {term}"));
        }
        let mut words = definition.split_whitespace();
        let minutes = words.any(|word| word.parse::<u32>().is_ok_and(|n| n > 0))
            && words.next().is_some_and(|word| word.starts_with("minutes"));
        if term == "Takes" && !minutes {
            return Some(format!("how many minutes it takes is no number: {definition}"));
        }
    }
    None
}

#[test]
fn every_chapter_with_listings_has_its_head() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the root");
    let mut seen = 0;
    let mut faults = Vec::new();
    for chapter in MDBook::load(root).expect("the book").book.chapters() {
        let (Some(path), Some(_)) = (&chapter.source_path, &chapter.number) else {
            continue;
        };
        let file = Path::new("src").join(path);
        let source = runs::Chapter { file: file.clone(), text: chapter.content.clone() };
        let (includes, _) = runs::includes::find(&source);
        if includes.iter().any(|include| aids::sources::listing(&include.target).is_some())
        {
            seen += 1;
            faults.extend(
                fault(&chapter.content).map(|what| format!("{}: {what}", file.display())),
            );
        }
    }
    assert!(seen >= 3, "only {seen} chapters show listings");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_head_that_lacks_something_is_refused() {
    let good = "# T\n\nOpening.\n\nYou will be able to\n: see it.\n\nTakes\n: about 25 minutes.\n\n\
        Kernel\n: any.\n\n## Predict\n";
    assert_eq!(fault(good), None);
    for (from, to) in [
        ("Takes\n", "Time\n"),
        ("25", "twenty"),
        ("25", "0"),
        ("minutes", "pages"),
        (": any.", ": \u{a0}"),
        ("Opening.\n", "Opening.\n\n## Early\n"),
        ("Kernel\n: any.\n", "Kernel: any.\n"),
        ("Kernel\n", "Kernel\n: any.\n\nColour\n"),
    ] {
        assert!(fault(&good.replacen(from, to, 1)).is_some(), "{from:?} to {to:?}");
    }
}
