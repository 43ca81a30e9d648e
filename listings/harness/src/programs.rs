//! Builds what is measured.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::server::{Origin, Server};

/// The generator's program.
pub const LOAD: &str = "load";

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs(PathBuf);

impl Programs {
    /// Those in a folder, as they are.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self(folder.into())
    }

    /// Builds these servers, and the generator, as they would be built to run for months.
    ///
    /// # Errors
    /// One line.
    pub fn build(servers: &[Server]) -> Result<Self, String> {
        let programs = needed(servers);
        let names: Vec<&str> = programs.iter().map(String::as_str).collect();
        eprintln!("building {}; the first time this takes minutes", names.join(", "));
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["build", "--quiet", "--profile", "production", "--workspace"]);
        command.args(names.iter().flat_map(|name| ["--bin", name]));
        command.args(["--message-format", "json-render-diagnostics"]);
        let output = command
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cannot run cargo: {error}"))?;
        if !output.status.success() {
            return Err("cargo cannot build them: what it says is above".into());
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        let folder = messages.lines().find_map(folder_of_load);
        folder.map(Self).ok_or_else(|| "cargo does not say where it has put them".into())
    }

    /// The path of one.
    #[must_use]
    pub fn path(&self, program: &str) -> PathBuf {
        self.0.join(program)
    }
}

/// By name, each once.
fn needed(servers: &[Server]) -> BTreeSet<String> {
    let program = |origin: &Origin| match origin {
        Origin::Ours { program, .. } => Some(program.clone()),
        Origin::Nginx | Origin::Peer { .. } => None,
    };
    let programs = servers.iter().filter_map(|server| program(&server.origin));
    programs.chain([LOAD.to_owned()]).collect()
}

/// A line of cargo's, if it is the one about the generator.
fn folder_of_load(line: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let program = message["executable"].as_str()?;
    (message["target"]["name"] == LOAD)
        .then(|| Path::new(program).parent().map(Into::into))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_where_cargo_says() {
        let line = r#"{"reason":"compiler-artifact","target":{"name":"load","kind":["bin"]},"executable":"/t/production/load"}"#;
        assert_eq!(folder_of_load(line), Some("/t/production".into()));
        assert_eq!(folder_of_load(&line.replace("\"load\"", "\"store\"")), None);
        assert_eq!(folder_of_load(r#"{"target":{"name":"load"},"executable":null}"#), None);
        assert_eq!(folder_of_load("no JSON"), None);
    }
}
