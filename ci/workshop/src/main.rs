//! `cargo workshop`: steps a learner, or a room, through the book.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    program::run()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("workshop")
}

#[cfg(target_os = "linux")]
mod program {
    use std::io::{self, Write};
    use std::path::{Path, PathBuf};
    use std::process::ExitCode;

    use clap::{Parser, Subcommand};
    use runs::exercises::{self, Exercise};
    use workshop::session::{Said, Session};
    use workshop::{prove, room, watch};

    /// Steps through the book: exercises that are checked by what a program does
    #[derive(Parser)]
    #[command(name = "cargo workshop", bin_name = "cargo workshop")]
    struct Cli {
        #[command(subcommand)]
        verb: Option<Verb>,
    }

    #[derive(Subcommand)]
    enum Verb {
        /// Begins: the first exercise, the one that is named, or the first of a chapter (start poll)
        Start { name: Option<String> },
        /// Goes on to the next exercise that is not passed
        Next,
        /// Says what is asked for, once more
        Task { name: Option<String> },
        /// Checks the exercise, or the one that is named
        Check { name: Option<String> },
        /// Runs the exercise's program, or that of the one that is named (run -- --root src)
        Run {
            name: Option<String>,
            #[arg(last = true)]
            args: Vec<String>,
        },
        /// One hint more, of three
        Hint { name: Option<String> },
        /// How the book does it: once the exercise is passed, or --anyway
        Solution {
            name: Option<String>,
            /// Although it is not passed
            #[arg(long)]
            anyway: bool,
        },
        /// The starter again; what you have written is moved to workshop/kept
        Reset { name: Option<String> },
        /// All exercises, and how far you are
        #[command(alias = "progress")]
        List,
        /// Checks whenever the file is saved; keys for hint, next, list, quit
        Watch,
        /// For a room: everybody is at this exercise now, with a new starter, and loses nothing
        Checkpoint { name: String },
        /// For a room: whether this machine can go through it, without network
        Preflight {
            /// Exercises whose checks are tried; the first of each kind if none is named
            names: Vec<String>,
        },
        /// For a speaker: the notes beside a chapter (notes poll)
        Notes { chapter: String },
        /// For authors: each starter fails for its reason, each answer passes, no wrong one does
        Prove {
            names: Vec<String>,
            /// All but these
            #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
            except: Vec<String>,
        },
    }

    /// What is tried in a room before people come: a program, a server, threads, a file, a ring.
    const TRIED: [&str; 5] =
        ["select-refill", "poll-retire", "prethreaded-pop", "stall-fsync", "ring-take"];

    pub fn run() -> ExitCode {
        let cli: Cli = flags::parse();
        let Some(root) = root() else {
            return flags::fail(
                flags::REFUSED,
                "no book.toml here or above; go to the book's folder and try again",
            );
        };
        match act(&root, cli.verb.unwrap_or(Verb::List)) {
            Ok((text, good)) => {
                // Whoever reads it may have read enough.
                let _ = write!(io::stdout(), "{text}");
                ExitCode::from(if good { 0 } else { flags::FAILED })
            }
            Err(line) => flags::fail(flags::FAILED, line),
        }
    }

    /// The nearest folder, from here upwards, with a `book.toml`.
    fn root() -> Option<PathBuf> {
        let here = std::env::current_dir().ok()?;
        here.ancestors()
            .find(|folder| folder.join("book.toml").is_file())
            .map(Path::to_path_buf)
    }

    /// What is to be printed, and whether it is good.
    fn act(root: &Path, verb: Verb) -> Result<(String, bool), String> {
        let good = |said: Said| said.map(|text| (text, true));
        match verb {
            Verb::Prove { names, except } => return proved(root, &names, &except),
            Verb::Preflight { names } => return preflight(root, &names),
            Verb::Notes { chapter } => return good(notes(root, &chapter)),
            _ => {}
        }
        let mut session = Session::open(root)?;
        match verb {
            Verb::Start { name } => good(session.start(name.as_deref())),
            Verb::Next => good(session.go_on()),
            Verb::Task { name } => {
                let name = match name {
                    Some(name) => name,
                    None => session.current()?.0,
                };
                good(session.task(&name))
            }
            Verb::Check { name } => {
                let outcome = session.check(name.as_deref())?;
                Ok((outcome.said, outcome.passed))
            }
            Verb::Run { name, args } => {
                session.run(name.as_deref(), &args).map(|good| (String::new(), good))
            }
            Verb::Hint { name } => good(session.hint(name.as_deref())),
            Verb::Solution { name, anyway } => {
                good(session.solution(name.as_deref(), anyway))
            }
            Verb::Reset { name } => good(session.reset(name.as_deref())),
            Verb::List => Ok((session.list(), true)),
            Verb::Watch => watch::watch(&mut session).map(|()| (String::new(), true)),
            Verb::Checkpoint { name } => good(session.checkpoint(&name)),
            Verb::Prove { .. } | Verb::Preflight { .. } | Verb::Notes { .. } => {
                unreachable!("done above")
            }
        }
    }

    fn notes(root: &Path, chapter: &str) -> Said {
        let name = Path::new(chapter).with_extension("notes.md");
        let file = root.join("src").join(&name);
        std::fs::read_to_string(file).map(|text| workshop::words::plain(&text) + "\n").map_err(|_| {
            format!("there are no notes for {chapter}; chapters are named as their files are, as in poll")
        })
    }

    /// The exercises of these names; all, or `otherwise`, if none is named.
    fn chosen(
        root: &Path,
        names: &[String],
        otherwise: &[&str],
    ) -> Result<Vec<Exercise>, String> {
        let all = exercises::in_order(root).map_err(|error| error.to_string())?;
        let wanted: Vec<&str> = match names {
            [] => otherwise.to_vec(),
            names => names.iter().map(String::as_str).collect(),
        };
        if let Some(unknown) = wanted
            .iter()
            .find(|name| !all.iter().any(|placed| placed.exercise.name == **name))
        {
            return Err(format!("there is no exercise {unknown}"));
        }
        let all = all.into_iter().map(|placed| placed.exercise);
        Ok(all
            .filter(|one| wanted.is_empty() || wanted.contains(&one.name.as_str()))
            .collect())
    }

    fn proved(
        root: &Path,
        names: &[String],
        except: &[String],
    ) -> Result<(String, bool), String> {
        let mut exercises = chosen(root, names, &[])?;
        chosen(root, except, &[])?;
        exercises.retain(|one| !except.contains(&one.name));
        let proof = prove::prove(root, &exercises);
        let (held, wrong, skipped) = (proof.held, proof.wrong.len(), proof.skipped.len());
        let text = format!("{held} held, {wrong} wrong, {skipped} skipped\n");
        Ok((text, wrong == 0))
    }

    fn preflight(root: &Path, names: &[String]) -> Result<(String, bool), String> {
        println!(
            "looking; the first time this builds what exercises stand on, which takes some minutes"
        );
        let found = room::preflight(root, &chosen(root, names, &TRIED)?);
        let lines = found.lines.join("\n");
        let end = match found.to_do {
            0 => "This machine is ready.".to_owned(),
            n => format!("{n} to be done before people come."),
        };
        Ok((format!("{lines}\n\n{end}\n"), found.to_do == 0))
    }
}
