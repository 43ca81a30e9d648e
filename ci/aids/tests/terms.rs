//! No term of the glossary is used in a chapter before the one that defines it, unless a link
//! leads to its definition, or it is explained in passing. What it finds is printed:
//! `cargo test -p aids --test terms -- --nocapture`.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Terms that are used earlier without a link, and why that is right.
const AS_IT_IS: [(&str, &str); 13] = [
    ("blocked signal", "explained in the next sentence"),
    ("cell", "of a table: the everyday word"),
    ("clone", "of a repository: the everyday word"),
    ("event loop", "explained in the same row"),
    ("executor", "the name of a server, in a command"),
    ("loopback", "explained in parentheses"),
    ("mark", "the everyday word"),
    ("page", "of a book: the everyday word"),
    ("regular file", "explained in parentheses"),
    ("stall", "the everyday word"),
    ("task", "explained in the sentence"),
    ("tick", "explained in parentheses"),
    ("turn", "the everyday word"),
];

struct Term {
    name: String,
    /// The chapter that defines it.
    file: String,
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src")
}

fn read(name: &str) -> String {
    let path = source().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The chapters in the order in which they are read.
fn chapters() -> Vec<String> {
    let summary = read("SUMMARY.md");
    let (chapters, _) = summary.split_once("# Appendices").expect("there are appendices");
    let link = Regex::new(r"\]\(([^)]+\.md)\)").expect("a regex");
    link.captures_iter(chapters).map(|found| found[1].to_owned()).collect()
}

fn glossary() -> Vec<Term> {
    let entry =
        Regex::new(r"(?m)^([^\n:#].*)\n: .*→ \[[^\]]*\]\(([^)#]+)").expect("a regex");
    let text = read("glossary.md");
    let term = |found: regex::Captures<'_>| Term {
        name: found[1].trim().to_owned(),
        file: found[2].to_owned(),
    };
    entry.captures_iter(&text).map(term).collect()
}

/// As mdBook names a place in a page.
fn anchor(name: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    name.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

/// Finds the term in prose, in the singular and the plural. One with capitals is written so.
fn pattern(name: &str) -> Regex {
    let parts: Vec<String> = name.split(" and ").map(regex::escape).collect();
    let case = if name.chars().any(char::is_uppercase) { "" } else { "(?i)" };
    Regex::new(&format!(r"{case}(?:^|[^\w-])(?:{})(?:s|es)?(?:[^\w-]|$)", parts.join("|")))
        .expect("a regex")
}

/// The lines of a chapter that are prose; others are empty.
fn prose(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let line = |line| {
        let line: &str = line;
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        if fenced || is_fence || line.starts_with("{{#") { "" } else { line }
    };
    text.lines().map(line).collect()
}

#[test]
fn no_term_is_used_before_it_is_defined_or_linked() {
    let order = chapters();
    let texts: Vec<String> = order.iter().map(|chapter| read(chapter)).collect();
    let texts: Vec<Vec<&str>> = texts.iter().map(|text| prose(text)).collect();
    let place = |file: &str| order.iter().position(|chapter| chapter == file);
    let (mut wrong, mut needed) = (Vec::new(), Vec::new());
    let terms = glossary();
    assert!(terms.len() > 100, "{} terms", terms.len());
    // Of two meanings the text of each tells which; a pattern cannot.
    let has_one = |term: &&Term| !term.name.contains(" (");
    for Term { name, file } in terms.iter().filter(has_one) {
        let pattern = pattern(name);
        let first = texts.iter().enumerate().find_map(|(chapter, lines)| {
            let line = lines.iter().position(|line| pattern.is_match(line))?;
            Some((chapter, line))
        });
        let Some((chapter, line)) = first else { continue };
        let used = format!("{}:{}", order[chapter], line + 1);
        let is_early = place(file).is_some_and(|defined| chapter < defined);
        let text = texts[chapter][line];
        let leads = [format!("](glossary.md#{})", anchor(name)), format!("]({file}")];
        let is_linked = leads.iter().any(|link| text.contains(link));
        let reason = AS_IT_IS.iter().find(|(known, _)| known == name).map(|(_, why)| *why);
        let how = match (is_early, is_linked, reason) {
            (false, ..) => "",
            (true, true, _) => ", linked",
            (true, false, Some(why)) => {
                needed.push(name.as_str());
                why
            }
            (true, false, None) => {
                wrong.push(format!("{name}: {used}, and {file} defines it"));
                ", AND NOT SAID"
            }
        };
        println!("{name}: first used in {used}, defined in {file} {how}");
    }
    assert!(wrong.is_empty(), "used before they are defined:\n{}", wrong.join("\n"));
    for (name, _) in AS_IT_IS {
        assert!(needed.contains(&name), "{name} needs no reason any more");
    }
}
