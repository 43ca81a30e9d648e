use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{Error, Run};

/// What performing a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What it printed.
    Text(String),
    /// It cannot be performed on this machine, for this reason.
    Skipped(String),
}

/// The executables of programs, by the names of the programs.
pub type Programs = BTreeMap<String, PathBuf>;

/// The command that builds the programs of these runs. Its standard output has a JSON message
/// to a line, of which [`executable`] understands those that matter; its standard error is for
/// people.
pub fn build_command<'a>(root: &Path, runs: impl IntoIterator<Item = &'a Run>) -> Command {
    let mut cargo =
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    // Of the whole workspace, whose programs all have different names: so dependencies have the
    // features that `cargo test` has built them with, and are not built again for each package.
    cargo.args(["build", "--workspace"]);
    for run in runs {
        cargo.args(["--bin", &run.bin]);
    }
    cargo.arg("--message-format=json-render-diagnostics");
    // A test's environment has what its build script set; the compiler of ci/book-tests is
    // for snippets only.
    cargo.env_remove("RUSTC");
    cargo
}

/// The run's executable, if this line of [`build_command`]'s output names it.
pub fn executable(run: &Run, line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let target = message.get("target")?;
    let is_bin = target.get("kind")?.as_array()?.iter().any(|kind| kind == "bin");
    if !is_bin || target.get("name")? != run.bin.as_str() {
        return None;
    }
    message.get("executable")?.as_str().map(PathBuf::from)
}

/// The command that runs the built program in the folder `root`, under `via` where the run
/// has one.
pub fn program_command(root: &Path, run: &Run, executable: &Path) -> Command {
    let mut command = match run.via.split_first() {
        None => Command::new(executable),
        Some((via, words)) => {
            let mut command = Command::new(via);
            command.args(words).arg(executable);
            command
        }
    };
    command.args(&run.args).current_dir(root);
    command
}

/// Builds the programs of these runs, in one go: cargo takes half a second to find that there
/// is nothing to do. (None where the listings do not run: there is nothing to perform.)
pub fn build<'a>(
    root: &Path,
    runs: impl IntoIterator<Item = &'a Run>,
) -> Result<Programs, Error> {
    if !cfg!(target_os = "linux") {
        return Ok(Programs::new());
    }
    let runs: Vec<&Run> = runs.into_iter().collect();
    let output = build_command(root, runs.iter().copied())
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Error::new(format!("cannot run cargo: {e}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::new(format!("does not build:\n{}", said.trim_end())));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let built = |run: &&Run| {
        let path = messages.lines().find_map(|line| executable(run, line))?;
        Some((run.bin.clone(), path))
    };
    Ok(runs.iter().filter_map(built).collect())
}

/// Builds the run's program and [performs](perform_built) the run.
pub fn perform(root: &Path, run: &Run) -> Result<Outcome, Error> {
    let failed = |e| Error::new(format!("{}: {e}", run.name));
    perform_built(root, run, &build(root, [run]).map_err(failed)?)
}

/// Runs the run's program, which was built, in a process group of its own that is gone
/// afterwards.
///
/// A program must end with 0 within its time limit. A server is waited for, asked, told to
/// stop with SIGTERM, and must then end, all within the limit: with 0, or, since a first
/// server of thirty lines has no handler, by that signal. Its text is what it printed until
/// it listened, each question as a line `$ …` with the answer below, and what it printed
/// after that; since the kernel chooses the port, the address is shown as 127.0.0.1:8080,
/// where servers listen when nothing else is said.
///
/// Skipped where the listings do not run at all (anything but Linux), where a program of
/// `via` or `ask` is not installed, and where `via` is installed but may not do its work (a
/// container without ptrace).
pub fn perform_built(
    root: &Path,
    run: &Run,
    programs: &Programs,
) -> Result<Outcome, Error> {
    #[cfg(target_os = "linux")]
    return linux::perform(root, run, programs);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (root, programs);
        Ok(Outcome::Skipped(format!("{} needs Linux", run.name)))
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::env;
    use std::fs;
    use std::io::{self, BufRead, BufReader, PipeReader, Read};
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::path::Path;
    use std::process::{Child, Command, ExitStatus, Stdio};
    use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
    use std::thread;
    use std::time::{Duration, Instant};

    use rustix::process::{
        Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
    };

    use super::{Outcome, Programs, program_command};
    use crate::{Error, Kind, Run};

    /// What precedes a server's address on the line that says where it listens.
    const LISTENING: &str = "listening on ";
    /// What servers speak, and the address that recorded text shows for each: the default of
    /// their `--listen`.
    const SCHEMES: [(&str, &str); 2] =
        [("http://", "127.0.0.1:8080"), ("ftp://", "127.0.0.1:2121")];

    pub fn perform(root: &Path, run: &Run, programs: &Programs) -> Result<Outcome, Error> {
        let failed = |e: Failure| Error::new(format!("{}: {}", run.name, e.0));
        if let Some(reason) = missing(run) {
            return Ok(Outcome::Skipped(reason));
        }
        let unknown = || Failure(format!("cargo built no program named {}", run.bin));
        let executable = programs.get(&run.bin).ok_or_else(unknown).map_err(failed)?;
        let mut command = program_command(root, run, executable);
        let limit = Instant::now() + Duration::from_secs(run.seconds);
        let text = match run.kind {
            Kind::Program => program(&mut command, run, limit),
            Kind::Server => server(root, &mut command, run, limit),
        };
        text.map(Outcome::Text).map_err(failed)
    }

    /// What a server speaks, where, and the address that is shown for it.
    fn place(url: &str) -> Option<(&'static str, String, &'static str)> {
        SCHEMES.into_iter().find_map(|(scheme, shown)| {
            Some((scheme, url.strip_prefix(scheme)?.trim_end().to_owned(), shown))
        })
    }

    struct Failure(String);

    impl From<io::Error> for Failure {
        fn from(e: io::Error) -> Failure {
            Failure(e.to_string())
        }
    }

    /// Why this machine cannot perform the run, if it cannot.
    fn missing(run: &Run) -> Option<String> {
        let programs =
            run.via.first().into_iter().chain(run.ask.iter().map(|words| &words[0]));
        if let Some(program) = programs.into_iter().find(|program| !installed(program)) {
            return Some(format!("{program} is not installed"));
        }
        let (via, words) = run.via.split_first()?;
        // Installed is not allowed: containers forbid ptrace. A program that does nothing
        // tells.
        let tried = Command::new(via).args(words).arg("true").stdin(Stdio::null()).output();
        match tried {
            Ok(output) if output.status.success() => None,
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                Some(format!(
                    "{via} does not work here: {}",
                    said.trim().lines().last().unwrap_or("no reason given")
                ))
            }
            Err(e) => Some(format!("{via} does not start: {e}")),
        }
    }

    fn installed(program: &str) -> bool {
        if program.contains('/') {
            return Path::new(program).is_file();
        }
        env::var_os("PATH").is_some_and(|path| {
            env::split_paths(&path).any(|folder| folder.join(program).is_file())
        })
    }

    fn program(
        command: &mut Command,
        run: &Run,
        limit: Instant,
    ) -> Result<String, Failure> {
        let (mut group, stdout, stderr) = start(command, run)?;
        let status = group.wait(limit)?;
        let (text, said) = (rest_of(&stdout)?, rest_of(&stderr)?);
        match status {
            None => Err(Failure(format!(
                "still running after {} s; it was killed\n{text}{said}",
                run.seconds
            ))),
            Some(status) if status.success() => Ok(text),
            Some(status) => Err(Failure(format!("{status}\n{text}{said}"))),
        }
    }

    fn server(
        root: &Path,
        command: &mut Command,
        run: &Run,
        limit: Instant,
    ) -> Result<String, Failure> {
        let (mut group, stdout, stderr) = start(command, run)?;
        let mut text = String::new();
        let (scheme, address, shown) = loop {
            match stdout.recv_timeout(limit.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    text.push_str(&line);
                    if let Some(found) = line.strip_prefix(LISTENING).and_then(place) {
                        break found;
                    }
                }
                Err(e) => {
                    drop(group);
                    let why = match e {
                        RecvTimeoutError::Timeout => {
                            format!("did not listen within {} s", run.seconds)
                        }
                        RecvTimeoutError::Disconnected => {
                            "ended before it listened".to_owned()
                        }
                    };
                    return Err(Failure(format!("{why}\n{text}{}", rest_of(&stderr)?)));
                }
            }
        };
        for words in &run.ask {
            let words: Vec<_> = words
                .iter()
                .map(|word| word.replace("{url}", &format!("{scheme}{address}")))
                .collect();
            text.push_str(&format!("$ {}\n", quoted(&words)));
            text.push_str(&ask(root, &words, limit)?);
            if !text.ends_with('\n') {
                text.push('\n');
            }
        }
        group.terminate(!run.via.is_empty())?;
        let status = group.wait(limit)?;
        text.push_str(&rest_of(&stdout)?);
        match status {
            Some(status)
                if status.success() || status.signal() == Some(Signal::TERM.as_raw()) =>
            {
                Ok(text.replace(&address, shown))
            }
            Some(status) => Err(Failure(format!(
                "after SIGTERM: {status}, not 0\n{}",
                rest_of(&stderr)?
            ))),
            None => Err(Failure(format!(
                "did not end after SIGTERM within {} s; it was killed",
                run.seconds
            ))),
        }
    }

    /// Runs one question; the answer is its standard output.
    fn ask(root: &Path, words: &[String], limit: Instant) -> Result<String, Failure> {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(root);
        let (mut group, stdout, stderr) = spawn(&mut command, false)?;
        let status = group.wait(limit)?;
        let (text, said) = (rest_of(&stdout)?, rest_of(&stderr)?);
        match status {
            Some(status) if status.success() => Ok(text),
            Some(status) => {
                Err(Failure(format!("$ {}\n{text}{said}{status}", quoted(words))))
            }
            None => {
                Err(Failure(format!("$ {}\n{text}{said}no answer in time", quoted(words))))
            }
        }
    }

    /// The words as one would type them.
    fn quoted(words: &[String]) -> String {
        let plain = |c: char| c.is_alphanumeric() || "-_./:=@,+%".contains(c);
        let quote = |word: &String| {
            if !word.is_empty() && word.chars().all(plain) {
                word.clone()
            } else {
                format!("'{}'", word.replace('\'', r"'\''"))
            }
        };
        words.iter().map(quote).collect::<Vec<_>>().join(" ")
    }

    fn start(
        command: &mut Command,
        run: &Run,
    ) -> Result<(Group, Receiver<String>, Receiver<String>), Failure> {
        spawn(command, run.stderr)
    }

    /// Starts a command in a process group of its own; its output arrives line by line.
    /// `together`: standard error goes into the same pipe as standard output, so that the
    /// order is that of the writes.
    fn spawn(
        command: &mut Command,
        together: bool,
    ) -> Result<(Group, Receiver<String>, Receiver<String>), Failure> {
        let (stdout, out) = io::pipe()?;
        let (stderr, err) = io::pipe()?;
        let err = if together { out.try_clone()? } else { err };
        let program = command.get_program().to_string_lossy().into_owned();
        let child =
            command.process_group(0).stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        // The command keeps its ends of the pipes open; without this the readers would
        // never see the end.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = child.map_err(|e| Failure(format!("{program}: {e}")))?;
        let group = Group { pid: Pid::from_child(&child), child, reaped: false };
        Ok((group, lines(stdout), lines(stderr)))
    }

    fn lines(pipe: PipeReader) -> Receiver<String> {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.by_ref().read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).into_owned();
                if sender.send(text).is_err() {
                    return;
                }
                line.clear();
            }
        });
        receiver
    }

    /// All that is still to come, once the group has been killed.
    fn rest_of(lines: &Receiver<String>) -> Result<String, Failure> {
        let mut text = String::new();
        loop {
            match lines.recv_timeout(Duration::from_secs(5)) {
                Ok(line) => text.push_str(&line),
                Err(RecvTimeoutError::Disconnected) => return Ok(text),
                Err(RecvTimeoutError::Timeout) => {
                    let why = "a process that left its group keeps the output open; end it by hand";
                    return Err(Failure(format!("{why}\n{text}")));
                }
            }
        }
    }

    /// A process group, gone when this is.
    struct Group {
        child: Child,
        pid: Pid,
        reaped: bool,
    }

    impl Group {
        /// Waits for the leader to end, then kills what it left behind. `None`: the limit
        /// came first.
        fn wait(&mut self, limit: Instant) -> io::Result<Option<ExitStatus>> {
            let ended =
                WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
            while waitid(WaitId::Pid(self.pid), ended)?.is_none() {
                if Instant::now() >= limit {
                    self.end()?;
                    return Ok(None);
                }
                thread::sleep(Duration::from_millis(10));
            }
            self.end().map(Some)
        }

        /// Kills the group while the leader is not reaped yet: until then nobody else gets
        /// its number.
        fn end(&mut self) -> io::Result<ExitStatus> {
            if !self.reaped {
                kill_process_group(self.pid, Signal::KILL)?;
                self.reaped = true;
            }
            self.child.wait()
        }

        /// Sends SIGTERM to the leader, or, where it only watches, to the program below it: the
        /// last that it started, since a tracer starts first whatever its output goes through.
        fn terminate(&self, below: bool) -> Result<(), Failure> {
            let mut pid = self.pid;
            if below {
                let id = pid.as_raw_nonzero();
                let children =
                    fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
                let last = children
                    .split_whitespace()
                    .next_back()
                    .and_then(|id| Pid::from_raw(id.parse().ok()?));
                pid = last.ok_or_else(|| {
                    Failure("the program that runs the server has no child".to_owned())
                })?;
            }
            kill_process(pid, Signal::TERM).map_err(|e| Failure(format!("SIGTERM: {e}")))
        }
    }

    impl Drop for Group {
        fn drop(&mut self) {
            // A failure here is a process that is gone already.
            let _ = self.end();
        }
    }
}
