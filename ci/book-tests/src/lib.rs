//! Every code block and every printed output in the book, tested.
//!
//! - `tests/snippets.rs`: each `rust` block that is not an excerpt of a listing is compiled
//!   and run by skeptic. The tests are written by `build.rs`, are called after the chapter
//!   and the line, and speak of the chapter's lines.
//! - `tests/chapters.rs`: includes that lead nowhere, blocks that nothing could test, and a
//!   listing chapter without a snippet that uses its listing are refused; prints how many
//!   snippets each chapter has.
//! - `tests/recorded.rs`: performs the named run of each output block and compares.
//! - `tests/refused.rs`, `tests/drifted.rs`: the checks above, each seen refusing what it
//!   is there for.

pub mod located;
pub mod recorded;
pub mod snippets;

use std::path::Path;

/// The root of the workspace, which is the book's.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this package is ci/book-tests")
}
