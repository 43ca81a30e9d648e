//! Checks the exercise whenever its file is saved, and listens for keys meanwhile.

use std::io::{self, IsTerminal, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::session::Session;

/// Editors write a file in several steps: nothing has happened for so long.
const QUIET: Duration = Duration::from_millis(200);

/// What happens.
enum Event {
    Saved,
    Key(u8),
    /// There is no more to be read.
    End,
}

/// Watches until `q`, or until standard input ends.
///
/// # Errors
/// No exercise was begun; inotify(7) has no room; the check itself fails.
pub fn watch(session: &mut Session) -> Result<(), String> {
    let (sender, events) = channel();
    let keys = sender.clone();
    let _raw = RawMode::enter();
    // It ends with the process: a read cannot be called back.
    thread::spawn(move || {
        for byte in io::stdin().lock().bytes() {
            match byte {
                Ok(byte) if keys.send(Event::Key(byte)).is_ok() => {}
                _ => break,
            }
        }
        let _ = keys.send(Event::End);
    });
    let mut watcher = watched(session, &sender)?;
    let (name, _) = session.current()?;
    say(&session.task(&name)?);
    check(session)?;
    loop {
        match next(&events) {
            Event::Saved | Event::Key(b'c') => check(session)?,
            Event::Key(b'h') => say(&session.hint(None)?),
            Event::Key(b'l') => say(&session.list_of_chapter()),
            Event::Key(b'n') => {
                say(&session.go_on()?);
                watcher = watched(session, &sender)?;
                check(session)?;
            }
            Event::Key(b'q' | 3 | 4) | Event::End => break,
            Event::Key(b'\n' | b'\r' | b' ') => {}
            Event::Key(_) => say(KEYS),
        }
    }
    drop(watcher);
    Ok(())
}

const KEYS: &str = "saved: check   c check   h hint   n next   l list   q quit";

fn check(session: &mut Session) -> Result<(), String> {
    say("checking …");
    let outcome = session.check(None)?;
    say(&outcome.said);
    say(KEYS);
    Ok(())
}

fn say(text: &str) {
    // Whoever reads it may have gone.
    let _ = writeln!(io::stdout(), "{}\n", text.trim_end());
}

/// The next event; what is saved several times in a row is one.
fn next(events: &Receiver<Event>) -> Event {
    let mut event = events.recv().unwrap_or(Event::End);
    while matches!(event, Event::Saved) {
        match events.recv_timeout(QUIET) {
            Ok(other) => event = other,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    event
}

/// Tells of each change in the sources of the exercise that is worked on.
fn watched(
    session: &Session,
    sender: &Sender<Event>,
) -> Result<RecommendedWatcher, String> {
    let (_, folder) = session.current()?;
    let saved = sender.clone();
    let mut watcher =
        notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_))) {
                let _ = saved.send(Event::Saved);
            }
        })
        .map_err(|error| error.to_string())?;
    let begun = watcher.watch(&folder.join("src"), RecursiveMode::Recursive);
    begun.map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(watcher)
}

/// A terminal that hands over each key at once, and does not print it; as it was before when
/// dropped.
struct RawMode(Option<Termios>);

impl RawMode {
    fn enter() -> Self {
        if !io::stdin().is_terminal() {
            return Self(None);
        }
        let Ok(before) = termios::tcgetattr(io::stdin()) else { return Self(None) };
        let mut raw = before.clone();
        raw.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        match termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &raw) {
            Ok(()) => Self(Some(before)),
            Err(_) => Self(None),
        }
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // There is nobody to tell.
            let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, before);
        }
    }
}
