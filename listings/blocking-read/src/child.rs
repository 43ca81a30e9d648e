//! Children that do not outlive their experiment.

use std::io;
use std::ops::{Deref, DerefMut};
use std::process::{Child, Command};

/// A child that is ended, if it has not ended by itself, when this goes out of scope.
pub(crate) struct Ended(Child);

impl Ended {
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        let program = command.get_program().display().to_string();
        command.spawn().map(Self).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot start {program}: {error}; is it installed, and in PATH?"),
            )
        })
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        // Both fail only for a child that has already been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Deref for Ended {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Ended {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}
