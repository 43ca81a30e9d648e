//! What is asked of each exercise's answer.

mod completions;
mod processes;
mod readiness;
mod threads;

use tempfile::TempDir;

use crate::bench::{Bench, Checked, Fault, Server};
use crate::ran::{Ran, fails};

/// What looks at an answer.
type Check = fn(&Bench) -> Checked;

/// The checks, by the names of the exercises.
#[rustfmt::skip]
pub static CHECKS: &[(&str, Check)] = &[
    ("read-usage", processes::read_usage),
    ("read-watch", processes::read_watch),
    ("read-first", processes::read_first),
    ("read-forget", processes::read_forget),
    ("app-path", processes::app_path),
    ("app-escape", processes::app_escape),
    ("app-driver", processes::app_driver),
    ("app-route", processes::app_route),
    ("iterative-accept", processes::iterative_accept),
    ("iterative-deadline", processes::iterative_deadline),
    ("iterative-close", processes::iterative_close),
    ("iterative-drain", processes::iterative_drain),
    ("forking-reap", processes::forking_reap),
    ("forking-close", processes::forking_close),
    ("forking-twice", processes::forking_twice),
    ("forking-cap", processes::forking_cap),
    ("preforked-pace", processes::preforked_pace),
    ("preforked-replace", processes::preforked_replace),
    ("preforked-queues", processes::preforked_queues),
    ("threaded-lost", threads::threaded_lost),
    ("threaded-place", threads::threaded_place),
    ("threaded-spawn", threads::threaded_spawn),
    ("threaded-shelf", threads::threaded_shelf),
    ("prethreaded-pop", threads::prethreaded_pop),
    ("prethreaded-push", threads::prethreaded_push),
    ("prethreaded-told", threads::prethreaded_told),
    ("prethreaded-survive", threads::prethreaded_survive),
    ("clone-pipe", processes::clone_pipe),
    ("clone-ways", processes::clone_ways),
    ("trace-waited", threads::trace_waited),
    ("trace-begins", threads::trace_record),
    ("trace-belongs", threads::trace_record),
    ("framework-blocks", threads::framework_blocks),
    ("framework-find", threads::framework_find),
    ("framework-goodbye", threads::framework_goodbye),
    ("select-refill", readiness::select_refill),
    ("select-door", readiness::select_door),
    ("select-wait", readiness::select_wait),
    ("select-send", readiness::select_send),
    ("poll-two", readiness::poll_two),
    ("poll-send", readiness::poll_send),
    ("poll-drain", readiness::poll_drain),
    ("poll-retire", readiness::poll_retire),
    ("epoll-serve", readiness::epoll_serve),
    ("epoll-ctl", readiness::epoll_ctl),
    ("epoll-triggers", readiness::epoll_triggers),
    ("epoll-dispatch", readiness::epoll_dispatch),
    ("aio-one-read", readiness::aio_one_read),
    ("aio-eventfd", readiness::aio_eventfd),
    ("aio-judge", readiness::aio_judge),
    ("aio-alignment", readiness::aio_alignment),
    ("stall-fsync", threads::stall_fsync),
    ("stall-late", threads::stall_late),
    ("pool-now", threads::pool_now),
    ("pool-serve", threads::pool_serve),
    ("pool-end", threads::pool_end),
    ("pool-beside", threads::pool_beside),
    ("ftp-join", threads::ftp_join),
    ("ftp-telnet", threads::ftp_telnet),
    ("ftp-short", threads::ftp_short),
    ("ring-take", completions::ring_take),
    ("ring-give-up", completions::ring_give_up),
    ("ring-queue", completions::ring_queue),
    ("ring-chain", completions::ring_chain),
    ("uring-alarm", completions::uring_alarm),
    ("uring-sent", completions::uring_sent),
    ("uring-leave", completions::uring_leave),
    ("cost-filter", completions::cost_filter),
    ("cost-calls", completions::cost_calls),
    ("executor-poll", completions::executor_poll),
    ("executor-sleep", completions::executor_sleep),
    ("executor-race", completions::executor_race),
    ("executor-push", completions::executor_push),
    ("load-open", threads::load_open),
    ("load-latency", threads::load_latency),
    ("harness-turns", threads::harness_turns),
    ("harness-resume", threads::harness_resume),
];

/// Checks what lies on the bench.
///
/// # Errors
/// Why it does not pass.
pub fn check(bench: &Bench) -> Checked {
    let name = bench.exercise.name.as_str();
    match CHECKS.iter().find(|(known, _)| *known == name) {
        Some((_, check)) => check(bench),
        None => Err(Fault::Trouble(format!("nobody has written a check for {name}"))),
    }
}

/// What a served folder has: `small.txt`, and `large.bin`.
const SMALL: &[u8] = b"small\n";
/// More than the buffers of both ends take, in bytes.
const LARGE: usize = 16 << 20;

fn large() -> Vec<u8> {
    (0..(LARGE / 8) as u64).flat_map(u64::to_be_bytes).collect()
}

/// A folder to be served, and the flags of a server that serves it.
fn serves(flags: &[&str]) -> Result<(TempDir, Vec<String>), Fault> {
    let trouble = |error: std::io::Error| Fault::Trouble(error.to_string());
    let folder = tempfile::tempdir().map_err(trouble)?;
    std::fs::write(folder.path().join("small.txt"), SMALL).map_err(trouble)?;
    std::fs::write(folder.path().join("large.bin"), large()).map_err(trouble)?;
    let root = folder.path().to_string_lossy();
    let all = ["--listen", "127.0.0.1:0", "--root", &root];
    let all = all.iter().chain(flags).map(|flag| (*flag).to_owned()).collect();
    Ok((folder, all))
}

/// A server of such a folder, while it is asked.
fn served(
    bench: &Bench,
    bin: &str,
    flags: &[&str],
    ask: impl FnOnce(&Server) -> Checked + Send,
) -> Result<Ran, Fault> {
    let (_folder, flags) = serves(flags)?;
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    bench.serve(bin, &flags, ask)
}

/// A client has to be sent this, and nothing else.
fn same(content: &[u8], wanted: &[u8]) -> Checked {
    if content == wanted {
        return Ok(());
    }
    let at = content.iter().zip(wanted).position(|(a, b)| a != b);
    let at = at.unwrap_or(content.len().min(wanted.len()));
    fails(format!(
        "a client is sent {} bytes in the place of {}, and they differ from byte {at} on",
        content.len(),
        wanted.len()
    ))
}

/// A listing that says that it cannot run here cannot be checked here.
fn can_run(ran: &Ran) -> Checked {
    match (ran.killed, ran.status.code(), ran.said.lines().next()) {
        (None, Some(2), Some(why)) => Err(Fault::Skipped(why.to_owned())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn each_exercise_has_a_check_and_each_check_an_exercise() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut exercises: Vec<String> = runs::exercises::load(&root)
            .expect("they are well written")
            .into_keys()
            .collect();
        let mut checks: Vec<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
        checks.sort_unstable();
        exercises.sort_unstable();
        assert_eq!(exercises, checks);
    }
}
