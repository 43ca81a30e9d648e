//! One server process under test: started on a port of its own with a folder of its own,
//! asked whether it is healthy, told to end, and gone when dropped, whatever the test did.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::client::{self, eventually};
use crate::model::Model;
use crate::patience::patience;
use crate::process::{self, Descriptors};
use crate::report::{Report, Tally};
use crate::root::{Root, SMALL};

/// How many files a server's worker may hold open more than it did at first. Caches of open
/// files are allowed, and bounded.
const CACHED_FILES: usize = 1024;

/// How long a server may take to start.
const START: Duration = Duration::from_secs(15);

/// How long the log of a server that has ended is waited for.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it serves.
    pub root: Root,
    workers: usize,
    pool: usize,
    log: Log,
    before: Descriptors,
}

impl Server {
    /// Starts a server of this model with more flags, waits for its first line, and warms
    /// it up.
    pub fn start(model: &Model, flags: &[&str]) -> Result<Self, String> {
        Self::start_under(model, &[], flags)
    }

    /// Starts it as the last argument of another program, such as `strace -D`.
    pub fn start_under(
        model: &Model,
        wrapper: &[&str],
        flags: &[&str],
    ) -> Result<Self, String> {
        Self::start_with(model, wrapper, flags, |_| {})
    }

    /// Starts it after `adjust` has changed how: with another user, in another group.
    pub fn start_with(
        model: &Model,
        wrapper: &[&str],
        flags: &[&str],
        adjust: impl FnOnce(&mut Command),
    ) -> Result<Self, String> {
        let mut server = Self::launch(model, wrapper, flags, adjust)?;
        // Now whatever is made on first use is there: the connection to the store, a place
        // in the file cache.
        server.answers()?;
        server.before = server.at_rest();
        Ok(server)
    }

    /// Starts it without a first request.
    pub fn launch(
        model: &Model,
        wrapper: &[&str],
        flags: &[&str],
        adjust: impl FnOnce(&mut Command),
    ) -> Result<Self, String> {
        let root =
            Root::new().map_err(|error| format!("the folder for the server: {error}"))?;
        let mut command = command(model, &root, wrapper, flags);
        adjust(&mut command);
        let mut child = command
            .spawn()
            .map_err(|error| format!("{:?}: {error}", command.get_program()))?;
        let first_line = first_line(&mut child);
        let log = Log::of(&mut child)?;
        let mut server = Self {
            child,
            address: ([127, 0, 0, 1], 0).into(),
            root,
            workers: model.workers,
            pool: model.pool,
            log,
            before: Descriptors::default(),
        };
        let line = first_line.map_err(|why| {
            format!("{} did not start: {why}{}", server.pid(), server.last_words())
        })?;
        server.address = line
            .strip_prefix("listening on http://")
            .and_then(|address| address.parse().ok())
            .ok_or_else(|| format!("the first line on stdout is not 'listening on http://ADDRESS:PORT': {line}"))?;
        Ok(server)
    }

    /// What a server says whose ring the kernel refuses, and that ends with 2 for it (row 19).
    #[must_use]
    pub fn refusal(model: &Model) -> Option<String> {
        let root = Root::new().ok()?;
        let mut child = command(model, &root, &[], &[]).spawn().ok()?;
        if first_line(&mut child).is_ok() {
            let _ = child.kill();
        }
        let output = child.wait_with_output().ok()?;
        let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        let is_refused = output.status.code() == Some(2);
        (is_refused && said.starts_with("cannot set up an io_uring: ")).then_some(said)
    }

    /// Process id of the server.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote on standard error so far, line by line.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The end of the log of a server that has ended, or is about to.
    fn last_words(&self) -> String {
        // What it wrote is in the pipe, and the thread that reads it may not have come to it.
        // Somebody whom the server has left behind may hold the pipe open.
        let begun = Instant::now();
        while !self.log.reader.is_finished() && begun.elapsed() < LAST_WORDS {
            thread::sleep(Duration::from_millis(5));
        }
        self.log_excerpt()
    }

    fn log_excerpt(&self) -> String {
        let log = self.log();
        let last: Vec<&str> = log.iter().rev().take(3).rev().map(String::as_str).collect();
        if last.is_empty() {
            String::new()
        } else {
            format!("; its last words: {}", last.join(" / "))
        }
    }

    /// Asks for a file and for the page that needs the store. On a busy machine a store that
    /// has little time may need more than one try.
    fn answers(&self) -> Result<(), String> {
        let mut tries = 0;
        loop {
            match self.answers_once() {
                Err(why) if why.ends_with("503") && tries < 5 => tries += 1,
                outcome => return outcome,
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn answers_once(&self) -> Result<(), String> {
        for (target, content) in [("/small.txt", Some(SMALL)), ("/guestbook", None)] {
            let response = client::get(self.address, target)
                .map_err(|why| format!("GET {target}: {why}"))?;
            if response.status != 200
                || content.is_some_and(|content| response.body != content.as_bytes())
            {
                return Err(format!("GET {target} is answered {}", response.status));
            }
        }
        Ok(())
    }

    /// The descriptors once nothing moves any more: the same three times in a row, while
    /// every process sleeps. One that has served its client and is about to end does not.
    fn at_rest(&self) -> Descriptors {
        let begun = Instant::now();
        let mut last = Descriptors::default();
        let mut same = 0;
        while same < 3 && begun.elapsed() < patience() {
            thread::sleep(Duration::from_millis(10));
            let sleeps =
                process::tree(self.pid()).iter().all(|process| process.state == 'S');
            let now = Descriptors::of(self.pid());
            same = match now == last {
                false => 0,
                true => same + usize::from(sleeps),
            };
            last = now;
        }
        last
    }

    /// A fresh GET is answered 200, descriptors and processes are back to where they were,
    /// no zombie is left.
    pub fn healthy(&mut self) -> Result<(), String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(format!(
                "not healthy: the server ended with {status}{}",
                self.last_words()
            ));
        }
        if let Err(why) = self.answers() {
            // A server that is ending takes a moment for it.
            return Err(match self.wait(Duration::from_millis(200)) {
                Ok(status) => format!(
                    "not healthy: the server ended with {status}{}",
                    self.last_words()
                ),
                Err(_) => format!("not healthy: {why}{}", self.log_excerpt()),
            });
        }
        eventually(patience(), || {
            let (now, before) = (Descriptors::of(self.pid()), self.before);
            // Which workers have a connection to the store is chance; both of its ends may
            // be among the server's processes. Fewer than before is no leak: on a busy machine
            // the first count may have had a connection that was ending.
            let of_others = 2 * self.workers.saturating_sub(1);
            let Descriptors { sockets, files, threads, .. } = before;
            let same = now.sockets <= before.sockets + of_others
                && Descriptors { sockets, files, threads, ..now } == before
                && (before.threads..=before.threads + self.pool).contains(&now.threads)
                && now.files <= before.files + CACHED_FILES * self.workers.max(1);
            if same {
                Ok(())
            } else {
                Err(format!("not healthy: {now}; before the table: {before}"))
            }
        })?;
        match self.log().iter().find(|line| line.contains("panicked at")) {
            Some(line) => Err(format!("not healthy: {line}")),
            None => Ok(()),
        }
    }

    /// The processes that serve: its children, without the embedded store.
    #[must_use]
    pub fn workers(&self) -> Vec<u32> {
        let serves = |process: &process::Process| {
            process.parent == self.pid() && process.state != 'Z' && !process.is_store()
        };
        process::tree(self.pid()).iter().filter(|p| serves(p)).map(|p| p.pid).collect()
    }

    /// Sends a signal to the server.
    pub fn signal(&self, signal: Signal) -> Result<(), String> {
        process::signal(self.pid(), signal)
    }

    /// Waits until the server has ended.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus, String> {
        let begun = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if begun.elapsed() > limit => {
                    return Err(format!("it still runs after {limit:?}"));
                }
                Ok(None) => thread::sleep(Duration::from_millis(5)),
                Err(error) => return Err(format!("wait: {error}")),
            }
        }
    }

    /// SIGTERM; the exit code must be 0, and nothing that the server started may outlive
    /// it.
    pub fn stop(mut self) -> Result<(), String> {
        let started: Vec<u32> =
            process::tree(self.pid()).iter().skip(1).map(|process| process.pid).collect();
        self.signal(Signal::TERM)?;
        let status = self.wait(patience()).map_err(|why| format!("after SIGTERM {why}"))?;
        if !status.success() {
            return Err(format!(
                "SIGTERM: {status} instead of exit code 0{}",
                self.last_words()
            ));
        }
        eventually(patience(), || {
            match started.iter().find_map(|pid| process::Process::read(*pid)) {
                Some(left) => Err(format!("process {} outlives the server", left.pid)),
                None => Ok(()),
            }
        })
    }

    /// Healthy, and then SIGTERM.
    pub fn finish(mut self) -> Result<(), String> {
        self.healthy()?;
        self.stop()
    }

    /// Ends a table: the server must be healthy and end well, and every case must have
    /// held.
    pub fn conclude(mut self, tally: Tally) -> Result<Report, String> {
        match (tally.report(), self.healthy()) {
            (Ok(report), Ok(())) => self.stop().map(|()| report),
            (Ok(_), Err(why)) => Err(why),
            (Err(failures), Ok(())) => Err(failures),
            (Err(failures), Err(why)) => Err(format!("{failures}\n  afterwards: {why}")),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        process::end_tree(self.pid());
        let _ = self.child.wait();
    }
}

/// How a server of this model is started, in the last place of another program's words.
fn command(model: &Model, root: &Root, wrapper: &[&str], flags: &[&str]) -> Command {
    let mut words = wrapper.to_vec();
    words.push(model.program);
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .args(["--listen", "127.0.0.1:0", "--root"])
        .arg(root.path())
        .args(model.args)
        .args(model.form)
        .args(flags)
        // Its last words are to be those of a panic, and not where it came from.
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The first line on standard output. The rest is read and dropped, so that the server
/// never blocks on a full pipe.
pub(crate) fn first_line(child: &mut Child) -> Result<String, String> {
    let mut stdout = BufReader::new(child.stdout.take().ok_or("no stdout")?);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        if stdout.read_line(&mut line).is_ok() {
            let _ = sender.send(line);
        }
        let _ = std::io::copy(&mut stdout, &mut std::io::sink());
    });
    match receiver.recv_timeout(START) {
        Ok(line) if line.ends_with('\n') => Ok(line.trim_end().to_owned()),
        Ok(_) => Err("it ended without a line on stdout".into()),
        Err(_) => Err(format!("no line on stdout within {START:?}")),
    }
}

/// Lines of standard error so far.
#[derive(Debug)]
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    /// Ends when nobody can write any more.
    reader: JoinHandle<()>,
}

impl Log {
    fn of(child: &mut Child) -> Result<Self, String> {
        let mut stderr = BufReader::new(child.stderr.take().ok_or("no stderr")?);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&lines);
        let reader = thread::spawn(move || {
            let mut line = Vec::new();
            // A server that logs without end fails its row, but does not fill this process's
            // memory.
            while stderr
                .by_ref()
                .take(4096)
                .read_until(b'\n', &mut line)
                .is_ok_and(|n| n > 0)
            {
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                if log.len() < 100_000 {
                    log.push(String::from_utf8_lossy(&line).trim_end().to_owned());
                }
                line.clear();
            }
        });
        Ok(Self { lines, reader })
    }
}
