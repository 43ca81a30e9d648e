//! The same reads by fio, the program with which disks are measured.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::engine::Plan;
use super::report::{Case, Engine, Latency, Reader, Round, Way};

/// Its version.
///
/// # Errors
/// One line: it is not there.
pub fn version() -> Result<String, String> {
    let output = Command::new("fio").arg("--version").stdin(Stdio::null()).output();
    let output = output.map_err(|error| {
        format!("cannot run fio: {error}; install it with your package manager, or leave --against-fio away")
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What fio calls this engine; none where it has no such.
fn engine(engine: Engine) -> Option<&'static str> {
    match engine {
        Engine::Blocking => Some("psync"),
        Engine::Pool => None,
        Engine::Aio => Some("libaio"),
        Engine::IoUring => Some("io_uring"),
    }
}

/// Its command line. A read that blocks has a depth of one, so there are more threads instead.
fn arguments(plan: &Plan<'_>) -> Option<Vec<String>> {
    let Case { engine: who, way, depth, block } = plan.case;
    let (jobs, depth) = if who == Engine::Blocking { (depth, 1) } else { (1, depth) };
    let words = [
        "--name=reads".to_owned(),
        format!("--filename={}", plan.scratch.path().display()),
        format!("--size={}", plan.scratch.size),
        "--readonly".into(),
        "--rw=randread".into(),
        format!("--bs={block}"),
        format!("--ioengine={}", engine(who)?),
        format!("--numjobs={jobs}"),
        format!("--iodepth={depth}"),
        "--thread".into(),
        "--group_reporting".into(),
        format!("--direct={}", u8::from(way == Way::Direct)),
        // It would throw away what is to be found in the page cache.
        "--invalidate=0".into(),
        // A place may come twice, as with us; and every run has other places.
        "--norandommap".into(),
        "--randrepeat=0".into(),
        "--time_based".into(),
        format!("--runtime={}ms", plan.time.as_millis().max(1)),
        // From asking until it is there, as with us.
        "--clat_percentiles=0".into(),
        "--lat_percentiles=1".into(),
        "--percentile_list=50:99:99.9".into(),
        "--output-format=json".into(),
    ];
    Some(words.into())
}

/// One round of a cell; none where fio has no such engine.
///
/// # Errors
/// In a line: what fio says.
pub fn measure(plan: &Plan<'_>) -> Result<Option<Round>, String> {
    let Some(arguments) = arguments(plan) else { return Ok(None) };
    let output = Command::new("fio").args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("fio: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let line =
            said.lines().find(|line| !line.is_empty()).unwrap_or("it does not say why");
        return Err(format!("fio ended with {}: {line}", output.status));
    }
    parse(&String::from_utf8_lossy(&output.stdout), plan.case, plan.round).map(Some)
}

#[derive(Deserialize)]
struct Output {
    jobs: Vec<Job>,
}

#[derive(Deserialize)]
struct Job {
    error: i32,
    read: Read,
}

#[derive(Deserialize)]
struct Read {
    iops: f64,
    total_ios: u64,
    /// In milliseconds.
    runtime: u64,
    lat_ns: Times,
}

#[derive(Deserialize)]
struct Times {
    max: u64,
    #[serde(default)]
    percentile: BTreeMap<String, u64>,
}

/// What it prints. A warning may stand before the JSON.
fn parse(text: &str, case: Case, round: u32) -> Result<Round, String> {
    let strange =
        |why: &dyn std::fmt::Display| format!("fio prints something unknown: {why}");
    let json = text.find('{').map_or(text, |at| &text[at..]);
    let output: Output = serde_json::from_str(json).map_err(|error| strange(&error))?;
    let job = output.jobs.first().ok_or_else(|| strange(&"no job"))?;
    if job.error != 0 {
        let error = std::io::Error::from_raw_os_error(job.error);
        return Err(format!("a read by fio failed: {error}"));
    }
    let Read { iops, total_ios, runtime, lat_ns } = &job.read;
    let within = |part: &str| {
        let nanoseconds = lat_ns.percentile.get(part).copied();
        nanoseconds.map(|ns| ns as f64 / 1e3).ok_or_else(|| strange(&"no percentiles"))
    };
    Ok(Round {
        case,
        reader: Reader::Fio,
        round,
        reads: *total_ios,
        seconds: *runtime as f64 / 1e3,
        per_second: *iops,
        latency_us: Latency {
            p50: within("50.000000")?,
            p99: within("99.000000")?,
            p999: within("99.900000")?,
            max: lat_ns.max as f64 / 1e3,
        },
        cpu_us: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: Case =
        Case { engine: Engine::Aio, way: Way::Direct, depth: 4, block: 4096 };

    #[test]
    fn what_fio_prints_becomes_a_round() {
        let text = r#"fio: a warning
            {"fio version": "fio-3.33", "jobs": [{"jobname": "x", "error": 0, "read": {
                "iops": 2500.5, "total_ios": 5001, "runtime": 2000, "slat_ns": {"min": 0},
                "lat_ns": {"min": 1, "max": 9000000, "percentile":
                    {"50.000000": 1500, "99.000000": 20000, "99.900000": 300000}}}}]}"#;
        let round = parse(text, CASE, 3).unwrap();
        assert_eq!((round.reader, round.round, round.reads), (Reader::Fio, 3, 5001));
        assert_eq!((round.per_second, round.seconds), (2500.5, 2.0));
        let Latency { p50, p99, p999, max } = round.latency_us;
        assert_eq!([p50, p99, p999, max], [1.5, 20.0, 300.0, 9000.0]);
    }

    #[test]
    fn what_it_does_not_say_is_not_invented() {
        assert!(parse("", CASE, 1).is_err());
        assert!(parse(r#"{"jobs": []}"#, CASE, 1).is_err());
        let failed = r#"{"jobs": [{"error": 5, "read": {"iops": 0, "total_ios": 0,
            "runtime": 0, "lat_ns": {"max": 0}}}]}"#;
        assert!(parse(failed, CASE, 1).unwrap_err().contains("failed"));
        let without = failed.replace("\"error\": 5", "\"error\": 0");
        assert!(parse(&without, CASE, 1).unwrap_err().contains("no percentiles"));
    }
}
