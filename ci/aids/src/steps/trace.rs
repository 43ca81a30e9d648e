//! From strace's lines to steps.
//!
//! Every call of the loop must be one that is known here, or one that does not concern it: a
//! new one is an error, so that nothing is left out in silence.

use std::collections::HashMap;

use super::kernel::listed;
use super::recording::{Arrival, Bits, Effect, Label, Step, Who};

/// Memory, signals and descriptors' flags: no reader of the loop needs them.
pub(super) const SILENT: [&str; 14] = [
    "brk",
    "clock_gettime",
    "fcntl",
    "futex",
    "getpid",
    "getrandom",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "rt_sigaction",
    "rt_sigprocmask",
    "sigaltstack",
];
/// The calls in which a loop may wait.
pub const WAITS: [&str; 5] = ["epoll_pwait", "epoll_pwait2", "epoll_wait", "poll", "ppoll"];

/// What came from outside, and when.
#[derive(Clone, Debug)]
pub struct Timed {
    /// Seconds since 1970.
    pub at: f64,
    /// Whether the loop slept then, or was held before it asked.
    pub asleep: bool,
    /// What.
    pub arrival: Arrival,
}

/// A line of strace's.
#[derive(Debug, PartialEq)]
pub(super) struct Line<'t> {
    pub(super) at: f64,
    pub(super) name: &'t str,
    pub(super) arguments: Vec<&'t str>,
    pub(super) result: &'t str,
}

/// Splits `1.5 read(3, "a, b", 4) = 3`. None for what is no call.
pub(super) fn line(text: &str) -> Option<Line<'_>> {
    let (at, call) = text.split_once(' ')?;
    let (name, rest) = call.split_once('(')?;
    let (mut arguments, mut start, mut depth) = (Vec::new(), 0, 1);
    let (mut quoted, mut escaped) = (false, false);
    for (n, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 1 => {
                arguments.push(rest[start..n].trim());
                start = n + 1;
            }
            _ => {}
        }
        if depth == 0 {
            arguments.push(rest[start..n].trim());
            let result = rest[n + 1..].trim_start().strip_prefix("= ")?;
            let result = result.strip_suffix(" (DELAYED)").unwrap_or(result);
            return Some(Line { at: at.parse().ok()?, name, arguments, result });
        }
    }
    None
}

/// What a descriptor of the server is.
#[derive(Clone, Debug, PartialEq)]
enum Is {
    /// One that the loop waits for.
    Waited(Who),
    /// A file, by the name that was opened.
    File(String),
    /// An epoll instance.
    Epoll,
    /// Something that the loop does not use.
    Other,
}

/// Reads a trace.
struct Reader {
    descriptors: HashMap<i32, Is>,
    /// What stands in an event's data, by the number that it is.
    data: HashMap<String, Who>,
    clients: Vec<Who>,
    store: u16,
    steps: Vec<Step>,
    /// The loop has begun: before that, only what epoll is told counts.
    begun: bool,
}

/// The steps of a loop, from a trace of its process (`strace -ttt`), and what came from
/// outside. The last step is the wait in which the loop was at `end`. `store` is the port of
/// the store.
///
/// # Errors
/// A call that is not known here, in words.
pub fn steps(
    trace: &str,
    arrivals: &[Timed],
    store: u16,
    end: f64,
) -> Result<Vec<Step>, String> {
    let mut reader = Reader {
        descriptors: HashMap::new(),
        data: HashMap::new(),
        clients: Who::CLIENTS.to_vec(),
        store,
        steps: Vec::new(),
        begun: false,
    };
    let lines: Vec<Line<'_>> = trace.lines().filter_map(line).collect();
    for (n, call) in lines.iter().enumerate() {
        if call.at > end {
            break;
        }
        let next = lines.get(n + 1).map_or(f64::MAX, |line| line.at);
        let during: Vec<&Timed> =
            arrivals.iter().filter(|timed| (call.at..next).contains(&timed.at)).collect();
        let is_last = next > end;
        reader.call(call, &lines[n + 1..], &during, is_last).map_err(|why| {
            format!("{}({}): {why}", call.name, call.arguments.join(", "))
        })?;
    }
    Ok(reader.steps)
}

impl Reader {
    fn call(
        &mut self,
        call: &Line<'_>,
        later: &[Line<'_>],
        during: &[&Timed],
        is_last: bool,
    ) -> Result<(), String> {
        if WAITS.contains(&call.name) {
            // One that is told to is found at the start, too: for the store, say.
            if !self.waits_for_clients(call) {
                return Ok(());
            }
            return self.wait(call, during, is_last);
        }
        if !during.is_empty() {
            return Err(format!("during it, {}", during[0].arrival));
        }
        let result: Option<i64> =
            call.result.split([' ', '\t']).next().and_then(|n| n.parse().ok());
        let fd = call.arguments.first().and_then(|fd| fd.parse().ok());
        let is = fd.and_then(|fd| self.descriptors.get(&fd)).cloned();
        if let Some(new) = result.filter(|n| *n >= 0)
            && let Some(what) = self.made(call, is.as_ref(), later)
        {
            self.descriptors.insert(new as i32, what);
        }
        // What was not yet known by its number when it was made.
        match (call.name, fd) {
            ("listen", Some(fd)) => {
                self.descriptors.insert(fd, Is::Waited(Who::Listener));
            }
            ("connect", Some(fd)) if self.is_store(call) => {
                self.descriptors.insert(fd, Is::Waited(Who::Store));
            }
            _ => {}
        }
        let is = fd.and_then(|fd| self.descriptors.get(&fd)).cloned();
        if call.name == "close"
            && let Some(fd) = fd
        {
            self.descriptors.remove(&fd);
        }
        if SILENT.contains(&call.name) || !self.begun && call.name != "epoll_ctl" {
            return Ok(());
        }
        self.step(call, is, result)
    }

    /// What a call that returns a descriptor has made.
    fn made(&mut self, call: &Line<'_>, is: Option<&Is>, later: &[Line<'_>]) -> Option<Is> {
        Some(match call.name {
            "accept4" | "accept" if is == Some(&Is::Waited(Who::Listener)) => {
                match self.clients.is_empty() {
                    true => Is::Other,
                    false => Is::Waited(self.clients.remove(0)),
                }
            }
            "socket" => {
                let fd = call.result;
                let connects = later
                    .iter()
                    .take_while(|line| {
                        line.name != "close" || line.arguments.first() != Some(&fd)
                    })
                    .any(|line| {
                        line.name == "connect"
                            && line.arguments.first() == Some(&fd)
                            && self.is_store(line)
                    });
                if connects { Is::Waited(Who::Store) } else { Is::Other }
            }
            "signalfd4" => Is::Waited(Who::Signals),
            "epoll_create1" => Is::Epoll,
            "openat" | "openat2" => Is::File(call.arguments.get(1)?.to_string()),
            "fcntl" if call.arguments.get(1)?.starts_with("F_DUPFD") => is?.clone(),
            "dup" => is?.clone(),
            "eventfd2" | "timerfd_create" => Is::Other,
            _ => return None,
        })
    }

    fn is_store(&self, call: &Line<'_>) -> bool {
        let port = format!("htons({})", self.store);
        call.arguments.get(1).is_some_and(|address| address.contains(&port))
    }

    /// Whether a wait is the loop's: it waits for the listener, or in an epoll instance.
    fn waits_for_clients(&mut self, call: &Line<'_>) -> bool {
        if !self.begun {
            let first = call.arguments.first().copied().unwrap_or_default();
            self.begun = match call.name {
                "poll" | "ppoll" => {
                    let waited = self.entries(first, "events");
                    waited
                        .is_ok_and(|bits| bits.iter().any(|bits| bits.who == Who::Listener))
                }
                _ => true,
            };
        }
        self.begun
    }

    fn who(&self, fd: &str) -> Result<Who, String> {
        match fd.parse().ok().and_then(|fd: i32| self.descriptors.get(&fd)) {
            Some(Is::Waited(who)) => Ok(*who),
            _ => Err(format!("descriptor {fd} is nobody that the script knows")),
        }
    }

    /// The loop waits, or asks what is ready.
    fn wait(
        &mut self,
        call: &Line<'_>,
        during: &[&Timed],
        is_last: bool,
    ) -> Result<(), String> {
        let argument = |n: usize| call.arguments.get(n).copied().unwrap_or_default();
        let (array, timeout, reported) = match call.name {
            "poll" | "ppoll" => {
                let array = self.entries(argument(0), "events")?;
                let answer = call.result.split_once(" (").map_or("", |(_, rest)| rest);
                let reported = self.entries(answer, "revents")?;
                (Some(array), argument(2), reported)
            }
            _ => {
                let events = argument(1);
                let mut reported = Vec::new();
                for event in events.split("{events=").skip(1) {
                    let (bits, rest) = event.split_once(',').unwrap_or((event, ""));
                    let data = u64_of(rest).ok_or("no data")?;
                    let who = *self
                        .data
                        .get(data)
                        .ok_or_else(|| format!("nobody was added with the data {data}"))?;
                    reported.push(Bits { who, events: short(bits) });
                }
                (None, argument(3), reported)
            }
        };
        let at_once = ["0", "{tv_sec=0, tv_nsec=0}"];
        let at_once = at_once.contains(&timeout);
        let until = match timeout {
            _ if at_once => "0",
            "-1" | "NULL" => "-1",
            _ => "deadline",
        };
        let arguments = match &array {
            Some(array) => format!("[{}], {until}", listed(array)),
            None => format!("epoll, {until}"),
        };
        let answer = match reported.len() {
            _ if is_last => String::new(),
            0 => "0".to_owned(),
            n => format!("{n}: {}", listed(&reported)),
        };
        let of = |asleep: bool| {
            let timed = during.iter().filter(move |timed| timed.asleep == asleep);
            timed.map(|timed| timed.arrival.clone()).collect::<Vec<_>>()
        };
        self.steps.push(Step {
            label: Label::Wait,
            arrived: of(false),
            call: call.name.to_owned(),
            arguments,
            with: Vec::new(),
            meanwhile: of(true),
            answer,
            effect: Effect::Waited {
                array,
                at_once,
                reported: (!is_last).then_some(reported),
            },
            after: Default::default(),
        });
        Ok(())
    }

    /// `[{fd=3, events=POLLIN}, …]`; a negative descriptor is passed over.
    fn entries(&self, text: &str, field: &str) -> Result<Vec<Bits>, String> {
        let mut entries = Vec::new();
        for entry in text.split("{fd=").skip(1) {
            let entry = entry.split('}').next().unwrap_or_default();
            let (fd, bits) = entry.split_once(", ").unwrap_or((entry, ""));
            if fd.starts_with('-') {
                continue;
            }
            let bits = bits.strip_prefix(field).and_then(|bits| bits.strip_prefix('='));
            entries.push(Bits {
                who: self.who(fd)?,
                events: short(bits.ok_or_else(|| format!("no {field} in {entry}"))?),
            });
        }
        Ok(entries)
    }

    /// A call that does not wait.
    fn step(
        &mut self,
        call: &Line<'_>,
        is: Option<Is>,
        result: Option<i64>,
    ) -> Result<(), String> {
        let argument = |n: usize| call.arguments.get(n).copied().unwrap_or_default();
        let who = match &is {
            Some(Is::Waited(who)) => Some(*who),
            _ => None,
        };
        let n = result.and_then(|n| u64::try_from(n).ok());
        let errno = call.result.split_whitespace().nth(1).unwrap_or_default();
        let (mut label, mut arguments, mut answer, effect) = match (call.name, who, &is) {
            ("accept4" | "accept", Some(Who::Listener), _) => {
                let accepted = n.and_then(|fd| match self.descriptors.get(&(fd as i32)) {
                    Some(Is::Waited(who)) => Some(*who),
                    _ => None,
                });
                let answer = accepted.map_or(errno.to_owned(), |who| who.to_string());
                (Label::Accept, "listener".to_owned(), answer, Effect::Accepted(accepted))
            }
            ("epoll_ctl", ..) => {
                let who = self.who(argument(2))?;
                let how = argument(1).trim_start_matches("EPOLL_CTL_");
                if how == "DEL" {
                    (
                        Label::Retire,
                        format!("DEL, {who}"),
                        String::new(),
                        Effect::Disarmed(who),
                    )
                } else {
                    let (bits, data) = argument(3).split_once(',').ok_or("no event")?;
                    let data = u64_of(data).ok_or("no data")?;
                    self.data.insert(data.to_owned(), who);
                    let bits =
                        Bits { who, events: short(bits.trim_start_matches("{events=")) };
                    (
                        Label::Arm,
                        format!("{how}, {who}, {}", bits.events),
                        String::new(),
                        Effect::Armed(bits),
                    )
                }
            }
            ("recvfrom" | "read" | "recvmsg" | "readv", Some(who), _) => {
                let size = argument(2);
                let peek = argument(3).contains("MSG_PEEK");
                let effect = match peek {
                    true => Effect::Peeked(who, n),
                    false => Effect::Received(who, n),
                };
                let flags = if peek { ", MSG_PEEK" } else { "" };
                let answer = match n {
                    None => errno.to_owned(),
                    Some(0) => "0".to_owned(),
                    Some(n) => format!("{n}: {}", argument(1).replace("...", "…")),
                };
                (Label::Drain, format!("{who}, {size}{flags}"), answer, effect)
            }
            ("sendto" | "write" | "writev" | "sendmsg" | "sendfile", Some(who), _) => {
                let n = n.ok_or("nothing was sent; the rules do not know this")?;
                let size = match call.name {
                    "sendto" | "write" => argument(2).to_owned(),
                    _ => "…".to_owned(),
                };
                (
                    Label::Drain,
                    format!("{who}, {size}"),
                    n.to_string(),
                    Effect::Sent(who, n),
                )
            }
            ("connect", Some(who), _) => {
                let answer = if n == Some(0) { "0" } else { errno };
                (Label::Drain, who.to_string(), answer.to_owned(), Effect::Connected(who))
            }
            (
                "socket" | "setsockopt" | "getsockopt" | "getpeername" | "getsockname"
                | "shutdown" | "ioctl",
                ..,
            ) => {
                // A socket that is made has its number in the result.
                let who = match who {
                    Some(who) => who,
                    None => self.who(call.result)?,
                };
                let what = argument(2);
                let label = match call.name {
                    "shutdown" => Label::Retire,
                    _ => Label::Drain,
                };
                let what = if call.name == "shutdown" { argument(1) } else { what };
                (label, format!("{who}, {what}"), String::new(), Effect::Set(who))
            }
            ("close", Some(who), _) => {
                (Label::Retire, who.to_string(), String::new(), Effect::Closed(who))
            }
            ("openat" | "openat2", ..) => {
                (Label::Drain, argument(1).to_owned(), String::new(), Effect::File)
            }
            (
                "fstat" | "newfstatat" | "statx" | "pread64" | "lseek" | "read" | "close",
                None,
                Some(Is::File(name)),
            ) => (Label::Drain, name.clone(), String::new(), Effect::File),
            _ => {
                return Err(format!(
                    "= {}: ci/aids/src/steps/trace.rs does not know it",
                    call.result
                ));
            }
        };
        if answer.is_empty() {
            answer = n.map_or(errno.to_owned(), |_| "0".to_owned());
        }
        if effect == Effect::File {
            answer = "done".to_owned();
        }
        // What follows an accept at once belongs to it.
        if let (Effect::Set(who), Some(last)) = (&effect, self.steps.last())
            && last.effect == Effect::Accepted(Some(*who))
        {
            label = Label::Accept;
        }
        let step = Step {
            label,
            arrived: Vec::new(),
            call: call.name.to_owned(),
            arguments: std::mem::take(&mut arguments),
            with: Vec::new(),
            meanwhile: Vec::new(),
            answer,
            effect,
            after: Default::default(),
        };
        self.add(step);
        Ok(())
    }

    /// Adds a step, or joins it to the one before: what is done with one file, and what is set
    /// on a socket before it is connected.
    fn add(&mut self, step: Step) {
        if let Some(last) = self.steps.last_mut() {
            match (&last.effect, &step.effect) {
                (Effect::File, Effect::File) => {
                    last.with.push(step.call);
                    return;
                }
                (Effect::Set(before), Effect::Set(now)) if before == now => {
                    last.with.push(step.call);
                    return;
                }
                (Effect::Set(before), Effect::Connected(now)) if before == now => {
                    let mut with = vec![last.call.clone()];
                    with.append(&mut last.with);
                    *last = Step { with, ..step };
                    return;
                }
                _ => {}
            }
        }
        self.steps.push(step);
    }
}

/// The number in `data={u32=4, u64=4}`.
fn u64_of(data: &str) -> Option<&str> {
    let (_, rest) = data.split_once("u64=").or_else(|| data.split_once("data=0x"))?;
    rest.split(|c: char| !c.is_ascii_hexdigit()).next()
}

/// `POLLIN|POLLRDHUP` without the prefixes.
fn short(bits: &str) -> String {
    let bits = bits.split('|').map(|bit| {
        let bit = bit.trim().trim_matches(['{', '}']);
        bit.strip_prefix("EPOLL").or_else(|| bit.strip_prefix("POLL")).unwrap_or(bit)
    });
    bits.collect::<Vec<_>>().join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_where_its_arguments_are() {
        let text = r#"12.5 recvfrom(6, "a, b) = \"1", 8, 0, NULL, NULL) = 11"#;
        let split = line(text).expect("a call");
        assert_eq!(split.arguments, ["6", r#""a, b) = \"1""#, "8", "0", "NULL", "NULL"]);
        assert_eq!((split.at, split.name, split.result), (12.5, "recvfrom", "11"));
        let text = "1.0 poll([{fd=4, events=POLLIN}, {fd=-1}], 2, -1) = 1 ([{fd=4, revents=POLLIN}]) (DELAYED)";
        let split = line(text).expect("a call");
        assert_eq!(split.arguments, ["[{fd=4, events=POLLIN}, {fd=-1}]", "2", "-1"]);
        assert_eq!(split.result, "1 ([{fd=4, revents=POLLIN}])");
        assert_eq!(line("1.0 --- SIGTERM {si_signo=SIGTERM} ---"), None);
        assert_eq!(line("1.0 +++ exited with 0 +++"), None);
    }

    #[test]
    fn a_call_that_nobody_knows_is_an_error() {
        let start = "1.0 socket(AF_INET, SOCK_STREAM, 0) = 3\n1.1 listen(3, 9) = 0\n\
                     1.2 poll([{fd=3, events=POLLIN}], 1, 0) = 0 (Timeout)\n";
        let known = steps(start, &[], 1, 9.0).expect("known calls");
        assert_eq!(known.len(), 1);
        let unknown = steps(&format!("{start}1.3 splice(3, 4) = 0\n"), &[], 1, 9.0);
        let why = unknown.expect_err("an unknown call");
        assert!(
            why.starts_with("splice(3, 4): ") && why.contains("does not know"),
            "{why}"
        );
    }
}
