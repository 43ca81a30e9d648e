//! What a learner has done, in one plain file: `workshop/progress.toml` in the book's folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Error;

/// The learner's folder, relative to the book's.
pub const FOLDER: &str = "workshop";

const HEAD: &str = "# What the workshop knows of you. It may be edited, and deleted: your work is in the folders beside it.\n\n";

/// How far an exercise is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It was begun.
    #[default]
    Open,
    /// Its check has passed.
    Passed,
    /// A room has gone on without it.
    Skipped,
}

impl State {
    /// As it stands in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Passed => "passed",
            Self::Skipped => "skipped",
        }
    }
}

/// An exercise that was begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct One {
    /// How far it is.
    #[serde(default)]
    pub state: State,
    /// How many hints were asked for.
    #[serde(default)]
    pub hints: usize,
}

/// What a learner has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The exercise that is worked on.
    #[serde(default)]
    pub current: Option<String>,
    /// Those that were begun.
    #[serde(default)]
    pub exercises: BTreeMap<String, One>,
}

impl Progress {
    /// Reads it; nothing was done where there is no file.
    ///
    /// # Errors
    /// A file that cannot be read or understood.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let path = file(root);
        let failed = |why: String| Error::new(format!("{}: {why}", path.display()));
        match fs::read_to_string(&path) {
            Ok(text) => {
                toml::from_str(&text).map_err(|error| failed(error.message().to_owned()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Writes it, all or nothing.
    ///
    /// # Errors
    /// What files answer.
    pub fn write(&self, root: &Path) -> Result<(), Error> {
        let path = file(root);
        let failed = |why: String| Error::new(format!("{}: {why}", path.display()));
        let text = toml::to_string(self).map_err(|error| failed(error.to_string()))?;
        let beside = path.with_extension("new");
        fs::create_dir_all(root.join(FOLDER))
            .and_then(|()| fs::write(&beside, format!("{HEAD}{text}")))
            .and_then(|()| fs::rename(&beside, &path))
            .map_err(|error| failed(error.to_string()))
    }

    /// How far an exercise is; none: it was not begun.
    pub fn state(&self, name: &str) -> Option<State> {
        self.exercises.get(name).map(|one| one.state)
    }

    /// What is known of an exercise, which is begun by that.
    pub fn of(&mut self, name: &str) -> &mut One {
        self.exercises.entry(name.to_owned()).or_default()
    }
}

fn file(root: &Path) -> PathBuf {
    root.join(FOLDER).join("progress.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_file_that_people_can_read_and_edit() {
        let root = tempfile::tempdir().expect("a folder");
        let mut progress = Progress::read(root.path()).expect("nothing is there");
        assert_eq!(progress, Progress::default());
        progress.current = Some("b".into());
        progress.of("a").state = State::Passed;
        progress.of("b").hints = 2;
        progress.write(root.path()).expect("room");
        let text = fs::read_to_string(file(root.path())).expect("it is there");
        let lines = "current = \"b\"\n\n[exercises.a]\nstate = \"passed\"\nhints = 0\n\n[exercises.b]\nstate = \"open\"\nhints = 2\n";
        assert_eq!(text, format!("{HEAD}{lines}"));
        assert_eq!(Progress::read(root.path()).expect("it is"), progress);
        fs::write(file(root.path()), "[exercises.a]\n").expect("room");
        let read = Progress::read(root.path()).expect("less is enough");
        assert_eq!((read.state("a"), read.state("b")), (Some(State::Open), None));
        fs::write(file(root.path()), "current = 7\n").expect("room");
        assert!(
            Progress::read(root.path()).unwrap_err().to_string().contains("progress.toml")
        );
    }
}
