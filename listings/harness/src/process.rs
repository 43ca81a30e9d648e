//! A child in a process group of its own, pinned, which never outlives us by an oversight.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};

use crate::cores;
use crate::life::Life;
use crate::output::{LastLine, first_line};

/// How often a child is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(5);
/// How long the last words of whoever has ended may take to come.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Somebody has pressed Ctrl-C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

/// Why nothing came that was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// The time was up.
    InTime,
    /// Whoever could have sent it is gone.
    AnyMore,
}

/// A running child, and all that it starts.
#[derive(Debug)]
pub struct Group {
    child: Child,
    ended: Option<(ExitStatus, Life)>,
    line: Receiver<String>,
    said: LastLine,
}

impl Group {
    /// Starts it on this processor.
    ///
    /// # Errors
    /// What fork(2), execve(2) or sched_setaffinity(2) answer.
    pub fn start(command: &mut Command, cpu: usize) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // It inherits where this thread may run, so that is another thread than the one that
        // goes on. Its group: Ctrl-C on the terminal is for us, and we tell it.
        let command = command.process_group(0);
        let spawned = thread::scope(|scope| {
            let spawning = scope.spawn(|| {
                cores::pin_this_thread(cpu)?;
                command.spawn()
            });
            spawning.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
        });
        let mut child = spawned?;
        let line = first_line(child.stdout.take());
        let said = LastLine::of(child.stderr.take());
        Ok(Self { child, ended: None, line, said })
    }

    /// Its process id, and its group's.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The first line that it writes on standard output, without its end.
    ///
    /// # Errors
    /// [`Interrupted`]. Inside: it does not come.
    pub fn line(
        &self,
        limit: Duration,
        stop: &AtomicBool,
    ) -> Result<Result<String, Nothing>, Interrupted> {
        let until = Instant::now() + limit;
        while !stop.load(Ordering::Relaxed) {
            match self.line.recv_timeout(LOOK) {
                Ok(line) => return Ok(Ok(line)),
                Err(RecvTimeoutError::Disconnected) => return Ok(Err(Nothing::AnyMore)),
                Err(RecvTimeoutError::Timeout) if Instant::now() >= until => {
                    return Ok(Err(Nothing::InTime));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        Err(Interrupted)
    }

    /// How it has ended, if it has. Whatever it has left behind is ended, too.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if self.ended.is_none()
            && matches!(waitid(WaitId::Pid(self.pid()), look), Ok(Some(_)))
        {
            self.kill();
        }
        self.ended.map(|(status, _)| status)
    }

    /// What it has used in its life, once it has ended.
    #[must_use]
    pub fn life(&self) -> Option<Life> {
        self.ended.map(|(_, life)| life)
    }

    /// Waits until it has ended; none: it has not.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn wait(
        &mut self,
        limit: Duration,
        stop: &AtomicBool,
    ) -> Result<Option<ExitStatus>, Interrupted> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended() {
                return Ok(Some(status));
            }
            if stop.load(Ordering::Relaxed) {
                return Err(Interrupted);
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            thread::sleep(LOOK);
        }
    }

    /// Asks it to end.
    pub fn terminate(&mut self) {
        if self.ended().is_none() {
            // It may end meanwhile, and nobody else has its number before we wait for it.
            let _ = kill_process(self.pid(), Signal::TERM);
        }
    }

    /// Ends it and all that it has started.
    pub fn kill(&mut self) {
        if self.ended.is_some() {
            return;
        }
        // Until we have waited for the first process, its number is nobody else's, and
        // neither is its group's: that is why this comes first.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let before = Life::of_children();
        // An error would be that it is no child of ours.
        if let Ok(status) = self.child.wait() {
            self.ended = Some((status, Life::of_children().since(before)));
        }
    }

    /// The last line that it wrote on standard error.
    #[must_use]
    pub fn said(&self) -> Option<String> {
        // When it has ended, nobody is left who could write, and what is written is soon read.
        self.said.get(if self.ended.is_some() { LAST_WORDS } else { Duration::ZERO })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Group {
        Group::start(Command::new("sh").args(["-c", script]), cores::Cores::one().server)
            .unwrap()
    }

    #[test]
    fn a_line_an_exit_code_and_last_words() {
        let no = AtomicBool::new(false);
        let mut group = shell("echo first; echo second; echo 'no luck' >&2; exit 3");
        assert_eq!(group.line(LONG, &no), Ok(Ok("first".into())));
        assert_eq!(group.wait(LONG, &no).unwrap().unwrap().code(), Some(3));
        assert!(group.life().is_some_and(|life| life.minor_faults > 0));
        assert_eq!(group.said().as_deref(), Some("no luck"));
    }

    #[test]
    fn who_says_nothing_is_not_waited_for_for_ever() {
        let no = AtomicBool::new(false);
        let mut silent = shell("sleep 1000");
        assert_eq!(silent.line(LOOK, &no), Ok(Err(Nothing::InTime)));
        assert_eq!(silent.wait(LOOK, &no).unwrap(), None);
        assert_eq!(silent.line(LONG, &AtomicBool::new(true)), Err(Interrupted));
        assert_eq!(silent.wait(LONG, &AtomicBool::new(true)), Err(Interrupted));
        assert_eq!(shell("exit 0").line(LONG, &no), Ok(Err(Nothing::AnyMore)));
    }

    #[test]
    fn who_is_left_behind_is_ended() {
        let no = AtomicBool::new(false);
        let mut group = shell("sleep 1000 & exit 0");
        assert!(group.wait(LONG, &no).unwrap().unwrap().success());
        is_gone(group.id());
    }

    #[test]
    fn nobody_is_left_of_a_group() {
        let no = AtomicBool::new(false);
        let group = shell("sleep 1000 & echo $!; wait");
        let child: u32 = group.line(LONG, &no).unwrap().unwrap().parse().unwrap();
        assert!(crate::proc::group(group.id()).iter().any(|stat| stat.pid == child));
        let id = group.id();
        drop(group);
        is_gone(id);
    }

    fn is_gone(group: u32) {
        let begun = Instant::now();
        // Its new parent takes a moment to wait for it.
        while !crate::proc::group(group).is_empty() {
            assert!(begun.elapsed() < LONG, "somebody of {group} is left");
            thread::sleep(LOOK);
        }
    }
}
