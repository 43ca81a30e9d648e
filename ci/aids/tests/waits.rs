//! The table "who waits?": what it shows in each chapter, and what it refuses.

use std::path::Path;

use mdbook_preprocessor::book::{Book, BookItem, Chapter, SectionNumber};

fn book(chapters: &[(&str, &str)]) -> Book {
    let chapter = |(n, (file, text)): (usize, &(&str, &str))| {
        let mut chapter = Chapter::new(file, (*text).to_owned(), *file, Vec::new());
        chapter.number = Some(SectionNumber::new([n as u32 + 1]));
        BookItem::Chapter(chapter)
    };
    Book::new_with_items(chapters.iter().enumerate().map(chapter).collect())
}

fn applied(chapters: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let mut book = book(chapters);
    aids::waits::apply(Path::new("."), &mut book).map_err(|e| e.to_string())?;
    Ok(book.chapters().map(|chapter| chapter.content.clone()).collect())
}

#[test]
fn the_table_grows_and_marks_this_chapter() {
    let texts = applied(&[
        ("a.md", "# A\n\n{{#waits A | one | in `read`}}\n\nEnd.\n"),
        ("none.md", "# None\n"),
        ("b.md", "# B\n\n{{#waits B | two & more | there}}\n"),
        ("all.md", "# All\n\n{{#waits-all}}\n"),
    ])
    .expect("a good book");
    let [a, none, b, all] = &texts[..] else { panic!("{texts:?}") };
    assert!(a.ends_with("</div>\n\nEnd.\n"), "{a}");
    assert_eq!(a.matches("<tr").count(), 2, "a head and one row: {a}");
    assert!(
        a.contains("<tr class=\"this\"><th scope=\"row\">A <small>(this chapter)"),
        "{a}"
    );
    assert!(a.contains("<td>in <code>read</code></td>"), "{a}");
    assert_eq!(none, "# None\n");
    assert_eq!(b.matches("<tr").count(), 3, "{b}");
    assert!(b.contains("<tr><th scope=\"row\"><a href=\"a.html\">A</a></th>"), "{b}");
    assert!(b.contains("<td>two &amp; more</td>"), "{b}");
    assert_eq!(all.matches("<tr><th scope=\"row\"><a ").count(), 2, "{all}");
    assert!(!all.contains("class=\"this\""), "{all}");
}

#[test]
fn a_directive_behind_a_backslash_is_text() {
    let text = "`\\{{#waits label | who | where}}`\n";
    assert_eq!(applied(&[("a.md", text)]), Ok(vec![text.to_owned()]));
}

#[test]
fn what_is_no_row_is_refused_with_its_line() {
    for broken in [
        "{{#waits A | one}}",
        "{{#waits A | one | in | read}}",
        "{{#waits A | | read}}",
        "{{#waits}}",
        "{{#waits A | one |",
        "> {{#waits A | one | read}}",
        "{{#waits-of A | one | read}}",
    ] {
        let refused = applied(&[("a.md", &format!("# A\n\n{broken}\n"))]);
        let message = refused.expect_err(broken);
        assert!(
            message.starts_with("src/a.md:3: a row is one line"),
            "{broken}: {message}"
        );
    }
}

#[test]
fn a_second_row_is_refused() {
    let refused = applied(&[("a.md", "{{#waits A | b | c}}\n{{#waits A | b | c}}\n")]);
    assert_eq!(refused, Err("src/a.md:2: a second row; a chapter has one".to_owned()));
}

#[test]
fn a_chapter_with_listings_needs_a_row() {
    let text = "# A\n\n```rust\n{{#include ../listings/x/src/lib.rs:a}}\n```\n";
    let message = applied(&[("a.md", text)]).expect_err("no row");
    assert!(
        message.starts_with("src/a.md:4: a listing, and the chapter does not say"),
        "{message}"
    );
    assert!(applied(&[("a.md", &format!("{text}\n{{{{#waits A | b | c}}}}\n"))]).is_ok());
}
