//! The page of the claims: what it shows, what it refuses, and that the chapters of this
//! book and its ledger agree.

use std::fs;
use std::path::Path;

use aids::claims::{Ledger, apply, unlinked};
use claims::{Cannot, Claim, Kernels, TOPICS};
use mdbook_driver::MDBook;
use mdbook_preprocessor::book::{Book, BookItem, Chapter};
use tempfile::TempDir;

const FIRST: Claim = Claim {
    id: "first",
    sentence: "read(2) & co. *wait*.",
    chapter: "a.md",
    kernels: Kernels::All,
    source: "read(2)",
    counter: "they do not",
    check: |_| Err(Cannot(String::new())),
};
const SECOND: Claim = Claim {
    id: "second",
    chapter: "b.md",
    kernels: Kernels::Since { version: (6, 5), before: "it was not" },
    ..FIRST
};
const LEDGER: &Ledger = &[("x.rs", &[FIRST, SECOND])];
const SOURCE: &str = "const C: &[Claim] = &[
    Claim {
        id: \"first\",
    },
    Claim {
        id: \"second\",
    },
];
";
const PAGE: &str = "# Claims

{{#claims}}

```text,run=claims/claims,live
Linux 6.18.1 on x86_64
holds          first   it waits
does not hold  second  it does not
1 hold, 1 do not, 0 cannot be told
```
";
const A: &str =
    "# A\n\n## Part one\n\n[It waits](claims.md#first), and\n[more](claims.md#second).\n";
const B: &str = "# B\n\n`[x](claims.md#code)` [So it is](claims.md#second).\n";

/// A folder with the ledger's source, and with this matrix.
fn root(kernels: Option<&str>) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("listings/claims");
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("src/x.rs"), SOURCE).unwrap();
    if let Some(text) = kernels {
        fs::write(folder.join("kernels.json"), text).unwrap();
    }
    root
}

fn book(chapters: &[(&str, &str)]) -> Book {
    let chapter = |(file, text): &(&str, &str)| {
        let name = file.trim_end_matches(".md").to_uppercase();
        BookItem::Chapter(Chapter::new(&name, (*text).to_owned(), *file, Vec::new()))
    };
    Book::new_with_items(chapters.iter().map(chapter).collect())
}

/// The page of a book with these two chapters, or why it is refused.
fn page(a: &str, b: &str, kernels: Option<&str>) -> Result<String, String> {
    let mut book = book(&[("a.md", a), ("b.md", b), ("claims.md", PAGE)]);
    let root = root(kernels);
    apply(root.path(), &mut book, LEDGER).map_err(|error| format!("{error:#}"))?;
    Ok(book.chapters().last().unwrap().content.clone())
}

#[test]
fn the_page_has_a_row_for_each_claim_below_its_first_chapter() {
    let page = page(A, B, None).expect("a sound book");
    let (first, second) =
        (page.find("id=\"first\"").unwrap(), page.find("id=\"second\"").unwrap());
    let (a, b) = (page.find("\n## A\n").unwrap(), page.find("\n## B\n").unwrap());
    assert!(a < first && first < b && b < second, "{page}");
    for what in [
        "read(2) &amp; co. <em>wait</em>.",
        "href=\"sources/claims.html#src-x.rs-2-4\"",
        "counter-situation: they do not.",
        "Since Linux 6.5; before, it was not.",
        "Stated in <a href=\"a.html#part-one\">Part one</a>.",
        "<a href=\"a.html#part-one\">A: Part one</a>; <a href=\"b.html#\">the opening</a>",
        "- 6.18.1, on which the book was made\n",
        "<th scope=\"col\">6.18<br>book’s</th></tr>",
        "<td class=\"yes\">yes</td></tr>",
        "<td class=\"no\">no</td></tr>",
        "6.18: does not hold, it does not.",
    ] {
        assert!(page.contains(what), "no {what} in {page}");
    }
}

#[test]
fn other_kernels_stand_beside_and_need_not_know_every_claim() {
    let kernels = "{\"kernels\": [{\"release\": \"5.10.0-32-cloud\", \"package\": \"linux-5.10\", \"version\": \"5.10.1-1\",
        \"verdicts\": {\"first\": {\"verdict\": \"cannot tell\", \"why\": \"no <disk>\"}}}],
        \"silent\": [{\"package\": \"linux-9\", \"why\": \"no line, twice\"}]}";
    let page = page(A, B, Some(kernels)).expect("a sound book");
    for what in [
        "- 5.10.0-32-cloud, Debian’s `linux-5.10` 5.10.1-1\n",
        "- `linux-9` was started and did not report: no line, twice\n",
        "<th scope=\"col\">5.10</th></tr>",
        "<td class=\"yes\">yes</td><td class=\"unknown\">–</td></tr>",
        "5.10: cannot tell, no &lt;disk&gt;.",
        "<td class=\"no\">no</td><td class=\"unknown\"></td></tr>",
    ] {
        assert!(page.contains(what), "no {what} in {page}");
    }
    let refused = self::page(A, B, Some("{")).expect_err("no JSON");
    assert!(refused.starts_with("listings/claims/kernels.json: "), "{refused}");
}

#[test]
fn a_link_without_a_claim_is_refused_with_its_line() {
    let broken = A.replace("#second", "#secnod");
    let refused = page(&broken, B, None).expect_err("no such claim");
    assert!(refused.starts_with("src/a.md:6: no claim has the id secnod: "), "{refused}");
    // Nor is there one where the book has no page of them.
    let mut without = book(&[("a.md", A)]);
    let refused = apply(Path::new("."), &mut without, LEDGER).expect_err("no page");
    assert!(refused.to_string().starts_with("src/a.md:5: no claim has the id first: "));
}

#[test]
fn a_claim_that_is_not_in_its_file_is_refused() {
    let mut book = book(&[("a.md", A), ("b.md", B), ("claims.md", PAGE)]);
    let root = root(None);
    fs::write(
        root.path().join("listings/claims/src/x.rs"),
        SOURCE.replace("second", "third"),
    )
    .unwrap();
    let refused = apply(root.path(), &mut book, LEDGER).expect_err("not there");
    assert_eq!(refused.to_string(), "listings/claims/src/x.rs: no claim second");
}

#[test]
fn chapters_and_ledger_must_agree() {
    let found = |a: &str, b: &str| unlinked(&book(&[("a.md", a), ("b.md", b)]), LEDGER);
    assert_eq!(found(A, B), [""; 0]);
    assert_eq!(
        found(&A.replace("#first", "#other"), B),
        ["first: no chapter links to claims.md#first"]
    );
    assert_eq!(found(A, "# B\n"), ["second: b.md does not link to it, and a.md does"]);
    let elsewhere = found(&A.replace("#first", "#second"), &B.replace("#second", "#first"));
    assert_eq!(
        elsewhere,
        [
            "first: a.md does not link to it, and b.md does",
            "second: b.md does not link to it, and a.md does"
        ]
    );
}

#[test]
fn the_chapters_of_this_book_and_its_ledger_agree() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let book = MDBook::load(root).expect("the book").book;
    let problems = unlinked(&book, TOPICS);
    assert!(
        problems.is_empty(),
        "listings/claims and the links in src/ do not agree:\n{}",
        problems.join("\n")
    );
}
