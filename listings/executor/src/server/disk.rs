//! Files behind the executor: a job for a thread of the pool, and a future for what comes of
//! it. The thread calls the task's waker itself, which is why a waker can be sent.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use file_pool::{Job, Pool};
use iterative::File;
use rustix::io::{Errno, pread};

/// How many jobs may wait for a thread. Those beyond wait as tasks.
const ROOM: usize = 64;

/// What a thread of the pool does.
struct Work(Box<dyn FnOnce() + Send>);

impl Job for Work {
    type Done = ();

    fn work(self) {
        (self.0)();
    }
}

/// Between a thread that finds something out and the task that waits for it.
struct Answer<T> {
    found: Option<T>,
    waker: Option<Waker>,
}

/// The pool, seen from tasks.
pub struct Disk {
    pool: RefCell<Pool<Work>>,
    /// Whose jobs the pool had no room for.
    line: Arc<Mutex<VecDeque<Waker>>>,
}

impl Disk {
    /// Starts so many threads.
    ///
    /// # Errors
    /// What eventfd(2) and clone(2) answer.
    pub fn new(threads: usize) -> io::Result<Self> {
        let pool = RefCell::new(Pool::new(threads, ROOM)?);
        Ok(Self { pool, line: Arc::default() })
    }

    /// Has it done by a thread of the pool. Dropping the future does not stop the thread: what
    /// it finds is for nobody then.
    // ANCHOR: run
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let answer = Arc::new(Mutex::new(Answer { found: None, waker: None }));
        let (for_thread, line) = (Arc::clone(&answer), Arc::clone(&self.line));
        self.hand_over(move || {
            // It has left the queue: there is room for another.
            lock(&line).drain(..).for_each(Waker::wake);
            let found = work();
            let mut answer = lock(&for_thread);
            answer.found = Some(found);
            answer.waker.take().inspect(Waker::wake_by_ref);
        })
        .await;
        poll_fn(|context| {
            let mut answer = lock(&answer);
            if let Some(found) = answer.found.take() {
                return Poll::Ready(found);
            }
            answer.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
    // ANCHOR_END: run

    /// Gives a job to the pool, as soon as it has room.
    async fn hand_over(&self, work: impl FnOnce() + Send + 'static) {
        let mut work = Some(Work(Box::new(work)));
        poll_fn(|context| {
            let Some(job) = work.take() else { return Poll::Ready(()) };
            match self.pool.borrow_mut().submit(job) {
                Ok(()) => Poll::Ready(()),
                Err(job) => {
                    work = Some(job);
                    lock(&self.line).push_back(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
    }
}

/// Nobody panics with one of these locked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads until so many bytes are there, or the file ends. Here it may wait.
pub(super) fn read_whole(file: &File, at: u64, len: usize) -> io::Result<Vec<u8>> {
    let (mut bytes, mut read) = (vec![0; len], 0);
    while read < len {
        match pread(file, &mut bytes[read..], at + read as u64) {
            Ok(0) => break,
            Ok(n) => read += n,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}
