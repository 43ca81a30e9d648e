//! Results as a file with one JSON object to a line, in the order in which they came. What was
//! measured before an interruption is there.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Such a file, begun anew.
#[derive(Debug)]
pub struct Lines {
    file: File,
    path: PathBuf,
}

impl Lines {
    /// Makes it, and the folder that it stands in.
    ///
    /// # Errors
    /// One line: it cannot be written there.
    pub fn create(path: &Path) -> Result<Self, String> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| File::create(path))
            .map(|file| Self { file, path: path.to_owned() })
            .map_err(|error| cannot_write(path, &error))
    }

    /// Adds a line.
    ///
    /// # Errors
    /// One line: it cannot be written.
    pub fn write(&mut self, line: &impl Serialize) -> Result<(), String> {
        let mut text = serde_json::to_string(line).map_err(|error| error.to_string())?;
        text.push('\n');
        self.file
            .write_all(text.as_bytes())
            .map_err(|error| cannot_write(&self.path, &error))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> String {
    format!("cannot write {}: {error}; choose another --out", path.display())
}
