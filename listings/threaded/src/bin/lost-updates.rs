//! Two threads add 1 a thousand times each. A barrier puts them in step, so that what
//! otherwise happens now and then happens every time.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;

const TIMES: usize = 1000;

fn main() -> ExitCode {
    println!("two threads add 1, {TIMES} times each:");
    println!("read, then write       {:>5}", read_then_write());
    println!("one step, fetch_add    {:>5}", fetch_add());
    println!("under a lock           {:>5}", under_a_lock());
    ExitCode::SUCCESS
}

/// Does something in two threads, a thousand times each.
fn in_two_threads(step: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..TIMES).for_each(|_| step()));
        }
    });
}

// ANCHOR: read-then-write
fn read_then_write() -> u32 {
    let (number, in_step) = (AtomicU32::new(0), Barrier::new(2));
    in_two_threads(|| {
        let seen = number.load(Ordering::Relaxed);
        in_step.wait(); // both have read
        number.store(seen + 1, Ordering::Relaxed);
        in_step.wait(); // both have written
    });
    number.into_inner()
}
// ANCHOR_END: read-then-write

// ANCHOR: right
fn fetch_add() -> u32 {
    let (number, in_step) = (AtomicU32::new(0), Barrier::new(2));
    in_two_threads(|| {
        in_step.wait();
        number.fetch_add(1, Ordering::Relaxed);
    });
    number.into_inner()
}

fn under_a_lock() -> u32 {
    let (number, in_step) = (Mutex::new(0), Barrier::new(2));
    in_two_threads(|| {
        in_step.wait();
        let mut number = number.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = *number; // nobody else reads it now
        *number = seen + 1;
    });
    number.into_inner().unwrap_or_else(PoisonError::into_inner)
}
// ANCHOR_END: right
