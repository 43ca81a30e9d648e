//! Replies that wait until they are due.
//!
//! With a delay, the thread that reads executes and goes on reading, and another one sends
//! each reply when its time has come. So ten requests sent at once are answered after one
//! delay, not after ten, as by a store that is far away.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Bytes of replies that one connection may have waiting before it is no longer read.
pub const MAX_WAITING: usize = 1 << 20;

/// A queue between the two threads of one connection.
#[derive(Debug, Default)]
pub struct Outbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    replies: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    /// Nothing more comes.
    finished: bool,
    /// Nothing more is wanted.
    abandoned: bool,
}

impl Outbox {
    // ANCHOR: put
    /// Queues replies. Waits while too many are queued, so that a client that does not read
    /// is not read either.
    pub fn put(&self, due: Instant, replies: Vec<u8>) -> io::Result<()> {
        let full = |state: &mut State| state.bytes >= MAX_WAITING && !state.abandoned;
        let mut state = self
            .changed
            .wait_while(self.lock(), full)
            .unwrap_or_else(PoisonError::into_inner);
        if state.abandoned {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        state.bytes += replies.len();
        state.replies.push_back((due, replies));
        self.changed.notify_all();
        Ok(())
    }
    // ANCHOR_END: put

    // ANCHOR: send_all
    /// Sends each reply when it is due, until the queue is finished and empty, or the
    /// client is gone.
    pub fn send_all(&self, mut to: impl Write) -> io::Result<()> {
        while let Some(replies) = self.take() {
            to.write_all(&replies).inspect_err(|_| self.abandon())?;
            self.lock().bytes -= replies.len();
            self.changed.notify_all();
        }
        Ok(())
    }
    // ANCHOR_END: send_all

    // ANCHOR: take
    /// Waits until the first reply is due.
    fn take(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        loop {
            let Some(&(due, _)) = state.replies.front().filter(|_| !state.abandoned) else {
                if state.finished || state.abandoned {
                    return None;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return state.replies.pop_front().map(|(_, replies)| replies);
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
    // ANCHOR_END: take

    /// What is queued is still sent.
    pub fn finish(&self) {
        self.lock().finished = true;
        self.changed.notify_all();
    }

    /// What is queued is dropped.
    pub fn abandon(&self) {
        self.lock().abandoned = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
