//! What the kernel does for a ring, by rules: which operations are in flight, which complete
//! in a call, and in which order.
//!
//! The rules are those of io_uring_enter(2) and, for the order, of `io_uring/`: what can be
//! done while it is submitted completes first, in the order of the entries; then what an event
//! has set going before, in the order of the events. What a worker of the kernel does completes
//! whenever it is done. Whatever a recorded call brought must be what the rules say.

use std::collections::BTreeMap;

use super::{After, Completion, Entry, Op, Own, Owner, Queues, Step};
use crate::steps::recording::{Arrival, Does, Who};

/// A connection, from the kernel's side.
#[derive(Clone, Debug, Default)]
struct Socket {
    /// Bytes that nobody has received, or connections that nobody has accepted.
    unread: u64,
    /// The other side has closed.
    ended: bool,
}

/// The kernel, as far as the ring is concerned.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    sockets: BTreeMap<Who, Socket>,
    /// Who is in the accept queue.
    queue: Vec<Who>,
    flying: Vec<Entry>,
    /// Whose operations can go on: an event has come, and the loop's thread must be in the
    /// kernel for the rest.
    events: Vec<Owner>,
    /// What the call brings, in order.
    due: Vec<(Entry, Completion)>,
    queues: Queues,
}

/// What came of an operation that is done.
fn completion(entry: &Entry, result: impl ToString, more: bool) -> (Entry, Completion) {
    let (mark, result) = (entry.mark.clone(), result.to_string());
    (entry.clone(), Completion { mark, result, more, buffer: None })
}

/// Whether a worker of the kernel does it: this call waits for the disk, if it has to.
pub fn is_worked(entry: &Entry) -> bool {
    entry.op == Op::Statx
}

impl Kernel {
    /// What is in flight.
    pub fn flying(&self) -> &[Entry] {
        &self.flying
    }

    /// Whether an operation of this kind is.
    pub fn flies(&self, op: Op, of: Owner) -> bool {
        self.flying.iter().any(|entry| entry.op == op && entry.of == of)
    }

    /// The heads and tails, as the rules have them.
    pub fn queues(&self) -> Queues {
        self.queues
    }

    /// How much is there that nobody has taken.
    pub fn unread(&self, who: Who) -> u64 {
        self.sockets.get(&who).map_or(0, |socket| socket.unread)
    }

    /// Whether the other side has closed.
    pub fn has_ended(&self, who: Who) -> bool {
        self.sockets.get(&who).is_some_and(|socket| socket.ended)
    }

    fn is_readable(&self, who: Who) -> bool {
        self.unread(who) > 0 || self.has_ended(who)
    }

    /// Something comes from outside.
    pub fn arrive(&mut self, arrival: &Arrival) {
        let who = match arrival.does {
            Does::Connects => Who::Listener,
            _ => arrival.who,
        };
        let socket = self.sockets.entry(who).or_default();
        match &arrival.does {
            Does::Connects => {
                socket.unread += 1;
                self.queue.push(arrival.who);
            }
            Does::Sends { bytes, .. } => socket.unread += bytes,
            Does::Leaves => socket.ended = true,
        }
        let waits = |entry: &Entry| {
            entry.of == Owner::Waited(who) && matches!(entry.op, Op::Accept | Op::Recv)
        };
        if self.flying.iter().any(waits) {
            self.event(Owner::Waited(who));
        }
    }

    fn event(&mut self, of: Owner) {
        if !self.events.contains(&of) {
            self.events.push(of);
        }
    }

    /// The loop has taken what was completed and written its entries.
    ///
    /// # Errors
    /// What was read in the queues and the rules do not allow.
    pub fn write(&mut self, step: &Step) -> Result<(), String> {
        let Some(read) = step.queues else { return Ok(()) };
        self.take();
        let [head, tail] = self.queues.submission;
        let tail = tail.wrapping_add(step.wrote.len() as u32);
        self.queues.submission = [head, tail];
        if read != self.queues {
            return Err(format!(
                "by the rules the queues are {}, and they were {}",
                numbers(self.queues),
                numbers(read)
            ));
        }
        Ok(())
    }

    /// The loop takes what was completed.
    pub fn take(&mut self) {
        self.queues.completion[0] = self.queues.completion[1];
    }

    /// The loop enters the kernel, which takes the entries. Says whether the loop sleeps.
    ///
    /// # Errors
    /// An entry that could not be told from another by its mark.
    pub fn enter(&mut self, step: &Step) -> Result<bool, String> {
        let mut started = Vec::new();
        for entry in &step.wrote {
            let is_numbered = entry.mark.parse::<u64>().is_ok();
            let known = self.flying.iter().chain(&started);
            if is_numbered && known.into_iter().any(|other| other.mark == entry.mark) {
                return Err(format!("{} is in flight already", entry.mark));
            }
            started.push(entry.clone());
            self.start(entry);
        }
        self.flying.append(&mut started);
        self.queues.submission[0] = self.queues.submission[1];
        self.go_on();
        let works = self.flying.iter().any(is_worked);
        Ok(self.due.is_empty() && !works)
    }

    /// What can be done with an entry while it is submitted.
    fn start(&mut self, entry: &Entry) {
        match entry.op {
            Op::Accept | Op::Recv => {
                if entry.of.who().is_some_and(|who| self.is_readable(who)) {
                    self.event(entry.of);
                }
            }
            // Nobody here sends more than the kernel takes, and the file is in memory.
            Op::Send | Op::Read => {
                self.due.push(completion(entry, entry.bytes.unwrap_or(0), false));
            }
            Op::Openat2 => {
                let file = entry.file.clone().unwrap_or_default();
                self.due.push(completion(entry, file, false));
            }
            Op::Close => self.due.push(completion(entry, 0, false)),
            Op::Cancel => {
                let found = self
                    .flying
                    .iter()
                    .any(|other| Some(&*other.mark) == entry.mark.strip_prefix("CANCEL|"));
                if found {
                    self.event(entry.of);
                }
                let result = if found { "0" } else { "ENOENT" };
                self.due.push(completion(entry, result, false));
            }
            // On one machine the handshake is over before connect has returned.
            Op::Connect => self.event(entry.of),
            Op::Poll | Op::Timeout | Op::Statx => {}
        }
    }

    /// The thread is in the kernel, and does what events have set going.
    fn go_on(&mut self) {
        for of in std::mem::take(&mut self.events) {
            for entry in self.flying.clone() {
                let is_due = self.due.iter().any(|(known, _)| *known == entry);
                if entry.of == of && !is_due {
                    self.completes(&entry);
                }
            }
        }
    }

    /// What an operation brings whose event has come.
    fn completes(&mut self, entry: &Entry) {
        match (entry.op, entry.of) {
            (Op::Accept, _) => {
                for who in std::mem::take(&mut self.queue) {
                    self.due.push(completion(entry, who, entry.multishot));
                }
                self.sockets.entry(Who::Listener).or_default().unread = 0;
            }
            (Op::Recv, Owner::Waited(who)) => {
                let (unread, ended) = (self.unread(who), self.has_ended(who));
                self.sockets.entry(who).or_default().unread = 0;
                if unread > 0 {
                    self.due.push(completion(entry, unread, entry.multishot));
                }
                // The end is the last of a multishot.
                if ended && (unread == 0 || entry.multishot) {
                    self.due.push(completion(entry, 0, false));
                }
            }
            (Op::Connect, _) => self.due.push(completion(entry, 0, false)),
            (Op::Send, _) => {
                self.due.push(completion(entry, entry.bytes.unwrap_or(0), false));
            }
            (Op::Timeout, _) => self.due.push(completion(entry, "ECANCELED", false)),
            _ => {}
        }
    }

    /// The call returns. What arrived while it slept has been told by [`Kernel::arrive`].
    /// Says which entry each completion is of.
    ///
    /// # Errors
    /// What the call brought and the rules do not allow.
    pub fn leave(&mut self, step: &Step) -> Result<Vec<(Entry, Completion)>, String> {
        let submitted = step.wrote.len().to_string();
        if step.answer != submitted {
            return Err(format!("by the rules it answers {submitted}"));
        }
        self.go_on();
        let due = std::mem::take(&mut self.due);
        let mut due = due.into_iter();
        let mut brought = Vec::new();
        for read in step.brought.iter().flatten() {
            let worked = self.flying.iter().find(|e| is_worked(e) && e.mark == read.mark);
            let (entry, mut rule) = match worked {
                Some(entry) => completion(entry, 0, false),
                None => due.next().ok_or_else(|| {
                    format!(
                        "by the rules {} = {} does not complete",
                        read.mark, read.result
                    )
                })?,
            };
            // Which buffer it is, only the kernel knows; that there is one, we do.
            let has_buffer = entry.op == Op::Recv && entry.multishot && rule.result != "0";
            rule.buffer = read.buffer.filter(|_| has_buffer);
            if rule != *read || has_buffer != read.buffer.is_some() {
                return Err(format!(
                    "by the rules it brings {}, and it brought {} of {}",
                    rule.shown(&entry),
                    read.result,
                    read.mark
                ));
            }
            if !read.more {
                let place = self.flying.iter().position(|known| *known == entry);
                place.map(|place| self.flying.remove(place));
            }
            if let (Op::Close, Owner::Waited(who)) = (entry.op, entry.of) {
                self.sockets.remove(&who);
            }
            brought.push((entry, rule));
        }
        if let Some((entry, rule)) = due.next() {
            return Err(format!("by the rules it brings {}", rule.shown(&entry)));
        }
        self.queues.completion[1] += brought.len() as u32;
        Ok(brought)
    }

    /// A step, all of it.
    ///
    /// # Errors
    /// What was recorded and the rules do not allow.
    pub fn step(&mut self, step: &Step) -> Result<(), String> {
        if !step.is_wait() {
            return Ok(());
        }
        self.write(step)?;
        step.arrived.iter().for_each(|arrival| self.arrive(arrival));
        let sleeps = self.enter(step)?;
        self.sleeps_as_recorded(step, sleeps)?;
        step.meanwhile.iter().for_each(|arrival| self.arrive(arrival));
        if !step.is_last() {
            self.leave(step)?;
        }
        Ok(())
    }

    /// Whether what was recorded agrees with a call that sleeps, or does not.
    ///
    /// # Errors
    /// If it does not.
    pub fn sleeps_as_recorded(&self, step: &Step, sleeps: bool) -> Result<(), String> {
        let woken = !step.meanwhile.is_empty();
        Err(match (sleeps, woken, step.is_last()) {
            (false, true, _) => "by the rules it does not sleep",
            (false, false, true) => "by the rules it returns at once",
            (true, false, false) => "by the rules nothing wakes it",
            _ => return Ok(()),
        }
        .to_owned())
    }

    /// What it has, in words.
    pub fn after(&self) -> After {
        After {
            flying: self.flying.iter().map(|entry| entry.mark.clone()).collect(),
            unread: Who::ALL
                .into_iter()
                .filter_map(|who| Some((who, self.unread_in_words(who)?)))
                .collect(),
        }
    }

    /// What has arrived and was not taken.
    pub fn unread_in_words(&self, who: Who) -> Option<String> {
        let count = self.unread(who);
        let s = if count == 1 { "" } else { "s" };
        let ends = self.has_ended(who) && self.flies(Op::Recv, Owner::Waited(who));
        match (count, who, ends) {
            (0, _, false) => None,
            (0, _, true) => Some("the end".to_owned()),
            (_, Who::Listener, _) => Some(format!("{count} to accept")),
            (_, _, false) => Some(format!("{count} byte{s}")),
            (_, _, true) => Some(format!("{count} byte{s}, the end")),
        }
    }

    /// What is in flight for somebody, in words.
    pub fn flying_in_words(&self, of: Owner) -> String {
        let of_them = self.flying.iter().filter(|entry| entry.of == of);
        let words: Vec<String> = of_them
            .map(|entry| {
                let file = entry.file.as_ref().map_or(String::new(), |f| format!(" {f}"));
                let multishot = if entry.multishot { ", multishot" } else { "" };
                format!("{}{file}{multishot}", entry.op)
            })
            .collect();
        words.join("; ")
    }

    /// Whether a timer is in flight.
    pub fn has_timer(&self) -> bool {
        self.flies(Op::Timeout, Owner::Own(Own::Timer))
    }
}

/// Heads and tails, in words.
fn numbers(queues: Queues) -> String {
    let [submitted, written] = queues.submission;
    let [taken, completed] = queues.completion;
    format!("{submitted} to {written} and {taken} to {completed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(op: Op, of: Owner, mark: &str) -> Entry {
        let (multishot, bytes, file) = (false, None, None);
        Entry { op, of, mark: mark.to_owned(), multishot, bytes, file }
    }

    fn receive(who: Who, mark: &str, multishot: bool) -> Entry {
        Entry { multishot, ..entry(Op::Recv, Owner::Waited(who), mark) }
    }

    fn sends(who: Who, bytes: u64) -> Arrival {
        Arrival { who, does: Does::Sends { bytes, what: String::new(), asks: None } }
    }

    /// What a call brings that submits these, by the rules; None: it sleeps.
    fn enters(kernel: &mut Kernel, wrote: Vec<Entry>) -> Option<Vec<String>> {
        let step = Step {
            answer: wrote.len().to_string(),
            wrote,
            arrived: Vec::new(),
            call: super::super::WAIT.to_owned(),
            arguments: String::new(),
            with: Vec::new(),
            meanwhile: Vec::new(),
            queues: None,
            brought: None,
            after: After::default(),
        };
        let sleeps = kernel.enter(&step).expect("good marks");
        let due: Vec<String> =
            kernel.due.drain(..).map(|(entry, due)| due.shown(&entry)).collect();
        (!sleeps).then_some(due)
    }

    #[test]
    fn a_receive_flies_until_bytes_come_and_a_multishot_one_goes_on() {
        let mut kernel = Kernel::default();
        let both = vec![receive(Who::A, "1", true), receive(Who::Store, "2", false)];
        assert_eq!(enters(&mut kernel, both), None);
        kernel.arrive(&sends(Who::Store, 3));
        kernel.arrive(&sends(Who::A, 5));
        let due = enters(&mut kernel, Vec::new());
        assert_eq!(due, Some(vec!["recv(store) = 3".into(), "recv(A) = 5, MORE".into()]));
        assert_eq!(enters(&mut kernel, Vec::new()), None);
        kernel.arrive(&Arrival { who: Who::A, does: Does::Leaves });
        assert_eq!(enters(&mut kernel, Vec::new()), Some(vec!["recv(A) = 0".into()]));
    }

    #[test]
    fn what_has_come_before_the_receive_is_taken_when_it_is_submitted() {
        let mut kernel = Kernel::default();
        kernel.arrive(&sends(Who::A, 5));
        let due = enters(&mut kernel, vec![receive(Who::A, "1", false)]);
        assert_eq!(due, Some(vec!["recv(A) = 5".into()]));
    }

    #[test]
    fn one_accept_takes_the_whole_queue() {
        let mut kernel = Kernel::default();
        let accept = entry(Op::Accept, Owner::Waited(Who::Listener), "0");
        let accept = Entry { multishot: true, ..accept };
        assert_eq!(enters(&mut kernel, vec![accept]), None);
        for who in [Who::B, Who::A] {
            kernel.arrive(&Arrival { who, does: Does::Connects });
        }
        assert_eq!(kernel.unread(Who::Listener), 2);
        let due = enters(&mut kernel, Vec::new()).expect("it does not sleep");
        assert_eq!(due, ["accept(listener) = B, MORE", "accept(listener) = A, MORE"]);
        assert_eq!(kernel.unread(Who::Listener), 0);
    }

    #[test]
    fn a_cancellation_ends_what_it_names_and_nothing_else() {
        let timer = Owner::Own(Own::Timer);
        let mut kernel = Kernel::default();
        let cancel = |mark: &str| entry(Op::Cancel, timer, mark);
        assert_eq!(enters(&mut kernel, vec![entry(Op::Timeout, timer, "20")]), None);
        let due =
            enters(&mut kernel, vec![cancel("CANCEL|24")]).expect("it does not sleep");
        assert_eq!(due, ["cancel(timeout) = ENOENT"]);
        let due =
            enters(&mut kernel, vec![cancel("CANCEL|20")]).expect("it does not sleep");
        assert_eq!(due, ["cancel(timeout) = 0", "timeout = ECANCELED"]);
    }
}
