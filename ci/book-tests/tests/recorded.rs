//! Performs the named run of each output block of the book and compares what it prints with
//! what stands there.
//!
//! One after another: some runs measure time, and a neighbour would show in their figures.

use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use book_tests::recorded::{Performances, check};
use book_tests::root;
use libtest_mimic::{Arguments, Completion, Failed, Trial, run};
use runs::{Error, Problem, chapters, fences, load, unmatched};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let skipped = Arc::new(Mutex::new(Vec::new()));
    let trials = trials(&skipped).unwrap_or_else(|e| {
        let message = e.to_string();
        vec![Trial::test("the declarations of the runs", move || Err(message.into()))]
    });
    let conclusion = run(&arguments, trials);
    for skip in skipped.lock().unwrap_or_else(|e| e.into_inner()).iter() {
        flags::skipped(format_args!("{skip}"));
    }
    conclusion.exit_code()
}

fn trials(skipped: &Arc<Mutex<Vec<String>>>) -> Result<Vec<Trial>, Error> {
    let (runs, chapters) = (load(root())?, chapters(root())?);
    let problems = unmatched(&runs, &chapters);
    let mut trials = vec![Trial::test("blocks and declarations match", || none(problems))];
    let all = Arc::new(Performances::new(root(), runs));
    for fence in chapters.iter().flat_map(|chapter| fences(chapter).unwrap_or_default()) {
        let name = format!("{}:{} {}", fence.file.display(), fence.line, fence.name);
        let (all, skipped, shown) = (all.clone(), skipped.clone(), name.clone());
        trials.push(Trial::ignorable_test(name, move || match check(&fence, &all)? {
            None => Ok(Completion::Completed),
            Some(reason) => {
                skipped
                    .lock()
                    .unwrap_or_else(|e| e.into_inner())
                    .push(format!("{shown}: {reason}"));
                Ok(Completion::ignored_with(reason))
            }
        }));
    }
    Ok(trials)
}

fn none(problems: Vec<Problem>) -> Result<(), Failed> {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    if lines.is_empty() { Ok(()) } else { Err(lines.join("\n").into()) }
}
