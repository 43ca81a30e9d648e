//! Declarations, includes and the agreement of chapters with both, on small books in a
//! temporary folder.

use std::fs;
use std::path::Path;

use runs::{Kind, chapters, includes, load, unmatched};
use tempfile::TempDir;

/// A book with one listing, its manifest's last lines, its source, and one chapter.
fn book(declarations: &str, source: &str, chapter: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("Cargo.toml", "[workspace]\nmembers = [\"listings/*\"]\n");
    write(
        "listings/pipe/Cargo.toml",
        &format!("[package]\nname = \"pipe\"\n\n{declarations}"),
    );
    write("listings/pipe/src/lib.rs", source);
    write("elsewhere.rs", "fn elsewhere() {}\n");
    write("src/SUMMARY.md", "- [X](x.md)\n");
    write("src/x.md", chapter);
    root
}

fn refused(declarations: &str) -> String {
    load(book(declarations, "", "").path()).unwrap_err().to_string()
}

#[test]
fn reads_a_program_and_a_server() {
    let book = book(
        r#"
        [package.metadata.run.pipe]
        [package.metadata.run.serve]
        bin = "server"
        args = ["--listen", "127.0.0.1:0"]
        kind = "server"
        varies = ['[0-9]+ ms']
        try = ["curl -i {url}"]
        via = ["strace", "-qq"]
        ask = [["curl", "{url}"]]
        seconds = 3
        stderr = true
        "#,
        "",
        "",
    );
    let runs = load(book.path()).unwrap();
    assert_eq!(runs.keys().collect::<Vec<_>>(), ["pipe/pipe", "pipe/serve"]);
    let pipe = &runs["pipe/pipe"];
    assert_eq!(
        (pipe.bin.as_str(), pipe.kind, pipe.seconds, pipe.stderr),
        ("pipe", Kind::Program, 20, false)
    );
    let serve = &runs["pipe/serve"];
    assert_eq!(
        (serve.bin.as_str(), serve.kind, serve.seconds, serve.stderr),
        ("server", Kind::Server, 3, true)
    );
    assert_eq!((serve.args.len(), serve.varies.len(), serve.suggestions.len()), (2, 1, 1));
    assert_eq!((serve.via.len(), serve.ask.len()), (2, 1));
}

#[test]
fn what_cannot_be_meant_is_refused_with_file_and_key() {
    let cases = [
        ("[package.metadata.run.pipe]\nargz = []", "unknown field `argz`"),
        ("[package.metadata.run.pipe]\nkind = \"daemon\"", "unknown variant `daemon`"),
        ("[package.metadata.run.pipe]\nvaries = ['[0-9']", "varies: no regex: [0-9"),
        (
            "[package.metadata.run.pipe]\nvaries = ['[0-9]*']",
            "varies: matches the empty text: [0-9]*",
        ),
        ("[package.metadata.run.pipe]\nask = [[\"true\"]]", "ask is for servers"),
        ("[package.metadata.run.pipe]\ntry = [\"true\"]", "try is for servers"),
        (
            "[package.metadata.run.pipe]\nkind = \"server\"\nask = [[]]",
            "ask: a command without words",
        ),
        ("[package.metadata.run.pipe]\nseconds = 0", "seconds: no time at all"),
        ("[package.metadata.run.Pipe]", "a run's name consists of"),
    ];
    for (declarations, what) in cases {
        let error = refused(declarations);
        assert!(
            error.starts_with("listings/pipe/Cargo.toml: [package.metadata.run."),
            "{error}"
        );
        assert!(error.contains(what) && !error.contains('\n'), "{error}");
    }
    assert!(refused("[package.metadata]\nrun = 3").contains("listings/pipe/Cargo.toml"));
}

#[test]
fn blocks_and_declarations_must_match() {
    let all = |declarations: &str, chapter: &str| {
        let book = book(declarations, "", chapter);
        let chapters = chapters(book.path()).unwrap();
        let problems = unmatched(&load(book.path()).unwrap(), &chapters);
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let shown = "# X\n\n```text,run=pipe/pipe\n```\n";
    assert_eq!(all("[package.metadata.run.pipe]", shown), [""; 0]);
    assert_eq!(all("", shown), ["src/x.md:3: no listing declares the run `pipe/pipe`"]);
    let unshown = all("[package.metadata.run.pipe]", "# X\n");
    assert!(
        unshown.len() == 1 && unshown[0].contains("no chapter shows the run `pipe/pipe`"),
        "{unshown:?}"
    );
    let book = book("[package.metadata.run.pipe]", "", "");
    assert!(
        unmatched(&load(book.path()).unwrap(), &[]).is_empty(),
        "no chapters, no duty to show"
    );
}

const SOURCE: &str = "// ANCHOR: all
fn one() {}
// ANCHOR: part
fn two() {}
// ANCHOR_END: part
// ANCHOR_END: all
// ANCHOR: empty

// ANCHOR_END: empty
// ANCHOR: open
// ANCHOR: twice
fn x() {}
// ANCHOR_END: twice
// ANCHOR: twice
// ANCHOR_END: twice
";

fn problems(chapter: &str) -> Vec<String> {
    let book = book("", SOURCE, chapter);
    includes::check(book.path()).iter().map(ToString::to_string).collect()
}

#[test]
fn includes_that_hold_pass() {
    let file = "../listings/pipe/src/lib.rs";
    let good = [
        format!("{{{{#include {file}}}}}"),
        format!("{{{{#include {file}:all}}}}"),
        format!("{{{{#rustdoc_include {file}:part}}}}"),
        format!("{{{{ #include {file}:2}}}}"),
        format!("{{{{#include {file}:2:4}}}}"),
        format!("{{{{#include {file}:2:}}}}"),
        format!("{{{{#include {file}::4}}}}"),
        "{{#title X}} {{#include SUMMARY.md}}".to_owned(),
        "{{#waits X | one | in `read`}} {{#waits-all}} {{#system-calls}} {{#claims}} {{#sources}}"
            .to_owned(),
        r"\{{#include nowhere.rs:nothing}} and \{{#rustdoc_include x}} show how it is written".to_owned(),
    ];
    assert_eq!(problems(&good.join("\n")), [""; 0]);
    for line in &good[..7] {
        assert!(
            Path::new("src").join(file).starts_with("src") && problems(line).is_empty(),
            "{line}"
        );
    }
}

#[test]
fn includes_that_do_not_hold_are_refused_with_file_and_line() {
    let cases = [
        (
            "{{#include ../listings/pipe/src/gone.rs}}",
            "listings/pipe/src/gone.rs: No such file",
        ),
        ("{{#include ../listings/pipe/src/lib.rs:gone}}", "no `ANCHOR: gone`"),
        ("{{#include ../listings/pipe/src/lib.rs:par}}", "no `ANCHOR: par`"),
        ("{{#rustdoc_include ../listings/pipe/src/lib.rs:open}}", "no `ANCHOR_END: open`"),
        ("{{#include ../listings/pipe/src/lib.rs:empty}}", "is empty"),
        ("{{#include ../listings/pipe/src/lib.rs:twice}}", "more than once"),
        ("{{#include ../listings/pipe/src/lib.rs:90:95}}", "the lines 1 to 15"),
        ("{{#include ../listings/pipe/src/lib.rs:8}}", "is empty"),
        ("{{#include ../elsewhere.rs}}", "no workspace member"),
        ("{{#include ../../etc/passwd}}", "no workspace member"),
        ("{{#include ../listings/../elsewhere.rs}}", "no workspace member"),
        ("{{#playground ../listings/pipe/src/lib.rs}}", "use rustdoc_include"),
        ("{{#inlcude ../listings/pipe/src/lib.rs}}", "mdBook knows no"),
        ("{{#system-call}}", "mdBook knows no"),
        ("{{#include }}", "include of nothing"),
        ("  {{#include ../listings/pipe/src/lib.rs}}", "only the first of these 15 lines"),
    ];
    for (directive, what) in cases {
        let found = problems(&format!("# X\n\n```rust\n{directive}\n```\n"));
        assert!(
            found.len() == 1 && found[0].starts_with("src/x.md:4: "),
            "{directive}: {found:?}"
        );
        assert!(found[0].contains(what), "{directive}: {found:?}");
    }
}
