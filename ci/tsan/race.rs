//! Two races, by name. Each must be reported, or the sanitizer says nothing of the servers.
use std::sync::{Arc, Mutex};
use std::thread;

static mut SERVED: u64 = 0;

/// Two threads count without a lock.
fn counter() {
    // SAFETY: none: this is the race.
    unsafe { *(&raw mut SERVED) += 1 };
}

/// One thread writes under a lock, the other reads beside it.
fn beside_the_lock(lock: &Mutex<u64>, at: usize) {
    for turn in 0..1000 {
        if thread::current().name() == Some("a") {
            *lock.lock().unwrap() = turn;
        } else {
            // SAFETY: none: this is the race.
            std::hint::black_box(unsafe { *(at as *const u64) });
        }
    }
}

fn main() {
    let which = std::env::args().nth(1).expect("counter or lock");
    let lock = Arc::new(Mutex::new(0_u64));
    let at = std::ptr::from_mut(&mut *lock.lock().unwrap()) as usize;
    let threads = ["a", "b"].map(|name| {
        let (lock, which) = (Arc::clone(&lock), which.clone());
        let thread = thread::Builder::new().name(name.into());
        thread.spawn(move || match which.as_str() {
            "counter" => (0..1000).for_each(|_| counter()),
            _ => beside_the_lock(&lock, at),
        })
    });
    for thread in threads {
        thread.unwrap().join().unwrap();
    }
}
