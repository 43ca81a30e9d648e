//! Reads over io_uring: the two rings by hand, the same with a crate, and what becomes of
//! a read that has been submitted.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`by_hand`] | the two rings without any library: mapped memory, heads and tails, one read |
//! | [`ring`] | a ring in which each operation owns its buffer until its completion |
//! | [`reads`] | many reads of one file at a depth, over such a ring |
//! | [`buffer`] | memory that begins where O_DIRECT and registration want it |
//! | [`scratch`] | the files of the experiments |
//! | [`usage`] | processor time, ours and that of the kernel's workers |
//! | [`trouble`] | a kernel that refuses, in one line |
//!
//! `src/bin/rings-by-hand.rs` comes first, `src/bin/with-the-crate.rs` second. The other programs
//! in `src/bin/` are the experiments of the chapter.
#![cfg(target_os = "linux")]

pub mod buffer;
pub mod by_hand;
pub mod reads;
pub mod ring;
pub mod scratch;
pub mod trouble;
pub mod usage;

pub use buffer::Buffer;
pub use reads::{Block, Next, Options, Reads, Wanted, apply};
pub use ring::{Done, How, Order, Place, Ring, Token};
pub use trouble::{Trouble, report};
