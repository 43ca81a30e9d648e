//! The store as a process of a server's own.
//!
//! The server starts its own program again in this role. A thread would be simpler, but
//! then `fork` in the forking servers would copy one thread of several, and the store would
//! stand in every trace and in every CPU figure.
//!
//! The store ends when its standard input ends: that is a pipe whose other end the server
//! holds, and the processes that the server forks. However those end, the kernel closes it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::serve::{Options, Store, block};

/// The first argument that makes a program the store.
const ROLE: &str = "embedded-store";
/// What stands before the address in the first line.
const LISTENING: &str = "listening on redis://";
/// How long the store may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);

fn was_asked() -> bool {
    env::args_os().nth(1).is_some_and(|argument| argument == ROLE)
}

/// First thing in every server's main: if this process was started as the embedded store,
/// serves and never returns.
pub fn run_if_asked() {
    if was_asked() {
        let result = run(env::args_os().skip(2));
        if let Err(why) = &result {
            // The server reads this in place of the address.
            let _ = writeln!(io::stdout(), "{why}"); // Nobody is left to be told.
        }
        std::process::exit(i32::from(result.is_err()));
    }
}

// ANCHOR: run
/// Serves until standard input ends.
fn run(arguments: impl Iterator<Item = OsString>) -> Result<(), String> {
    // Ctrl-C reaches every process of the terminal's group. The server then finishes its
    // requests, and needs us for that.
    block(&[Signal::SIGINT, Signal::SIGTERM]);
    // The name that ps shows; without it, it would be that of the link, exe.
    let _ = fs::write("/proc/self/comm", "store");
    let store = Store::start(&options(arguments)?)?;
    announce(store.address());
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink()); // An error ends us as the end does.
    drop(store);
    Ok(())
}
// ANCHOR_END: run

/// Prints the address as the first line, at once.
pub fn announce(address: SocketAddr) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{LISTENING}{address}").and_then(|()| out.flush()); // Whoever wanted to know is gone.
}

fn options(mut arguments: impl Iterator<Item = OsString>) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(flag) = arguments.next() {
        let value = arguments
            .next()
            .ok_or_else(|| format!("{ROLE}: {} needs a value", flag.display()))?;
        match flag.to_str() {
            Some("--delay") => {
                let ms = value.to_str().and_then(|text| text.parse().ok());
                let ms = ms.ok_or_else(|| {
                    format!("{ROLE}: --delay takes milliseconds, not {}", value.display())
                })?;
                options.delay = Duration::from_millis(ms);
            }
            Some("--file") => options.file = Some(value.into()),
            _ => return Err(format!("{ROLE}: there is no {}", flag.display())),
        }
    }
    Ok(options)
}

/// The running store.
///
/// Dropping it closes the pipe and waits until the store has ended, for at most five
/// seconds; then it is killed. A server that forks drops it in the first process, after its
/// workers have ended. One that waits for *any* child gets this one, too.
#[derive(Debug)]
pub struct Embedded {
    child: Child,
    pipe: Option<ChildStdin>,
    address: SocketAddr,
}

impl Embedded {
    // ANCHOR: start
    /// Starts the store, and returns when it listens. `delay` is how long every reply
    /// waits, in whole milliseconds, `file` what it appends to. Start it before opening
    /// what it should not inherit. The error is one line.
    pub fn start(delay: Duration, file: Option<&Path>) -> Result<Self, String> {
        if was_asked() {
            return Err("this program does not call store::embedded::run_if_asked first in its main".into());
        }
        // Not the path: the program behind it may have been replaced since we were started.
        let mut command = Command::new("/proc/self/exe");
        command.arg0(env::args_os().next().unwrap_or_default()).arg(ROLE);
        command.args(["--delay", &delay.as_millis().to_string()]);
        command
            .args(file.into_iter().flat_map(|file| ["--file".as_ref(), file.as_os_str()]));
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child =
            spawned.map_err(|why| format!("cannot start the embedded store: {why}"))?;
        let pipe = child.stdin.take();
        let line = first_line(child.stdout.take());
        let Some(address) =
            line.strip_prefix(LISTENING).and_then(|address| address.parse().ok())
        else {
            drop(pipe);
            end(&mut child);
            return Err(failure(line));
        };
        Ok(Self { child, pipe, address })
    }
    // ANCHOR_END: start

    /// Its process id: for a server that waits for any child, and so for this one, too.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.pipe = None;
        end(&mut self.child);
    }
}

/// What the store says first, at most a page of it.
fn first_line(out: Option<ChildStdout>) -> String {
    let mut line = String::new();
    if let Some(out) = out {
        let _ = BufReader::new(out.take(4096)).read_line(&mut line); // What cannot be read is no address.
    }
    line.trim_end().to_owned()
}

fn failure(line: String) -> String {
    if line.is_empty() {
        return "the embedded store ended before it listened; does main call store::embedded::run_if_asked first?"
            .into();
    }
    line
}

/// Waits until the store has ended, not for ever. A forked process has no such child, and
/// nothing to wait for.
fn end(child: &mut Child) {
    let until = Instant::now() + PATIENCE;
    while let Ok(None) = child.try_wait() {
        if Instant::now() >= until {
            let _ = child.kill().and_then(|()| child.wait()); // Both fail only when it has ended meanwhile.
            return;
        }
        thread::sleep(Duration::from_millis(2));
    }
}
