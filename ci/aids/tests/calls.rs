//! The index of system calls: what it finds in a small book, and what it refuses.

use std::fs;
use std::path::Path;

use mdbook_driver::MDBook;
use mdbook_preprocessor::book::{Book, BookItem, Chapter};
use tempfile::TempDir;

const DATA: &str = r#"
[[call]]
name = "read"
does = "Reads."
waits = "the caller."
source = ['\bread\(']

[[call]]
name = "accept4"
also = ["accept"]
does = "Accepts."
waits = "the caller."
source = ['\baccept_with\(']

[[call]]
name = "select"
does = "Selects."
waits = "the caller."
"#;

const LIB: &str = r#"
fn one() {
    // ANCHOR: shown
    read(0);
    // ANCHOR_END: shown
    let text = "accept_with(";
}

#[cfg(test)]
mod tests {
    fn two() { accept_with(); }
}
"#;

const MAIN: &str = "/* read( */ fn main() {\n    accept_with(1);\n}\n";

const CHAPTER: &str = "# Chapter\n\nAs in `select`.\n\n## Where it `is` shown!\n\n\
    ```rust\n{{#include ../listings/x/src/lib.rs:shown}}\n```\n";

const INDEX: &str = "# Index\n\n{{#system-calls}}\n";

/// The index of a book of one chapter, whose listing lies below a folder of its own.
fn index(data: &str, chapter: &str) -> Result<String, String> {
    let root = TempDir::new().expect("a folder");
    for (file, text) in [
        ("ci/aids/calls.toml", data),
        ("listings/x/src/lib.rs", LIB),
        ("listings/x/src/bin/m.rs", MAIN),
        ("listings/x/tests/t.rs", "fn t() { accept_with(2); }"),
    ] {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let item = |(name, file, text): (&str, &str, &str)| {
        BookItem::Chapter(Chapter::new(name, text.to_owned(), file, Vec::new()))
    };
    let chapters = [("Chapter", "chapter.md", chapter), ("Index", "index.md", INDEX)];
    let mut book = Book::new_with_items(chapters.map(item).into());
    aids::calls::apply(root.path(), &mut book).map_err(|e| e.to_string())?;
    let index = book.chapters().last().expect("the index");
    Ok(index.content.clone())
}

#[test]
fn the_index_leads_to_what_is_shown_made_and_named() {
    let index = index(DATA, CHAPTER).expect("a good book");
    assert_eq!(
        index,
        "# Index\n\n\
         [`accept`](#accept4) [`accept4`](#accept4) [`read`](#read) [`select`](#select)\n\n\
         ## `accept4`, `accept` {#accept4}\n\n\
         Accepts. *Who waits:* the caller. *Manual:* `accept4(2)`, `accept(2)`.\n\n\
         - [Chapter](chapter.html): made in [`x/src/bin/m.rs`](sources/x.html#src-bin-m.rs)\n\n\
         ## `read` {#read}\n\n\
         Reads. *Who waits:* the caller. *Manual:* `read(2)`.\n\n\
         - [Chapter](chapter.html): shown in [Where it is shown!](chapter.html#where-it-is-shown)\n\n\
         ## `select` {#select}\n\n\
         Selects. *Who waits:* the caller. *Manual:* `select(2)`.\n\n\
         - [Chapter](chapter.html): named in [the opening](chapter.html)\n\n"
    );
}

#[test]
fn a_page_of_the_manual_that_has_no_entry_is_refused() {
    for text in [
        "As epoll_create1(2) says.",
        "As `epoll_create1(2)` says.",
        "<b>epoll_create1(2)</b>",
    ] {
        let refused = index(DATA, &format!("{CHAPTER}\n{text}\n"));
        let what = "src/chapter.md:11: epoll_create1(2) is not in ci/aids/calls.toml";
        assert_eq!(refused, Err(what.to_owned()), "{text}");
    }
    let known =
        format!("{CHAPTER}\nAs accept(2), and epoll(7).\n\n```text\nother(2)\n```\n");
    assert!(index(DATA, &known).is_ok());
}

#[test]
fn an_entry_that_is_found_nowhere_is_refused() {
    let refused = index(DATA, &CHAPTER.replace("`select`", "select"));
    let what = "ci/aids/calls.toml: select: no chapter names it, no pattern finds it";
    assert_eq!(refused, Err(what.to_owned()));
}

#[test]
fn a_pattern_that_matches_nothing_is_refused() {
    let refused = index(&DATA.replace("baccept_with", "baccept_without"), CHAPTER);
    let what = r"ci/aids/calls.toml: accept4: no listing has \baccept_without\(";
    assert_eq!(refused, Err(what.to_owned()));
}

#[test]
fn this_book_has_an_index_whose_every_call_has_a_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the root");
    let mut book = MDBook::load(root).expect("the book").book;
    aids::calls::apply(root, &mut book).expect("the index");
    let index = book.chapters().find(|chapter| chapter.content.contains("## `accept4`"));
    let index = &index.expect("a chapter with the index").content;
    for entry in index.split("\n## ").skip(1) {
        assert!(entry.contains("\n- ["), "{entry}");
    }
}
