//! What is asked of each exercise's answer.

mod completions;
mod processes;
mod readiness;
mod threads;

use crate::bench::{Bench, Checked, Fault};

/// What looks at an answer.
type Check = fn(&Bench) -> Checked;

/// The checks, by the names of the exercises.
#[rustfmt::skip]
pub static CHECKS: &[(&str, Check)] = &[
    ("select-refill", readiness::select_refill),
    ("select-door", readiness::select_door),
    ("select-wait", readiness::select_wait),
    ("select-send", readiness::select_send),
    ("poll-two", readiness::poll_two),
    ("poll-send", readiness::poll_send),
    ("poll-drain", readiness::poll_drain),
    ("poll-retire", readiness::poll_retire),
    ("epoll-loop", readiness::epoll_loop),
    ("epoll-ctl", readiness::epoll_ctl),
    ("epoll-triggers", readiness::epoll_triggers),
    ("aio-one-read", readiness::aio_one_read),
    ("aio-eventfd", readiness::aio_eventfd),
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
