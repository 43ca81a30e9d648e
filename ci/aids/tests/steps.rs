//! The step-by-step simulator: the recordings that the book has, what is made of them, and
//! what is refused.

use std::fs;
use std::path::Path;

use aids::steps::Recorded;
use aids::steps::page;
use aids::steps::recording::{Effect, Label, Recording};
use mdbook_preprocessor::book::{Book, BookItem, Chapter};
use serde_json::Value;
use tempfile::TempDir;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the root")
}

/// Every recording of calls that the book has, with its name. (That of rings: `rings.rs`.)
fn recordings() -> Vec<(String, Recording)> {
    let folder = root().join("static/recorded-steps");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the recordings") {
        let path = entry.expect("a file").path();
        let text = fs::read_to_string(&path).expect("a file");
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if let Recorded::Calls(recording) = Recorded::from_json(&text).expect("a recording")
        {
            found.push((name, recording));
        }
    }
    assert!(found.len() >= 2, "poll and epoll");
    found
}

#[test]
fn a_recording_is_what_the_kernels_rules_say_and_shows_every_step() {
    for (name, recording) in recordings() {
        page::data(&recording).unwrap_or_else(|why| panic!("{name}: {why}"));
        let has = |label| recording.steps.iter().any(|step| step.label == label);
        for label in [Label::Accept, Label::Wait, Label::Drain, Label::Retire] {
            assert!(has(label), "{name}: no step is labelled {label}");
        }
        assert_eq!(has(Label::Arm), name.starts_with("epoll"), "{name}: arm");
        let last = recording.steps.last().expect("steps");
        assert!(
            matches!(last.effect, Effect::Waited { reported: None, .. }),
            "{name} ends asleep"
        );
        // Two things at once, so that their order is seen.
        let two = |effect: &Effect| matches!(effect, Effect::Waited { reported: Some(all), .. } if all.len() == 2);
        assert!(recording.steps.iter().any(|step| two(&step.effect)), "{name}");
    }
}

#[test]
fn a_recording_is_written_as_it_was_read() {
    for (name, recording) in recordings() {
        let file = root().join("static/recorded-steps").join(&name).with_extension("json");
        let text = fs::read_to_string(file).expect("a file");
        assert_eq!(recording.to_file().expect("a file"), text, "{name}");
    }
}

#[test]
fn before_every_call_one_of_up_to_four_is_right_and_each_explains_itself() {
    for (name, recording) in recordings() {
        let data = page::data(&recording).expect("a good recording");
        let data = serde_json::to_value(data).expect("data");
        let frames = data["frames"].as_array().expect("frames");
        let asked: Vec<&Vec<Value>> =
            frames.iter().filter_map(|frame| frame["choices"].as_array()).collect();
        assert_eq!(asked.len(), recording.steps.len(), "{name}: one question a call");
        let mut places = [0; 4];
        for (step, choices) in recording.steps.iter().zip(asked) {
            let right: Vec<usize> =
                (0..choices.len()).filter(|n| choices[*n][2] == true).collect();
            let [right] = right[..] else { panic!("{name}: {choices:?}") };
            places[right] += 1;
            assert_eq!(choices[right][0], step.guess(), "{name}");
            assert!((3..=4).contains(&choices.len()), "{name}: {choices:?}");
            for (n, choice) in choices.iter().enumerate() {
                let why = choice[1].as_str().expect("a reason");
                let first = why.chars().next().expect("a reason");
                assert!(why.ends_with('.') && !first.is_whitespace(), "{name}: {why}");
                assert_eq!(why.starts_with("Yes"), n == right, "{name}: {why}");
                let same = choices.iter().filter(|other| other[0] == choice[0]);
                assert_eq!(same.count(), 1, "{name}: {choices:?}");
            }
        }
        let most = places.iter().max().expect("places");
        assert!(*most * 2 < recording.steps.len(), "{name}: the place tells: {places:?}");
    }
}

#[test]
fn a_recording_that_was_tampered_with_is_refused() {
    for (name, recording) in recordings() {
        let waits = |effect: &Effect| matches!(effect, Effect::Waited { reported: Some(all), .. } if all.len() == 2);
        let at = recording.steps.iter().position(|step| waits(&step.effect)).expect("two");
        let mut other = recording.clone();
        if let Effect::Waited { reported: Some(reported), .. } = &mut other.steps[at].effect
        {
            reported.reverse();
        }
        let why = page::data(&other).expect_err("another order");
        assert!(why.contains("by the rules it reports"), "{name}: {why}");

        let mut other = recording.clone();
        other.steps[at].after.unread.clear();
        let why = page::data(&other).expect_err("another state");
        assert!(why.contains("do not lead to what the file says"), "{name}: {why}");

        let mut other = recording;
        let got = other.steps.iter_mut().find_map(|step| match &mut step.effect {
            Effect::Received(_, Some(n)) if *n > 0 => Some(n),
            _ => None,
        });
        *got.expect("something is received") += 1;
        let why = page::data(&other).expect_err("a byte too many");
        assert!(why.contains("by the rules"), "{name}: {why}");
    }
}

#[test]
fn the_page_is_whole_without_script() {
    for (name, recording) in recordings() {
        let lines =
            Label::ALL.map(|label| (label, format!("x.html#{label}"), "lines".to_owned()));
        let html = page::html(&name, &recording, &lines).expect("a page");
        assert!(!html.contains("\n\n"), "an empty line would end the block");
        let (shown, script) = html.split_once("<script ").expect("the data");
        assert!(script.starts_with("type=\"application/json\">"));
        assert_eq!(script.matches('<').count(), 2, "the ends of script and of the element");
        assert_eq!(shown.matches("<tr").count(), 1 + recording.steps.len(), "{name}");
        for step in &recording.steps {
            for text in [step.shown(), step.answer.clone()] {
                let text = text.replace('"', "&quot;");
                assert!(shown.contains(&text), "{name}: {text}");
            }
            for arrival in step.arrived.iter().chain(&step.meanwhile) {
                assert!(shown.contains(&arrival.to_string()), "{name}: {arrival}");
            }
        }
        for label in Label::ALL {
            assert!(shown.contains(&format!("<a href=\"x.html#{label}\">lines</a>")));
        }
    }
}

/// A book with one chapter and a loop whose lib.rs has these anchors.
fn applied(text: &str, anchors: &[&str]) -> Result<String, String> {
    applied_to("poll-loop", text, anchors)
}

fn applied_to(name: &str, text: &str, anchors: &[&str]) -> Result<String, String> {
    let folder = TempDir::new().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    let file = format!("static/recorded-steps/{name}.json");
    let known = fs::read_to_string(root().join(&file)).expect("a recording");
    write(&file, &known);
    write("Cargo.toml", "[workspace]\nmembers = [\"listings/*\"]\n");
    let listing = format!("listings/{name}");
    write(&format!("{listing}/Cargo.toml"), "[package]\ndescription = \"A loop\"\n");
    let code: String = anchors
        .iter()
        .map(|name| format!("// ANCHOR: {name}\nfn {name}() {{}}\n// ANCHOR_END: {name}\n"))
        .collect();
    write(&format!("{listing}/src/lib.rs"), &code);
    let text = format!("{text}\n{{{{#sources}}}}\n");
    write("src/x.md", &text);
    write("src/SUMMARY.md", "- [X](x.md)\n");
    let chapter = Chapter::new("X", text, "x.md", Vec::new());
    let mut book = Book::new_with_items(vec![BookItem::Chapter(chapter)]);
    aids::aids(folder.path(), &mut book).map_err(|e| e.to_string())?;
    Ok(book.chapters().map(|chapter| chapter.content.clone()).collect())
}

const ANCHORS: [&str; 5] = ["accept", "arm", "wait", "drain", "retire"];

#[test]
fn the_directive_puts_it_there_and_its_lines_are_marked_in_the_listing() {
    let book = applied("# X\n\n{{#steps poll-loop}}\n", &ANCHORS).expect("a good book");
    assert!(book.contains("<div class=\"steps\" id=\"steps-poll-loop\""), "{book}");
    for n in 0..5 {
        let line = 3 * n + 2;
        let id = format!("src-lib.rs-{line}-{line}");
        assert!(book.contains(&format!("sources/poll-loop.html#{id}\">line {line}</a>")));
        assert!(book.contains(&format!("id=\"{id}\"")), "{id}: the mark in the source");
    }
}

#[test]
fn a_recording_of_rings_is_put_there_as_well() {
    let line = "# X\n\n{{#steps uring-loop}}\n";
    let book = applied_to("uring-loop", line, &ANCHORS).expect("a good book");
    assert!(book.contains("<div class=\"steps rings\" id=\"steps-uring-loop\""), "{book}");
    assert!(book.contains("sources/uring-loop.html#src-lib.rs-2-2\">line 2</a>"), "{book}");
}

#[test]
fn what_is_no_simulator_is_refused_with_its_line() {
    for (broken, why) in [
        ("{{#steps}}", "a simulator is one line"),
        ("Look: {{#steps poll-loop}}", "a simulator is one line"),
        ("{{#steps poll loop}}", "a simulator is one line"),
        ("{{#steps nginx}}", "nginx was not recorded"),
    ] {
        let refused = applied(&format!("# X\n\n{broken}\n"), &ANCHORS).expect_err(broken);
        assert!(refused.starts_with("src/x.md:3: ") && refused.contains(why), "{refused}");
    }
    let twice = applied("{{#steps poll-loop}}\n\n{{#steps poll-loop}}\n", &ANCHORS);
    let twice = twice.expect_err("twice");
    assert!(twice.starts_with("src/x.md:3: a second"), "{twice}");
    let unmarked = applied("{{#steps poll-loop}}\n", &ANCHORS[..4]).expect_err("no retire");
    assert!(unmarked.contains("has `ANCHOR: retire`"), "{unmarked}");
    let text = "`\\{{#steps poll-loop}}`\n";
    assert!(applied(text, &[]).expect("text").starts_with(text));
}
