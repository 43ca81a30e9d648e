//! Each check of the snippets, seen refusing what it is there for, on small books in a
//! temporary folder.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use book_tests::located::rt::{compile_test, run_test};
use book_tests::snippets::{Snippets, read};
use tempfile::TempDir;

const LISTING: &str = "//! A listing.
// ANCHOR: two
/// Two.
pub fn two() -> usize {
    2
}
// ANCHOR_END: two
";

/// What makes a listing chapter complete: a snippet that uses its listing.
const CALL: &str = "\n```rust,no_run\nassert_eq!(pipe::two(), 2);\n```\n";

/// A book of one chapter, src/x.md, and one listing. Its preprocessor would leave a file
/// behind if it were run.
fn book(chapter: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("Cargo.toml", "[workspace]\nmembers = [\"listings/*\"]\n");
    write(
        "book.toml",
        "[build]\ncreate-missing = false\n[preprocessor.mermaid]\ncommand = \"touch preprocessed\"\n",
    );
    write("listings/pipe/Cargo.toml", "[package]\nname = \"pipe\"\n");
    write("listings/pipe/src/lib.rs", LISTING);
    write("src/SUMMARY.md", "# Summary\n\n- [X](x.md)\n- [Later]()\n");
    write("src/x.md", chapter);
    root
}

fn problems(book: &Snippets) -> Vec<String> {
    book.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_sound_book_has_no_problems_and_its_blocks_are_counted() {
    let book = book(&format!(
        "# X\n\n```rust\n{{{{#include ../listings/pipe/src/lib.rs:two}}}}\n```\n{CALL}\n- in a list:\n\n  ```rust\n  let x = 1;\n  ```\n\n\
         ```rust\n{{{{#rustdoc_include ../listings/pipe/src/lib.rs:two}}}}\n```\n\n```rust,should_panic\npanic!();\n```\n\n\
         ````markdown\n```rust,ignore\n\\{{{{#include shown.rs}}}}\n```\n````\n"
    ));
    let read = read(book.path());
    assert_eq!(problems(&read), [""; 0]);
    let row = &read.rows[0];
    assert_eq!((row.excerpts, row.compiled, row.run, row.calling), (1, 2, 2, 1));
    assert_eq!(row.listings.iter().collect::<Vec<_>>(), ["pipe"]);
    let documents: Vec<_> =
        read.snippets.iter().flat_map(|s| s.documents()).map(|(name, _)| name).collect();
    assert_eq!(documents, ["x.md", "x.md", "x.md", "x-compiles.md", "x.md"]);
    for snippet in &read.snippets {
        let (_, document) = snippet.documents().remove(0);
        assert!(
            document.lines().nth(snippet.line - 1).unwrap().starts_with("`````rust"),
            "{document}"
        );
    }
    assert!(!book.path().join("preprocessed").exists(), "a preprocessor was run");
}

#[test]
fn what_nothing_could_test_is_refused_with_chapter_and_line() {
    let include = |what: &str| format!("```rust\n{{{{#include {what}}}}}\n```");
    let cases = [
        (include("../listings/pipe/src/gone.rs"), 4, "listings/pipe/src/gone.rs: "),
        (include("../listings/pipe/src/lib.rs:gone"), 4, "no `ANCHOR: gone`"),
        (include("../Cargo.toml"), 4, "no workspace member"),
        ("```rust,ignore\nx\n```".to_owned(), 3, "says ignore"),
        ("```rust,ignore-windows\nx\n```".to_owned(), 3, "says ignore-windows"),
        ("```rust,compile_fail\nx\n```".to_owned(), 3, "says compile_fail"),
        ("```rust,norun\nx\n```".to_owned(), 3, "says norun"),
        ("```rust no_run,should_panic\nx\n```".to_owned(), 3, "not run says should_panic"),
        ("```rust,edition2021\nx\n```".to_owned(), 3, "snippets are edition 2024"),
        ("```rust\n\n```".to_owned(), 3, "empty rust block"),
    ];
    for (text, line, what) in cases {
        let found = problems(&read(book(&format!("# X\n\n{text}\n{CALL}")).path()));
        let found: Vec<_> = found.iter().filter(|problem| problem.contains(what)).collect();
        assert!(
            found.len() == 1 && found[0].starts_with(&format!("src/x.md:{line}: ")),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn a_listing_chapter_without_a_snippet_that_uses_the_listing_is_refused() {
    let excerpt = "```rust\n{{#include ../listings/pipe/src/lib.rs:two}}\n```\n";
    for (chapter, sound) in [
        (format!("# X\n\n{excerpt}"), false),
        (format!("# X\n\n{excerpt}\n```rust\nlet x = 1;\n```\n"), false),
        (format!("# X\n\n{excerpt}{CALL}"), true),
        ("# X\n\nNo listing here.\n".to_owned(), true),
        (
            "# X\n\nA listing's data:\n\n{{#include ../listings/pipe/Cargo.toml}}\n"
                .to_owned(),
            true,
        ),
    ] {
        let found = problems(&read(book(&chapter).path()));
        assert_eq!(found.is_empty(), sound, "{chapter}: {found:?}");
        assert!(
            found.iter().all(|problem| problem.starts_with("src/x.md:1: shows a listing")),
            "{found:?}"
        );
    }
}

#[test]
fn files_and_the_summary_must_agree() {
    let book = book("# X\n");
    fs::write(book.path().join("src/stray.md"), "# Stray\n").unwrap();
    let found = problems(&read(book.path()));
    assert!(
        found.len() == 1
            && found[0].starts_with("src/stray.md:1: in no line of SUMMARY.md"),
        "{found:?}"
    );

    fs::write(book.path().join("src/x.md"), "# X\n\n{{#include stray.md}}\n").unwrap();
    assert_eq!(problems(&read(book.path())), [""; 0]);
    fs::write(book.path().join("src/stray.md"), "```rust\nlet x = 1;\n```\n").unwrap();
    let found = problems(&read(book.path()));
    assert!(
        found.len() == 1 && found[0].contains("brings a rust block of its own"),
        "{found:?}"
    );

    fs::remove_file(book.path().join("src/x.md")).unwrap();
    let found = problems(&read(book.path()));
    assert!(
        found.len() == 1
            && found[0]
                .starts_with("src/SUMMARY.md:3: the chapter src/x.md does not exist"),
        "{found:?}"
    );
}

/// The test below runs this one in a process of its own, to read what skeptic prints; by
/// itself it has no book.
#[test]
fn snippets_of_the_book_in_the_environment() {
    let Some(root) = env::var_os("BOOK_UNDER_TEST") else { return };
    for snippet in read(Path::new(&root)).snippets {
        // As skeptic's own tests: see build.rs.
        let test = if snippet.no_run { compile_test } else { run_test };
        test(
            env!("CARGO_MANIFEST_DIR"),
            env!("OUT_DIR"),
            env!("TARGET"),
            &format!("\n{}", snippet.code),
        );
    }
}

/// Whether all snippets of the book succeed, and what was printed.
fn performed(chapter: &str) -> (bool, String) {
    let book = book(chapter);
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "snippets_of_the_book_in_the_environment", "--nocapture"])
        .env("BOOK_UNDER_TEST", book.path())
        .env("SNIPPET_SECONDS", "3")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat();
    (output.status.success(), text)
}

#[test]
fn a_broken_snippet_fails_with_chapter_and_line() {
    let (sound, said) =
        performed("# X\n\n```rust\nlet x: u32 = 1;\nif let 1 = x && x < 2 {}\n```\n");
    assert!(sound, "{said}");
    let cases = [
        // Does not compile; the second line of the block is the fifth of the chapter.
        ("let x = 1;\nlet y: u32 = \"one\";", "--> src/x.md:5:14"),
        ("fn main() {\n    missing();\n}", "--> src/x.md:5:5"),
        // Compiles and panics.
        (
            "let list = [1];\nlet n = list.len();\nprintln!(\"{}\", list[n]);",
            "panicked at src/x.md:6:16",
        ),
        // Ends with 1, with and without a main.
        (
            "fn main() -> Result<(), String> {\n    Err(\"because\".to_owned())\n}",
            "because",
        ),
        (
            "let none: Option<u8> = None;\nnone.ok_or(\"because\")?;\nOk::<(), &str>(())",
            "because",
        ),
        // Does not end.
        (
            "loop {\n    std::thread::sleep(std::time::Duration::from_secs(1));\n}",
            "still ran after 3 s",
        ),
        // Lines of the block are no longer the chapter's.
        (
            "{{#include ../listings/pipe/src/lib.rs:two}}\nthree();",
            "--> src/x.md:3 (expanded):",
        ),
        (
            "{{#rustdoc_include ../listings/pipe/src/lib.rs}}\nfn three() { four() }",
            "--> src/x.md:3 (expanded):",
        ),
    ];
    for (code, what) in cases {
        let (sound, said) = performed(&format!("# X\n\n```rust\n{code}\n```\n"));
        assert!(!sound && said.contains(what), "{code}: {said}");
        assert!(
            said.contains("src/x.md:3: this snippet fails")
                || said.contains("src/x.md:3 (expanded): this snippet"),
            "{said}"
        );
    }
}
