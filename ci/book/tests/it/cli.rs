//! The command line: what it writes, and what it answers when it cannot.

use std::fs;
use std::net::TcpListener;
use std::process::Output;

use crate::fixture::Fixture;

/// The exit code and the lines on standard error.
fn failed(output: &Output) -> (Option<i32>, Vec<String>) {
    let lines =
        String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect();
    (output.status.code(), lines)
}

#[test]
fn build_writes_the_site_and_nothing_of_the_server() {
    let book = Fixture::new();
    for _ in 0..2 {
        let output = book.program().args(["build", "--dest", "out/site"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let page = fs::read_to_string(book.path().join("out/site/one.html")).unwrap();
    assert!(page.contains(r#"<code class="language-text run=napper/wait">"#));
    assert!(!page.contains("run-token") && !page.contains("/api/"));
    assert!(book.path().join("out/site/deep/two.html").is_file());
}

#[test]
fn mermaid_is_loaded_where_there_is_a_diagram() {
    let book = Fixture::new();
    book.write("src/deep/two.md", "# Two\n\n```mermaid\ngraph LR\n  a-->b\n```\n");
    book.write("src/three.md", "# Three\n");
    book.write(
        "src/SUMMARY.md",
        "- [One](one.md)\n- [Two](deep/two.md)\n- [Three](three.md)\n",
    );
    assert!(book.program().args(["build"]).status().unwrap().success());
    let page = |name: &str| {
        fs::read_to_string(book.path().join("target/book").join(name)).unwrap()
    };
    assert!(page("one.html").contains(r#"src="mermaid.min.js""#));
    assert!(page("deep/two.html").contains(r#"src="../mermaid.min.js""#));
    assert!(!page("three.html").contains("mermaid.min.js"));
    assert!(page("mermaid.min.js").len() > 1_000_000);
}

#[test]
fn a_broken_include_does_not_build() {
    let book = Fixture::new();
    book.write("outside.rs", "fn outside() {}\n");
    let main = "../listings/napper/src/main.rs";
    for directive in [
        format!("{main}:nowhere"),
        "../listings/napper/src/none.rs".into(),
        "../outside.rs".into(),
        "../../../../../../../../etc/passwd".into(),
    ] {
        book.write(
            "src/one.md",
            &format!("# One\n\n```rust\n{{{{#include {directive}}}}}\n```\n"),
        );
        let output = book.program().arg("build").output().unwrap();
        let (code, lines) = failed(&output);
        assert_eq!((code, lines.len()), (Some(1), 1), "{directive}: {lines:?}");
        assert!(lines[0].starts_with("src/one.md:4: "), "{directive}: {lines:?}");
    }
    assert!(!book.path().join("target/book").exists(), "nothing was written");
}

#[test]
fn a_chapter_that_is_missing_does_not_build() {
    let book = Fixture::new();
    fs::remove_file(book.path().join("src/one.md")).unwrap();
    let (code, lines) = failed(&book.program().arg("build").output().unwrap());
    assert_eq!((code, lines.len()), (Some(1), 1), "{lines:?}");
    assert!(lines[0].contains("one.md"), "{lines:?}");
}

#[test]
fn a_folder_with_something_else_in_it_is_left_alone() {
    let book = Fixture::new();
    for dest in ["src", ".", "book.toml", "book.toml/site"] {
        let (code, lines) =
            failed(&book.program().args(["build", "--dest", dest]).output().unwrap());
        assert_eq!((code, lines.len()), (Some(1), 1), "{dest}: {lines:?}");
    }
    assert!(book.path().join("src/one.md").is_file());
}

#[test]
fn wrong_usage_is_one_line_and_2() {
    let book = Fixture::new();
    for arguments in [
        &["sereve"][..],
        &["serve", "--prot", "1"],
        &["--port", "70000"],
        &["--port"],
        &["build", "--port", "1"],
        &["serve", "here"],
    ] {
        let (code, lines) = failed(&book.program().args(arguments).output().unwrap());
        assert_eq!((code, lines.len()), (Some(2), 1), "{arguments:?}: {lines:?}");
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let (code, lines) =
        failed(&book.program().current_dir(elsewhere.path()).output().unwrap());
    assert_eq!((code, lines.len()), (Some(2), 1), "{lines:?}");
}

#[test]
fn a_port_in_use_is_one_line_and_1() {
    let book = Fixture::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, lines) = failed(&book.program().args(["--port", &port]).output().unwrap());
    assert_eq!((code, lines.len()), (Some(1), 1), "{lines:?}");
    assert!(lines[0].contains(&port) && lines[0].contains("--port"), "{lines:?}");
}

#[test]
fn an_unknown_run_is_not_recorded() {
    let book = Fixture::new();
    let (code, lines) =
        failed(&book.program().args(["record", "napper/none"]).output().unwrap());
    assert_eq!((code, lines.len()), (Some(1), 1), "{lines:?}");
    assert!(lines[0].contains("napper/none"), "{lines:?}");
}
