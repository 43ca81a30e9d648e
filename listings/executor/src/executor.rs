//! Tasks, and who of them can go on.
//!
//! A task is a future in a table. It is polled when somebody has called its waker, and not
//! otherwise: a task that waits costs its memory and nothing else. When no task can go on,
//! the thread waits, and where it does is the [`Reactor`]'s affair.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

use rustix::event::{EventfdFlags, eventfd};

/// Who waits when no task can go on.
// ANCHOR: reactor
pub trait Reactor {
    /// Has every [`Reactor::wait`] return, and say so, while this can be read.
    ///
    /// # Errors
    /// What the kernel answers.
    fn watch(&self, told: BorrowedFd<'_>) -> io::Result<()>;

    /// Asks the kernel what has happened, and calls the wakers of those whom it is about.
    /// `sleep`: waits until something has. Returns whether what it watches can be read.
    ///
    /// # Errors
    /// What the kernel answers, if it is our mistake.
    fn wait(&self, sleep: bool) -> io::Result<bool>;
}
// ANCHOR_END: reactor

/// A slot, and which of its tasks. A waker may outlive the task that it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name {
    slot: usize,
    number: u64,
}

/// The slot of the task that has none.
const MAIN: usize = usize::MAX;

// ANCHOR: task
type Boxed = Pin<Box<dyn Future<Output = ()>>>;

/// A future that is nobody's but the table's, and what its wakers share.
struct Task {
    future: Boxed,
    call: Arc<Call>,
    waker: Waker,
}

/// What a waker does when it is called: it puts a name into the run queue.
struct Call {
    name: Name,
    /// It stands there already. Twice would be one poll for nothing.
    is_queued: AtomicBool,
    queue: Arc<Queue>,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            self.queue.push(self.name);
        }
    }
}
// ANCHOR_END: task

/// Who can go on, in the order in which they were woken.
struct Queue {
    names: Mutex<VecDeque<Name>>,
    /// Who polls.
    thread: ThreadId,
    /// That thread may sleep, and another one has something for it.
    told: OwnedFd,
}

impl Queue {
    // ANCHOR: push
    fn push(&self, name: Name) {
        let is_first = {
            let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            names.push_back(name);
            names.len() == 1
        };
        // A waker may be called from anywhere. From our own thread it cannot be asleep.
        if is_first && thread::current().id() != self.thread {
            // It adds one to a counter, which has room for 2^64 - 2.
            let _ = rustix::io::write(&self.told, &1u64.to_ne_bytes());
        }
    }
    // ANCHOR_END: push

    fn pop(&self) -> Option<Name> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn len(&self) -> usize {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Puts tasks into the table of an [`Executor`].
#[derive(Clone, Default)]
pub struct Spawner(Rc<RefCell<Vec<Boxed>>>);

impl Spawner {
    /// A task of its own. It begins in the next round.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.0.borrow_mut().push(Box::pin(future));
    }
}

/// A table of tasks, a run queue, and a thread, which is yours.
// ANCHOR: executor
pub struct Executor<R> {
    reactor: R,
    tasks: Vec<Option<Task>>,
    free: Vec<usize>,
    begun: u64,
    spawner: Spawner,
    queue: Arc<Queue>,
}
// ANCHOR_END: executor

impl<R: Reactor> Executor<R> {
    /// An executor without tasks, for the calling thread.
    ///
    /// # Errors
    /// What eventfd(2) answers, and the reactor that is to watch it.
    pub fn new(reactor: R) -> io::Result<Self> {
        let told = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        reactor.watch(told.as_fd())?;
        let thread = thread::current().id();
        let queue = Arc::new(Queue { names: Mutex::default(), thread, told });
        let (tasks, free, spawner) = (Vec::new(), Vec::new(), Spawner::default());
        Ok(Self { reactor, tasks, free, begun: 0, spawner, queue })
    }

    /// For tasks that start others.
    pub fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }

    /// How many tasks have begun and are not over.
    pub fn len(&self) -> usize {
        self.tasks.len() - self.free.len()
    }

    /// Whether all tasks are over.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Polls tasks until `main` is over. The others stay where they are, and go on when this is
    /// called again.
    ///
    /// # Errors
    /// What the reactor answers.
    ///
    /// # Panics
    /// If a task does. The panic is not caught: it ends this call as it would end a loop.
    // ANCHOR: run
    pub fn block_on<F: Future>(&mut self, main: F) -> io::Result<F::Output> {
        let mut main = pin!(main);
        let (call, waker) = self.new_call(MAIN);
        waker.wake_by_ref();
        loop {
            self.admit();
            // One turn for each of those who can go on now. Whoever wakes itself is asked
            // again, after the kernel was.
            for _ in 0..self.queue.len() {
                let Some(name) = self.queue.pop() else { break };
                if name != call.name {
                    self.poll(name);
                    continue;
                }
                call.is_queued.swap(false, Ordering::AcqRel);
                let mut context = Context::from_waker(&waker);
                if let Poll::Ready(output) = main.as_mut().poll(&mut context) {
                    return Ok(output);
                }
            }
            let nobody = self.queue.len() == 0 && self.spawner.0.borrow().is_empty();
            if self.reactor.wait(nobody)? {
                let _ = rustix::io::read(&self.queue.told, &mut [0; 8]);
            }
        }
    }
    // ANCHOR_END: run

    // ANCHOR: poll
    fn poll(&mut self, name: Name) {
        let task = self.tasks.get_mut(name.slot).and_then(Option::as_mut);
        let Some(task) = task.filter(|task| task.call.name == name) else {
            return; // it is over, and somebody still had its waker
        };
        // Before the poll: whoever calls the waker during it means the next one.
        task.call.is_queued.swap(false, Ordering::AcqRel);
        let mut context = Context::from_waker(&task.waker);
        if task.future.as_mut().poll(&mut context).is_ready() {
            self.tasks[name.slot] = None;
            self.free.push(name.slot);
        }
    }
    // ANCHOR_END: poll

    /// Gives new tasks a slot, and their first turn.
    fn admit(&mut self) {
        for future in self.spawner.0.take() {
            let slot = self.free.pop().unwrap_or(self.tasks.len());
            if slot == self.tasks.len() {
                self.tasks.push(None);
            }
            let (call, waker) = self.new_call(slot);
            waker.wake_by_ref();
            self.tasks[slot] = Some(Task { future, call, waker });
        }
    }

    fn new_call(&mut self, slot: usize) -> (Arc<Call>, Waker) {
        self.begun += 1;
        let name = Name { slot, number: self.begun };
        let (is_queued, queue) = (AtomicBool::new(false), Arc::clone(&self.queue));
        let call = Arc::new(Call { name, is_queued, queue });
        (Arc::clone(&call), Waker::from(call))
    }
}

impl<R> Drop for Executor<R> {
    fn drop(&mut self) {
        self.tasks.clear();
        // A task that has not begun may hold the spawner, which holds the task.
        drop(self.spawner.0.take());
    }
}
