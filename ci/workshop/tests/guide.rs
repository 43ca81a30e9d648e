//! What the guide and the speaker's notes tell somebody to type is there.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The notes, by the names of their chapters, and the guide.
fn texts() -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(root().join("src")).expect("src") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.ends_with(".notes.md") || name == "instructors-guide.md" {
            texts.push((name, fs::read_to_string(path).expect("text")));
        }
    }
    texts
}

/// The packages in `listings`, and their programs.
fn names_in_listings() -> BTreeSet<String> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    for listing in fs::read_dir(root().join("listings")).expect("listings") {
        let listing = listing.expect("an entry").path();
        let bins = fs::read_dir(listing.join("src/bin")).into_iter().flatten().flatten();
        let files = bins.map(|bin| bin.path()).chain([listing]);
        names.extend(files.filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())));
    }
    names
}

#[test]
fn each_program_that_is_to_be_shown_is_there() {
    let run = Regex::new(r"(?:target/debug/|cargo (?:run|trace) (?:--release )?-p )([a-z-]+)(?: --bin ([a-z-]+))?").unwrap();
    let programs = names_in_listings();
    let mut seen = 0;
    for (file, text) in texts() {
        for found in run.captures_iter(&text) {
            seen += 1;
            let package = &found[1];
            let listing = root().join("listings").join(package);
            let bin = found.get(2).map_or(package, |bin| bin.as_str());
            let files = [format!("src/bin/{bin}.rs"), format!("src/bin/{bin}/main.rs")];
            let is_there = match bin == package {
                true => listing.join("src/main.rs").is_file(),
                false => files.iter().any(|file| listing.join(file).is_file()),
            };
            // Where they have been built, programs stand without their packages.
            let is_built = found[0].contains("target/debug") && programs.contains(package);
            assert!(is_there || is_built, "{file}: {}", &found[0]);
        }
    }
    assert!(seen > 30, "{seen} programs are shown");
}

#[test]
fn each_exercise_that_is_named_is_there_and_each_chapter_with_one_has_notes() {
    let all = runs::exercises::in_order(&root()).expect("they are well written");
    let names: BTreeSet<&str> = all.iter().map(|one| one.exercise.name.as_str()).collect();
    let named = Regex::new(
        r"`(?:checkpoint |cargo workshop (?:checkpoint|preflight) )?([a-z]+-[a-z-]+)`",
    )
    .unwrap();
    // What else has a hyphen, and stands in the same marks.
    let others = names_in_listings();
    for (file, text) in texts() {
        for found in named.captures_iter(&text) {
            let name = &found[1];
            assert!(names.contains(name) || others.contains(name), "{file}: {name}");
        }
    }
    for one in &all {
        let notes = root().join("src").join(one.chapter.with_extension("notes.md"));
        assert!(notes.is_file(), "{} has none", one.chapter.display());
        let text = fs::read_to_string(&notes).expect("text");
        assert!(
            text.contains(&one.exercise.name),
            "{}: {}",
            notes.display(),
            one.exercise.name
        );
    }
}

#[test]
fn the_minutes_of_each_day_add_up() {
    let guide = fs::read_to_string(root().join("src/instructors-guide.md")).expect("text");
    let row = Regex::new(r"(?m)^\| (\d+):(\d+) \| .* \| (\d+) \|$").unwrap();
    let (mut days, mut until) = (0, 0);
    for found in row.captures_iter(&guide) {
        let number = |n: usize| found[n].parse::<u32>().expect("digits");
        let at = number(1) * 60 + number(2);
        // A day begins at nine.
        if at == 9 * 60 {
            days += 1;
        } else {
            assert_eq!(at, until, "{}", &found[0]);
        }
        until = at + number(3);
    }
    assert_eq!(days, 3);
}

#[test]
fn the_minutes_of_each_chapters_exercises_are_theirs() {
    let all = runs::exercises::in_order(&root()).expect("they are well written");
    let row = Regex::new(r"(?m)^\| (\d+) \| exercises?: (.+) \|$").unwrap();
    let name = Regex::new(r"`([a-z-]+)`").unwrap();
    let mut named = 0;
    for (file, text) in texts() {
        for found in row.captures_iter(&text) {
            let minutes = name.captures_iter(&found[2]).map(|name| {
                named += 1;
                let one = all.iter().find(|one| one.exercise.name == name[1]);
                let one = one.unwrap_or_else(|| panic!("{file}: {}", &name[1]));
                let minutes = one.exercise.minutes;
                // One that stands alone has the row's.
                let itself = format!("`{}` ({minutes})", &name[1]);
                let is_alone = found[0].contains("exercise: ");
                assert!(is_alone || found[2].contains(&itself), "{file}: not {itself}");
                minutes
            });
            let sum: u32 = minutes.sum();
            assert_eq!(found[1], sum.to_string(), "{file}: {}", &found[0]);
        }
    }
    assert_eq!(
        named,
        all.len(),
        "each exercise has its minutes in the notes of its chapter"
    );
}
