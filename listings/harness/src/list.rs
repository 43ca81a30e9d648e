//! What can be measured, and what was.

use std::fs;
use std::path::{Path, PathBuf};

use crate::results;
use crate::server::Server;
use crate::table::Table;
use crate::workload::Workload;

/// Shows the servers, the workloads, and the results that are here
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// Folder with the folders of results
    #[arg(long, default_value = "target/harness", value_name = "DIR")]
    pub results: PathBuf,
}

/// Prints it.
///
/// # Errors
/// None: what cannot be read is no result.
pub fn list(flags: &Flags) -> Result<(), (u8, String)> {
    println!("{}\n{}\n{}", servers(), workloads(), of_folder(&flags.results));
    Ok(())
}

fn servers() -> Table {
    let mut table = Table::new(["server", "what it is", "keep-alive", "it can hold"], 4);
    for server in Server::all() {
        let keeps = if server.keeps_alive { "yes" } else { "no" };
        table.push(vec![
            server.name.clone(),
            server.to_string(),
            keeps.into(),
            holds(&server),
        ]);
    }
    table
}

fn holds(server: &Server) -> String {
    match (server.at_once, server.most_clients) {
        (Some(1), _) => "one client at a time; others queue".into(),
        (Some(number), _) => format!("{number} clients at a time; others queue"),
        (None, Some(most)) => format!("{most} connections"),
        (None, None) => "as many connections as descriptors".into(),
    }
}

fn workloads() -> Table {
    let mut table = Table::new(["workload", "asks for", "connections"], 3);
    for workload in Workload::ALL {
        let kept = if workload.keeps_alive() { "kept" } else { "one for each request" };
        table.push(vec![
            workload.to_string(),
            format!("GET {}", workload.path()),
            kept.into(),
        ]);
    }
    table
}

/// The results in a folder, oldest names first.
fn of_folder(folder: &Path) -> String {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut folders: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.retain(|folder| results::is_one(folder));
    folders.sort();
    let mut table = Table::new(["result", "cells", "measured", "commit"], 4);
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match results::read(&folder) {
            Ok(read) => {
                let cells = format!("{} of {}", read.cells.len(), read.plan.cells().len());
                let of = read.environment;
                table.push(vec![name, cells, of.date, of.commit]);
            }
            Err(why) => table.push(vec![name, format!("cannot be read: {why}")]),
        }
    }
    match table.is_empty() {
        true => format!(
            "no results in {}; cargo harness run --quick makes some\n",
            folder.display()
        ),
        false => table.to_string(),
    }
}
