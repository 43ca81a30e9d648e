//! What a connection takes that says nothing: memory of the server, and of the kernel.
//!
//! A server is started and asked once. Then as many connections are opened as the limits
//! allow, each is answered one request, and then all are silent. What there is more than
//! before is divided by their number.
//!
//! Both ends are on this machine, and the kernel does not say whose its memory is. So its part
//! is that of a pair: what a server on another machine takes is less. Connections end by a
//! reset, so that none is in TIME-WAIT while the next server is measured.
//!
//! | file | noun |
//! | --- | --- |
//! | `idle/report.rs` | [`Cell`](report::Cell), [`Round`](report::Round): what came of it, as data |
//! | `idle/run.rs` | the rounds, one behind the other |
//! | `idle/who.rs` | who keeps connections, and how many |
//! | `idle/connections.rs` | the clients |
//! | `idle/memory.rs` | what `/proc` says |
//! | `idle/table.rs` | the figures for people |

mod connections;
pub mod memory;
pub mod report;
mod run;
mod table;
mod who;

use std::path::PathBuf;

pub use run::idle;

/// What is measured.
#[derive(Clone, Debug, clap::Args)]
pub struct Flags {
    /// Servers that keep connections; all that are here if none is named
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    pub servers: Vec<String>,

    /// Idle connections; as many as the limit on descriptors allows, up to 15000, if none is
    /// said
    #[arg(long, value_name = "N", value_parser = flags::at_least_one)]
    pub connections: Option<usize>,

    /// The same for servers that have a thread for each
    #[arg(long, default_value = "1000", value_name = "N", value_parser = flags::at_least_one)]
    pub threads: usize,

    /// How often each server is measured
    #[arg(long, default_value = "5", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,

    /// Take the programs from this folder instead of building them
    #[arg(long, value_name = "DIR")]
    pub programs: Option<PathBuf>,

    /// Where the results are written, one JSON object to a line
    #[arg(long, default_value = "target/harness/idle.jsonl", value_name = "FILE")]
    pub out: PathBuf,
}
