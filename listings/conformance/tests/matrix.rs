//! The committed Markdown is what the committed data says.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;

#[test]
fn matrix_md_is_what_matrix_json_renders() {
    let read = |name| {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
    };
    let data: serde_json::Value = serde_json::from_str(&read("matrix.json")).unwrap();
    assert!(
        conformance::matrix::render(&data) == read("matrix.md"),
        "matrix.md is out of date; cargo run -p conformance -- matrix refreshes it"
    );
}
