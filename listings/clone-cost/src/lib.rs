//! What a process costs, what a thread costs: made, run in turns, and left idle.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `faults.rs` | [`faults`]: 100 pages written by a child, and by a thread; faults counted |
//! | `shared.rs` | [`shared`]: clone(2) with different flags, and what is shared afterwards |
//! | `bin/three-ways.rs` | fork, `thread::spawn` and `Command::spawn`, to be run under strace |
//! | `bin/locked.rs` | fork in a program of two threads, of which the other holds a lock |
//! | `bin/deep.rs` | a thread that needs more stack than it has |
//! | `create.rs` | [`create`]: a process and a thread made and ended, beside much memory or little |
//! | `switch.rs` | [`switch`]: two who take turns, between processes, threads, and in one thread |
//! | `idle.rs` | [`idle`]: what stays in memory for one that waits |
//! | `memory.rs`, `counts.rs` | memory of a known kind, and what the kernel counts |
//! | `data.rs`, `sample.rs` | interleaved rounds of all of it, each sample in a process of its own |
//! | `figure.rs` | [`figure`]: the chapter's chart, drawn from the data |
//!
//! The book's numbers are made anew, on a quiet machine, by
//!
//! ```text
//! cargo run --release -p clone-cost -- record && cargo book record \
//!     clone-cost/table-create clone-cost/table-switch clone-cost/table-idle clone-cost/create clone-cost/switch
//! ```
//!
//! The first half writes `recorded.json` and the chart, the second the chapter's tables. Then
//! `cargo test -p clone-cost` says whether the chapter's words still fit the numbers.
#![cfg(target_os = "linux")]

pub mod counts;
pub mod create;
pub mod data;
pub mod faults;
pub mod figure;
pub mod idle;
pub mod memory;
pub mod sample;
pub mod shared;
pub mod switch;
