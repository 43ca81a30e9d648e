//! A load generator: clients that ask a server, check every response, and write down how long
//! each took.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `pace.rs` | [`Pace`]: closed loop or open loop, and when a request is due |
//! | `crew.rs` | [`Crew`]: the clients, without I/O |
//! | `answer.rs` | [`Answer`]: a response, checked while it comes |
//! | `target.rs` | [`Target`]: whom they ask, and what for |
//! | `over_epoll.rs`, `over_uring.rs` | the connections, over epoll(7) or over an io_uring |
//! | `outcome.rs` | [`Outcome`]: what a run came to |

mod answer;
mod crew;
mod outcome;
#[cfg(target_os = "linux")]
mod over_epoll;
#[cfg(target_os = "linux")]
mod over_uring;
mod pace;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod socket;
mod target;

pub use answer::{Answer, Expected, LastHead, Progress, Wrong};
pub use crew::{Crew, Failure, Order, Rules};
pub use outcome::{Errors, Generator, Latency, Outcome, Ramp};
pub use pace::{End, Pace, Schedule};
#[cfg(target_os = "linux")]
pub use run::{Over, run};
pub use target::Target;
