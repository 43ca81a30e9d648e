//! Your own library: from a loop to callbacks to futures.
//!
//! An executor, a reactor over epoll and one over io_uring; and the guestbook as an `async fn`
//! over either of them.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `executor.rs` | [`Executor`]: the table of tasks, the run queue, wakers |
//! | `reactor.rs` | [`Epoll`]: futures that are told when a descriptor is ready |
//! | `ring_reactor.rs` | [`Completions`]: futures that are operations in flight |
//! | `timers.rs` | [`Timers`]: deadlines, for both |
//! | `server.rs`, `server/` | the guestbook |
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

mod executor;
mod reactor;
pub mod ring_reactor;
pub mod server;
#[cfg(test)]
mod tests;
mod timers;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

pub use executor::{Executor, Reactor, Spawner};
pub use reactor::{Epoll, Source};
pub use ring_reactor::{Completions, Operation};
pub use timers::{Sleep, Timers};

/// Whichever is over first: `Ok` for the one, `Err` for the other. The loser is dropped.
///
/// # Errors
/// The other was first.
// ANCHOR: race
pub async fn race<A: Future, B: Future>(one: A, other: B) -> Result<A::Output, B::Output> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| match one.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => other.as_mut().poll(context).map(Err),
    })
    .await
}
// ANCHOR_END: race

/// Lets the others have their turn, and the kernel be asked.
// ANCHOR: yield
pub async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
// ANCHOR_END: yield
