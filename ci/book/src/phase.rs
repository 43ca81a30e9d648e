//! A phase of a run: a program under a guard, and those who read what it prints.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

use crate::run::{Event, Stop};

/// A longer line reaches the page in pieces.
const LINE: u64 = 8192;

/// A guarded process, and those who read what it prints.
pub(crate) struct Phase {
    child: Child,
    readers: Vec<JoinHandle<()>>,
    since: Instant,
}

/// How a phase came to its end.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Why we ended it, if we did.
    pub(crate) cause: Option<String>,
    pub(crate) elapsed: Duration,
}

impl Phase {
    /// Starts what `plain` says, under a guard.
    pub(crate) fn start(book: &Path, plain: &std::process::Command) -> io::Result<Phase> {
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
    pub(crate) fn stdout(
        &mut self,
        events: &Sender<Event>,
        told: impl FnMut(String) -> Vec<Event> + Send + 'static,
    ) {
        let pipe = self.child.stdout.take();
        self.read(pipe, events, told);
    }

    /// The same for standard error.
    pub(crate) fn stderr(
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
    pub(crate) async fn wait(
        mut self,
        limit: Duration,
        stop: &mut Stop,
    ) -> io::Result<Ended> {
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
    /// By itself, and with 0.
    pub(crate) fn is_well(&self) -> bool {
        self.status.success() && self.cause.is_none()
    }

    pub(crate) fn how(&self) -> String {
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
