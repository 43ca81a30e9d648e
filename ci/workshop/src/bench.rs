//! How a check looks at an answer: builds it, runs it under the tracer, asks it as a client, tries
//! rows of the fault table on it, runs its tests.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use conformance::{Model, end_tree, rows};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use runs::exercises::Exercise;
use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;
use trace::Sources;
use trace::tracer::{self, Tracer};

use crate::desk::Desk;
use crate::ran::{Ran, Why, fails};

/// How long a program may run.
const PROGRAM: Duration = Duration::from_secs(10);
/// How long tests may run.
const TESTS: Duration = Duration::from_secs(15);
/// How long cargo may compile: the first time all that a listing stands on.
const COMPILING: Duration = Duration::from_secs(1800);
/// Of what the compiler says so much is shown.
const ERROR_LINES: usize = 60;
/// How many calls a program may make. More are not needed, and each is kept.
const CALLS: usize = 4_000;

/// Why an answer does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not right. For the learner.
    Fails(String),
    /// This machine cannot run the check.
    Skipped(String),
    /// It is we who are not right.
    Trouble(String),
}

/// What comes of a rule.
pub type Checked = Result<(), Fault>;

/// An exercise on a desk.
#[derive(Debug)]
pub struct Bench<'a> {
    /// Where it lies.
    pub desk: &'a Desk,
    /// Which one.
    pub exercise: &'a Exercise,
}

impl Bench<'_> {
    /// Builds a program of the exercise's crate.
    pub fn build(&self, bin: &str) -> Result<PathBuf, Fault> {
        let mut cargo = self.command("build");
        cargo.args(["--bin", bin, "--message-format=json"]);
        let messages = compiled(&mut cargo)?;
        executable(&messages, |message| message["target"]["name"] == bin)
            .ok_or_else(|| Fault::Trouble(format!("cargo built no program named {bin}")))
    }

    /// Runs a program under the tracer, to its end.
    pub fn run(&self, bin: &str, args: &[&str]) -> Result<Ran, Fault> {
        let program = self.build(bin)?;
        let mut command = self.started(program, args);
        let (ran, ()) = self.traced(&mut command, |_, _| {})?;
        Ok(ran)
    }

    /// Runs a program to its end, and looks at what it prints only.
    pub fn run_untraced(&self, bin: &str, args: &[&str]) -> Result<Ran, Fault> {
        let output = within(&mut self.started(self.build(bin)?, args), PROGRAM)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let is_late = output.status.signal() == Some(Signal::SIGKILL as i32);
        Ok(Ran {
            out: text(&output.stdout),
            said: text(&output.stderr),
            status: output.status,
            killed: is_late.then_some(Why::Time(PROGRAM.as_secs())),
            lanes: Vec::new(),
            looked_at: (0.0, f64::INFINITY),
            asked: Ok(()),
        })
    }

    /// Runs a server under the tracer while it is asked, and then ends it with SIGTERM. What it
    /// did is looked at from its first client to its last.
    pub fn serve(
        &self,
        bin: &str,
        args: &[&str],
        ask: impl FnOnce(&Server) -> Checked + Send,
    ) -> Result<Ran, Fault> {
        let program = self.build(bin)?;
        let mut command = self.started(program, args);
        let (mut ran, asked) = self.traced(&mut command, |stdout, clock| {
            let mut line = String::new();
            // No line: it has ended, or is killed, and that is seen there.
            let _ = stdout.read_line(&mut line);
            let address = line.trim().strip_prefix("listening on http://")?.parse().ok()?;
            let from = clock.now();
            let outcome = ask(&Server { address, pid: clock.first as i32 });
            let until = clock.now();
            clock.terminate();
            Some((outcome, (from, until)))
        })?;
        let Some((outcome, looked_at)) = asked else {
            ran.ends_well()?;
            return fails(format!(
                "it does not say where it listens\n{}{}",
                ran.out, ran.said
            ));
        };
        (ran.asked, ran.looked_at) = (outcome, looked_at);
        Ok(ran)
    }

    /// A program of the exercise's, in its crate's folder.
    fn started(&self, program: PathBuf, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.desk.crate_of(self.exercise));
        // Of a panic its message is enough.
        command.env("RUST_BACKTRACE", "0");
        command
    }

    /// The program under the tracer, which is this thread; another one looks after it.
    fn traced<T: Send>(
        &self,
        command: &mut Command,
        beside: impl FnOnce(&mut BufReader<std::process::ChildStdout>, &Clock) -> T + Send,
    ) -> Result<(Ran, T), Fault> {
        let trouble = |error: std::io::Error| Fault::Trouble(error.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut tracer = Tracer::start(command)
            .map_err(|error| Fault::Skipped(tracer::refused(&error)))?;
        tracer.name_lines_in(Sources {
            root: self.desk.folder.clone(),
            folder: PathBuf::new(),
        });
        tracer.note_details();
        tracer.at_most(CALLS);
        let first = tracer.child().id();
        let clock = Clock { zero: tracer.zero(), first };
        let stdout = tracer.child().stdout.take().expect("it is piped");
        let stderr = tracer.child().stderr.take().expect("it is piped");
        let (over, is_over) = channel::<()>();
        thread::scope(|scope| {
            let printed = scope.spawn(move || {
                let mut stdout = BufReader::new(stdout);
                let asked = beside(&mut stdout, &clock);
                let mut rest = String::new();
                let _ = stdout.read_to_string(&mut rest);
                (asked, rest)
            });
            let said = scope.spawn(move || {
                let mut text = Vec::new();
                let _ = BufReader::new(stderr).read_to_end(&mut text);
                String::from_utf8_lossy(&text).into_owned()
            });
            let watch = scope.spawn(move || {
                let late = is_over.recv_timeout(PROGRAM) == Err(RecvTimeoutError::Timeout);
                if late {
                    end_tree(first);
                }
                late
            });
            let seen = tracer.run();
            drop(over);
            let late = watch.join().expect("it does not panic");
            let (asked, out) = printed.join().expect("it does not panic");
            let said = said.join().expect("it does not panic");
            let seen = seen.map_err(trouble)?;
            let killed = match (seen.too_many, late) {
                (true, _) => Some(Why::Calls(CALLS)),
                (false, true) => Some(Why::Time(PROGRAM.as_secs())),
                (false, false) => None,
            };
            let (status, lanes) = (ExitStatus::from_raw(seen.status), seen.lanes);
            let looked_at = (0.0, f64::INFINITY);
            Ok((Ran { out, said, status, killed, lanes, looked_at, asked: Ok(()) }, asked))
        })
    }

    /// Tries a row of the fault table on a server. `traits` says what the server is.
    pub fn row(&self, bin: &str, number: u8, traits: fn(Model) -> Model) -> Checked {
        let program = self.build(bin)?;
        // A model has its names for ever, and there are few of them.
        let leak =
            |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
        let program = leak(&program.to_string_lossy());
        conformance::be_hasty();
        let scratch = self.desk.target.join("tmp");
        let model = Model::new(leak(bin), program, &scratch.to_string_lossy());
        let row = rows::row_number(number).map_err(Fault::Trouble)?;
        match rows::try_row(&traits(model), number) {
            Ok(_) => Ok(()),
            Err(why) => {
                fails(format!("row {number} of the fault table ({}):\n{why}", row.fault))
            }
        }
    }

    /// Runs those of the crate's tests whose names begin so: of its library, or of a file in
    /// `tests/`.
    pub fn tests(&self, of: Option<&str>, names: &[&str]) -> Checked {
        self.tests_say(of, names).map(drop)
    }

    /// The same, and what they say beside: what could not be tried here.
    pub fn tests_say(&self, of: Option<&str>, names: &[&str]) -> Result<String, Fault> {
        let mut cargo = self.command("test");
        match of {
            None => cargo.arg("--lib"),
            Some(file) => cargo.args(["--test", file]),
        };
        cargo.args(["--no-run", "--message-format=json"]);
        let messages = compiled(&mut cargo)?;
        let program = executable(&messages, |message| message["profile"]["test"] == true);
        let program =
            program.ok_or_else(|| Fault::Trouble("cargo built no tests".to_owned()))?;
        // Not by cargo, which may have to wait for somebody else who builds. One after another,
        // so that one sees which does not end.
        let mut run = self.started(program, names);
        run.args(["--test-threads=1", "--nocapture"]);
        let output = within(&mut run, TESTS)?;
        let out = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        match (output.status.success(), out.contains("running 0 tests")) {
            (_, true) => Err(Fault::Trouble(format!("there are no tests named {names:?}"))),
            (true, false) => Ok(said.into_owned()),
            (false, false) => fails(failed_tests(&out, &said)),
        }
    }

    /// The tests below an answer are to be those of the listing.
    pub fn tests_are_whole(&self) -> Checked {
        let of =
            |text: &str| text.split_once("#[cfg(test)]").map(|(_, tests)| tests.to_owned());
        let read = |path: &Path| crate::desk::read(path).map_err(Fault::Trouble);
        let mine = read(&self.desk.file_of(self.exercise))?;
        let source = read(&self.desk.root.join(self.exercise.source()))?;
        match of(&mine) == of(&source) {
            true => Ok(()),
            false => fails("the tests at the end of the file are not those of the listing"),
        }
    }

    /// The program that the exercise is a part of.
    pub fn program(&self) -> String {
        let stem = self.exercise.file.strip_prefix("src/bin").ok();
        let stem = stem.and_then(|file| {
            file.with_extension("")
                .components()
                .next()?
                .as_os_str()
                .to_str()
                .map(str::to_owned)
        });
        stem.unwrap_or_else(|| self.exercise.listing.clone())
    }

    /// Cargo, for this exercise's crate.
    pub fn command(&self, verb: &str) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.arg(verb).args(["--package", &self.exercise.name]);
        command.arg("--manifest-path").arg(self.desk.folder.join("Cargo.toml"));
        command.env("CARGO_TARGET_DIR", &self.desk.target).env("RUST_BACKTRACE", "0");
        command
    }
}

/// A server that is asked.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its first process.
    pub pid: i32,
}

impl Server {
    /// From now on it may open so many descriptors more, and no others.
    pub fn may_open(&self, more: u64) -> Checked {
        let is_free = |n: &u64| {
            std::fs::symlink_metadata(format!("/proc/{}/fd/{n}", self.pid)).is_err()
        };
        // The kernel hands out the lowest free number.
        let lowest = (0..).find(is_free).unwrap_or(0);
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit { current: Some(lowest + more), maximum };
        let set =
            prlimit(rustix::process::Pid::from_raw(self.pid), Resource::Nofile, limit);
        match set {
            Ok(_) => {}
            Err(rustix::io::Errno::SRCH) => return fails("the server has ended"),
            Err(error) => return Err(Fault::Trouble(format!("prlimit: {error}"))),
        }
        Ok(())
    }

    /// Its children, in the order in which they were made.
    pub fn children(&self) -> Vec<u32> {
        let list = format!("/proc/{0}/task/{0}/children", self.pid);
        let text = std::fs::read_to_string(list).unwrap_or_default();
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// SIGTERM.
    pub fn is_told_to_end(&self) -> Checked {
        match kill(Pid::from_raw(self.pid), Signal::SIGTERM) {
            Ok(()) => Ok(()),
            Err(_) => fails("the server has ended"),
        }
    }

    /// Ends one of its children, which may have ended by itself.
    pub fn kills(&self, child: u32) {
        let _ = kill(Pid::from_raw(child as i32), Signal::SIGKILL);
    }

    /// Children that have ended and were not waited for.
    pub fn zombies(&self) -> usize {
        let is_one = |pid: &u32| {
            let stat =
                std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
        };
        self.children().iter().filter(|pid| is_one(pid)).count()
    }

    /// How many of its sockets a child has open as well.
    pub fn shared_sockets(&self) -> usize {
        let sockets = |pid: u32| -> Vec<PathBuf> {
            let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
            let links = open.flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok());
            links.filter(|link| link.to_string_lossy().starts_with("socket:")).collect()
        };
        let own = sockets(self.pid as u32);
        let of_children = self.children().into_iter().flat_map(sockets);
        of_children.filter(|socket| own.contains(socket)).count()
    }
}

/// The time as a trace has it, and the program that is traced.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    zero: std::time::Instant,
    first: u32,
}

impl Clock {
    fn now(&self) -> f64 {
        self.zero.elapsed().as_secs_f64() * 1e6
    }

    /// SIGTERM, for the first process; it may be gone by itself.
    fn terminate(&self) {
        let _ = kill(Pid::from_raw(self.first as i32), Signal::SIGTERM);
    }
}

/// Runs a command to its end, which comes for all that it has started when the time is over.
fn within(command: &mut Command, limit: Duration) -> Result<Output, Fault> {
    let name = command.get_program().to_string_lossy().into_owned();
    let trouble = |error: std::io::Error| Fault::Trouble(format!("{name}: {error}"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(trouble)?;
    let first = child.id();
    let (over, is_over) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if is_over.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                end_tree(first);
            }
        });
        let output = child.wait_with_output().map_err(trouble);
        drop(over);
        output
    })
}

/// The program that one of cargo's messages speaks of.
fn executable(messages: &[Value], is_it: impl Fn(&Value) -> bool) -> Option<PathBuf> {
    let mut some = messages.iter().filter(|message| is_it(message));
    some.find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// Has cargo compile, and returns its messages; or what the compiler says.
fn compiled(cargo: &mut Command) -> Result<Vec<Value>, Fault> {
    let output = within(cargo, COMPILING)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let messages: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if output.status.success() {
        return Ok(messages);
    }
    let error = |message: &Value| {
        let is_error = message["message"]["level"] == "error";
        message["message"]["rendered"].as_str().filter(|_| is_error).map(str::to_owned)
    };
    let mut errors: Vec<String> = messages.iter().filter_map(error).collect();
    if errors.is_empty() {
        // Not the compiler's: a manifest, say.
        errors.push(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    // Paths are said from the learner's folder, and typed in the book's.
    let text = errors.join("\n").replace("--> ", "--> workshop/");
    let lines: Vec<&str> = text.trim().lines().collect();
    let rest = match lines.len().saturating_sub(ERROR_LINES) {
        0 => String::new(),
        more => format!("\n… and {more} lines more"),
    };
    let shown = &lines[..lines.len().min(ERROR_LINES)];
    fails(format!("it does not compile:\n{}{rest}", shown.join("\n")))
}

/// What a test program says of tests that failed, or of one that did not end: which, and their
/// panics.
fn failed_tests(out: &str, said: &str) -> String {
    let mut lines = Vec::new();
    let mut in_panic = false;
    for line in said.lines() {
        in_panic =
            (in_panic || line.contains("panicked at")) && !line.starts_with("note: ");
        if in_panic && !line.trim().is_empty() {
            lines.push(line.to_owned());
        }
    }
    match out.rsplit_once("\nfailures:\n") {
        Some((_, failed)) => {
            let names = failed.lines().map(str::trim).take_while(|line| !line.is_empty());
            let names: Vec<&str> = names.collect();
            lines.insert(0, format!("tests fail: {}", names.join(", ")));
        }
        // It was killed: the last one that was begun was running.
        None => {
            let mut begun = out.lines().filter_map(|line| line.strip_prefix("test "));
            let test = begun
                .next_back()
                .and_then(|line| line.split_once(" ..."))
                .map(|(test, _)| test);
            let seconds = TESTS.as_secs();
            let test = test.unwrap_or("none says its name");
            lines.insert(0, format!("a test does not end within {seconds} s: {test}"));
        }
    }
    lines.truncate(40);
    lines.join("\n")
}
