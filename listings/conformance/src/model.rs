//! What the suite has to know about a server before it starts one.

use std::path::PathBuf;

/// A server under test, and the traits that decide what a row may ask of it.
#[derive(Clone, Debug)]
pub struct Model {
    /// The server's name in the matrix.
    pub name: &'static str,
    /// Path of its program.
    pub program: &'static str,
    /// Arguments before those that a row adds.
    pub args: &'static [&'static str],
    /// It answers more than one request on a connection.
    pub keep_alive: bool,
    /// How many clients it serves at one time. An iterative server serves one, a pool of
    /// eight workers eight.
    pub at_once: usize,
    /// How many of its processes or threads keep a connection to the store for themselves.
    pub workers: usize,
    /// It starts a process for each connection, `at_once` of them at most.
    pub forks: bool,
    /// Its first process replaces workers that end; all `workers` are its children.
    pub respawns: bool,
    /// Arguments of its other forms. The rows about processes try these, too.
    pub also: &'static [&'static [&'static str]],
    /// Arguments of the form that is being tried: none, or one of `also`.
    pub form: &'static [&'static str],
    /// Folder in which the rows leave their verdicts.
    pub verdicts: PathBuf,
}

impl Model {
    /// A server that keeps connections alive, serves any number of clients at one time, and
    /// has one connection to the store. `scratch` is Cargo's folder for the files of tests,
    /// `CARGO_TARGET_TMPDIR`.
    #[must_use]
    pub fn new(name: &'static str, program: &'static str, scratch: &str) -> Self {
        Self {
            name,
            program,
            args: &[],
            keep_alive: true,
            at_once: usize::MAX,
            workers: 1,
            forks: false,
            respawns: false,
            also: &[],
            form: &[],
            verdicts: PathBuf::from(scratch).join("fault-table"),
        }
    }

    /// The server in each of its other forms, and what the form is called.
    pub(crate) fn other_forms(&self) -> impl Iterator<Item = (String, Self)> {
        self.also.iter().map(|form| (form.join(" "), Self { form, ..self.clone() }))
    }
}
