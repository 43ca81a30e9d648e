//! What happens to a program while it waits, asked from the kernel itself.
//!
//! | module | the experiment |
//! | --- | --- |
//! | [`pipe`] | a read from a pipe whose other end sleeps: the process waits |
//! | [`watch`] | the same read seen from another process, through `/proc` |
//! | [`file`] | a file that is read from the disk, and read again from the page cache |
//! | [`neighbour`] | a busy program on our processor: we are stopped without having asked to wait |
//! | [`usage`] | what all of them are measured with |
//!
//! Each experiment is a function that returns its numbers; `main` prints them.
//! `src/bin/first-read.rs` comes before all of this: the read alone, with nothing but the
//! standard library.

#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
pub mod file;
#[cfg(target_os = "linux")]
pub mod neighbour;
#[cfg(target_os = "linux")]
pub mod pipe;
#[cfg(target_os = "linux")]
pub mod usage;
#[cfg(target_os = "linux")]
pub mod watch;
