//! Says which of the book's sentences about the kernel hold on this one.

use std::process::ExitCode;

use claims::{
    Case, Claim, Kernels, Says, Verdict, all, find, judge, judge_all, line, release,
};
use serde_json::{Map, json};

/// Checks the book's sentences about the kernel on the running one
///
/// CLAIMS_SECONDS and CLAIMS_JOBS change how long a check may take (20) and how many run at
/// once; CLAIMS_DISK names a folder on a disk; CLAIMS_OWN_MACHINE=1 says that
/// the machine is an emulated guest of ours: settings may be changed, times mean nothing.
#[derive(clap::Parser)]
#[command(name = "claims", version)]
struct Cli {
    /// Claims to look at closely; all of them in a table if none is named
    #[arg(value_name = "ID", conflicts_with = "json")]
    ids: Vec<String>,
    /// Prints all verdicts as one JSON object
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    claims::told_to_check();
    let cli: Cli = flags::parse();
    let mut named = Vec::new();
    for id in &cli.ids {
        let Some(claim) = find(id) else {
            return flags::fail(
                flags::REFUSED,
                format_args!("no claim has the id {id}; without an id all are listed"),
            );
        };
        named.push(claim);
    }
    let right = if cli.json {
        print_json()
    } else if named.is_empty() {
        print_table()
    } else {
        named.into_iter().fold(true, |right, claim| print_one(claim) & right)
    };
    if right { ExitCode::SUCCESS } else { ExitCode::from(flags::FAILED) }
}

/// Whether a verdict is what the claim says of this kernel; if not, it is said on standard
/// error.
fn is_right(claim: &Claim, verdict: &Verdict) -> bool {
    let expected = claim.kernels.include(release().1);
    let right = match verdict.says {
        Says::Holds => expected,
        Says::DoesNotHold => !expected,
        Says::CannotTell => true,
    };
    if !right {
        let (says, why) = (verdict.says.words(), &verdict.why);
        eprintln!(
            "claims: {}: {says}, against what the ledger says of this kernel: {why}",
            claim.id
        );
    }
    right
}

fn print_table() -> bool {
    println!("Linux {} on {}", release().0, std::env::consts::ARCH);
    let mut right = true;
    let mut number = [0; 3];
    judge_all(all().map(|claim| (claim, Case::Claimed)), |claim, _, verdict| {
        println!("{}", line(claim, &verdict));
        right &= is_right(claim, &verdict);
        number[verdict.says as usize] += 1;
    });
    let [hold, do_not, unknown] = number;
    println!("{hold} hold, {do_not} do not, {unknown} cannot be told");
    right
}

fn print_json() -> bool {
    let mut right = true;
    let mut verdicts = Map::new();
    judge_all(all().map(|claim| (claim, Case::Claimed)), |claim, _, verdict| {
        right &= is_right(claim, &verdict);
        verdicts.insert(claim.id.to_owned(), json!(verdict));
    });
    let machine = std::env::consts::ARCH;
    println!(
        "{:#}",
        json!({ "kernel": release().0, "machine": machine, "verdicts": verdicts })
    );
    right
}

fn print_one(claim: &Claim) -> bool {
    let (held, failed) = (judge(claim, Case::Claimed), judge(claim, Case::Counter));
    println!("{}", claim.sentence);
    match claim.kernels {
        Kernels::All => {}
        Kernels::Since { version: (major, minor), before } => {
            println!("  since Linux {major}.{minor}; before, {before}");
        }
        Kernels::Between { version: (major, minor), until, otherwise } => {
            let (end, patch) = until;
            println!(
                "  from Linux {major}.{minor} to before {end}.{patch}; else, {otherwise}"
            );
        }
    }
    println!("  source: {}", claim.source);
    println!("  here: {}: {}", held.says.words(), held.why);
    println!(
        "  in the counter-situation ({}): {}: {}",
        claim.counter,
        failed.says.words(),
        failed.why
    );
    is_right(claim, &held) && failed.says == Says::DoesNotHold
}
