//! Cases that mostly wait run side by side.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// What a case does. It has a server of its own.
pub(super) type Attempt<'a, T> = Box<dyn FnOnce() -> Result<T, String> + Send + 'a>;

/// Named cases, in their order.
pub(super) struct Cases<'a, T>(Vec<(String, Attempt<'a, T>)>);

impl<'a, T: Send> Cases<'a, T> {
    /// No cases yet.
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// One more.
    pub(super) fn add(
        &mut self,
        name: impl Into<String>,
        attempt: impl FnOnce() -> Result<T, String> + Send + 'a,
    ) {
        self.0.push((name.into(), Box::new(attempt)));
    }

    /// Tries them, a handful at a time, and gives the outcomes in the same order.
    pub(super) fn run(self) -> Vec<(String, Result<T, String>)> {
        self.run_at_most(6)
    }

    /// The same with so many at a time.
    pub(super) fn run_at_most(self, at_a_time: usize) -> Vec<(String, Result<T, String>)> {
        let cases = self.0.len();
        let waiting: VecDeque<_> = self.0.into_iter().enumerate().collect();
        let (waiting, tried) = (Mutex::new(waiting), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..at_a_time.min(cases) {
                scope.spawn(|| {
                    let next = || {
                        waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
                    };
                    while let Some((number, (name, attempt))) = next() {
                        let outcome = attempt();
                        tried
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push((number, name, outcome));
                    }
                });
            }
        });
        let mut tried = tried.into_inner().unwrap_or_else(PoisonError::into_inner);
        tried.sort_by_key(|(number, ..)| *number);
        tried.into_iter().map(|(_, name, outcome)| (name, outcome)).collect()
    }
}
