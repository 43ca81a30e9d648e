//! One page that needs nothing else, and the numbers as CSV.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::curves::charts;
use crate::environment::Environment;
use crate::results::{self, Read};
use crate::summary::summary;

/// Draws a result: one HTML file that needs no network, and its numbers as CSV
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// The result: a folder, or its name
    #[arg(value_name = "RESULT")]
    pub result: String,
    /// Another result, drawn over it
    #[arg(long, value_name = "RESULT")]
    pub over: Option<String>,
    /// Folder with the folders of results
    #[arg(long, default_value = "target/harness", value_name = "DIR")]
    pub results: PathBuf,
}

/// Writes `report.html` and `report.csv` into the result's folder.
///
/// # Errors
/// An exit code and a line.
pub fn report(flags: &Flags) -> Result<(), (u8, String)> {
    let folder = results::folder(&flags.results, &flags.result);
    let read = |folder: &Path| results::read(folder).map_err(|line| (flags::REFUSED, line));
    let of = read(&folder)?;
    let over = match &flags.over {
        Some(name) => Some(read(&results::folder(&flags.results, name))?),
        None => None,
    };
    for (name, text) in
        [("report.html", html(&of, over.as_ref())), ("report.csv", csv(&of))]
    {
        let file = folder.join(name);
        fs::write(&file, text)
            .map_err(|error| (flags::FAILED, format!("{}: {error}", file.display())))?;
        println!("{}", file.display());
    }
    Ok(())
}

/// The page.
#[must_use]
pub fn html(of: &Read, over: Option<&Read>) -> String {
    let mut page = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Who waits? A report of the harness</title>\n",
    );
    let _ = write!(page, "<style>\n{STYLE}\n{}</style>\n</head>\n<body>\n", charts::STYLE);
    page += "<main>\n<h1>Who waits? A report of the harness</h1>\n";
    let _ = writeln!(page, "<p>{}</p>", escaped(&in_short(&of.environment)));
    let _ = writeln!(
        page,
        "<p>{} of {} cells, {} s each, rounds: {}. A point is the median of its rounds; the \
         whisker goes from the lowest to the highest. A mark of another shape has a note.</p>",
        of.cells.len(),
        of.plan.cells().len(),
        of.plan.settings.seconds,
        of.plan.rounds
    );
    for chart in charts(of, over) {
        let _ =
            write!(page, "<h2>{}</h2>\n{}", escaped(&chart.title), charts::figure(&chart));
    }
    let _ = writeln!(
        page,
        "<h2>Tables</h2>\n<pre tabindex=\"0\" role=\"region\" aria-label=\"Tables\">{}</pre>",
        escaped(&summary(of))
    );
    let environment = serde_json::to_string_pretty(&of.environment).unwrap_or_default();
    let plan = serde_json::to_string_pretty(&of.plan).unwrap_or_default();
    for (what, text) in [("The machine", environment), ("The plan", plan)] {
        let _ = writeln!(
            page,
            "<h2>{what}</h2>\n<pre tabindex=\"0\" role=\"region\" aria-label=\"{what}\">{}</pre>",
            escaped(&text)
        );
    }
    let _ =
        write!(page, "</main>\n<script>\n{}</script>\n</body>\n</html>\n", charts::SCRIPT);
    page
}

const STYLE: &str = ":root { color-scheme: light dark; }
body { margin: 0; background: Canvas; color: CanvasText; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem; }
pre { overflow-x: auto; font-size: 0.85rem; }
table { font-size: 0.9rem; }
@media print { pre { white-space: pre-wrap; overflow-wrap: anywhere; } table, th, td, td small, td i, caption { font-size: 6.5pt; padding: 1px 2px; white-space: normal; overflow-wrap: anywhere; } }";

fn in_short(environment: &Environment) -> String {
    let Environment { kernel, processor, date, commit, load_before, .. } = environment;
    let of = environment.processors;
    format!(
        "{kernel}; {processor}, {} of {} processors; {date}; commit {commit}; load before: \
         {load_before}",
        of.1, of.0
    )
}

/// Every cell in a line.
#[must_use]
pub fn csv(of: &Read) -> String {
    let mut text = String::from(
        "server,workload,clients,round,ending,came,answered,seconds,rate,p50_us,p99_us,\
         p999_us,max_us,errors,retried,server_processor_s,server_peak_kib,waits,preemptions,\
         minor_faults,established,listen_overflows,listen_drops,tcp_timeouts,retransmitted,\
         generator_busy\n",
    );
    for cell in &of.cells {
        let key = &cell.key;
        let _ = write!(
            text,
            "{},{},{},{},{}",
            key.server,
            key.workload,
            key.clients,
            key.round,
            cell.ending.word()
        );
        match &cell.outcome {
            Some(outcome) => {
                let us = |share| outcome.latency.at(share).as_micros();
                let _ = write!(
                    text,
                    ",{},{},{:.3},{:.1},{},{},{},{},{},{}",
                    outcome.ramp.clients,
                    outcome.answered,
                    outcome.seconds,
                    outcome.rate(),
                    us(0.5),
                    us(0.99),
                    us(0.999),
                    outcome.latency.max().as_micros(),
                    outcome.errors.total(),
                    outcome.retried
                );
            }
            None => text += &",".repeat(10),
        }
        match &cell.usage {
            Some(usage) => {
                let _ = write!(
                    text,
                    ",{:.3},{},{},{},{}",
                    usage.processor,
                    usage.peak_kib,
                    usage.waits,
                    usage.preemptions,
                    usage.minor_faults
                );
            }
            None => text += &",".repeat(5),
        }
        match &cell.network {
            Some(network) => {
                let _ = write!(
                    text,
                    ",{},{},{},{},{}",
                    network.established,
                    network.listen_overflows,
                    network.listen_drops,
                    network.timeouts,
                    network.retransmitted
                );
            }
            None => text += &",".repeat(5),
        }
        let _ = writeln!(text, ",{:.3}", cell.generator_busy());
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
