//! The timelines of the book are what is drawn today from what was recorded.

use std::fs;
use std::path::Path;

use trace::{Trace, timeline};

#[test]
fn what_the_book_shows_is_drawn_from_what_was_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../static/recorded-traces");
    let mut names = Vec::new();
    for file in fs::read_dir(&folder).expect("the recorded traces") {
        let path = file.expect("a file").path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let name =
            path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        let text = |ending| fs::read_to_string(path.with_extension(ending)).expect("text");
        let trace: Trace = serde_json::from_str(&text("json")).expect("a trace");
        let again = "cargo trace --from static/recorded-traces/NAME.json";
        let id = format!("trace-{name}");
        assert!(text("svg") == timeline::svg(&trace, &id), "{name}.svg: {again}");
        assert!(text("md") == timeline::words(&trace), "{name}.md: {again}");
        assert_eq!(trace.to_json().expect("JSON"), text("json"));
        names.push(name);
    }
    names.sort();
    assert_eq!(
        names,
        ["epoll-loop", "framework", "iterative", "prethreaded", "uring-loop"]
    );
}
