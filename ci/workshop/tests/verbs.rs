//! The verbs, one after another, as a learner says them: in a folder that is a book, with the
//! listings of this one.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A book whose parts are those of this one, with a learner's folder of its own.
fn book() -> TempDir {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("here");
    let book = tempfile::tempdir().expect("a folder");
    for part in ["src", "listings", "ci", "Cargo.toml", "Cargo.lock", "book.toml"] {
        symlink(root.join(part), book.path().join(part)).expect("a link");
    }
    book
}

fn say(book: &TempDir, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_workshop"));
    command.args(words).current_dir(book.path()).output().expect("it starts")
}

fn good(book: &TempDir, words: &[&str]) -> String {
    let output = say(book, words);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{words:?}: {}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

fn refused(book: &TempDir, words: &[&str]) -> String {
    let output = say(book, words);
    assert_eq!(output.status.code(), Some(1), "{words:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn file(book: &TempDir) -> PathBuf {
    book.path().join("workshop/poll-two/src/bin/poll-two.rs")
}

#[test]
fn a_learner_begins_asks_begins_again_and_loses_nothing() {
    let book = book();
    assert!(refused(&book, &["check"]).contains("no exercise was begun"));
    assert!(
        refused(&book, &["start", "poll-three"])
            .contains("there is no exercise and no chapter")
    );

    // By its chapter.
    let task = good(&book, &["start", "poll"]);
    assert!(task.starts_with("poll-two: Whoever is gone"), "{task}");
    assert!(task.contains("workshop/poll-two/src/bin/poll-two.rs:"), "{task}");
    let starter = fs::read_to_string(file(&book)).expect("it is there");
    assert!(starter.contains("// EXERCISE") && !starter.contains("ANCHOR"), "{starter}");
    let manifest = fs::read_to_string(book.path().join("workshop/poll-two/Cargo.toml"))
        .expect("it is there");
    assert!(
        manifest.contains("name = \"poll-two\"") && !manifest.contains("workspace = true"),
        "{manifest}"
    );
    assert!(manifest.contains("../../listings/select-loop"), "{manifest}");

    // Hints come one after another, and no more than three.
    for number in [1, 2, 3, 3] {
        let hints = good(&book, &["hint"]);
        assert_eq!(hints.matches("Hint ").count(), number, "{hints}");
    }
    assert!(refused(&book, &["solution"]).contains("--anyway"));
    assert!(good(&book, &["solution", "--anyway"]).contains("*entry = NOBODY;"));

    // Going on and coming back leaves it alone; beginning again keeps it.
    fs::write(file(&book), format!("{starter}// mine\n")).expect("room");
    assert!(good(&book, &["next"]).starts_with("poll-retire"));
    assert!(good(&book, &["start", "poll-two"]).starts_with("poll-two"));
    assert!(fs::read_to_string(file(&book)).expect("it is there").ends_with("// mine\n"));
    let reset = good(&book, &["reset"]);
    assert!(
        reset.starts_with("What was there is in workshop/kept/poll-two-1 now."),
        "{reset}"
    );
    let kept = book.path().join("workshop/kept/poll-two-1/src/bin/poll-two.rs");
    assert!(fs::read_to_string(kept).expect("it is kept").ends_with("// mine\n"));
    assert_eq!(fs::read_to_string(file(&book)).expect("it is there"), starter);
    good(&book, &["reset"]);
    assert!(book.path().join("workshop/kept/poll-two-2").is_dir());

    // A room goes on: what was not passed is left out, and what is there is kept.
    let here = good(&book, &["checkpoint", "poll-retire"]);
    assert!(here.contains("workshop/kept/poll-retire-1"), "{here}");
    let list = good(&book, &["list"]);
    let line = |name: &str| {
        list.lines().find(|line| line.contains(name)).expect("it is listed").to_owned()
    };
    assert!(
        line("poll-two ").contains("skipped") && line("> poll-retire").contains("open"),
        "{list}"
    );
    let progress =
        fs::read_to_string(book.path().join("workshop/progress.toml")).expect("a file");
    assert!(progress.contains("current = \"poll-retire\""), "{progress}");
}

#[test]
fn progress_that_nobody_understands_is_said() {
    let book = book();
    fs::create_dir(book.path().join("workshop")).expect("room");
    fs::write(book.path().join("workshop/progress.toml"), "current = [").expect("room");
    let line = refused(&book, &["list"]);
    assert!(line.contains("progress.toml"), "{line}");
}
