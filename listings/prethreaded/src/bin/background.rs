//! A thread in the background looks every two seconds whether it is to end, and is told so
//! after 2.3 s: in a loop around sleep, and at a condition variable.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

// ANCHOR: sleeps
const PAUSE: Duration = Duration::from_secs(2);
const LATER: Duration = Duration::from_millis(2300);

fn sleeps(over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        thread::sleep(PAUSE);
    }
}
// ANCHOR_END: sleeps

// ANCHOR: waits
fn waits(over: &Mutex<bool>, told: &Condvar) {
    let mut is_over = over.lock().unwrap_or_else(PoisonError::into_inner);
    while !*is_over {
        let waited = told.wait_timeout(is_over, PAUSE);
        is_over = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
}
// ANCHOR_END: waits

fn main() -> ExitCode {
    println!("told to end, it ends after");
    let over = AtomicBool::new(false);
    let sleeper = until_it_ends(|| sleeps(&over), || over.store(true, Ordering::Relaxed));
    println!("a loop around sleep {sleeper:>6.1} s");

    let (over, told) = (Mutex::new(false), Condvar::new());
    let tell = || {
        *over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        told.notify_one();
    };
    println!("wait with a timeout {:>6.1} s", until_it_ends(|| waits(&over, &told), tell));
    ExitCode::SUCCESS
}

/// Starts it, tells it to end, and returns how many seconds that takes.
fn until_it_ends(background: impl FnOnce() + Send, tell: impl FnOnce()) -> f64 {
    thread::scope(|scope| {
        let thread = scope.spawn(background);
        thread::sleep(LATER);
        let begun = Instant::now();
        tell();
        // It has no reason to panic, and scope would say so.
        let _ = thread.join();
        begun.elapsed().as_secs_f64()
    })
}
