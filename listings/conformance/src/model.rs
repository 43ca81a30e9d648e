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
    /// It starts a thread for each connection, `at_once` of them at most.
    pub spawns: bool,
    /// Several of its threads share its memory.
    pub threads: bool,
    /// One thread serves all connections, and waits for none of them, nor for the store.
    pub event_loop: bool,
    /// How many descriptors it can use at most, by its nature.
    pub descriptors: usize,
    /// How many threads it may start later, and keep, for calls that block.
    pub pool: usize,
    /// What it does not hold.
    pub lacks: &'static [Lack],
    /// Its first process replaces workers that end; all `workers` are its children.
    pub respawns: bool,
    /// Arguments of its other forms; one with `--workers N` has a first process that replaces
    /// so many. Rows about what forms differ in try these, too: for a pool of processes 16
    /// and 17, for others those that [`Row::forms`](crate::rows::Row::forms) marks.
    pub also: &'static [&'static [&'static str]],
    /// Arguments of the form that is being tried: none, or one of `also`.
    pub form: &'static [&'static str],
    /// Folder in which the rows leave their verdicts.
    pub verdicts: PathBuf,
}

/// What a server does not hold, and is not asked to: it must be seen failing (but for what
/// is seen by chance), and the matrix says it.
#[derive(Clone, Copy, Debug)]
pub struct Lack {
    /// The row.
    pub row: u8,
    /// The cases: their names have this in them.
    pub case: &'static str,
    /// How they fail: what is said has this in it. Whatever else goes wrong there is a failure.
    pub how: &'static str,
    /// Why, for the matrix.
    pub why: &'static str,
    /// It shows only where an installed tool is used.
    pub only_with_tool: bool,
    /// It is chance whether it shows, as another lack can hide it: an answer that is wrong, if a
    /// reset does not come before it.
    pub by_chance: bool,
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
            spawns: false,
            threads: false,
            event_loop: false,
            descriptors: usize::MAX,
            pool: 0,
            lacks: &[],
            respawns: false,
            also: &[],
            form: &[],
            verdicts: PathBuf::from(scratch).join("fault-table"),
        }
    }

    /// Whether each connection gets a process or a thread of its own.
    pub(crate) fn starts_one_for_each(&self) -> bool {
        self.forks || self.spawns
    }

    /// Whether its other forms are tried as whole servers.
    pub(crate) fn has_whole_forms(&self) -> bool {
        self.event_loop || self.threads
    }

    /// The server in each of its other forms, and what the form is called.
    pub(crate) fn other_forms(&self) -> impl Iterator<Item = (String, Self)> {
        self.also.iter().map(|form| {
            let other = Self { form, also: &[], ..self.clone() };
            let named = form.windows(2).find(|words| words[0] == "--workers");
            let other = match named.and_then(|words| words[1].parse().ok()) {
                Some(workers) => Self { workers, respawns: true, ..other },
                None => other,
            };
            (form.join(" "), other)
        })
    }
}
