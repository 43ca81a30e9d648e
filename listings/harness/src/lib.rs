//! The benchmark harness: every model, every workload, from one client to thousands, and what
//! came of it as data.
//!
//! A *cell* is one server, one workload, one number of clients, one round: a fresh process,
//! pinned to a processor of its own, is asked for a while by the generator (`load`) on another
//! one, and is told to end. What a server does wrong is a result like any other.
//!
//! | file | noun |
//! | --- | --- |
//! | `server.rs` | [`Server`](server::Server): who can be measured, and what it can hold |
//! | `named.rs` | servers that a command line names |
//! | `workload.rs` | [`Workload`](workload::Workload): what it is asked for |
//! | `plan.rs` | [`Plan`](plan::Plan): the cells in their order, and how long they will take |
//! | `run.rs` | [`run`](run::run): the plan, cell by cell, until it is done or interrupted |
//! | `choice.rs` | [`Choice`](choice::Choice): the plan that a command line asks for |
//! | `cell.rs`, `generator.rs`, `running.rs` | one cell; the generator's part, and the server's |
//! | `process.rs`, `output.rs`, `life.rs` | a child in a group of its own; what it writes; what it used |
//! | `cores.rs`, `limits.rs` | where everybody runs; what they may open |
//! | `proc.rs`, `watch.rs`, `network.rs` | what the kernel counts meanwhile |
//! | `calls.rs` | the system calls for a request, by the book's own tracer |
//! | `nginx.rs` | nginx, to compare with |
//! | `programs.rs` | builds what is measured |
//! | `record.rs` | [`Cell`](record::Cell): what came of one, as data |
//! | `environment.rs`, `machine.rs` | [`Environment`](environment::Environment): the machine, as data |
//! | `results.rs` | [`Results`](results::Results): a folder of them, which no interruption tears |
//! | `files.rs`, `files/` | [`files`](files::files): reads of a file at a depth |
//! | `idle.rs`, `idle/` | [`idle`](idle::idle): memory for an idle connection |
//! | `compare.rs`, `summary.rs`, `figures.rs`, `table.rs` | medians, ranges, ratios, as text |
//! | `curves.rs`, `report.rs` | charts of a result; one page with all of them |
//! | `reference.rs` | the book's own results, and the reader's over them |
//! | `list.rs`, `progress.rs` | what can be measured; how far a run is |
#![cfg(target_os = "linux")]

mod calls;
mod cell;
pub mod choice;
pub mod compare;
pub mod cores;
pub mod curves;
pub mod environment;
pub mod figures;
pub mod files;
mod generator;
pub mod idle;
mod life;
mod limits;
pub mod list;
mod machine;
pub mod named;
mod network;
mod nginx;
mod output;
pub mod plan;
mod proc;
mod process;
mod programs;
mod progress;
pub mod record;
pub mod reference;
pub mod report;
pub mod results;
pub mod run;
mod running;
pub mod server;
pub mod summary;
pub mod table;
mod watch;
pub mod workload;
