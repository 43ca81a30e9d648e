//! What the kernel holds for a loop, by rules: what has arrived on each descriptor, what is
//! waited for, and epoll's ready list.
//!
//! The rules are those of the manual (poll(2), epoll(7)) and, for the ready list, of
//! `fs/eventpoll.c`: a descriptor that becomes ready is put at its end; a wait takes the list,
//! asks each descriptor again, reports those that are still ready, and puts these back
//! (level-triggered). Whatever a recorded wait reported must be what the rules say.

use std::collections::BTreeMap;

use super::recording::{After, Arrival, Bits, Does, Effect, Step, Who};

/// One descriptor, from the kernel's side.
#[derive(Clone, Debug, Default)]
struct Socket {
    /// Bytes that nobody has read, or connections that nobody has accepted.
    unread: u64,
    /// The other side has closed.
    ended: bool,
    /// The program has a descriptor.
    open: bool,
}

/// The kernel, as far as the loop is concerned.
#[derive(Clone, Debug)]
pub struct Kernel {
    sockets: BTreeMap<Who, Socket>,
    /// Who is in the accept queue.
    queue: Vec<Who>,
    interest: Vec<Bits>,
    ready: Vec<Who>,
    /// Whether it keeps the interest between calls: epoll.
    keeps: bool,
}

impl Kernel {
    /// A loop whose listener and signals are open. `keeps`: it is epoll's.
    pub fn new(keeps: bool) -> Self {
        let mut sockets: BTreeMap<Who, Socket> =
            Who::ALL.into_iter().map(|who| (who, Socket::default())).collect();
        for who in [Who::Listener, Who::Signals] {
            sockets.entry(who).or_default().open = true;
        }
        Self { sockets, queue: Vec::new(), interest: Vec::new(), ready: Vec::new(), keeps }
    }

    fn socket(&mut self, who: Who) -> &mut Socket {
        self.sockets.entry(who).or_default()
    }

    /// How much is there that nobody has taken: bytes, or connections for the listener.
    pub fn unread(&self, who: Who) -> u64 {
        self.sockets.get(&who).map_or(0, |socket| socket.unread)
    }

    /// Whether the other side has closed.
    pub fn has_ended(&self, who: Who) -> bool {
        self.sockets.get(&who).is_some_and(|socket| socket.ended)
    }

    /// Whether the program has a descriptor for it.
    pub fn is_open(&self, who: Who) -> bool {
        self.sockets.get(&who).is_some_and(|socket| socket.open)
    }

    /// Whether a read would return something: bytes, a connection, the end.
    pub fn is_readable(&self, who: Who) -> bool {
        self.unread(who) > 0 || self.has_ended(who)
    }

    /// What is waited for.
    pub fn interest(&self) -> &[Bits] {
        &self.interest
    }

    /// epoll's ready list; false for those that the next wait will find not ready.
    pub fn ready(&self) -> impl Iterator<Item = (Who, bool)> {
        self.ready.iter().map(|who| (*who, self.reports(*who).is_some()))
    }

    /// What a wait would report of a descriptor now.
    fn reports(&self, who: Who) -> Option<Bits> {
        let interest = self.interest.iter().find(|bits| bits.who == who)?;
        let is = |name: &str| match name {
            "IN" => self.is_readable(who),
            "RDHUP" => self.has_ended(who),
            // Nobody here sends more than the kernel takes.
            "OUT" => self.is_open(who),
            _ => false,
        };
        let events: Vec<&str> =
            interest.events.split('|').filter(|name| is(name)).collect();
        (!events.is_empty()).then(|| Bits { who, events: events.join("|") })
    }

    /// Something comes from outside.
    pub fn arrive(&mut self, arrival: &Arrival) {
        let who = match &arrival.does {
            Does::Connects => {
                self.queue.push(arrival.who);
                self.socket(Who::Listener).unread += 1;
                Who::Listener
            }
            Does::Sends { bytes, .. } => {
                self.socket(arrival.who).unread += bytes;
                arrival.who
            }
            Does::Leaves => {
                self.socket(arrival.who).ended = true;
                arrival.who
            }
        };
        self.wake(who);
    }

    /// Puts a descriptor on the ready list if it is waited for and ready.
    fn wake(&mut self, who: Who) {
        if self.keeps && !self.ready.contains(&who) && self.reports(who).is_some() {
            self.ready.push(who);
        }
    }

    /// The loop begins to wait. Says whether it sleeps: nothing is to be reported.
    pub fn enter(&mut self, array: Option<&[Bits]>) -> bool {
        if let Some(array) = array {
            self.interest = array.to_vec();
        }
        let still: Vec<Who> =
            self.ready().filter(|(_, still)| *still).map(|(who, _)| who).collect();
        self.ready = still;
        self.due().is_empty()
    }

    /// What a wait returns now: in the order of the ready list, or of the array.
    fn due(&self) -> Vec<Bits> {
        if self.keeps {
            self.ready.iter().filter_map(|who| self.reports(*who)).collect()
        } else {
            self.interest.iter().filter_map(|bits| self.reports(bits.who)).collect()
        }
    }

    /// The wait returns.
    fn leave(&mut self, reported: &[Bits]) -> Result<(), String> {
        let due = self.due();
        if due != reported {
            return Err(format!(
                "by the rules it reports [{}], and it reported [{}]",
                listed(&due),
                listed(reported)
            ));
        }
        for bits in due {
            let Some(interest) =
                self.interest.iter_mut().find(|interest| interest.who == bits.who)
            else {
                continue;
            };
            if interest.has("ONESHOT") {
                interest.events = "ONESHOT".to_owned();
            }
            // Edge-triggered, it is reported again when something new arrives.
            if interest.has("ONESHOT") || interest.has("ET") {
                self.ready.retain(|who| *who != bits.who);
            }
        }
        Ok(())
    }

    /// A step, all of it: what arrived before, the call, what arrived while it slept.
    ///
    /// # Errors
    /// What the kernel answered and the rules do not allow.
    pub fn step(&mut self, step: &Step) -> Result<(), String> {
        for arrival in &step.arrived {
            self.arrive(arrival);
        }
        if let Effect::Waited { array, at_once, reported } = &step.effect {
            let sleeps = self.enter(array.as_deref()) && !at_once;
            let woken = !step.meanwhile.is_empty();
            match (sleeps, woken, reported) {
                (false, true, _) => {
                    return Err("by the rules it does not sleep".to_owned());
                }
                (false, false, None) => {
                    return Err("by the rules it returns at once".to_owned());
                }
                (true, false, Some(_)) => {
                    return Err("by the rules nothing wakes it".to_owned());
                }
                _ => {}
            }
            for arrival in &step.meanwhile {
                self.arrive(arrival);
            }
        }
        self.returns(&step.effect)
    }

    /// A call returns; a wait has been entered by [`Kernel::enter`].
    ///
    /// # Errors
    /// What the kernel answered and the rules do not allow.
    pub fn returns(&mut self, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::Waited { reported: Some(reported), .. } => self.leave(reported)?,
            Effect::Accepted(Some(who)) => {
                if self.queue.first() != Some(who) {
                    return Err(format!("{who} is not the first in the queue"));
                }
                self.queue.remove(0);
                self.socket(Who::Listener).unread -= 1;
                self.socket(*who).open = true;
            }
            Effect::Accepted(None) if !self.queue.is_empty() => {
                return Err("the accept queue is not empty".to_owned());
            }
            Effect::Armed(bits) => {
                match self.interest.iter_mut().find(|interest| interest.who == bits.who) {
                    Some(interest) => interest.events.clone_from(&bits.events),
                    None => self.interest.push(bits.clone()),
                }
                self.wake(bits.who);
            }
            Effect::Disarmed(who) => self.forget(*who),
            Effect::Received(who, n) | Effect::Peeked(who, n) => {
                let (unread, ended) = (self.unread(*who), self.has_ended(*who));
                match n {
                    None if unread == 0 && !ended => {}
                    Some(0) if unread == 0 && ended => {}
                    Some(n) if *n > 0 && *n <= unread => {
                        if matches!(effect, Effect::Received(..)) {
                            self.socket(*who).unread -= n;
                        }
                    }
                    _ => {
                        return Err(format!("by the rules {unread} bytes are there"));
                    }
                }
            }
            Effect::Connected(who) => self.socket(*who).open = true,
            Effect::Closed(who) => {
                *self.socket(*who) = Socket::default();
                // epoll forgets what is closed; poll's array is the program's affair.
                if self.keeps {
                    self.forget(*who);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn forget(&mut self, who: Who) {
        self.interest.retain(|bits| bits.who != who);
        self.ready.retain(|ready| *ready != who);
    }

    /// What it holds, in words.
    pub fn after(&self) -> After {
        After {
            interest: self.interest.clone(),
            ready: self.ready.clone(),
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
        let unread = match (count, who) {
            (0, _) => None,
            (_, Who::Listener) => Some(format!("{count} to accept")),
            _ => Some(format!("{count} byte{s}")),
        };
        match (unread, self.has_ended(who)) {
            (unread, false) => unread,
            (None, true) => Some("the end".to_owned()),
            (Some(unread), true) => Some(format!("{unread}, the end")),
        }
    }
}

/// Descriptors and their bits, separated by commas.
pub fn listed(bits: &[Bits]) -> String {
    bits.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(who: Who, events: &str) -> Bits {
        Bits { who, events: events.to_owned() }
    }

    fn sends(who: Who, bytes: u64) -> Arrival {
        Arrival { who, does: Does::Sends { bytes, what: String::new(), asks: None } }
    }

    /// An epoll loop with two clients, both watched.
    fn two(events: &str) -> Kernel {
        let mut kernel = Kernel::new(true);
        for who in [Who::A, Who::B] {
            kernel.arrive(&Arrival { who, does: Does::Connects });
            kernel.returns(&Effect::Accepted(Some(who))).expect("it is in the queue");
            kernel.returns(&Effect::Armed(bits(who, events))).expect("it is open");
        }
        kernel
    }

    fn waits(kernel: &mut Kernel, reported: &[Bits]) -> Result<bool, String> {
        let sleeps = kernel.enter(None);
        let reported = Some(reported.to_vec());
        let effect = Effect::Waited { array: None, at_once: false, reported };
        kernel.returns(&effect).map(|()| sleeps)
    }

    fn ready(kernel: &Kernel) -> Vec<(Who, bool)> {
        kernel.ready().collect()
    }

    #[test]
    fn the_ready_list_is_in_the_order_of_arrival() {
        let mut kernel = two("IN");
        kernel.arrive(&sends(Who::B, 1));
        kernel.arrive(&sends(Who::A, 1));
        kernel.arrive(&sends(Who::B, 1));
        let (a, b) = (bits(Who::A, "IN"), bits(Who::B, "IN"));
        assert!(waits(&mut kernel.clone(), &[a.clone(), b.clone()]).is_err());
        assert_eq!(waits(&mut kernel, &[b, a]), Ok(false), "and it does not sleep");
    }

    #[test]
    fn what_is_drained_stays_on_the_list_until_the_next_wait() {
        let mut kernel = two("IN");
        kernel.arrive(&sends(Who::A, 9));
        waits(&mut kernel, &[bits(Who::A, "IN")]).expect("A is ready");
        assert_eq!(ready(&kernel), [(Who::A, true)]);
        kernel.returns(&Effect::Received(Who::A, Some(4))).expect("there are nine");
        assert_eq!(ready(&kernel), [(Who::A, true)], "five are left");
        kernel.returns(&Effect::Received(Who::A, Some(5))).expect("there are five");
        assert_eq!(ready(&kernel), [(Who::A, false)]);
        assert!(kernel.enter(None), "it sleeps");
        assert_eq!(ready(&kernel), []);
    }

    #[test]
    fn an_edge_is_reported_once_and_a_shot_until_armed_again() {
        let mut kernel = two("IN|ET");
        kernel.arrive(&sends(Who::A, 9));
        waits(&mut kernel, &[bits(Who::A, "IN")]).expect("A is ready");
        assert_eq!(ready(&kernel), [], "although nine bytes are unread");
        kernel.arrive(&sends(Who::A, 1));
        assert_eq!(ready(&kernel), [(Who::A, true)]);

        let mut kernel = two("IN|ONESHOT");
        kernel.arrive(&sends(Who::A, 9));
        waits(&mut kernel, &[bits(Who::A, "IN")]).expect("A is ready");
        kernel.arrive(&sends(Who::A, 1));
        assert_eq!(ready(&kernel), []);
        kernel.returns(&Effect::Armed(bits(Who::A, "IN|ONESHOT"))).expect("it is open");
        assert_eq!(ready(&kernel), [(Who::A, true)], "found when it is armed");
    }

    #[test]
    fn what_is_closed_is_forgotten() {
        let mut kernel = two("IN");
        kernel.arrive(&Arrival { who: Who::A, does: Does::Leaves });
        assert_eq!(ready(&kernel), [(Who::A, true)]);
        kernel.returns(&Effect::Closed(Who::A)).expect("it is open");
        assert_eq!(ready(&kernel), []);
        assert_eq!(kernel.interest(), [bits(Who::B, "IN")]);
    }

    #[test]
    fn an_answer_that_cannot_be_is_refused() {
        let kernel = two("IN");
        for impossible in [
            Effect::Received(Who::A, Some(1)),
            Effect::Received(Who::A, Some(0)),
            Effect::Accepted(Some(Who::C)),
        ] {
            let answered = kernel.clone().returns(&impossible);
            assert!(answered.is_err(), "{impossible:?}");
        }
        let mut kernel = kernel;
        kernel.arrive(&sends(Who::A, 1));
        assert!(kernel.clone().returns(&Effect::Received(Who::A, None)).is_err());
        kernel.arrive(&Arrival { who: Who::C, does: Does::Connects });
        assert!(kernel.returns(&Effect::Accepted(None)).is_err());
    }

    #[test]
    fn poll_reports_in_the_order_of_its_array() {
        let mut kernel = Kernel::new(false);
        for who in [Who::A, Who::B] {
            kernel.arrive(&Arrival { who, does: Does::Connects });
            kernel.returns(&Effect::Accepted(Some(who))).expect("it is in the queue");
        }
        kernel.arrive(&sends(Who::B, 1));
        kernel.arrive(&sends(Who::A, 1));
        let array = [bits(Who::A, "IN"), bits(Who::B, "IN|OUT")];
        assert!(!kernel.enter(Some(&array)));
        assert_eq!(kernel.due(), array);
        assert_eq!(ready(&kernel), [], "it keeps nothing");
    }
}
