//! What measures must be built as what is measured: `cargo harness` builds the harness for
//! debugging, and a loop without an optimizer is slower than the kernel that it asks.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::programs::Programs;
use crate::server::{Origin, Server};

/// Builds the programs of these servers as the other commands of the harness do.
///
/// # Errors
/// One line.
pub fn build(servers: Vec<Server>) -> Result<Programs, String> {
    Programs::build(&servers)
}

/// Goes on as the same program with the same command line, optimized. Returns only if that
/// cannot be.
pub fn become_optimized() -> String {
    let harness = Server {
        name: "harness".into(),
        origin: Origin::Ours { program: "harness".into(), flags: Vec::new() },
        keeps_alive: false,
        has_guestbook: false,
        at_once: None,
        most_clients: None,
    };
    let error: io::Error = match build(vec![harness]) {
        Ok(programs) => {
            Command::new(programs.path("harness")).args(std::env::args_os().skip(1)).exec()
        }
        Err(why) => return why,
    };
    format!("cannot run the optimized harness: {error}; try --debug-build")
}
