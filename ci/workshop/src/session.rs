//! A learner's way through the exercises: what each verb does.

use std::path::{Path, PathBuf};
use std::process::Command;

use runs::exercises::{self, Placed};
use runs::progress::{Progress, State};

use crate::words::{indented, plain};
use crate::{Bench, Desk, Fault, checks};

/// What a verb has to say, or why it could not be done.
pub type Said = Result<String, String>;

/// The exercises, a learner's desk, and what is done.
#[derive(Debug)]
pub struct Session {
    desk: Desk,
    all: Vec<Placed>,
    /// What is known of the learner.
    pub progress: Progress,
}

fn not_begun(name: &str) -> String {
    format!("{name} was not begun: cargo workshop start {name}")
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// It has passed.
    pub passed: bool,
    /// For people.
    pub said: String,
}

impl Session {
    /// In the book's folder.
    ///
    /// # Errors
    /// Exercises that are not well written, progress that cannot be read.
    pub fn open(root: &Path) -> Result<Self, String> {
        let text = |error: runs::Error| error.to_string();
        let all = exercises::in_order(root).map_err(text)?;
        let progress = Progress::read(root).map_err(text)?;
        Ok(Self { desk: Desk::of_learner(root), all, progress })
    }

    /// An exercise by its name, by its chapter's (the first of it), or the one that is worked on.
    fn find(&self, name: Option<&str>) -> Result<&Placed, String> {
        let Some(name) = name.or(self.progress.current.as_deref()) else {
            return Err(
                "no exercise was begun; cargo workshop start begins the first".into()
            );
        };
        let chapter = Path::new(name).with_extension("md");
        let found = self.all.iter().find(|placed| placed.exercise.name == name);
        found.or_else(|| self.all.iter().find(|placed| placed.chapter == chapter)).ok_or_else(|| {
            format!("there is no exercise and no chapter {name}; cargo workshop list shows all")
        })
    }

    /// Begins an exercise, or goes on with it: the first, if none is named.
    pub fn start(&mut self, name: Option<&str>) -> Said {
        let first = self.all.first().map(|placed| placed.exercise.name.clone());
        let first =
            name.map(str::to_owned).or_else(|| self.progress.current.clone()).or(first);
        let name = self.find(first.as_deref())?.exercise.name.clone();
        self.begin(&name)
    }

    /// Goes on to the next one that is not passed.
    pub fn go_on(&mut self) -> Said {
        let here = self.find(None)?.exercise.name.clone();
        let at = self.all.iter().position(|placed| placed.exercise.name == here);
        let (before, after) = self.all.split_at(at.map_or(0, |at| at + 1));
        let is_open = |placed: &&Placed| {
            self.progress.state(&placed.exercise.name) != Some(State::Passed)
        };
        let next = after.iter().chain(before).find(|placed| is_open(placed));
        match next.map(|placed| placed.exercise.name.clone()) {
            Some(name) => self.begin(&name),
            None => Ok(format!("All {} exercises are passed.", self.all.len())),
        }
    }

    fn begin(&mut self, name: &str) -> Said {
        let Placed { exercise, .. } = self.find(Some(name))?;
        if !self.desk.file_of(exercise).exists() {
            self.desk.put(exercise, Some(&exercise.starter.code))?;
        }
        self.desk.tie_together()?;
        self.progress.current = Some(name.to_owned());
        self.progress.of(name);
        self.save()?;
        self.task(name)
    }

    /// What is asked for, and where.
    pub fn task(&self, name: &str) -> Said {
        let Placed { exercise, title, chapter } = self.find(Some(name))?;
        let file = self.shown(&self.desk.file_of(exercise));
        let mark = "// EXERCISE";
        let text = std::fs::read_to_string(self.desk.file_of(exercise)).unwrap_or_default();
        let line = text.lines().position(|line| line.trim_start().starts_with(mark));
        let at = line.map_or(String::new(), |line| format!(":{}", line + 1));
        let (kind, minutes) = (exercise.kind.word(), exercise.minutes);
        let chapter = format!("{title} (src/{})", chapter.display());
        let task = plain(&exercise.task);
        // A program that is a server wants to know what to serve.
        let args = match exercise.file.starts_with("src/bin") {
            true => "",
            false => " -- …",
        };
        Ok(format!(
            "{}: {} ({kind}, about {minutes} minutes)\nfrom {chapter}\n\n{task}\n\nIts file:  {file}{at}\nTry it:    cargo workshop run{args}\nThen:      cargo workshop check     (or watch; hint, solution, reset, next)\n",
            exercise.name, exercise.title
        ))
    }

    /// Checks an exercise.
    ///
    /// # Errors
    /// It was not begun, or it is we who cannot.
    pub fn check(&mut self, name: Option<&str>) -> Result<Outcome, String> {
        let Placed { exercise, .. } = self.find(name)?;
        if !self.desk.file_of(exercise).exists() {
            return Err(not_begun(&exercise.name));
        }
        let name = exercise.name.clone();
        self.say_that_it_compiles();
        match checks::check(&Bench { desk: &self.desk, exercise }) {
            Ok(()) => {
                self.progress.of(&name).state = State::Passed;
                self.save()?;
                let said = format!(
                    "{name}: passed\n\ncargo workshop next goes on; solution shows how the book does it.\n"
                );
                Ok(Outcome { passed: true, said })
            }
            Err(Fault::Fails(why)) => {
                let said = format!("{name}: not yet\n\n{}", indented(&why));
                Ok(Outcome { passed: false, said })
            }
            Err(Fault::Skipped(why)) => {
                let said = format!(
                    "{name}: cannot be checked on this machine\n\n{}",
                    indented(&why)
                );
                Ok(Outcome { passed: false, said })
            }
            Err(Fault::Trouble(why)) => {
                Err(format!("{name}: the check itself fails: {why}"))
            }
        }
    }

    /// Runs the program that the exercise is a part of, in the folder in which somebody says so.
    /// Says whether it ended well.
    ///
    /// # Errors
    /// It was not begun, or does not compile.
    pub fn run(&self, name: Option<&str>, args: &[String]) -> Result<bool, String> {
        let Placed { exercise, .. } = self.find(name)?;
        if !self.desk.file_of(exercise).exists() {
            return Err(not_begun(&exercise.name));
        }
        let bench = Bench { desk: &self.desk, exercise };
        self.say_that_it_compiles();
        let program = bench.build(&bench.program()).map_err(|fault| match fault {
            Fault::Fails(why) | Fault::Skipped(why) | Fault::Trouble(why) => why,
        })?;
        let status = Command::new(&program).args(args).status();
        status
            .map(|status| status.success())
            .map_err(|error| format!("{}: {error}", program.display()))
    }

    /// The first time it takes a while, and whoever waits is to know for what.
    fn say_that_it_compiles(&self) {
        if !self.desk.target.join("debug/deps").exists() {
            eprintln!("compiling what exercises stand on; this takes half a minute, once");
        }
    }

    /// One hint more, up to three; those before are said again.
    pub fn hint(&mut self, name: Option<&str>) -> Said {
        let Placed { exercise, .. } = self.find(name)?;
        let (name, hints) = (exercise.name.clone(), exercise.hints.clone());
        let one = self.progress.of(&name);
        one.hints = (one.hints + 1).min(hints.len());
        let given = one.hints;
        self.save()?;
        let said = hints.iter().take(given).enumerate().map(|(n, hint)| {
            format!("Hint {} of {}\n{}\n\n", n + 1, hints.len(), plain(hint))
        });
        Ok(said.collect())
    }

    /// How the book does it: once it is passed, or if somebody insists.
    pub fn solution(&self, name: Option<&str>, anyway: bool) -> Said {
        let Placed { exercise, .. } = self.find(name)?;
        let name = &exercise.name;
        if !anyway && self.progress.state(name) != Some(State::Passed) {
            return Err(format!(
                "{name} is not passed yet; --anyway shows the solution all the same"
            ));
        }
        // What would be shown may be what the next one asks for.
        let same = |placed: &&Placed| {
            let other = &placed.exercise;
            other.name != *name
                && other.source() == exercise.source()
                && other.cut == exercise.cut
        };
        let after = self.all.iter().skip_while(|placed| placed.exercise.name != *name);
        let is_open = |placed: &&Placed| {
            self.progress.state(&placed.exercise.name) != Some(State::Passed)
        };
        if let Some(later) = after.filter(same).find(is_open).filter(|_| !anyway) {
            let later = &later.exercise.name;
            return Ok(format!(
                "The book's lines do what {later} asks for as well, so they are shown when that is passed (or --anyway).\n"
            ));
        }
        let source = crate::desk::read(&self.desk.root.join(exercise.source()))?;
        let answer = exercise.answer(&source).map_err(|error| error.to_string())?;
        Ok(format!("{}:\n\n{}", exercise.source().display(), indented(&answer)))
    }

    /// The starter again. What was there is kept.
    pub fn reset(&mut self, name: Option<&str>) -> Said {
        let Placed { exercise, .. } = self.find(name)?;
        let name = exercise.name.clone();
        let kept = self.desk.keep(exercise)?;
        let task = self.begin(&name)?;
        let kept = kept.map_or(String::new(), |kept| {
            format!("What was there is in {} now.\n\n", self.shown(&kept))
        });
        Ok(kept + &task)
    }

    /// Brings a room to the same place: everything before it is passed or skipped, and its
    /// starter is new. What was there is kept.
    pub fn checkpoint(&mut self, name: &str) -> Said {
        let name = self.find(Some(name))?.exercise.name.clone();
        let before = self.all.iter().map(|placed| placed.exercise.name.clone());
        for other in before.take_while(|other| *other != name).collect::<Vec<_>>() {
            let one = self.progress.of(&other);
            if one.state != State::Passed {
                one.state = State::Skipped;
            }
        }
        self.reset(Some(&name))
    }

    /// All exercises, by chapter, and how far each is.
    pub fn list(&self) -> String {
        self.list_of(&self.all.iter().collect::<Vec<_>>())
    }

    /// The same for the chapter of the exercise that is worked on.
    pub fn list_of_chapter(&self) -> String {
        let here = self.find(None).map(|placed| placed.chapter.clone()).unwrap_or_default();
        self.list_of(
            &self.all.iter().filter(|placed| placed.chapter == here).collect::<Vec<_>>(),
        )
    }

    fn list_of(&self, some: &[&Placed]) -> String {
        let mut text = String::new();
        let mut chapter: Option<&Path> = None;
        for Placed { exercise, chapter: of, title } in some {
            if chapter != Some(of) {
                chapter = Some(of);
                text += &format!("\n{title}\n");
            }
            let name = &exercise.name;
            let state = self.progress.state(name).map_or("", State::word);
            let here = if self.progress.current.as_ref() == Some(name) { ">" } else { " " };
            let (kind, minutes) = (exercise.kind.word(), exercise.minutes);
            text += &format!(
                "{here} {name:<20} {state:<8} {kind:<9} {minutes:>3} min  {}\n",
                exercise.title
            );
        }
        let passed = self.all.iter().filter(|placed| {
            self.progress.state(&placed.exercise.name) == Some(State::Passed)
        });
        let (passed, all) = (passed.count(), self.all.len());
        format!(
            "{}\n\n{passed} of {all} are passed.\n",
            text.trim_start_matches('\n').trim_end()
        )
    }

    /// The crate of the exercise that is worked on, and its name.
    ///
    /// # Errors
    /// None is.
    pub fn current(&self) -> Result<(String, PathBuf), String> {
        let Placed { exercise, .. } = self.find(None)?;
        Ok((exercise.name.clone(), self.desk.crate_of(exercise)))
    }

    fn save(&self) -> Result<(), String> {
        self.progress.write(&self.desk.root).map_err(|error| error.to_string())
    }

    /// A path as one would type it in the book's folder.
    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.desk.root).unwrap_or(path).display().to_string()
    }
}
