//! Every claim, in its own situation and in its counter-situation, a line for each.
//!
//! It fails where a claim does not hold on a kernel that it is said to hold on, holds on one
//! where it is said not to, or holds in its counter-situation: then its check cannot fail,
//! and proves nothing.

use std::env;
use std::process::ExitCode;

use claims::{
    Case, Claim, Says, Verdict, all, complaint, judge_all, recorded, release, stale,
};

/// The page that has recorded the verdicts of the kernel that the book was made on.
const PAGE: &str = include_str!("../../../src/claims.md");

fn main() -> ExitCode {
    claims::told_to_check();
    // As with any test program, words choose, and what begins with a dash is for another.
    let words: Vec<String> =
        env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |claim: &&Claim| {
        words.is_empty() || words.iter().any(|word| claim.id.contains(word))
    };
    let (name, version) = release();
    println!("\nclaims on {name}");
    let page = recorded(PAGE);

    let both = all()
        .filter(wanted)
        .flat_map(|claim| [(claim, Case::Claimed), (claim, Case::Counter)]);
    let (mut held, mut skipped, mut failures) = (0, 0, Vec::new());
    let mut claimed = None;
    judge_all(both, |claim, case, verdict| {
        if case == Case::Claimed {
            claimed = Some(verdict);
            return;
        }
        let verdict_here = claimed.take().expect("it comes before");
        let said = line(&verdict_here);
        println!("{}: {said}", claim.id);
        match verdict_here.says {
            Says::CannotTell => skipped += 1,
            _ => held += 1,
        }
        failures.extend(stale(page.as_ref(), &name, claim, &verdict_here));
        failures.extend(complaint(claim, version, &verdict_here, &verdict));
    });
    println!(
        "\n{held} told, {skipped} skipped (cannot tell here), {} failed\n",
        failures.len()
    );
    for failure in &failures {
        println!("FAILED {failure}");
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn line(Verdict { says, why }: &Verdict) -> String {
    format!("{}{}: {why}", says.words(), if *says == Says::Holds { "" } else { " here" })
}
