//! Rows that mostly wait for a deadline are begun when the suite begins, and wait while the
//! others work.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::try_row;
use crate::model::Model;
use crate::report::Report;

type Outcome = Result<Report, String>;
type Rows = HashMap<u8, JoinHandle<Outcome>>;

/// They wait for the deadlines of a response and of a body.
const WAITING: [u8; 2] = [11, 12];

/// What came of a row that was begun early; none of the others, nor when only some of the
/// tests run.
pub(super) fn outcome(model: &Model, number: u8) -> Option<Outcome> {
    /// By the name of the model.
    static BEGUN: LazyLock<Mutex<HashMap<&str, Rows>>> = LazyLock::new(Mutex::default);
    let begun = {
        let mut rows = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
        rows.entry(model.name).or_insert_with(|| begin(model)).remove(&number)
    };
    begun.map(|row| row.join().unwrap_or_else(|_| Err("the row panicked".into())))
}

fn begin(model: &Model) -> Rows {
    if !all_tests_run() {
        return HashMap::new();
    }
    let begin = |number| {
        let model = model.clone();
        (number, thread::spawn(move || try_row(&model, number)))
    };
    WAITING.map(begin).into()
}

/// Whether every test of this program runs: no filter stands on its command line.
fn all_tests_run() -> bool {
    let chooses = ["--exact", "--skip", "--ignored", "--list"];
    std::env::args().skip(1).all(|argument| {
        argument.starts_with('-')
            && !chooses.iter().any(|option| argument.starts_with(option))
    })
}
