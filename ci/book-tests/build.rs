//! Writes a test for each snippet of the book, by way of skeptic, and the compiler that
//! those tests use.

#[path = "src/snippets.rs"]
mod snippets;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};
use std::{env, process};

use anyhow::{Context, Result, ensure};

fn main() {
    if let Err(e) = build() {
        eprintln!("{e:#}");
        process::exit(1);
    }
}

fn build() -> Result<()> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let root = manifest.ancestors().nth(2).context("this package is not ci/book-tests")?;

    let book = snippets::read(root);
    for path in book
        .sources
        .iter()
        .chain(&["ci/book-tests/canary.md", "ci/book-tests/rustc.rs"].map(PathBuf::from))
    {
        println!("cargo:rerun-if-changed={}", root.join(path).display());
    }
    println!("cargo:rustc-env=TARGET={}", env::var("TARGET")?);
    println!("cargo:rustc-env=RUSTC={}", compiler(&manifest, &out)?.display());

    // The canary is there whatever the chapters hold: it needs the edition, the missing
    // `main`, and hidden lines.
    let canary = snippets::of_document(root, Path::new("ci/book-tests/canary.md"))?;
    ensure!(canary.problems.is_empty(), "canary.md: {:?}", canary.problems);

    let folder = out.join("documents");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let mut documents = Vec::new();
    for snippet in canary.snippets.iter().chain(&book.snippets) {
        for (name, text) in snippet.documents() {
            // The name of the file becomes the name of the test, so a line of a chapter is
            // a folder.
            let path = folder.join(snippet.line.to_string()).join(name);
            write_old(&path, &text).with_context(|| path.display().to_string())?;
            documents.push(path);
        }
    }
    skeptic::generate_doc_tests(&documents);

    let generated = fs::read_to_string(out.join("skeptic-tests.rs"))?;
    let tests = generated.matches("\n#[test] fn ").count();
    ensure!(
        tests == documents.len(),
        "skeptic made {tests} tests of {} documents",
        documents.len()
    );
    let (first, tests) = generated.split_once('\n').context("skeptic wrote nothing")?;
    ensure!(
        first == "extern crate skeptic;",
        "skeptic begins differently than it did: {first}"
    );
    fs::write(
        out.join("snippets.rs"),
        format!("use book_tests::located as skeptic;\n{tests}"),
    )?;
    Ok(())
}

/// Compiles rustc.rs.
fn compiler(manifest: &Path, out: &Path) -> Result<PathBuf> {
    let path = out.join(format!("snippet-rustc{}", env::consts::EXE_SUFFIX));
    let rustc = env::var("RUSTC")?;
    let status = Command::new(&rustc)
        .args(["--edition=2024", "-o"])
        .arg(&path)
        .arg(manifest.join("rustc.rs"))
        .env("REAL_RUSTC", &rustc)
        .env("EDITION", "2024")
        .status()?;
    ensure!(status.success(), "rustc.rs does not compile");
    Ok(path)
}

/// Writes a file that looks old: skeptic asks cargo to watch it, and it was written after
/// cargo began.
fn write_old(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)?;
    let old = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
    File::options().write(true).open(path)?.set_modified(old)?;
    Ok(())
}
