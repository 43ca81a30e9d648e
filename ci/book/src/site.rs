//! The static site: mdBook's HTML, and the script that draws the diagrams on the pages that
//! have one.

use std::fs;
use std::path::{Path, PathBuf};

use aids::{Aids, Colours};
use anyhow::{Context as _, Result, bail};
use mdbook_driver::MDBook;
use mdbook_mermaid::Mermaid;

/// Mermaid itself, from the sources of the mdbook-mermaid package (`build.rs` finds it
/// there).
const MERMAID: &[u8] = include_bytes!(env!("MERMAID_JS"));
/// What mdBook leaves in every site that it writes, and in nothing else that a reader is
/// likely to own.
const MARK: &str = ".nojekyll";

/// Builds the book whose `book.toml` lies in `root` into the folder `dest`, whose former
/// contents are replaced.
///
/// # Errors
/// A broken include (one line for each, `src/<chapter>.md:<line>: …`, and nothing is
/// written), whatever mdBook refuses, and a folder that cannot be written or that holds
/// something other than a built book.
pub fn build(root: &Path, dest: &Path) -> Result<()> {
    let problems = runs::includes::check(root);
    if !problems.is_empty() {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        bail!(lines.join("\n"));
    }
    replaceable(dest)?;

    let mut book = MDBook::load(root)?;
    book.config.build.build_dir = std::path::absolute(dest)?;
    book.with_preprocessor(Aids).with_preprocessor(Mermaid).with_preprocessor(Colours);
    book.build()?;

    let with_diagrams = pages(dest)?.into_iter().filter_map(|page| {
        let html = fs::read_to_string(&page).ok()?;
        html.contains("<pre class=\"mermaid\">").then_some((page, html))
    });
    let mut any = false;
    for (page, html) in with_diagrams {
        let depth = page.strip_prefix(dest)?.components().count() - 1;
        let script = format!(
            "<script defer src=\"{}mermaid.min.js\"></script>\n    </head>",
            "../".repeat(depth)
        );
        fs::write(&page, html.replacen("</head>", &script, 1))?;
        any = true;
    }
    if any {
        fs::write(dest.join("mermaid.min.js"), MERMAID)?;
    }
    Ok(())
}

/// mdBook empties the folder that it writes to, whatever is in it.
fn replaceable(dest: &Path) -> Result<()> {
    if !dest.exists() {
        return fs::create_dir_all(dest)
            .with_context(|| format!("cannot create {}", dest.display()));
    }
    let mut entries = fs::read_dir(dest)
        .with_context(|| format!("cannot write to {}", dest.display()))?;
    if entries.next().is_some() && !dest.join(MARK).exists() {
        bail!(
            "{} holds something other than a built book; name an empty folder",
            dest.display()
        );
    }
    Ok(())
}

/// Every HTML file below `dir`.
pub fn pages(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.path().extension().is_some_and(|extension| extension == "html")
            {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}
