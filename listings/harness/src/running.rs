//! A server that is being measured: how it is started, and how it ends.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use std::os::unix::process::ExitStatusExt;

use crate::nginx;
use crate::plan::GRACE;
use crate::process::{Group, Interrupted, Nothing};
use crate::programs::Programs;
use crate::record::Ending;
use crate::server::{Origin, Server};

/// How long a server may take to say that it listens.
const START: Duration = Duration::from_secs(10);
/// How long it may take to end, beyond its grace: two seconds are for its threads, five for
/// its store.
const END: Duration = Duration::from_secs(9);
/// How long a server may leave a single client without a byte before it counts as hung.
const SILENCE: Duration = Duration::from_secs(5);

/// A server, and its process if it is ours to end.
#[derive(Debug)]
pub struct Running {
    /// Its processes; none of a peer.
    pub group: Option<Group>,
    /// Where it listens.
    pub address: String,
}

/// What a server of ours is started with.
#[derive(Debug)]
pub struct Start<'a> {
    /// Where the programs are.
    pub programs: &'a Programs,
    /// What is served.
    pub root: &'a Path,
    /// Where nginx may write.
    pub work: &'a Path,
    /// Its processor.
    pub cpu: usize,
    /// Further flags: the store.
    pub store: Vec<String>,
}

impl Start<'_> {
    /// The command of a server of ours, or of nginx, and its address if that is known before.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn command(&self, server: &Server) -> io::Result<(Command, Option<SocketAddr>)> {
        let Origin::Ours { program, flags } = &server.origin else {
            let (command, address) = nginx::command(self.work, self.root)?;
            return Ok((command, Some(address)));
        };
        let mut command = Command::new(self.programs.path(program));
        command.args(["--listen", "127.0.0.1:0", "--root"]).arg(self.root);
        command.args(["--grace", &GRACE.as_millis().to_string()]);
        command.args(&self.store).args(flags);
        Ok((command, None))
    }

    /// Starts a server, and waits until it listens. One that does not is a result.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn start(
        &self,
        server: &Server,
        stop: &AtomicBool,
    ) -> Result<Result<Running, Ending>, Interrupted> {
        if let Origin::Peer { address, .. } = &server.origin {
            return Ok(Ok(Running { group: None, address: address.clone() }));
        }
        let not_started = |why: String| Ok(Err(Ending::DidNotStart { why }));
        let started = self
            .command(server)
            .and_then(|(mut command, at)| Ok((Group::start(&mut command, self.cpu)?, at)));
        let (mut group, address) = match started {
            Ok(started) => started,
            Err(error) => return not_started(format!("cannot start it: {error}")),
        };
        let listens = match address {
            Some(address) => comes_up(&mut group, address, stop)?,
            None => says_where(&mut group, stop)?,
        };
        match listens {
            Ok(address) => Ok(Ok(Running { group: Some(group), address })),
            Err(why) => {
                group.kill();
                let said = group.said().map(|said| format!(": {said}")).unwrap_or_default();
                not_started(why + &said)
            }
        }
    }
}

fn says_where(
    group: &mut Group,
    stop: &AtomicBool,
) -> Result<Result<String, String>, Interrupted> {
    let line = match group.line(START, stop)? {
        Ok(line) => line,
        Err(Nothing::InTime) => {
            return Ok(Err(format!("it did not say within {START:?} where it listens")));
        }
        Err(Nothing::AnyMore) => {
            let status = group.wait(START, stop)?;
            let how =
                status.map_or_else(|| "it closed its output".into(), |s| s.to_string());
            return Ok(Err(format!("{how}, before it said where it listens")));
        }
    };
    let address = line.strip_prefix("listening on http://").map(str::to_owned);
    Ok(address.ok_or_else(|| format!("it does not say where it listens, but: {line}")))
}

fn comes_up(
    group: &mut Group,
    address: SocketAddr,
    stop: &AtomicBool,
) -> Result<Result<String, String>, Interrupted> {
    let until = Instant::now() + START;
    while Instant::now() < until {
        if stop.load(Ordering::Relaxed) {
            return Err(Interrupted);
        }
        if TcpStream::connect(address).is_ok() {
            return Ok(Ok(address.to_string()));
        }
        if let Some(status) = group.ended() {
            return Ok(Err(status.to_string()));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(Err(format!("it did not listen within {START:?}")))
}

impl Running {
    /// Tells it to end, and says how it did. One that had ended before has died.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn end(&mut self, stop: &AtomicBool) -> Result<Ending, Interrupted> {
        let Some(group) = &mut self.group else { return Ok(Ending::Well) };
        if let Some(status) = group.ended() {
            return Ok(died(status));
        }
        group.terminate();
        let ending = match group.wait(GRACE + END, stop)? {
            // A program that takes no notice of signals ends of this one, as it was told to.
            Some(status) if status.success() || status.signal() == Some(15) => Ending::Well,
            Some(status) => died(status),
            None => {
                let why = format!("it did not end within {:?} after SIGTERM", GRACE + END);
                Ending::Hung { why }
            }
        };
        group.kill();
        Ok(ending)
    }

    /// Whether a single client gets as much as a byte.
    #[must_use]
    pub fn answers(&self, path: &str) -> bool {
        let answer = || {
            let mut addresses = self.address.to_socket_addrs()?;
            let address = addresses.next().ok_or(io::ErrorKind::NotFound)?;
            let mut socket = TcpStream::connect_timeout(&address, SILENCE)?;
            socket.set_read_timeout(Some(SILENCE))?;
            write!(
                socket,
                "GET {path} HTTP/1.1\r\nHost: harness\r\nConnection: close\r\n\r\n"
            )?;
            socket.read(&mut [0])
        };
        answer().is_ok_and(|bytes| bytes > 0)
    }

    /// Whether it lives and answers nobody. How one ended that does not live, its end says.
    #[must_use]
    pub fn hangs(&mut self, path: &str) -> Option<Ending> {
        let lives = self.group.as_mut().is_none_or(|group| group.ended().is_none());
        let why = || format!("a client gets no byte within {SILENCE:?}");
        (lives && !self.answers(path)).then(|| Ending::Hung { why: why() })
    }
}

fn died(status: ExitStatus) -> Ending {
    Ending::Died { code: status.code(), signal: status.signal() }
}
