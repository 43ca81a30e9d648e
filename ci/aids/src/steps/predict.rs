//! What the loop could call next, and why it does not: rules over what has arrived, what the
//! last wait reported, and what the clients have asked for.

use std::collections::BTreeMap;

use super::kernel::Kernel;
use super::recording::{Arrival, Bits, Does, Effect, Need, Step, Who};

/// How many calls are offered.
const CHOICES: usize = 4;

/// What is known of a client.
#[derive(Clone, Debug, Default)]
struct Client {
    here: bool,
    left: bool,
    /// Part of a request has come.
    part: bool,
    /// A request has come whole, and needs this; it has no answer yet.
    asks: Option<Need>,
    /// The loop has read it.
    is_read: bool,
    /// Bytes that it was sent.
    answered: u64,
    closed: bool,
}

/// How far the loop is with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Store {
    Away,
    Connecting,
    Connected,
    Asked,
    Replied,
    /// The loop has read the reply.
    Read,
}

/// Everything that a reader may want to know before the next call.
#[derive(Clone, Debug)]
pub struct World {
    /// The kernel's side.
    pub kernel: Kernel,
    keeps: bool,
    clients: BTreeMap<Who, Client>,
    store: Store,
    file_is_open: bool,
    /// What the last wait reported, and whether the loop has looked there.
    reported: Vec<(Bits, bool)>,
    /// Who was accepted and has not had a turn.
    new: Vec<Who>,
    asleep: bool,
    /// The name of the call in which the loop waits.
    wait: String,
}

/// A call that is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The call.
    pub call: String,
    /// Why it is the next, or is not.
    pub why: String,
    /// Whether it is.
    pub right: bool,
}

impl World {
    /// Before the first of these steps.
    pub fn new(steps: &[Step]) -> Self {
        let keeps = steps.iter().any(|step| step.call.starts_with("epoll"));
        let wait = steps.iter().find(|step| step.effect.is_wait());
        Self {
            kernel: Kernel::new(keeps),
            keeps,
            clients: Who::CLIENTS.into_iter().map(|who| (who, Client::default())).collect(),
            store: Store::Away,
            file_is_open: false,
            reported: Vec::new(),
            new: Vec::new(),
            asleep: false,
            wait: wait.map_or(String::new(), |step| step.call.clone()),
        }
    }

    /// Whether the kernel keeps what is waited for.
    pub fn keeps(&self) -> bool {
        self.keeps
    }

    /// Whether the loop sleeps.
    pub fn is_asleep(&self) -> bool {
        self.asleep
    }

    /// What the last wait reported of a descriptor, and whether the loop has looked there.
    pub fn reported(&self, who: Who) -> Option<(&str, bool)> {
        let found = self.reported.iter().find(|(bits, _)| bits.who == who);
        found.map(|(bits, done)| (&*bits.events, *done))
    }

    /// Something comes from outside.
    pub fn arrive(&mut self, arrival: &Arrival) {
        self.kernel.arrive(arrival);
        if let Some(client) = self.clients.get_mut(&arrival.who) {
            match &arrival.does {
                Does::Connects => client.here = true,
                Does::Sends { asks: None, .. } => client.part = true,
                Does::Sends { asks, .. } => client.asks = *asks,
                Does::Leaves => client.left = true,
            }
        } else if arrival.who == Who::Store {
            self.store = Store::Replied;
        }
    }

    /// The loop calls, and if that makes it sleep, it sleeps now. Only for a wait.
    pub fn enter(&mut self, step: &Step) {
        if let Effect::Waited { array, at_once, .. } = &step.effect {
            self.reported.clear();
            self.asleep = self.kernel.enter(array.as_deref()) && !at_once;
        }
    }

    /// The call returns. What arrived with the step has been told by [`World::arrive`].
    ///
    /// # Errors
    /// What the kernel's rules do not allow.
    pub fn leave(&mut self, step: &Step) -> Result<(), String> {
        self.kernel.returns(&step.effect)?;
        let whom = |world: &Self, need, read| {
            let mut clients = world.clients.iter();
            clients
                .find(|(_, client)| client.asks == Some(need) && client.is_read == read)
                .map(|(who, _)| *who)
        };
        match &step.effect {
            Effect::Waited { reported, .. } => {
                self.asleep = reported.is_none();
                let reported = reported.iter().flatten();
                self.reported = reported.map(|bits| (bits.clone(), false)).collect();
            }
            Effect::Accepted(Some(who)) => self.new.push(*who),
            Effect::Received(who, n) => {
                self.new.retain(|new| new != who);
                let drained = self.kernel.unread(*who) == 0 && n.is_some();
                match self.clients.get_mut(who) {
                    Some(client) => client.is_read |= drained && client.asks.is_some(),
                    None if *who == Who::Store && drained => self.store = Store::Read,
                    None => {}
                }
            }
            Effect::Sent(Who::Store, _) => self.store = Store::Asked,
            Effect::Sent(who, n) => {
                if let Some(client) = self.clients.get_mut(who) {
                    client.answered += n;
                    (client.asks, client.part, client.is_read) = (None, false, false);
                }
            }
            Effect::Connected(_) => self.store = Store::Connecting,
            Effect::Set(Who::Store) if self.store == Store::Connecting => {
                self.store = Store::Connected;
            }
            Effect::File => {
                self.file_is_open =
                    step.call != "close" && whom(self, Need::File, true).is_some();
            }
            Effect::Closed(who) => {
                if let Some(client) = self.clients.get_mut(who) {
                    client.closed = true;
                }
            }
            _ => {}
        }
        if let Some(who) = concerns(&step.effect) {
            for (bits, done) in &mut self.reported {
                *done |= bits.who == who;
            }
        }
        Ok(())
    }

    /// What somebody outside is doing.
    pub fn status(&self, who: Who) -> &'static str {
        let Some(client) = self.clients.get(&who) else {
            return match (who, self.store) {
                (Who::Store, Store::Away) => "not asked yet",
                (Who::Store, Store::Connecting) => "connecting",
                (Who::Store, Store::Connected) => "connected",
                (Who::Store, Store::Asked) => "asked, thinks",
                (Who::Store, _) => "has replied",
                _ => "",
            };
        };
        match client {
            Client { here: false, .. } => "not here yet",
            Client { left: true, .. } => "has left",
            Client { asks: Some(Need::File), .. } => "waits for its file",
            Client { asks: Some(Need::Store), .. } => "waits for its page",
            Client { part: true, .. } => "half a request",
            Client { answered: 1.., .. } => "has its answer",
            _ => "says nothing",
        }
    }

    /// Whether somebody outside waits for the server.
    pub fn waits(&self, who: Who) -> bool {
        self.clients.get(&who).is_some_and(|client| client.asks.is_some() && !client.left)
    }

    /// Who waits, in a sentence or two.
    pub fn who_waits(&self) -> String {
        let mut said = Vec::new();
        if self.asleep {
            said.push(format!("The loop waits, in {}.", self.wait));
        }
        for who in Who::CLIENTS.into_iter().filter(|who| self.waits(*who)) {
            said.push(format!("{who} {}.", self.status(who)));
        }
        match said.is_empty() {
            true => "Nobody waits.".to_owned(),
            false => said.join(" "),
        }
    }

    /// The next call among others of the same loop. `turn` decides where it stands.
    pub fn choices(&self, steps: &[Step], next: usize, turn: usize) -> Vec<Choice> {
        let right = &steps[next];
        let mut others: Vec<(usize, Choice)> = Vec::new();
        for (n, step) in steps.iter().enumerate() {
            let call = step.guess();
            if call == right.guess() || others.iter().any(|(_, known)| known.call == call) {
                continue;
            }
            if let Some(why) = self.why_not(step, right) {
                let rank = self.rank(step, right, n, next);
                others.push((rank, Choice { call, why, right: false }));
            }
        }
        others.sort_by(|(a, one), (b, other)| (a, &one.call).cmp(&(b, &other.call)));
        others.truncate(CHOICES - 1);
        let mut choices: Vec<Choice> =
            others.into_iter().map(|(_, choice)| choice).collect();
        // In an order that says nothing: that of their names, turned.
        choices.push(Choice { call: right.guess(), why: self.why(right), right: true });
        choices.sort_by(|one, other| one.call.cmp(&other.call));
        let turn = turn % choices.len();
        choices.rotate_left(turn);
        choices
    }

    /// What tempts most comes first: to wait, to do the same with somebody else, to do
    /// something else with the same one, to do what comes a little later.
    fn rank(&self, step: &Step, right: &Step, n: usize, next: usize) -> usize {
        let soon = n.saturating_sub(next);
        match (concerns(&step.effect), concerns(&right.effect)) {
            (None, _) if step.effect.is_wait() => 0,
            _ if (1..4).contains(&soon) => soon,
            (Some(a), Some(b)) if a == b => 4,
            _ if step.call == right.call => 5,
            (Some(a), _) if self.reported(a).is_some() || self.waits(a) => 6,
            _ => 7 + n.abs_diff(next),
        }
    }

    /// Why this is the next call.
    fn why(&self, next: &Step) -> String {
        match &next.effect {
            Effect::Waited { at_once: true, .. } => {
                "Yes, and it will not sleep: somebody has not had a turn yet.".into()
            }
            Effect::Waited { .. } if self.reported.is_empty() => {
                "Yes. What happens next depends on others.".into()
            }
            Effect::Waited { .. } => "Yes. Nothing is left to do.".into(),
            Effect::Accepted(Some(_)) => {
                let queue = self.kernel.unread(Who::Listener);
                format!("Yes. In the accept queue: {queue}.")
            }
            Effect::Accepted(None) => {
                "Yes. It answers EAGAIN: only so does the loop learn \
                                       that the queue is empty."
                    .into()
            }
            Effect::Received(who, _) if self.new.contains(who) => format!(
                "Yes. {who}'s first bytes may have come with the connection: the loop looks \
                 before it waits."
            ),
            Effect::Received(who, _) | Effect::Peeked(who, _) => {
                format!("Yes. The last {} has reported {}.", self.wait, who.in_words())
            }
            Effect::Armed(bits) if self.knows(bits.who) => {
                format!(
                    "Yes. The loop wants to hear something else of {}.",
                    bits.who.in_words()
                )
            }
            Effect::Armed(bits) => {
                format!("Yes. From now on the kernel watches {}.", bits.who.in_words())
            }
            Effect::Disarmed(who) => {
                format!("Yes. The kernel need not watch {} any more.", who.in_words())
            }
            Effect::Sent(Who::Store, _) => {
                "Yes. The connection stands, and the question is ready.".into()
            }
            Effect::Sent(who, _) => format!("Yes. {who}'s answer is complete."),
            Effect::Connected(_) => {
                "Yes. The page needs the store. It will not wait for the handshake.".into()
            }
            Effect::Set(Who::Store) => {
                "Yes. Writable: so the handshake is over. How it ended stands in SO_ERROR."
                    .into()
            }
            Effect::Set(_) => "Yes.".into(),
            Effect::File if next.call == "close" => {
                "Yes. The file has been sent, and nobody needs it.".into()
            }
            Effect::File => {
                "Yes. The request is complete. The loop reads the file here and \
                             now, and whoever comes meanwhile waits for the disk."
                    .into()
            }
            Effect::Closed(who) => format!("Yes. {who} has left."),
        }
    }

    fn knows(&self, who: Who) -> bool {
        self.kernel.interest().iter().any(|bits| bits.who == who)
    }

    /// Why this is not the next call, `next` being it. None if the rules do not say.
    fn why_not(&self, other: &Step, next: &Step) -> Option<String> {
        let call = &other.call;
        let somebody = |need| {
            self.clients.values().any(|client| client.asks == Some(need) && client.is_read)
        };
        match &other.effect {
            Effect::Waited { .. } => self.why_not_wait(next),
            Effect::Accepted(_) if self.kernel.unread(Who::Listener) == 0 => {
                Some(format!("{call} would answer EAGAIN: the accept queue is empty."))
            }
            Effect::Accepted(_) => None,
            Effect::Received(who, _) => {
                if let Some(why) = self.no_descriptor(*who) {
                    return Some(why);
                }
                if !self.kernel.is_readable(*who) {
                    return Some(format!(
                        "{call} on {} would answer EAGAIN: nothing new has arrived there.",
                        who.in_words()
                    ));
                }
                match self.reported(*who) {
                    Some((_, false)) => Some(format!(
                        "Later: {} is ready, but {}.",
                        who.in_words(),
                        self.order(next)
                    )),
                    Some(_) => None,
                    None => Some(format!(
                        "Something is there, but the loop does not know: the next {} will \
                         say it.",
                        self.wait
                    )),
                }
            }
            Effect::Peeked(..) | Effect::Set(_) | Effect::Disarmed(_) => None,
            Effect::Armed(bits) => {
                let who = bits.who;
                if let Some(why) = self.no_descriptor(who) {
                    return Some(why);
                }
                let known = self.kernel.interest().iter().find(|known| known.who == who);
                match known {
                    Some(_) if other.arguments.starts_with("ADD") => Some(format!(
                        "It would answer EEXIST: {} is in the interest list, and stays \
                         there until it is closed.",
                        who.in_words()
                    )),
                    Some(known) if known == bits => {
                        Some("The kernel knows that already.".to_owned())
                    }
                    None if self.new.contains(&who) => Some(format!(
                        "Not yet: this loop first looks whether {who} has sent something with \
                         the connection."
                    )),
                    _ => None,
                }
            }
            Effect::Sent(Who::Store, _) | Effect::Connected(_)
                if !somebody(Need::Store) && self.store < Store::Asked =>
            {
                Some(match self.clients.values().any(|c| c.asks == Some(Need::Store)) {
                    true => {
                        "The request that needs the store has arrived, and the loop has \
                             not read it."
                            .to_owned()
                    }
                    false => "Nobody has asked for the guestbook: there is nothing to ask \
                              the store."
                        .to_owned(),
                })
            }
            Effect::Sent(Who::Store, _) => match self.store {
                Store::Away => Some("There is no connection to the store.".to_owned()),
                Store::Connecting => Some(match self.reported(Who::Store) {
                    None => format!(
                        "The handshake may not be over: the next {} will say it.",
                        self.wait
                    ),
                    Some(_) => {
                        "Not before it is known whether the handshake succeeded: that \
                                stands in SO_ERROR."
                            .to_owned()
                    }
                }),
                Store::Connected => None,
                _ => Some("The store has been asked already.".to_owned()),
            },
            Effect::Connected(_) => (self.store > Store::Away).then(|| {
                "There is a connection to the store: one for all clients.".to_owned()
            }),
            Effect::Sent(who, _) => self.why_not_send(*who, next),
            Effect::File if other.call == "close" => {
                (!self.file_is_open).then(|| "No file is open.".to_owned())
            }
            Effect::File => {
                let asked = |c: &&Client| c.asks == Some(Need::File);
                if self.file_is_open {
                    Some("The file is open.".to_owned())
                } else if somebody(Need::File) {
                    None
                } else if self.clients.values().any(|c| asked(&c)) {
                    Some("The rest of the request has arrived, and the loop has not read it."
                        .to_owned())
                } else if self.clients.values().any(|c| c.part) {
                    Some(
                        "Half of the request is missing: it could still become anything."
                            .to_owned(),
                    )
                } else {
                    Some("Nobody waits for a file.".to_owned())
                }
            }
            Effect::Closed(who) => {
                if let Some(why) = self.no_descriptor(*who) {
                    return Some(why);
                }
                let left = self.clients.get(who).is_some_and(|client| client.left);
                Some(if left {
                    format!(
                        "The loop does not know that {who} has left until a read says 0."
                    )
                } else {
                    format!("{who} has not left. It may ask again on the same connection.")
                })
            }
        }
    }

    /// Why somebody has no descriptor, if so.
    fn no_descriptor(&self, who: Who) -> Option<String> {
        if self.kernel.is_open(who) {
            return None;
        }
        let client = self.clients.get(&who);
        Some(match client {
            Some(Client { closed: true, .. }) => {
                format!("{who}'s descriptor is closed already.")
            }
            Some(Client { here: false, .. }) => format!("There is no client {who} yet."),
            Some(_) => {
                format!("{who} is in the accept queue: it has no descriptor until accept4.")
            }
            None => format!("There is no connection to {} yet.", who.in_words()),
        })
    }

    fn why_not_send(&self, who: Who, next: &Step) -> Option<String> {
        if let Some(why) = self.no_descriptor(who) {
            return Some(why);
        }
        let client = self.clients.get(&who)?;
        Some(match client {
            Client { asks: None, part: true, .. } => {
                format!("There is nothing to send: half of {who}'s request is missing.")
            }
            Client { asks: None, answered: 1.., .. } => {
                format!("{who} has its answer, and has asked nothing since.")
            }
            Client { asks: None, .. } => {
                format!("There is nothing to send: {who} has not asked for anything.")
            }
            Client { is_read: false, .. } => {
                format!("{who}'s request has arrived, and the loop has not read it.")
            }
            Client { asks: Some(Need::File), .. } => {
                if self.file_is_open {
                    return None;
                }
                format!("The file that {who} wants has not been read.")
            }
            Client { asks: Some(Need::Store), .. } => match self.store {
                Store::Away | Store::Connecting | Store::Connected => {
                    format!("{who}'s page needs the store, and the store was not asked.")
                }
                Store::Asked => {
                    format!("{who}'s page needs the store's reply, and it has not come.")
                }
                Store::Replied => {
                    format!(
                        "The store's reply for {who} has arrived, and the loop has not read it."
                    )
                }
                Store::Read => {
                    format!("Soon: {who}'s page is complete, but {}.", self.order(next))
                }
            },
        })
    }

    /// Why the next call comes before another that could be made.
    fn order(&self, next: &Step) -> String {
        match concerns(&next.effect) {
            Some(who) if matches!(next.effect, Effect::Closed(_)) => {
                format!("the loop has not finished with {}", who.in_words())
            }
            Some(who) if self.reported(who).is_some_and(|(_, done)| !done) => {
                let first = self.reported.iter().position(|(bits, _)| bits.who == who);
                let place = if self.keeps { "ready list" } else { "loop's round" };
                match first {
                    Some(_) if self.keeps => {
                        format!("{} stands before it on the {place}", who.in_words())
                    }
                    _ => format!("{} comes first in the {place}", who.in_words()),
                }
            }
            _ => format!("{} comes first", next.guess()),
        }
    }

    fn why_not_wait(&self, next: &Step) -> Option<String> {
        Some(match &next.effect {
            Effect::Waited { .. } => return None,
            Effect::Accepted(_) if self.kernel.unread(Who::Listener) > 0 => {
                "Not yet: somebody is in the accept queue.".into()
            }
            Effect::Accepted(_) => {
                "Not yet: this loop accepts until the kernel says EAGAIN. \
                                    Another client may have come."
                    .into()
            }
            Effect::Received(who, _) if self.new.contains(who) => format!(
                "Not yet: {who} was accepted just now, and may have sent something with the \
                 connection."
            ),
            Effect::Received(who, _) | Effect::Peeked(who, _) => {
                match self.reported(*who) {
                    Some((_, false)) => format!(
                        "Not yet: the last {} has reported {}, and nobody has looked there.",
                        self.wait,
                        who.in_words()
                    ),
                    _ => format!("Not yet: there may be more from {}.", who.in_words()),
                }
            }
            Effect::Armed(bits) if self.knows(bits.who) => format!(
                "Not yet: {} is still watched for what the loop no longer wants, and would \
                 be reported at once, again and again.",
                bits.who.in_words()
            ),
            Effect::Armed(bits) => format!(
                "Not yet: {} is not in the interest list, so no wait would ever report it.",
                bits.who.in_words()
            ),
            Effect::Disarmed(who) => {
                format!("Not yet: {} is still watched.", who.in_words())
            }
            Effect::Sent(Who::Store, _) => {
                "Not yet: the question to the store has not been sent, so no reply would \
                 come."
                    .into()
            }
            Effect::Sent(who, _) => format!("Not yet: {who}'s answer can go now."),
            Effect::Connected(_) => {
                "Not yet: a page needs the store, and nobody has called there.".into()
            }
            Effect::Set(Who::Store) => {
                "Not yet: the store was reported, and it is not known what became of the \
                 handshake."
                    .into()
            }
            Effect::Set(_) => return None,
            Effect::File if next.call == "close" => {
                "Not yet: the file is still open.".into()
            }
            Effect::File => "Not yet: a request for a file is complete.".into(),
            Effect::Closed(who) => format!(
                "Not yet: {who} has left. While its descriptor is open and watched, every \
                 wait reports it."
            ),
        })
    }
}

/// The descriptor that a call is about.
pub fn concerns(effect: &Effect) -> Option<Who> {
    match effect {
        Effect::Accepted(_) => Some(Who::Listener),
        Effect::Armed(Bits { who, .. })
        | Effect::Disarmed(who)
        | Effect::Received(who, _)
        | Effect::Peeked(who, _)
        | Effect::Sent(who, _)
        | Effect::Connected(who)
        | Effect::Closed(who)
        | Effect::Set(who) => Some(*who),
        Effect::File | Effect::Waited { .. } => None,
    }
}
