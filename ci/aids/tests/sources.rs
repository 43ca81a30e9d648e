//! Excerpts, source pages and colours: on small books, as far as the HTML that mdBook
//! makes of them, and on this book.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use aids::{Aids, Colours};
use mdbook_driver::MDBook;
use mdbook_driver::builtin_preprocessors::LinkPreprocessor;
use mdbook_preprocessor::book::Book;
use mdbook_preprocessor::{Preprocessor, PreprocessorContext, parse_input};
use regex::Regex;
use tempfile::TempDir;

const LIB: &str = r###"//! A pipe.

// ANCHOR: all
/// Two.
pub fn two() -> &'static str {
    // ANCHOR: body
    r#"
{{#include nothing}} </code></pre>

# not hidden &amp; <b>
"#
    // ANCHOR_END: body
}
// ANCHOR_END: all
"###;

const CHAPTER: &str = "# X

{{#waits X | nobody | nowhere}}

```rust
{{#include ../listings/pipe/src/lib.rs:all}}
```
Text follows at once.

- In a list:

  ```rust
  {{#include ../listings/pipe/src/lib.rs:5}}
  ```

  - More of it.

1. ```rust,no_run
   {{#include ../listings/pipe/src/lib.rs:5}}
   ```

> ```rust
> {{#include ../listings/pipe/src/lib.rs:5}}
> ```

```rust
{{#include ../listings/pipe/src/lib.rs:body}}
```

<details><summary>The file</summary>

```rust
{{#rustdoc_include ../listings/pipe/src/bin/pipe.rs}}
```

</details>

```rust
# use std::io;
let x = 1;

    ## y
```

```text
{{#include ../listings/pipe/src/lib.rs:5}}
```
";

fn book() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let files = [
        ("Cargo.toml", "[workspace]\nmembers = [\"listings/*\"]\n"),
        (
            "book.toml",
            "[preprocessor.aids]\nbefore = [\"links\"]\n[preprocessor.colours]\nafter = [\"links\"]\n",
        ),
        (
            "listings/pipe/Cargo.toml",
            "[package]\nname = \"pipe\"\ndescription = \"Two & <more>\"\n",
        ),
        ("listings/pipe/src/lib.rs", LIB),
        ("listings/pipe/src/bin/pipe.rs", "// ANCHOR: a\nfn main() {}\n// ANCHOR_END: a\n"),
        ("listings/pipe/tests/deep/x.rs", "#[test]\nfn x() {}\n"),
        ("listings/pipe/src/main.rs", "fn main() {}\n"),
        ("listings/pipe/src/a.rs", "//! A.\n"),
        ("listings/pipe/target/debug/out.rs", "not shown\n"),
        ("listings/other/Cargo.toml", "[package]\nname = \"other\"\n"),
        ("src/SUMMARY.md", "- [X](x.md)\n- [Deep](deep/y.md)\n- [Sources](sources.md)\n"),
        ("src/x.md", CHAPTER),
        (
            "src/deep/y.md",
            "# Y\n\n{{#waits Y | nobody | nowhere}}\n\n```rust\n{{#include ../../listings/pipe/src/lib.rs:all}}\n```\n",
        ),
        ("src/sources.md", "# Sources\n\n{{#sources}}\n"),
    ];
    for (path, text) in files {
        write(&root, path, text);
    }
    root
}

fn write(root: &TempDir, path: &str, text: &str) {
    let path = root.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn replace(root: &TempDir, path: &str, from: &str, to: &str) {
    let text = fs::read_to_string(root.path().join(path)).unwrap();
    assert!(text.contains(from), "{path}: {from}");
    write(root, path, &text.replace(from, to));
}

/// The pages that mdBook makes, as they are with the book program.
fn pages(root: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut book = MDBook::load(root)?;
    book.with_preprocessor(Aids).with_preprocessor(Colours);
    book.build()?;
    let mut pages = BTreeMap::new();
    let mut folders = vec![root.join("book")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "html") {
                let name = path.strip_prefix(root.join("book"))?.to_string_lossy();
                pages.insert(name.into_owned(), fs::read_to_string(&path)?);
            }
        }
    }
    Ok(pages)
}

fn refusal(root: &TempDir) -> String {
    format!("{:#}", pages(root.path()).expect_err("refused"))
}

/// What a browser shows of a piece of HTML.
fn shown(html: &str) -> String {
    let tags = Regex::new("<[^>]*>").unwrap();
    let text = tags.replace_all(html, "");
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// The text of each coloured block.
fn blocks(page: &str) -> Vec<String> {
    let block = Regex::new(
        r#"(?s)<pre class="code"><code class="(?:rust|toml)">(.*?)</code></pre>"#,
    );
    block.unwrap().captures_iter(page).map(|found| shown(&found[1])).collect()
}

/// The links below the excerpts: where they lead, and what they say.
fn captions(page: &str) -> Vec<(String, String)> {
    let caption = Regex::new(r#"<p class="from"><a href="([^"]*)">([^<]*)</a></p>"#);
    let found = caption.unwrap();
    found.captures_iter(page).map(|found| (found[1].into(), found[2].into())).collect()
}

#[test]
fn below_an_excerpt_stands_where_it_was_taken_from() {
    let book = book();
    let pages = pages(book.path()).unwrap();
    let line = ("src-lib.rs-5-5", "src/lib.rs, line 5");
    let expected = [
        ("src-lib.rs-4-13", "src/lib.rs, lines 4 to 13"),
        line,
        line,
        line,
        ("src-lib.rs-7-11", "src/lib.rs, lines 7 to 11"),
        ("src-bin-pipe.rs", "src/bin/pipe.rs, the whole file"),
    ]
    .map(|(id, words)| {
        (format!("sources/pipe.html#{id}"), format!("listings/pipe/{words}"))
    });
    assert_eq!(captions(&pages["x.html"]), expected);
    let (link, _) = &captions(&pages["deep/y.html"])[0];
    assert_eq!(link, "../sources/pipe.html#src-lib.rs-4-13");
    // The page's structure is the author's: a paragraph is one still, a list goes on.
    let x = &pages["x.html"];
    assert!(x.contains("<p>Text follows at once.</p>"), "{x}");
    assert!(!x.contains("ANCHOR") && !x.contains("{{#waits"), "{x}");
    assert!(x.contains("<ul>\n<li>More of it.</li>"), "{x}");
    assert_eq!(x.matches("<div class=\"excerpt\"").count(), expected.len());
    assert_eq!(x.matches("id=\"excerpt-").count(), 4, "an id for what is shown first");
}

#[test]
fn coloured_blocks_show_what_mdbook_would_show() {
    let book = book();
    let pages = pages(book.path()).unwrap();
    // Of a block that mdBook includes, it hides the line that begins with `# `.
    let body = "    r#\"\n{{#include nothing}} </code></pre>\n\n\"#";
    let line = "pub fn two() -> &'static str {";
    let all = format!("/// Two.\n{line}\n{body}\n}}");
    let own = "let x = 1;\n\n    # y";
    let expected = [&all, line, line, line, body, "fn main() {}", own].map(str::to_owned);
    assert_eq!(blocks(&pages["x.html"]), expected);
    assert!(pages["x.html"].contains("<code class=\"language-text\">pub fn two()"));
}

#[test]
fn a_source_page_holds_every_file_to_the_byte() {
    let book = book();
    let pages = pages(book.path()).unwrap();
    let page = &pages["sources/pipe.html"];
    let ids = Regex::new(r#"<section class="source" id="([^"]*)">"#).unwrap();
    let ids: Vec<&str> =
        ids.captures_iter(page).map(|found| found.get(1).unwrap().as_str()).collect();
    assert_eq!(
        ids,
        [
            "src-lib.rs",
            "src-main.rs",
            "src-a.rs",
            "src-bin-pipe.rs",
            "tests-deep-x.rs",
            "Cargo.toml"
        ]
    );
    let lib: Vec<&str> = LIB.lines().filter(|line| !line.contains("ANCHOR")).collect();
    assert_eq!(blocks(page)[0], lib.join("\n"));
    assert_eq!(
        blocks(page)[5],
        "[package]\nname = \"pipe\"\ndescription = \"Two & <more>\""
    );
    // Numbers of the file, rows of the page.
    let numbers = Regex::new(r#"(?s)<pre class="numbers" aria-hidden="true">(.*?)</pre>"#);
    let numbers = numbers.unwrap().captures(page).unwrap()[1].to_owned();
    assert_eq!(numbers, "1\n2\n4\n5\n7\n8\n9\n10\n11\n13");
    assert_eq!(numbers.lines().count(), lib.len());
    for range in [
        r#"<span class="range" id="src-lib.rs-4-13" style="--from:3;--lines:8"></span>"#,
        r#"<span class="range" id="src-lib.rs-5-5" style="--from:4;--lines:1"></span>"#,
        r#"<span class="range" id="src-lib.rs-7-11" style="--from:5;--lines:5"></span>"#,
    ] {
        assert_eq!(page.matches(range).count(), 1, "{range}");
    }
    assert!(page.contains(
        r##"<a href="../deep/y.html">Deep</a>: <a href="../deep/y.html#excerpt-pipe-src-lib.rs-4-13">lines 4 to 13</a>."##
    ));
    assert!(
        pages["sources.html"].contains(
            "<a href=\"sources/pipe.html\"><code>pipe</code></a>: Two &amp; <more>"
        )
    );
    assert!(!pages.contains_key("sources/other.html"));
}

/// The ids of a page, and what its links lead to.
fn ids_and_links(page: &str) -> (Vec<&str>, Vec<&str>) {
    let attribute = |name: &str| {
        let found = Regex::new(&format!(" {name}=\"([^\"]*)\"")).unwrap();
        found.captures_iter(page).map(|found| found.get(1).unwrap().as_str()).collect()
    };
    (attribute("id"), attribute("href"))
}

#[test]
fn every_link_between_excerpts_and_sources_leads_somewhere() {
    let book = book();
    let pages = pages(book.path()).unwrap();
    for (name, page) in &pages {
        if !["x.html", "deep/y.html", "sources/pipe.html"].contains(&name.as_str()) {
            continue;
        }
        let (ids, links) = ids_and_links(page);
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), ids.len(), "{name}: an id twice");
        for link in links.iter().filter(|link| link.contains('#')) {
            let (path, id) = link.split_once('#').unwrap();
            let target = match (path, name.as_str()) {
                ("", name) => name,
                (path, _) => path.trim_start_matches("../"),
            };
            let (there, _) = ids_and_links(&pages[target]);
            assert!(there.contains(&id), "{name}: {link}");
        }
    }
}

#[test]
fn what_cannot_be_led_to_is_refused() {
    let root = book();
    replace(&root, "src/x.md", "lib.rs:body", "lib.rs:gone");
    let said = refusal(&root);
    assert!(
        said.starts_with("src/x.md:27: listings/pipe/src/lib.rs: no `ANCHOR: gone`"),
        "{said}"
    );

    let root = book();
    let line = "> {{#include ../listings/pipe/src/lib.rs:5}}";
    replace(&root, "src/x.md", line, &line.replace('5', "all"));
    let said = refusal(&root);
    assert!(
        said.starts_with("src/x.md:23: mdBook would put only the first of these 8 lines"),
        "{said}"
    );

    let root = book();
    replace(&root, "src/sources.md", "{{#sources}}", "");
    assert!(refusal(&root).contains("no chapter has the line {{#sources}}"));

    let root = book();
    replace(&root, "src/sources.md", "{{#sources}}", "{{#sources}}\n\n{{#sources}}");
    assert!(refusal(&root).contains("more than one line {{#sources}}"));

    let root = book();
    replace(&root, "listings/pipe/Cargo.toml", "description", "homepage");
    assert!(refusal(&root).contains("listings/pipe/Cargo.toml: no description"));
}

/// A book as a stock mdBook sends it to `mdbook-aids`, with the words after the name.
fn through_the_program(root: &Path, book: &Book, words: &[&str]) -> Result<Book, String> {
    let config = MDBook::load(root).unwrap().config;
    let context = PreprocessorContext::new(root.to_owned(), config, "html".to_owned());
    let mut program = Command::new(env!("CARGO_BIN_EXE_mdbook-aids"))
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let sent = serde_json::to_vec(&(&context, book)).unwrap();
    program.stdin.take().unwrap().write_all(&sent).unwrap();
    let output = program.wait_with_output().unwrap();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        assert_eq!(output.status.code(), Some(1));
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

#[test]
fn the_program_for_a_stock_mdbook_does_the_same() {
    let root = book();
    let book = MDBook::load(root.path()).unwrap();
    let context = PreprocessorContext::new(
        root.path().to_owned(),
        book.config.clone(),
        "html".into(),
    );
    let own = Aids.run(&context, book.book.clone()).unwrap();
    assert_eq!(through_the_program(root.path(), &book.book, &[]).unwrap(), own);
    let coloured = Colours.run(&context, own.clone()).unwrap();
    assert_ne!(coloured, own);
    assert_eq!(through_the_program(root.path(), &own, &["colours"]).unwrap(), coloured);

    replace(&root, "src/x.md", "lib.rs:all", "lib.rs:gone");
    let said = through_the_program(root.path(), &book.book, &[]).unwrap_err();
    assert!(said.starts_with("src/x.md:6: "), "{said}");

    let code = |words: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_mdbook-aids"));
        program
            .args(words)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .code()
    };
    assert_eq!(code(&["supports", "html"]), Some(0));
    assert_eq!(code(&["colours", "supports", "html"]), Some(0));
    assert_eq!(code(&["supports", "epub"]), Some(1));
    assert_eq!(code(&["colors"]), Some(2));
    assert!(parse_input(&b"{}"[..]).is_err());
    assert_eq!(code(&[]), Some(1));
}

/// In this book each excerpt shows the lines that its caption says, and none is without.
#[test]
fn the_captions_of_this_book_are_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let book = MDBook::load(root).unwrap();
    let context =
        PreprocessorContext::new(root.to_owned(), book.config.clone(), "html".to_owned());
    let written: usize =
        book.book.chapters().map(|chapter| excerpts(&chapter.content)).sum();
    let captioned = Aids.run(&context, book.book.clone()).unwrap();
    let included = LinkPreprocessor::new().run(&context, captioned).unwrap();
    let block = Regex::new(
        r##"(?s)<div class="excerpt"[^>]*>\s*```rust[^\n]*\n(.*?)\n```\s*<p class="from"><a href="[^"]*#([^"]*)">([^<]*), ([^<]*)</a></p></div>"##,
    )
    .unwrap();
    let numbers = Regex::new(r"^lines? (\d+)(?: to (\d+))?$").unwrap();
    let mut count = 0;
    for chapter in included.chapters() {
        for found in block.captures_iter(&chapter.content) {
            let source = fs::read_to_string(root.join(&found[3])).unwrap();
            let (first, last) = match numbers.captures(&found[4]) {
                None => {
                    assert_eq!(&found[4], "the whole file");
                    (1, source.lines().count())
                }
                Some(lines) => {
                    let first: usize = lines[1].parse().unwrap();
                    let last = lines.get(2).map_or(first, |n| n.as_str().parse().unwrap());
                    assert!(found[2].ends_with(&format!(".rs-{first}-{last}")));
                    (first, last)
                }
            };
            let whole = &found[4] == "the whole file";
            let numbered = || source.lines().skip(first - 1).take(last + 1 - first);
            let ends = [numbered().next(), numbered().last()];
            assert!(
                whole || ends.iter().flatten().all(|line| !line.contains("ANCHOR")),
                "{}",
                &found[4]
            );
            let lines: Vec<&str> =
                numbered().filter(|line| whole || !line.contains("ANCHOR")).collect();
            assert_eq!(lines.join("\n"), found[1], "{}", &found[4]);
            count += 1;
        }
    }
    assert_eq!(count, written, "excerpts without a caption");
    assert!(count > 20, "{count} excerpts");
}

/// How many blocks of Rust are an include and nothing else.
fn excerpts(chapter: &str) -> usize {
    let block = Regex::new(
        r"(?m)^```rust[^\n]*\n\{\{#(rustdoc_)?include \.\./listings/[^}\n]*\.rs[^}\n]*\}\}\n```$",
    );
    block.unwrap().find_iter(chapter).count()
}
