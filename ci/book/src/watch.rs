//! Tells when something that the book is made of has changed.

use std::path::{Component, Path};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::UnboundedSender;

/// The folders that the book is made of; `book.toml` beside them.
const FOLDERS: [&str; 4] = ["src", "listings", "static", "theme"];

/// Sends one message for each change below `root`, for as long as the returned watcher
/// lives.
///
/// # Errors
/// Those of inotify(7) and its like on other systems: most likely a limit on how much one
/// user may watch.
pub fn watch(
    root: &Path,
    changed: UnboundedSender<()>,
) -> notify::Result<RecommendedWatcher> {
    let base = root.to_path_buf();
    let mut watcher =
        notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            // Building the book reads every file: reading is no change.
            if !matches!(event.kind, EventKind::Access(_))
                && event.paths.iter().any(|path| belongs(&base, path))
            {
                let _ = changed.send(());
            }
        })?;
    watcher.watch(root, RecursiveMode::NonRecursive)?;
    for folder in FOLDERS {
        if root.join(folder).is_dir() {
            watcher.watch(&root.join(folder), RecursiveMode::Recursive)?;
        }
    }
    Ok(watcher)
}

/// Whether the book is made of `path`: no build output, no hidden file, nothing that an
/// editor puts beside a file.
fn belongs(root: &Path, path: &Path) -> bool {
    let Ok(inside) = path.strip_prefix(root) else { return false };
    let names: Vec<_> = inside
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    let made_of_it = match names.as_slice() {
        ["book.toml"] => true,
        [first, _, ..] => FOLDERS.contains(first),
        _ => false,
    };
    made_of_it
        && !names
            .iter()
            .any(|name| *name == "target" || name.starts_with('.') || name.ends_with('~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_output_and_editors_leftovers_are_no_change() {
        let root = Path::new("/book");
        for path in ["book.toml", "src/a.md", "listings/a/src/main.rs", "static/run.js"] {
            assert!(belongs(root, &root.join(path)), "{path}");
        }
        for path in [
            "target/book/a.html",
            "listings/a/target/x",
            "src/.a.md.swp",
            "src/a.md~",
            "Cargo.lock",
            "src",
        ] {
            assert!(!belongs(root, &root.join(path)), "{path}");
        }
        assert!(!belongs(root, Path::new("/elsewhere/src/a.md")));
    }
}
