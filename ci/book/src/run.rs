//! One run: compile the listing, then run it, and tell the page about both line by line.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use runs::{Kind, Run};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

/// How long compiling may take; a first build downloads what the listing stands on.
const COMPILE_LIMIT: Duration = Duration::from_secs(20 * 60);
/// How long a server may run.
const SERVER_LIMIT: Duration = Duration::from_secs(30 * 60);
/// A longer line reaches the page in pieces.
const LINE: u64 = 8192;

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
    let mut build = runs::build_command(root, [run]);
    build.arg("--release");
    let mut building = Phase::start(book, &build)?;
    building.stderr(events, |line| vec![Event::Build { line }]);
    let executable = Arc::new(OnceLock::new());
    let (found, of) = (Arc::clone(&executable), run.clone());
    building.stdout(events, move |line| {
        if let Some(path) = runs::executable(&of, &line) {
            let _ = found.set(path);
        }
        Vec::new()
    });
    let ended = building.wait(COMPILE_LIMIT, stop).await?;
    let Some(executable) =
        executable.get().filter(|_| ended.status.success() && ended.cause.is_none())
    else {
        let how =
            if ended.cause.is_some() { ended.how() } else { "compiling failed".into() };
        let _ = events.send(Event::Ended { ok: false, how, ms: 0.0 }).await;
        return Ok(());
    };

    let program = runs::program_command(root, run, executable);
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
    let ms = ended.elapsed.as_secs_f64() * 1000.0;
    let _ = events
        .send(Event::Ended { ok: ended.status.success(), how: ended.how(), ms })
        .await;
    Ok(())
}

/// The command as one would type it, the program by its name.
fn shown(run: &Run) -> String {
    let words = run.via.iter().chain([&run.bin]).chain(&run.args);
    words.map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A guarded process, and those who read what it prints.
struct Phase {
    child: Child,
    readers: Vec<JoinHandle<()>>,
    since: Instant,
}

/// How a phase came to its end.
struct Ended {
    status: ExitStatus,
    /// Why we ended it, if we did.
    cause: Option<String>,
    elapsed: Duration,
}

impl Phase {
    /// Starts what `plain` says, under a guard.
    fn start(book: &Path, plain: &std::process::Command) -> io::Result<Phase> {
        let mut command = Command::new(book);
        command.args(["guard", "--"]).arg(plain.get_program()).args(plain.get_args());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(folder) = plain.get_current_dir() {
            command.current_dir(folder);
        }
        // Out of the terminal's reach: Ctrl-C is for the server, which then lets go of the
        // guard.
        #[cfg(unix)]
        command.process_group(0);
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Phase { child, readers: Vec::new(), since: Instant::now() })
    }

    /// Tells `events` what `told` makes of each line on standard output.
    fn stdout(
        &mut self,
        events: &Sender<Event>,
        told: impl FnMut(String) -> Vec<Event> + Send + 'static,
    ) {
        let pipe = self.child.stdout.take();
        self.read(pipe, events, told);
    }

    /// The same for standard error.
    fn stderr(
        &mut self,
        events: &Sender<Event>,
        told: impl FnMut(String) -> Vec<Event> + Send + 'static,
    ) {
        let pipe = self.child.stderr.take();
        self.read(pipe, events, told);
    }

    fn read<T, P>(&mut self, pipe: Option<P>, events: &Sender<Event>, mut told: T)
    where
        T: FnMut(String) -> Vec<Event> + Send + 'static,
        P: AsyncRead + Unpin + Send + 'static,
    {
        let Some(pipe) = pipe else { return };
        let events = events.clone();
        self.readers.push(tokio::spawn(async move {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while (&mut pipe)
                .take(LINE)
                .read_until(b'\n', &mut line)
                .await
                .is_ok_and(|n| n > 0)
            {
                if line.ends_with(b"\n") {
                    line.pop();
                }
                for event in told(String::from_utf8_lossy(&line).into_owned()) {
                    // A page that reads slowly makes the program wait, as a terminal would.
                    if events.send(event).await.is_err() {
                        return;
                    }
                }
                line.clear();
            }
        }));
    }

    /// Waits for the end, or brings it about.
    async fn wait(mut self, limit: Duration, stop: &mut Stop) -> io::Result<Ended> {
        // Child::wait would close it, and the guard would take that for the page going
        // away.
        let line_to_guard = self.child.stdin.take();
        let mut cause = None;
        let status = tokio::select! {
            status = self.child.wait() => Some(status?),
            () = stop => {
                cause = Some("stopped".to_owned());
                None
            }
            () = tokio::time::sleep(limit) => {
                cause = Some(format!("time limit of {} s reached", limit.as_secs()));
                None
            }
        };
        drop(line_to_guard);
        let status = match status {
            Some(status) => status,
            None => self.child.wait().await?,
        };
        let elapsed = self.since.elapsed();
        // The group is gone and its pipes with it, unless somebody left the group and kept
        // them open.
        for reader in self.readers {
            let abort = reader.abort_handle();
            if tokio::time::timeout(Duration::from_secs(2), reader).await.is_err() {
                abort.abort();
            }
        }
        Ok(Ended { status, cause, elapsed })
    }
}

impl Ended {
    fn how(&self) -> String {
        let status = match self.status.code() {
            Some(code) => format!("exit status {code}"),
            None => format!("ended by {}", self.signal()),
        };
        match &self.cause {
            Some(cause) => format!("{cause}: {status}"),
            None => status,
        }
    }

    #[cfg(unix)]
    fn signal(&self) -> String {
        use std::os::unix::process::ExitStatusExt as _;
        match self.status.signal() {
            Some(6) => "SIGABRT".into(),
            Some(9) => "SIGKILL".into(),
            Some(11) => "SIGSEGV".into(),
            Some(15) => "SIGTERM".into(),
            signal => format!("signal {}", signal.unwrap_or_default()),
        }
    }

    #[cfg(not(unix))]
    fn signal(&self) -> String {
        "the system".into()
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
