//! A server as a process of its own, with one processor of its own.

use std::env;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use clap::Parser;
use epoll_loop::{EpollLoop, FilesBy, Trigger};
use iterative::start::Offer;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use select_loop::start;

/// The first argument that makes a program the server.
const ROLE: &str = "server";

/// A server that is running, until it is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts the epoll server of part 5, in this program's own file.
    ///
    /// # Errors
    /// What the server says, or why it cannot be started.
    pub fn start(root: &Path, flags: &[&str]) -> io::Result<Self> {
        Self::launch(Command::new(env::current_exe()?).arg(ROLE).args(flags), root)
    }

    /// Starts a program that takes the flags of this book's servers.
    ///
    /// # Errors
    /// The same.
    pub fn start_program(words: &[impl AsRef<OsStr>], root: &Path) -> io::Result<Self> {
        let Some((program, flags)) = words.split_first() else {
            return Err(io::Error::other("which program?"));
        };
        Self::launch(Command::new(program).args(flags), root)
    }

    fn launch(command: &mut Command, root: &Path) -> io::Result<Self> {
        command.args(["--listen", "127.0.0.1:0", "--root"]).arg(root);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut server = Self { child, address: ([127, 0, 0, 1], 0).into() };
        let mut line = String::new();
        if let Some(output) = server.child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let address = line.trim().strip_prefix("listening on http://");
        server.address = address
            .and_then(|address| address.parse().ok())
            .ok_or_else(|| io::Error::other("the server does not say where it listens"))?;
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let id = Pid::from_child(&self.child);
        let _ = kill_process(id, Signal::TERM); // it may have ended by itself
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                _ => return,
            }
        }
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Gives whoever is started from now on the first processor that we have; and us, after that,
/// the second. False: there is only one.
///
/// # Errors
/// What sched_setaffinity(2) answers.
// ANCHOR: apart
pub fn apart<T>(start: impl FnOnce() -> io::Result<T>) -> io::Result<(T, bool)> {
    static ALL: OnceLock<CpuSet> = OnceLock::new();
    let ours = *ALL.get_or_init(|| sched_getaffinity(None).unwrap_or_default());
    let mut mine = (0..CpuSet::MAX_CPU).filter(|cpu| ours.is_set(*cpu));
    let (Some(first), second) = (mine.next(), mine.next()) else {
        return Ok((start()?, false));
    };
    let only = |cpu| {
        let mut set = CpuSet::new();
        set.set(cpu);
        sched_setaffinity(None, &set)
    };
    only(first)?;
    let started = start();
    match second {
        Some(second) => only(second)?,
        None => sched_setaffinity(None, &ours)?,
    }
    Ok((started?, second.is_some()))
}
// ANCHOR_END: apart

/// First thing in main: if this process was started as the server or as its store, serves
/// and returns how that ended.
pub fn run_if_asked() -> Option<ExitCode> {
    #[derive(Parser)]
    struct Role {
        #[command(flatten)]
        server: flags::ServerFlags,
        #[arg(long)]
        files_in_loop: bool,
    }
    store::embedded::run_if_asked();
    let mut arguments = env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != ROLE) {
        return None;
    }
    let role = Role::parse_from([ROLE.into()].into_iter().chain(arguments));
    let files_by = match role.files_in_loop {
        true => FilesBy::Loop,
        false => FilesBy::Pool(4),
    };
    Some(match serve(&role.server, files_by) {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => flags::fail(flags::FAILED, line),
    })
}

fn serve(server: &flags::ServerFlags, files_by: FilesBy) -> Result<(), String> {
    let offer = Offer { file_cache: true, keep_alive: true };
    let start::Ready { mut house, door, stop, store: _store } =
        start::get_ready(server, offer, u64::MAX)?;
    files_by
        .set_up(&mut house)
        .and_then(|()| EpollLoop::new(house, door, stop, Trigger::Level, false))
        .and_then(EpollLoop::run)
        .map_err(|error| format!("cannot serve: {error}"))
}
