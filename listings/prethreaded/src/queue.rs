//! From the thread that accepts to the threads that serve.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Clients that were accepted and that nobody serves yet.
// ANCHOR: queue
#[derive(Debug)]
pub struct Queue<T = OwnedFd> {
    waiting: Mutex<Waiting<T>>,
    room: usize,
    one_has_come: Condvar,
    one_has_left: Condvar,
}

#[derive(Debug)]
struct Waiting<T> {
    items: VecDeque<T>,
    /// How many threads are here with an item, and how many for one.
    givers: usize,
    takers: usize,
    closed: bool,
}
// ANCHOR_END: queue

impl<T> Queue<T> {
    /// A queue with room for so many.
    pub fn new(room: usize) -> Self {
        let waiting =
            Waiting { items: VecDeque::new(), givers: 0, takers: 0, closed: false };
        Self {
            waiting: Mutex::new(waiting),
            room,
            one_has_come: Condvar::new(),
            one_has_left: Condvar::new(),
        }
    }

    // ANCHOR: push
    /// Puts one in, and waits until there is room for it.
    pub fn push(&self, item: T) {
        let is_full = |waiting: &mut Waiting<T>| waiting.items.len() >= self.room;
        let mut waiting = self.waiting();
        waiting.givers += 1;
        let waited = self.one_has_left.wait_while(waiting, is_full);
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner);
        waiting.givers -= 1;
        waiting.items.push_back(item);
        drop(waiting);
        self.one_has_come.notify_one();
    }
    // ANCHOR_END: push

    // ANCHOR: pop
    /// Takes the one that has waited longest, and waits until there is one; none when the
    /// queue is closed and empty.
    pub fn pop(&self) -> Option<T> {
        let is_empty =
            |waiting: &mut Waiting<T>| waiting.items.is_empty() && !waiting.closed;
        let mut waiting = self.waiting();
        waiting.takers += 1;
        let waited = self.one_has_come.wait_while(waiting, is_empty);
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner);
        waiting.takers -= 1;
        let item = waiting.items.pop_front();
        drop(waiting);
        self.one_has_left.notify_one();
        item
    }
    // ANCHOR_END: pop

    /// No more will come: whoever waits in [`Queue::pop`] is told.
    pub fn close(&self) {
        self.waiting().closed = true;
        self.one_has_come.notify_all();
    }

    /// Whether somebody is in the queue, or about to be, for whom no thread is free. (One that is free may
    /// still be on its way to the item that was put in for it.)
    // ANCHOR: somebody-waits
    pub fn somebody_waits(&self) -> bool {
        let waiting = self.waiting();
        waiting.items.len() + waiting.givers > waiting.takers
    }
    // ANCHOR_END: somebody-waits

    /// Nothing that is done under this lock can panic halfway.
    fn waiting(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_pushes_waits_for_room_and_who_pops_for_an_item_or_the_end() {
        let queue = Queue::new(2);
        thread::scope(|scope| {
            let (pushed, is_pushed) = channel();
            scope.spawn(|| {
                for number in 1..=3 {
                    queue.push(number);
                    pushed.send(number).expect("we listen");
                }
                queue.close();
                drop(pushed);
            });
            assert_eq!((is_pushed.recv(), is_pushed.recv()), (Ok(1), Ok(2)));
            let no_room = is_pushed.recv_timeout(Duration::from_millis(100));
            assert_eq!(no_room, Err(RecvTimeoutError::Timeout));
            assert!(queue.somebody_waits());
            assert_eq!(queue.pop(), Some(1));
            assert_eq!(is_pushed.recv(), Ok(3), "now there is");
            assert_eq!([queue.pop(), queue.pop(), queue.pop()], [Some(2), Some(3), None]);
        });
        assert!(!queue.somebody_waits());
    }

    #[test]
    fn who_is_woken_and_comes_second_waits_again() {
        let (queue, over) = (Queue::new(4), AtomicBool::new(false));
        let taken: usize = thread::scope(|scope| {
            let takers = [(); 3].map(|()| {
                scope.spawn(|| {
                    let taken = std::iter::from_fn(|| queue.pop()).count();
                    let is_over = over.load(Ordering::SeqCst);
                    assert!(
                        is_over,
                        "a thread is told that the queue is closed, and it is not"
                    );
                    taken
                })
            });
            for number in 0..5_000 {
                queue.push(number);
                if takers.iter().all(|taker| taker.is_finished()) {
                    break; // nobody would ever make room
                }
            }
            over.store(true, Ordering::SeqCst);
            queue.close();
            takers.map(|taker| taker.join().expect("it is told so at the end")).iter().sum()
        });
        assert_eq!(taken, 5_000);
    }

    #[test]
    fn however_many_push_no_more_are_in_it_than_there_is_room_for() {
        let queue = Queue::new(1);
        let most = thread::scope(|scope| {
            for giver in 0..3 {
                let queue = &queue;
                scope.spawn(move || (0..500).for_each(|n| queue.push(giver * 500 + n)));
            }
            let mut most = 0;
            for _ in 0..1500 {
                let filled = loop {
                    match queue.waiting().items.len() {
                        0 => thread::yield_now(),
                        filled => break filled,
                    }
                };
                most = most.max(filled);
                queue.pop();
            }
            most
        });
        assert_eq!(most, 1, "so many were in it");
    }

    #[test]
    fn who_waits_for_an_item_is_counted_while_it_waits() {
        let queue: Queue<u32> = Queue::new(1);
        let takers = || queue.waiting().takers;
        thread::scope(|scope| {
            let taker = scope.spawn(|| queue.pop());
            let begun = std::time::Instant::now();
            while takers() != 1 && begun.elapsed() < Duration::from_secs(10) {
                thread::yield_now();
            }
            let counted = takers();
            queue.close();
            assert_eq!((counted, taker.join().expect("no panic")), (1, None));
        });
        assert_eq!(takers(), 0);
    }
}
