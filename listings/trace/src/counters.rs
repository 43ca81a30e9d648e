//! What `/proc` says about a thread that stands still.

use std::fs;
use std::io;

use crate::Counters;

/// The scheduler's counters of a thread.
///
/// # Errors
/// What open(2) answers: the thread is gone. A kernel without `CONFIG_SCHED_INFO` has no
/// schedstat; then all times are 0.
pub fn of(thread: i32) -> io::Result<Counters> {
    let status = fs::read_to_string(format!("/proc/{thread}/status"))?;
    let times = fs::read_to_string(format!("/proc/{thread}/schedstat")).unwrap_or_default();
    Ok(parsed(&status, &times))
}

/// The process that a thread belongs to, and its name.
///
/// # Errors
/// What open(2) answers: the thread is gone.
pub fn identity(thread: i32) -> io::Result<(i32, String)> {
    let status = fs::read_to_string(format!("/proc/{thread}/status"))?;
    let process = field(&status, "Tgid").and_then(|number| number.parse().ok());
    let name = field(&status, "Name").unwrap_or_default().to_owned();
    Ok((process.unwrap_or(thread), name))
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = status.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn parsed(status: &str, times: &str) -> Counters {
    let mut times = times.split_whitespace().map(|word| word.parse().unwrap_or(0));
    let (ran, queued) = (times.next().unwrap_or(0), times.next().unwrap_or(0));
    let slept = field(status, "voluntary_ctxt_switches");
    Counters { ran, queued, slept: slept.and_then(|n| n.parse().ok()).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_stand_where_proc_says() {
        let status = "Name:\ta (b)\nTgid:\t12\nPid:\t13\n\
            voluntary_ctxt_switches:\t42\nnonvoluntary_ctxt_switches:\t7\n";
        let counters = parsed(status, "1234567 89 10\n");
        assert_eq!(counters, Counters { ran: 1_234_567, queued: 89, slept: 42 });
        assert_eq!(field(status, "Tgid"), Some("12"));
        assert_eq!(field(status, "Name"), Some("a (b)"));
        assert_eq!(parsed("", ""), Counters::default());
        assert!(of(i32::MAX).is_err());
    }
}
