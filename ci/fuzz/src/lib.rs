//! What must hold of the sans-I/O crates however their bytes are cut, checked for any input.
//!
//! An input is a script: what arrives, and between it what the driver does meanwhile. Each
//! check runs a script several times, with the bytes in one piece and in others, and
//! compares. It panics when something does not hold. The scripts are the files in `seeds/`,
//! replayed by `cargo test`, and what a fuzzer makes of them (`ci/fuzz.sh`).
//!
//! | file | noun |
//! | --- | --- |
//! | `script.rs` | [`Step`]: a script, and how it is written as text |
//! | `http1.rs` | [`http1`]: a client of the guestbook, with a driver and an application |
//! | `ftp.rs` | [`ftp`]: a client of the FTP server, with a driver and files
//! | `store_pipe.rs` | [`store_pipe`]: callers of the store, and its replies |
//! | `store_requests.rs` | [`store_requests`]: what a client of the embedded store sends |

use std::alloc::System;

use cap::Cap;

mod ftp;
mod http1;
mod script;
mod store_pipe;
#[cfg(target_os = "linux")]
mod store_requests;

pub use ftp::ftp;
pub use http1::http1;
pub use script::{Step, is_worth_it, read};
pub use store_pipe::store_pipe;
#[cfg(target_os = "linux")]
pub use store_requests::store_requests;

/// Counts what is allocated: memory is part of what is checked. A check that is to see only
/// its own memory runs in a process of its own, or alone.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// Bytes that are allocated now.
fn allocated() -> usize {
    MEMORY.allocated()
}
