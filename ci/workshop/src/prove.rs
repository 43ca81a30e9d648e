//! That the exercises are what they claim: each starter fails, and for the reason that is
//! intended; each answer, which is the listing, passes; and no wrong answer does.
//!
//! Some checks have clients that wait for seconds and no longer, and a machine may be busy. So
//! what is not as it should be is tried up to twice more, and each time that is said.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use runs::exercises::{Attempt, Exercise};

use crate::{Bench, Checked, Desk, Fault, checks};

/// How often something is tried again that is not as it should be.
const MORE: usize = 2;

/// With this begins what is wrong about a check's words.
const CHECK_SAYS: &str = "the check says:\n";

/// What came of it.
#[derive(Debug, Default)]
pub struct Proof {
    /// How many answers, starters and wrong answers were as they are to be.
    pub held: usize,
    /// What was not.
    pub wrong: Vec<String>,
    /// What this machine could not show.
    pub skipped: Vec<String>,
}

/// Proves these exercises, three at a time since much of it is waiting, and prints each. Those of one listing come one after
/// another: their programs have the same names, and all who prove build in one place, so that
/// what exercises stand on is built once.
pub fn prove(root: &Path, exercises: &[Exercise]) -> Proof {
    let mut listings: BTreeMap<&str, Vec<&Exercise>> = BTreeMap::new();
    for exercise in exercises {
        listings.entry(&exercise.listing).or_default().push(exercise);
    }
    // The longest first: nobody is to wait for the last one.
    let mut listings: Vec<Vec<&Exercise>> = listings.into_values().collect();
    listings.sort_by_key(|some| std::cmp::Reverse(some.len()));
    let (next, proof) = (AtomicUsize::new(0), Mutex::new(Proof::default()));
    thread::scope(|scope| {
        for number in 0..3 {
            let (next, proof, listings) = (&next, &proof, &listings);
            scope.spawn(move || {
                let desk = Desk::for_proof(root, number);
                while let Some(some) = listings.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for exercise in some {
                        let begun = Instant::now();
                        let one = prove_one(&desk, exercise);
                        let mut all = proof.lock().unwrap_or_else(PoisonError::into_inner);
                        let seconds = begun.elapsed().as_secs_f64();
                        println!("{:<24} {} held, {seconds:.1} s", exercise.name, one.held);
                        one.wrong.iter().for_each(|line| println!("  WRONG {line}"));
                        one.skipped.iter().for_each(|line| println!("  skipped: {line}"));
                        all.held += one.held;
                        all.wrong.extend(one.wrong);
                        all.skipped.extend(one.skipped);
                    }
                }
            });
        }
    });
    proof.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn prove_one(desk: &Desk, exercise: &Exercise) -> Proof {
    let mut proof = Proof::default();
    let _ = desk.keep(exercise).map(|kept| kept.map(std::fs::remove_dir_all));
    let attempts = [None, Some(&exercise.starter)];
    let all = attempts.into_iter().chain(exercise.wrong.iter().map(Some));
    for attempt in all {
        let name = attempt.map_or("the answer", |attempt| attempt.name.as_str());
        let once = || judged(attempt, &tried(desk, exercise, attempt));
        let mut outcome = once();
        for _ in 0..MORE {
            // Somebody else may have had the machine. What is wrong is wrong each time.
            let Err(Fault::Fails(why)) = &outcome else { break };
            println!("  once more: {}, {name}: {}", exercise.name, in_short(why));
            outcome = once();
        }
        match outcome {
            Ok(()) => proof.held += 1,
            Err(Fault::Skipped(why)) => {
                proof.skipped.push(format!("{}, {name}: {why}", exercise.name));
            }
            Err(Fault::Fails(why) | Fault::Trouble(why)) => {
                proof.wrong.push(format!("{}, {name}: {why}", exercise.name));
            }
        }
    }
    proof
}

/// What is said of it: the first line, or the first that the check has said.
fn in_short(text: &str) -> &str {
    let said = text.strip_prefix(CHECK_SAYS).unwrap_or(text);
    said.lines().next().unwrap_or_default()
}

/// What the check says of an attempt; none: of the answer.
fn tried(desk: &Desk, exercise: &Exercise, attempt: Option<&Attempt>) -> Checked {
    let code = attempt.map(|attempt| attempt.code.as_str());
    desk.put(exercise, code).map_err(Fault::Trouble)?;
    checks::check(&Bench { desk, exercise })
}

/// Whether that is what it is to say.
fn judged(attempt: Option<&Attempt>, outcome: &Checked) -> Checked {
    match (attempt, outcome) {
        (None, outcome) => outcome.clone(),
        (Some(_), Ok(())) => Err(Fault::Fails("it passes".into())),
        (Some(attempt), Err(Fault::Fails(why))) => match is_said(why, &attempt.says) {
            true => Ok(()),
            false => Err(Fault::Fails(format!(
                "{CHECK_SAYS}{why}\nand is to say:\n{}",
                attempt.says
            ))),
        },
        (Some(_), Err(fault)) => Err(fault.clone()),
    }
}

/// Whether each line is said, in this order.
pub fn is_said(whole: &str, lines: &str) -> bool {
    let mut rest = whole;
    lines.lines().all(|line| match rest.split_once(line.trim()) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_to_fail_for_its_reason() {
        let says = |says: &str| Attempt {
            name: "x".into(),
            code: String::new(),
            says: says.into(),
        };
        let fails = |why: &str| Err(Fault::Fails(why.into()));
        let waits = says("it waits in read\nnowhere else");
        let why = "it waits in read (a.rs:7); it is to wait in poll and nowhere else";
        assert_eq!(judged(Some(&waits), &fails(why)), Ok(()));
        assert!(judged(Some(&waits), &fails("it spins")).is_err());
        assert_eq!(judged(Some(&waits), &Ok(())), fails("it passes"));
        assert_eq!(judged(None, &Ok(())), Ok(()));
        assert_eq!(judged(None, &fails("no")), fails("no"));
        let skipped = Err(Fault::Skipped("no ptrace".into()));
        assert_eq!(judged(Some(&waits), &skipped), skipped);
    }
}
