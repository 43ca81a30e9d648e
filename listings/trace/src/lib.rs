//! Where a program waits: a tracer of system calls, and the timelines that it draws.
//!
//! A traced program stops twice for each system call, at its entry and at its end, and says
//! so to its tracer. There we look at the clock, and at the kernel's own counters for this
//! thread: how long it has had a processor, how long it has stood in the queue for one, how
//! often it has gone to sleep. What is left between entry and end is waiting.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `data.rs` | [`Trace`]: what was seen, as data |
//! | `tracer.rs` | [`tracer`]: follows a program, its threads and its children, by ptrace(2) |
//! | `record.rs` | [`Recorder`]: from stops to calls, and to the requests that they belong to; no calls |
//! | `about.rs` | what a call is about, by its name and arguments |
//! | `rings.rs`, `ring.rs`, `operations.rs` | what is in flight in an io_uring: its two queues, read at each enter |
//! | `stack.rs`, `image.rs`, `lines.rs` | which line of a listing has made a call |
//! | `details.rs` | what calls are told and answer that wait for others, for those who ask |
//! | `backtrace.rs` | [`Frame`]: all functions that have not returned yet |
//! | `counters.rs` | what `/proc` says about a stopped thread |
//! | `ask.rs` | [`ask`]: the clients whose requests are traced |
//! | `timeline.rs` | [`timeline`]: the drawing, and the same in words |
//!
//! What it costs the traced program: two stops for each call, each with two switches to us
//! and back, some tens of microseconds; and where the lines of the calls are looked for, a copy of
//! its stack before each, which is some twenty more, between two calls and not within one. So
//! a trace shows who waits for whom, and no speed.

mod data;
pub mod timeline;

#[cfg(target_os = "linux")]
mod about;
#[cfg(target_os = "linux")]
pub mod ask;
#[cfg(target_os = "linux")]
mod backtrace;
#[cfg(target_os = "linux")]
mod counters;
#[cfg(target_os = "linux")]
mod details;
#[cfg(target_os = "linux")]
mod image;
#[cfg(target_os = "linux")]
mod lines;
#[cfg(target_os = "linux")]
mod operations;
#[cfg(target_os = "linux")]
mod record;
#[cfg(target_os = "linux")]
mod ring;
#[cfg(target_os = "linux")]
mod rings;
#[cfg(target_os = "linux")]
mod stack;
#[cfg(target_os = "linux")]
pub mod tracer;

#[cfg(target_os = "linux")]
pub use backtrace::{Frame, backtrace};
pub use data::{Call, Lane, Operation, Request, Trace};
#[cfg(target_os = "linux")]
pub use lines::Sources;
#[cfg(target_os = "linux")]
pub use record::{About, Counters, Recorder, Stop};
