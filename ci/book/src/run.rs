//! One run: compile the listing, then run it, and tell the page about both line by line.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use runs::{Kind, Run};
use serde::Serialize;
use tokio::sync::mpsc::Sender;

use crate::phase::{Ended, Phase};

/// How long compiling may take; a first build downloads what the listing stands on.
const COMPILE_LIMIT: Duration = Duration::from_secs(20 * 60);
/// How long a server may run.
const SERVER_LIMIT: Duration = Duration::from_secs(30 * 60);

/// What the page is told, one JSON object to a line.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// The run has a number, by which it can be stopped, and a kernel that it runs on.
    Accepted {
        /// What `POST /api/stop` names.
        id: String,
        /// The kernel's name and release, as `uname -sr` prints them.
        kernel: String,
    },
    /// A line that cargo printed.
    Build {
        /// Without its newline.
        line: String,
    },
    /// The program starts now.
    Started {
        /// The command line, as one would type it.
        command: String,
    },
    /// A line on standard output.
    Out {
        /// Without its newline.
        line: String,
    },
    /// A line on standard error.
    Err {
        /// Without its newline.
        line: String,
    },
    /// A server listens.
    Listening {
        /// `http://ADDRESS:PORT`, or `ftp://`
        url: String,
        /// What to try, with the address filled in.
        tries: Vec<String>,
    },
    /// A server was traced: who waited, as a drawing.
    Drawn {
        /// A whole `<svg>`.
        svg: String,
    },
    /// The program, or compiling it, has ended.
    Ended {
        /// Exit status 0.
        ok: bool,
        /// `exit status 0`, `compiling failed`, `stopped: ended by SIGTERM`, …
        how: String,
        /// How long the program ran, in milliseconds; compiling is not counted.
        ms: f64,
    },
}

/// Ends the run when it completes: Stop, the page gone, the server ending.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Compiles and runs `run`, declared in the workspace at `root`; `book` is this program,
/// which guards what it starts. When this returns, nothing that the run started is left.
pub async fn run(
    root: &Path,
    book: &Path,
    run: &Run,
    events: &Sender<Event>,
    mut stop: Stop,
) {
    if let Err(error) = steps(root, book, run, events, &mut stop).await {
        let how = format!("not started: {error}");
        let _ = events.send(Event::Ended { ok: false, how, ms: 0.0 }).await;
    }
}

async fn steps(
    root: &Path,
    book: &Path,
    run: &Run,
    events: &Sender<Event>,
    stop: &mut Stop,
) -> io::Result<()> {
    let mut command = runs::build_command(root, [run]);
    command.arg("--release");
    let Some(executable) = build(book, &command, run, events, stop).await? else {
        return Ok(());
    };
    let program = runs::program_command(root, run, &executable);
    let _ = events.send(Event::Started { command: shown(run) }).await;
    let mut running = Phase::start(book, &program)?;
    running.stderr(events, |line| vec![Event::Err { line }]);
    let mut suggestions = (run.kind == Kind::Server).then(|| run.suggestions.clone());
    running.stdout(events, move |line| {
        let url = line
            .strip_prefix("listening on ")
            .filter(|url| url.starts_with("http://") || url.starts_with("ftp://"))
            .map(str::to_owned);
        let mut told = vec![Event::Out { line }];
        if let Some(url) = url
            && let Some(suggestions) = suggestions.take()
        {
            let tries = suggestions
                .iter()
                .map(|suggestion| suggestion.replace("{url}", &url))
                .collect();
            told.push(Event::Listening { url, tries });
        }
        told
    });
    let limit = match run.kind {
        Kind::Program => Duration::from_secs(run.seconds),
        Kind::Server => SERVER_LIMIT,
    };
    let ended = running.wait(limit, stop).await?;
    let _ = events.send(over(&ended)).await;
    Ok(())
}

/// Runs a command that is no listing, and tells the page what it prints.
pub(crate) async fn command(
    book: &Path,
    command: &Command,
    events: &Sender<Event>,
    mut stop: Stop,
) {
    let ended = async {
        let mut running = Phase::start(book, command)?;
        running.stderr(events, |line| vec![Event::Err { line }]);
        running.stdout(events, |line| vec![Event::Out { line }]);
        running.wait(COMPILE_LIMIT, &mut stop).await
    };
    let event = match ended.await {
        Ok(ended) => over(&ended),
        Err(error) => {
            Event::Ended { ok: false, how: format!("not started: {error}"), ms: 0.0 }
        }
    };
    let _ = events.send(event).await;
}

/// Compiles, as `command` says, and tells the page what the compiler writes. The program of
/// `of`; none if it was not built, and then the page knows why.
pub(crate) async fn build(
    book: &Path,
    command: &Command,
    of: &Run,
    events: &Sender<Event>,
    stop: &mut Stop,
) -> io::Result<Option<PathBuf>> {
    let mut building = Phase::start(book, command)?;
    building.stderr(events, |line| vec![Event::Build { line }]);
    let executable = Arc::new(OnceLock::new());
    let (found, of) = (Arc::clone(&executable), of.clone());
    building.stdout(events, move |line| {
        if let Some(path) = runs::executable(&of, &line) {
            let _ = found.set(path);
        }
        Vec::new()
    });
    let ended = building.wait(COMPILE_LIMIT, stop).await?;
    let executable = executable.get().filter(|_| ended.is_well()).cloned();
    if executable.is_none() {
        let _ = events.send(not_built(&ended)).await;
    }
    Ok(executable)
}

/// The program has ended.
pub(crate) fn over(ended: &Ended) -> Event {
    let ms = ended.elapsed.as_secs_f64() * 1000.0;
    Event::Ended { ok: ended.status.success(), how: ended.how(), ms }
}

/// Compiling has ended, and there is nothing to run.
fn not_built(ended: &Ended) -> Event {
    let how = if ended.cause.is_some() { ended.how() } else { "compiling failed".into() };
    Event::Ended { ok: false, how, ms: 0.0 }
}

/// The command as one would type it, the program by its name.
fn shown(run: &Run) -> String {
    let words = run.via.iter().chain([&run.bin]).chain(&run.args);
    words.map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The kernel's name and release.
pub fn kernel() -> String {
    #[cfg(unix)]
    {
        let name = rustix::system::uname();
        format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy())
    }
    #[cfg(not(unix))]
    std::env::consts::OS.into()
}
