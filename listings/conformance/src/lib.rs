//! One fault table for every server of the book, run against the server as a process, over
//! sockets.
//!
//! A server joins by one line in its own `tests/conformance.rs`, which becomes one test for
//! each row:
//!
//! ```text
//! conformance::suite!(
//!     "forking", env!("CARGO_BIN_EXE_forking"),
//!     args = &["--max-connections", "64"],
//!     keep_alive = false, at_once = 64, forks = true
//! );
//! ```
//!
//! What comes after the program are traits of the [`Model`]; one that is not named has the
//! value of [`Model::new`]. Every row starts its own server with its own folder, tries its
//! table of cases, asks whether the server is healthy (a fresh GET is answered; descriptors
//! and processes of the whole tree are where they were; no zombie), ends it with SIGTERM, and leaves its
//! verdict. `cargo run -p conformance -- matrix` gathers the verdicts for the book.
//!
//! | tier | how |
//! | --- | --- |
//! | sampled, without root and network | `cargo test -p forking` |
//! | with installed tools | the same with `WHO_WAITS_NGINX=nginx WHO_WAITS_STRACE=strace` |
//! | the long form, some minutes | the same with `WHO_WAITS_LONG=1` |
//!
//! | file | noun |
//! | --- | --- |
//! | `model.rs` | [`Model`]: what the suite knows about a server |
//! | `server.rs` | [`Server`]: the process under test |
//! | `bare.rs` | whether a loop without an application answers |
//! | `process.rs` | what `/proc` says about it |
//! | `root.rs` | the folder that it serves |
//! | `client.rs`, `response.rs` | the other end of the connection |
//! | `patience.rs` | how long the suite waits |
//! | `fake_store.rs` | [`FakeStore`]: a store with moods |
//! | `nginx.rs` | nginx, to compare with |
//! | `rows.rs`, `rows/` | the fault table: one file to a row; `crowd.rs`, `load.rs` and `side_by_side.rs` are what several rows share |
//! | `report.rs` | [`Report`]: what a row found |
//! | `matrix.rs` | server against row, as data and as Markdown |
//! | `bin/crowd/` | 15,000 clients at the same time |
//! | `bin/wrong/` | servers with one mistake each, which the tables must catch |

#[cfg(target_os = "linux")]
mod bare;
#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod fake_store;
#[cfg(target_os = "linux")]
pub mod matrix;
#[cfg(target_os = "linux")]
mod model;
#[cfg(target_os = "linux")]
mod nginx;
#[cfg(target_os = "linux")]
mod patience;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod random;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod response;
#[cfg(target_os = "linux")]
mod root;
#[cfg(target_os = "linux")]
pub mod rows;
#[cfg(target_os = "linux")]
mod server;

#[cfg(target_os = "linux")]
pub use {
    bare::bare_answers,
    client::{Heard, get, listen, open_small},
    fake_store::{Break, FakeStore, Mood},
    model::{Lack, Model},
    patience::be_hasty,
    process::end_tree,
    report::{Report, Tier, Verdict},
    response::{Response, responses},
    server::Server,
};

/// The tests of a server: one for each row, and one for each part of a row that needs an
/// installed tool.
#[cfg(target_os = "linux")]
#[macro_export]
macro_rules! suite {
    ($name:literal, $program:expr $(, $trait:ident = $value:expr)* $(,)?) => {
        fn model() -> $crate::Model {
            let standard = $crate::Model::new($name, $program, env!("CARGO_TARGET_TMPDIR"));
            $crate::Model { $($trait: $value,)* ..standard }
        }
        $crate::suite!(@rows check_in_suite:
            row_01_head 1, row_02_splits 2, row_04_smuggling 4, row_05_sizes 5,
            row_06_traversal 6, row_07_interrupts 7, row_08_accept 8, row_09_fork_fails 9,
            row_10_reset 10, row_11_slow_reader 11, row_12_slowloris 12,
            row_13_half_close 13, row_14_flood 14, row_15_store 15, row_16_sigterm 16,
            row_17_killed 17, row_23_races 23, row_26_odd_files 26, row_27_refusals 27,
            row_28_greedy 28, row_29_idle 29);
        $crate::suite!(@rows check_with_tool: row_01_against_nginx 1,
            row_07_injected 7, row_08_injected 8, row_09_injected 9);
    };
    (@rows $check:ident: $($test:ident $number:literal),*) => {
        $(#[test]
        fn $test() {
            $crate::rows::$check(&model(), $number);
        })*
    };
}

/// The suite needs `/proc` and Linux signals.
#[cfg(not(target_os = "linux"))]
#[macro_export]
macro_rules! suite {
    ($($anything:tt)*) => {
        #[test]
        fn conformance() {
            flags::skipped(format_args!("the conformance suite needs Linux"));
        }
    };
}
