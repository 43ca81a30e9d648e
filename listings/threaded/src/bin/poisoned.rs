//! A visitors' book in shared memory, under a lock. Four clients sign it, each in a thread of
//! its own, and the second one's thread panics with the lock in its hand.

use std::panic::set_hook;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard};
use std::thread;

/// How many have signed, and who.
// ANCHOR: book
#[derive(Default)]
struct Book {
    number: usize,
    names: Vec<usize>,
}

fn sign(book: &mut Book, client: usize) {
    book.number += 1;
    assert_ne!(client, 2, "a mistake that this client's request brings to light");
    book.names.push(client);
}
// ANCHOR_END: book

fn main() -> ExitCode {
    // The default one prints where; what comes of it is printed below.
    set_hook(Box::new(|_| {}));
    println!("lock().unwrap()    {}", four_clients(unwrapped));
    println!("the book mended    {}", four_clients(mended));
    ExitCode::SUCCESS
}

// ANCHOR: locks
fn unwrapped(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap()
}

fn mended(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(|poisoned| {
        let mut half_changed = poisoned.into_inner();
        half_changed.number = half_changed.names.len();
        book.clear_poison();
        half_changed
    })
}
// ANCHOR_END: locks

/// What becomes of four clients, one after another.
fn four_clients(lock: fn(&Mutex<Book>) -> MutexGuard<'_, Book>) -> String {
    let book = Mutex::new(Book::default());
    let served = |client| {
        let outcome =
            thread::scope(|scope| scope.spawn(|| sign(&mut lock(&book), client)).join());
        format!("{client} {}", if outcome.is_ok() { "served" } else { "lost" })
    };
    [1, 2, 3, 4].map(served).join(", ")
}
