//! Threads that share memory as the servers do, and as they may: nothing here is a race, and none may be reported.
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

fn main() {
    let shared = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
    let threads: Vec<_> = (0..8_u64)
        .map(|id| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (numbers, changed) = &*shared;
                for turn in 0..4000 {
                    let mut numbers = numbers.lock().unwrap();
                    numbers.push(turn);
                    if numbers.len() > 10 {
                        numbers.clear();
                        changed.notify_all();
                    } else if (turn + id) % 64 == 0 {
                        let wait = Duration::from_millis(1);
                        numbers = changed.wait_timeout(numbers, wait).unwrap().0;
                        numbers.push(turn);
                    }
                }
            })
        })
        .collect();
    drop(shared);
    for thread in threads {
        thread.join().unwrap();
    }
    // A condition variable without a timeout, and an Arc whose last owner is anyone.
    for turn in 0..300 {
        let shared = Arc::new((Mutex::new(vec![0]), Condvar::new()));
        for _ in 0..2 {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.0.lock().unwrap().push(turn);
                shared.1.notify_one();
            });
        }
        let mut numbers = shared.0.lock().unwrap();
        while numbers.len() < 2 {
            numbers = shared.1.wait(numbers).unwrap();
        }
    }
    // Scoped threads that nobody joins, and what they leave behind.
    for _ in 0..100 {
        let mut left = [0_u64; 3];
        thread::scope(|scope| {
            for place in &mut left {
                scope.spawn(|| *place += 1);
            }
        });
        assert_eq!(left, [1; 3]);
    }
}
