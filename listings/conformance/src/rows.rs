//! The rows of the fault table: what each injects, what must hold, and the function that
//! tries it.

mod accept;
mod crowd;
mod early;
mod fairness;
mod flood;
mod fork_fails;
mod half_close;
mod head;
mod heads;
mod idle;
mod interrupts;
mod killed;
mod load;
mod odd_files;
mod races;
mod refusals;
mod reset;
mod side_by_side;
mod sigterm;
mod sizes;
mod slow_reader;
mod slowloris;
mod smuggling;
mod splits;
mod store;
mod traversal;

use self::side_by_side::Cases;
use crate::model::{Lack, Model};
use crate::report::{Report, Tier, Verdict};
use crate::server::Server;

/// Tries a row, or one tier of it, against a server.
pub type Run = fn(&Model) -> Result<Report, String>;
/// The same with the path of a tool that has to be installed.
pub type RunWith = fn(&Model, &str) -> Result<Report, String>;

/// One row of the fault table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its number.
    pub number: u8,
    /// What goes wrong.
    pub fault: &'static str,
    /// What must hold all the same.
    pub must_hold: &'static str,
    /// The part that runs in `cargo test`, and longer with `WHO_WAITS_LONG=1`. None: the
    /// row is still to be written.
    pub run: Option<Run>,
    /// The part that runs in `.ci/run`: the variable that names the tool, and the function.
    pub with_tool: Option<(&'static str, RunWith)>,
    /// A server is tried in each of its forms, which differ in how they wait.
    pub forms: bool,
}

/// Every row, in the order of the book.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    row(1, "valid and invalid heads; the same against httparse and nginx", "valid served, invalid 4xx or 5xx and closed", Some(head::run), Some(("WHO_WAITS_NGINX", head::against_nginx))),
    row(2, "a request cut in two or more anywhere", "the same bytes come back", Some(splits::run), None),
    row(3, "fuzzed input, whole and in parts", "the same, and no crash", None, None),
    row(4, "request smuggling", "refused and closed, no second response", Some(smuggling::run), None),
    row(5, "large heads and large bodies", "served, 431, 413; memory bounded", Some(sizes::run), None),
    row(6, "traversal out of the root", "nothing outside is ever served", Some(traversal::run), None),
    row(7, "EINTR, EAGAIN, short reads and writes", "every request right", Some(interrupts::run), Some(("WHO_WAITS_STRACE", interrupts::injected))).in_each_form(),
    row(8, "accept fails: EMFILE, ENFILE, ENOMEM, ECONNABORTED", "lives, does not spin, serves those who waited", Some(accept::run), Some(("WHO_WAITS_STRACE", accept::injected))).in_each_form(),
    row(9, "fork and clone fail: EAGAIN, ENOMEM", "that client is dropped, nothing else", Some(fork_fails::run), Some(("WHO_WAITS_STRACE", fork_fails::injected))).in_each_form(),
    row(10, "a reset in the middle of a response", "healthy", Some(reset::run), None),
    row(11, "a slow reader", "bounded memory; the write deadline fires", Some(slow_reader::run), None),
    row(12, "slowloris, head and body", "gone by the deadline", Some(slowloris::run), None),
    row(13, "half-close after the request", "the full response", Some(half_close::run), None),
    row(14, "10,000 pipelined requests, never reading", "output capped, reading pauses", Some(flood::run), None).in_each_form(),
    row(15, "store down, slow, garbage, half a reply", "503 within the deadline; files unaffected", Some(store::run), None).in_each_form(),
    row(16, "SIGTERM under load", "what was heard is answered, the queue drained, exit 0", Some(sigterm::run), None).in_each_form(),
    row(17, "SIGKILL of a preforked worker", "respawned; only its connection lost", Some(killed::run), None).in_each_form(),
    row(18, "disk full, kill during append", "nothing torn, nothing acknowledged lost", None, None),
    row(19, "io_uring refused; no locked memory", "one line, exit 2", None, None),
    row(20, "EBUSY, EINTR, EAGAIN; full rings", "no lost completion", None, None),
    row(21, "a ring dropped with operations in flight", "drained, no use after free", None, None),
    row(22, "AIO exhausted; O_DIRECT refused; odd sizes", "a clear message; the right bytes", None, None),
    row(23, "races", "none", Some(races::run), None),
    row(24, "a server that stalls under the load generator", "the stall shows; counts exact", None, None),
    row(25, "attacks on the book's own server", "refused; no child left", None, None),
    row(26, "odd files: FIFO, device; truncated, replaced, deleted", "refused; connection ends; new content served", Some(odd_files::run), None).in_each_form(),
    row(27, "413 and 431 to a client that is still sending", "the client reads the response", Some(refusals::run), None).in_each_form(),
    row(28, "a greedy client", "the others are served meanwhile", Some(fairness::run), None).in_each_form(),
    row(29, "nothing to do", "no wake-up, no tick of processor time", Some(idle::run), None).in_each_form(),
];

const fn row(
    number: u8,
    fault: &'static str,
    must_hold: &'static str,
    run: Option<Run>,
    with_tool: Option<(&'static str, RunWith)>,
) -> Row {
    Row { number, fault, must_hold, run, with_tool, forms: false }
}

impl Row {
    /// The same row, in each form of a server.
    const fn in_each_form(self) -> Self {
        Self { forms: true, ..self }
    }
}

/// The row with this number.
pub fn row_number(number: u8) -> Result<&'static Row, String> {
    ROWS.iter()
        .find(|row| row.number == number)
        .ok_or_else(|| format!("there is no row {number}"))
}

/// Runs a row for a server's own tests: leaves the verdict for the matrix, and panics when
/// the row fails.
pub fn check(model: &Model, number: u8) {
    conclude(model, number, Tier::of_this_run(), try_row(model, number));
}

/// The same as one of the tests of a whole suite: rows that mostly wait are begun before
/// their turn.
pub fn check_in_suite(model: &Model, number: u8) {
    let outcome = early::outcome(model, number).unwrap_or_else(|| try_row(model, number));
    conclude(model, number, Tier::of_this_run(), outcome);
}

/// Tries a row, where it asks for that in each form of the server.
pub fn try_row(model: &Model, number: u8) -> Result<Report, String> {
    let row = row_number(number)?;
    let run = row.run.ok_or_else(|| format!("row {number} is not written yet"))?;
    if !(row.forms && model.has_whole_forms()) {
        return unless_refused(model, run);
    }
    in_each_form(model, |form| unless_refused(form, run))
}

/// Where the kernel lets this form of a server have no ring, its row is skipped, and says so.
fn unless_refused(
    model: &Model,
    run: impl Fn(&Model) -> Result<Report, String>,
) -> Result<Report, String> {
    run(model).or_else(|why| match Server::refusal(model) {
        Some(said) => Ok(Report::refused(said)),
        None => Err(why),
    })
}

/// Tries a row with a server and with each of its other forms, side by side: one report,
/// with the notes of the first.
fn in_each_form(
    model: &Model,
    run: impl Fn(&Model) -> Result<Report, String> + Sync,
) -> Result<Report, String> {
    let forms: Vec<(String, Model)> = model.other_forms().collect();
    let (mut cases, run) = (Cases::new(), &run);
    cases.add(String::new(), move || run(model));
    for (name, form) in &forms {
        cases.add(name.clone(), move || run(form));
    }
    let mut failures = Vec::new();
    let mut all: Option<Report> = None;
    for (form, outcome) in cases.run_at_most(2) {
        let named = |text: &str| format!("{form} {text}").trim_start().to_owned();
        match (&mut all, outcome) {
            (_, Err(why)) => failures.push(named(&why)),
            (None, Ok(report)) => all = Some(report),
            (Some(all), Ok(report)) if report.verdict == Verdict::NotApplicable => {
                all.refused.extend(report.refused.iter().map(|refused| named(refused)));
            }
            // What the first form does not have, another one may.
            (Some(all), Ok(report)) if all.verdict == Verdict::NotApplicable => {
                let refused = std::mem::take(&mut all.refused);
                let note = match report.note.as_str() {
                    "" => format!("with {form}"),
                    note => format!("with {form}: {note}"),
                };
                *all = Report { note, refused, ..report };
            }
            (Some(all), Ok(report)) => {
                all.cases += report.cases;
                all.skipped.extend(report.skipped.iter().map(|skipped| named(skipped)));
                all.lacking.extend(report.lacking);
            }
        }
    }
    match all {
        Some(report) if failures.is_empty() => Ok(report),
        _ => Err(failures.join("\n")),
    }
}

/// Runs the part of a row that needs an installed tool, if the environment names it; prints
/// a skip otherwise.
pub fn check_with_tool(model: &Model, number: u8) {
    let row = row_number(number).unwrap_or_else(|why| panic!("{why}"));
    let Some((variable, run)) = row.with_tool else { panic!("row {number} needs no tool") };
    match std::env::var(variable) {
        Ok(tool) if row.forms && model.has_whole_forms() => {
            let run = |form: &Model| unless_refused(form, |form| run(form, &tool));
            conclude(model, number, Tier::Ci, in_each_form(model, run));
        }
        Ok(tool) => {
            let outcome = unless_refused(model, |model| run(model, &tool));
            conclude(model, number, Tier::Ci, outcome);
        }
        Err(_) => flags::skipped(format_args!(
            "row {number} with a tool: {variable} does not name its program"
        )),
    }
}

/// What a server lacks must have been seen failing, and nothing else.
fn without_lacks(
    model: &Model,
    number: u8,
    tier: Tier,
    report: Report,
) -> Result<Report, String> {
    let (here, elsewhere): (Vec<&Lack>, Vec<&Lack>) =
        report.lacking.iter().partition(|lack| lack.row == number);
    if let Some(lack) = elsewhere.first() {
        let (case, row) = (lack.case, lack.row);
        return Err(format!("\"{case}\" fails, which is known of row {row} only"));
    }
    let known = model.lacks.iter().filter(|lack| lack.row == number);
    let mut notes: Vec<&str> = Vec::new();
    // With a tool it is another table, of which it may have nothing.
    for lack in known.filter(|lack| lack.only_with_tool == (tier == Tier::Ci)) {
        let is_this = |seen: &&Lack| (seen.case, seen.how) == (lack.case, lack.how);
        if !lack.by_chance && !here.iter().any(is_this) {
            return Err(format!("\"{}\" holds: it lacks nothing there", lack.case));
        }
        if !notes.contains(&lack.why) {
            notes.push(lack.why);
        }
    }
    match notes.is_empty() {
        true => Ok(report),
        false => {
            let notes = [&[report.note.as_str()][..], &notes].concat();
            let notes: Vec<&str> = notes.into_iter().filter(|n| !n.is_empty()).collect();
            let (verdict, note) = (Verdict::Lacking, notes.join("; "));
            Ok(Report { verdict, note, ..report })
        }
    }
}

fn conclude(model: &Model, number: u8, tier: Tier, outcome: Result<Report, String>) {
    match outcome.and_then(|report| without_lacks(model, number, tier, report)) {
        Ok(report) => {
            for skipped in report.skipped.iter().chain(&report.refused) {
                flags::skipped(format_args!("row {number}: {skipped}"));
            }
            if report.cases == 0 && !report.refused.is_empty() {
                return; // nothing was tried: it is no verdict
            }
            report
                .record(&model.verdicts, model.name, number, tier)
                .unwrap_or_else(|error| panic!("the verdict of row {number}: {error}"));
        }
        Err(why) => {
            // An older verdict would be a lie now.
            let _ = std::fs::remove_file(crate::report::verdict_file(
                &model.verdicts,
                model.name,
                number,
                tier,
            ));
            panic!("{} does not hold row {number}: {why}", model.name);
        }
    }
}
