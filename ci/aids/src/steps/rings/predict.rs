//! What the loop could do next, and what a call could bring, and why it does not: rules over
//! what has arrived, what is in flight, and what the clients have asked for.

use std::collections::BTreeMap;

use super::kernel::Kernel;
use super::{Completion, Entry, Op, Owner, Step, WAIT};
use crate::steps::predict::Choice;
use crate::steps::recording::{Arrival, Does, Need, Who};

/// How many choices are offered.
const CHOICES: usize = 4;
const NOTHING: &str = "submit nothing";
const SLEEPS: &str = "it sleeps";

/// What is known of a client.
#[derive(Clone, Debug, Default)]
struct Client {
    here: bool,
    /// The loop has its descriptor.
    open: bool,
    left: bool,
    /// The loop has received the end.
    is_over: bool,
    /// Part of a request has come.
    part: bool,
    /// A request has come whole, and needs this; it has no answer yet.
    asks: Option<Need>,
    /// The loop has received it.
    is_read: bool,
    answered: bool,
}

/// How far the loop is with the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Store {
    #[default]
    Away,
    /// There is a socket.
    Made,
    Connecting,
    Connected,
    Asked,
    Replied,
    /// The loop has received the reply.
    Read,
}

/// How far it is with the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum File {
    #[default]
    Closed,
    Open,
    /// It is known what it is.
    Known,
    /// It has been read and sent.
    Sent,
}

/// Everything that a reader may want to know before the next event.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The kernel's side.
    pub kernel: Kernel,
    clients: BTreeMap<Who, Client>,
    store: Store,
    file: File,
    asleep: bool,
}

impl World {
    /// Before the first step.
    pub fn new() -> Self {
        let clients = Who::CLIENTS.into_iter().map(|who| (who, Client::default()));
        Self { clients: clients.collect(), ..Self::default() }
    }

    /// Whether the loop sleeps.
    pub fn is_asleep(&self) -> bool {
        self.asleep
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

    /// The loop enters the kernel.
    ///
    /// # Errors
    /// What was recorded and the rules do not allow.
    pub fn enter(&mut self, step: &Step) -> Result<(), String> {
        self.asleep = self.kernel.enter(step)?;
        self.kernel.sleeps_as_recorded(step, self.asleep)?;
        for entry in &step.wrote {
            match (entry.op, entry.of) {
                (Op::Connect, _) => self.store = Store::Connecting,
                (Op::Send, Owner::Waited(Who::Store)) => self.store = Store::Asked,
                _ => {}
            }
        }
        Ok(())
    }

    /// The call returns. What arrived while the loop slept has been told by
    /// [`World::arrive`]. Says what it brought.
    ///
    /// # Errors
    /// What was recorded and the rules do not allow.
    pub fn leave(&mut self, step: &Step) -> Result<Vec<(Entry, Completion)>, String> {
        self.asleep = false;
        if !step.is_wait() {
            self.store = Store::Made;
            return Ok(Vec::new());
        }
        let brought = self.kernel.leave(step)?;
        for (entry, completion) in &brought {
            self.completed(entry, completion);
        }
        Ok(brought)
    }

    fn completed(&mut self, entry: &Entry, completion: &Completion) {
        match (entry.op, entry.of) {
            (Op::Accept, _) => {
                let who = Who::CLIENTS.into_iter();
                for who in who.filter(|who| who.to_string() == completion.result) {
                    self.clients.entry(who).or_default().open = true;
                }
            }
            (Op::Connect, _) => self.store = Store::Connected,
            (Op::Recv, Owner::Waited(Who::Store)) => self.store = Store::Read,
            (Op::Openat2, _) => self.file = File::Open,
            (Op::Statx, _) => self.file = File::Known,
            (Op::Close, Owner::Own(_)) => self.file = File::Closed,
            (op, Owner::Waited(who)) => {
                let Some(client) = self.clients.get_mut(&who) else { return };
                match op {
                    Op::Recv if completion.result == "0" => client.is_over = true,
                    Op::Recv => client.is_read = client.asks.is_some(),
                    Op::Close => client.open = false,
                    Op::Send => {
                        if client.asks == Some(Need::File) {
                            self.file = File::Sent;
                        }
                        (client.asks, client.part, client.is_read) = (None, false, false);
                        client.answered = true;
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// What somebody outside is doing.
    pub fn status(&self, of: Owner) -> &'static str {
        let client = of.who().and_then(|who| self.clients.get(&who));
        let Some(client) = client else {
            return match (of, self.store) {
                (Owner::Waited(Who::Store), Store::Away | Store::Made) => "not asked yet",
                (Owner::Waited(Who::Store), Store::Connecting) => "connecting",
                (Owner::Waited(Who::Store), Store::Connected) => "connected",
                (Owner::Waited(Who::Store), Store::Asked) => "asked, thinks",
                (Owner::Waited(Who::Store), _) => "has replied",
                _ => "",
            };
        };
        match client {
            Client { here: false, .. } => "not here yet",
            Client { left: true, .. } => "has left",
            Client { asks: Some(Need::File), .. } => "waits for its file",
            Client { asks: Some(Need::Store), .. } => "waits for its page",
            Client { part: true, .. } => "half a request",
            Client { answered: true, .. } => "has its answer",
            _ => "says nothing",
        }
    }

    /// Whether somebody outside waits for the server.
    pub fn waits(&self, of: Owner) -> bool {
        let client = of.who().and_then(|who| self.clients.get(&who));
        client.is_some_and(|client| client.asks.is_some() && !client.left)
    }

    /// Who waits, in a sentence or two.
    pub fn who_waits(&self) -> String {
        let mut said = Vec::new();
        if self.asleep {
            said.push(format!("The loop waits, in {WAIT}."));
        }
        for who in Owner::ALL.into_iter().filter(|who| self.waits(*who)) {
            said.push(format!("{who} {}.", self.status(who)));
        }
        match said.is_empty() {
            true => "Nobody waits.".to_owned(),
            false => said.join(" "),
        }
    }

    /// What the loop does before the next call, or instead of it, among other things that it
    /// does elsewhere. `turn` decides where it stands.
    pub fn deeds(&self, steps: &[Step], next: usize, turn: usize) -> Vec<Choice> {
        let right = deed(&steps[next], 0);
        let now: Vec<String> = all_deeds(&steps[next]).collect();
        let mut others: Vec<(usize, Choice)> = Vec::new();
        for (n, step) in steps.iter().enumerate() {
            for (place, call) in all_deeds(step).enumerate() {
                if now.contains(&call) || others.iter().any(|(_, other)| other.call == call)
                {
                    continue;
                }
                let entry = step.wrote.get(place);
                let why = match (step.is_wait(), entry) {
                    (true, None) => Some(why_not_nothing(&steps[next])),
                    (true, Some(entry)) => self.why_not_write(entry),
                    (false, _) => self.why_no_socket(),
                };
                // What comes soon tempts most, and to have nothing to do.
                let rank = match (entry, n.checked_sub(next)) {
                    (None, _) if step.is_wait() => 0,
                    (_, Some(later)) => later,
                    (Some(entry), None) if self.waits(entry.of) => 2,
                    (_, None) => 6 + next - n,
                };
                others.extend(why.map(|why| (rank, Choice { call, why, right: false })));
            }
        }
        let why = match (steps[next].is_wait(), steps[next].wrote.first()) {
            (false, _) => {
                "Yes. The page needs the store. This server makes the socket by a \
                           call of its own; to connect it is an operation."
                    .to_owned()
            }
            (true, None) => {
                "Yes. All that it waits for is in flight. The call only waits.".to_owned()
            }
            (true, Some(entry)) => self.why_write(entry),
        };
        among(others, Choice { call: right, why, right: true }, turn)
    }

    /// What a call brings, among all that is in flight.
    pub fn outcomes(&self, step: &Step, turn: usize) -> Vec<Choice> {
        let of = |mark: &str| {
            let all = step.wrote.iter().chain(self.kernel.flying());
            let mut all = all.filter(|entry| entry.mark == mark);
            all.next().cloned()
        };
        // Whether it sleeps is seen: something came from outside before it returned.
        let sleeps = !step.meanwhile.is_empty() || step.is_last();
        let brought = step.brought.iter().flatten().filter(|_| !sleeps);
        let brought: Vec<Entry> = brought.filter_map(|c| of(&c.mark)).collect();
        let (call, why) = match brought.first() {
            Some(first) => (completes(first), self.why_completes(&brought)),
            None => {
                let why = "Yes. Nothing of all this can go on before somebody outside does \
                           something.";
                (SLEEPS.to_owned(), why.to_owned())
            }
        };
        let mut others: Vec<(usize, Choice)> = Vec::new();
        if let Some(first) = brought.first() {
            let why = format!(
                "{} completes within the call, and one completion is enough to return.",
                first.guess()
            );
            others.push((0, Choice { call: SLEEPS.to_owned(), why, right: false }));
        }
        let all = step.wrote.iter().chain(self.kernel.flying());
        for (n, entry) in all.filter(|entry| !brought.contains(entry)).enumerate() {
            // Of signals nobody thinks.
            let late = if entry.op == Op::Poll { CHOICES } else { 0 };
            let rank = 1 + n + late + usize::from(!self.waits(entry.of));
            let (call, why) = (completes(entry), self.why_not_complete(entry, step));
            others.extend(why.map(|why| (rank, Choice { call, why, right: false })));
        }
        among(others, Choice { call, why, right: true }, turn)
    }

    /// Why this entry is written.
    fn why_write(&self, entry: &Entry) -> String {
        let of = entry.of;
        match (entry.op, of) {
            (Op::Accept, _) => "Yes. One submission, for all clients who will come.".into(),
            (Op::Recv, Owner::Waited(Who::Store)) => {
                "Yes. The reply may come as soon as the store is asked: then the receive is \
                 there."
                    .into()
            }
            (Op::Recv, _) => {
                format!("Yes. {of} was accepted. One submission, for all that it will send.")
            }
            (Op::Connect, _) => "Yes. The socket is there. The kernel is asked to connect \
                                 it, and the loop hears when it has."
                .into(),
            (Op::Openat2, _) => "Yes. The request is complete. To open may be to wait for \
                                 the disk: that is left to the kernel."
                .into(),
            (Op::Statx, _) => {
                "Yes. The file is open, and nobody knows yet how long it is.".into()
            }
            (Op::Read, _) => "Yes. Two entries in one submission: the send starts when the \
                              read is done."
                .into(),
            (Op::Send, _) => format!("Yes. {of}'s answer is complete."),
            (Op::Close, Owner::Own(_)) => {
                "Yes. The file was sent, and nobody needs it.".into()
            }
            (Op::Close, _) => format!("Yes. {of} has left, and nothing of it is in flight."),
            (Op::Poll, _) => "Yes. Of a signal nobody would hear otherwise.".into(),
            (Op::Timeout, _) => {
                "Yes. Somebody has a deadline, and no timer is in flight.".into()
            }
            (Op::Cancel, _) => {
                "Yes. A deadline has come up before the one for which the timer waits.".into()
            }
        }
    }

    /// Why this entry is not written now. None if the rules do not say.
    fn why_not_write(&self, entry: &Entry) -> Option<String> {
        let of = entry.of;
        if self.kernel.flies(entry.op, of) {
            return Some(match entry.op {
                Op::Timeout => {
                    "One timer serves all deadlines, and it is in flight.".into()
                }
                _ if entry.multishot => format!(
                    "It is in flight: a multishot {} goes on until it is recalled.",
                    entry.op
                ),
                _ => "It is in flight already.".into(),
            });
        }
        let asked = |need| self.clients.values().any(|client| client.asks == Some(need));
        match (entry.op, of) {
            (Op::Recv, Owner::Waited(Who::Store)) | (Op::Connect, _) => {
                self.why_no_store(entry)
            }
            (Op::Send, Owner::Waited(Who::Store)) => self.why_no_store(entry),
            (Op::Recv, Owner::Waited(who)) => self.no_descriptor(who),
            (Op::Send, Owner::Waited(who)) => self.why_not_send(who),
            (Op::Openat2 | Op::Statx | Op::Read, _) if !asked(Need::File) => {
                Some(match self.clients.values().any(|client| client.part) {
                    true => "Half of the request is missing: it could still become anything."
                        .into(),
                    false => "Nobody waits for a file.".into(),
                })
            }
            (Op::Openat2, _) => {
                (self.file >= File::Open).then(|| "The file is open.".into())
            }
            (Op::Statx, _) => match self.file {
                File::Closed => Some("There is no descriptor to ask about.".into()),
                File::Open => None,
                _ => Some("It is known what the file is.".into()),
            },
            (Op::Read, _) => match self.file {
                File::Closed => Some("The file is not open.".into()),
                File::Open => Some(
                    "How much is there to read? The head of the response names the length, \
                     and it is not known."
                        .into(),
                ),
                _ => None,
            },
            (Op::Close, Owner::Own(_)) => match self.file {
                File::Closed => Some("No file is open.".into()),
                File::Sent => None,
                _ => Some("The file is still to be sent.".into()),
            },
            (Op::Close, Owner::Waited(who)) => self.why_not_close(who),
            (Op::Cancel, _) => Some(match self.kernel.has_timer() {
                true => "The timer runs out before the first deadline or with it.".into(),
                false => "No timer is in flight.".into(),
            }),
            _ => None,
        }
    }

    fn why_no_socket(&self) -> Option<String> {
        if self.store > Store::Away {
            return Some(
                "There is a connection to the store: one for all clients.".to_owned(),
            );
        }
        let asked = |client: &Client| client.asks == Some(Need::Store) && client.is_read;
        (!self.clients.values().any(asked)).then(|| {
            "Nobody has asked for the guestbook: there is nothing to ask the store.".into()
        })
    }

    fn why_no_store(&self, entry: &Entry) -> Option<String> {
        Some(match self.store {
            Store::Away => "There is no socket to the store.".into(),
            Store::Made if entry.op == Op::Connect => return None,
            Store::Made | Store::Connecting => "The connection does not stand yet.".into(),
            _ if entry.op == Op::Connect => "The connection stands.".into(),
            Store::Connected => return None,
            _ if entry.op == Op::Recv => return None,
            _ => "The store has been asked already.".into(),
        })
    }

    /// Why somebody has no descriptor, if so.
    fn no_descriptor(&self, who: Who) -> Option<String> {
        Some(match self.clients.get(&who)? {
            Client { open: true, .. } => return None,
            Client { here: false, .. } => format!("There is no client {who} yet."),
            Client { is_over: true, .. } => {
                format!("{who}'s descriptor is closed already.")
            }
            _ => format!("{who} is in the accept queue: it has no descriptor yet."),
        })
    }

    fn why_not_close(&self, who: Who) -> Option<String> {
        if let Some(why) = self.no_descriptor(who) {
            return Some(why);
        }
        let client = self.clients.get(&who)?;
        match (client.left, client.is_over) {
            (false, _) => Some(format!(
                "{who} has not left. It may ask again on the same connection."
            )),
            (true, false) => Some(format!(
                "The loop does not know that {who} has left until its receive says 0."
            )),
            (true, true) => None,
        }
    }

    fn why_not_send(&self, who: Who) -> Option<String> {
        if let Some(why) = self.no_descriptor(who) {
            return Some(why);
        }
        Some(match self.clients.get(&who)? {
            Client { asks: None, part: true, .. } => {
                format!("There is nothing to send: half of {who}'s request is missing.")
            }
            Client { asks: None, answered: true, .. } => {
                format!("{who} has its answer, and has asked nothing since.")
            }
            Client { asks: None, .. } => {
                format!("There is nothing to send: {who} has not asked for anything.")
            }
            Client { is_read: false, .. } => {
                format!("{who}'s request has arrived, and its receive has not completed.")
            }
            Client { asks: Some(Need::File), .. } => match self.file {
                File::Known => return None,
                _ => format!("It is not known yet what the file is that {who} wants."),
            },
            Client { asks: Some(Need::Store), .. } => match self.store {
                Store::Read => return None,
                Store::Asked | Store::Replied => {
                    format!("{who}'s page needs the store's reply, and it has not come.")
                }
                _ => format!("{who}'s page needs the store, and the store was not asked."),
            },
        })
    }

    /// Why these complete: the first of them, and that the others do, too.
    fn why_completes(&self, brought: &[Entry]) -> String {
        let Some(first) = brought.first() else { return String::new() };
        let why = match (first.op, first.of) {
            (Op::Accept, _) => "Yes. Somebody has come meanwhile, and the accept is there.",
            (Op::Recv, _) => "Yes. Its bytes have arrived, and the receive is there.",
            (Op::Connect, _) => {
                "Yes. On one machine a handshake is over before the call has returned."
            }
            (Op::Openat2, _) => {
                "Yes. The name is in memory, so the thread opens the file while it submits."
            }
            (Op::Read, _) => "Yes. The file is in memory: nobody has to wait for the disk.",
            (Op::Send, _) => "Yes. The socket has room: it is sent while it is submitted.",
            (Op::Statx, _) => "Yes. A worker of the kernel has done it.",
            (Op::Close, _) => "Yes. That is done while it is submitted.",
            _ => "Yes.",
        };
        let mut others: Vec<String> = Vec::new();
        for entry in brought.iter().skip(1).map(Entry::guess) {
            if entry != first.guess() && !others.contains(&entry) {
                others.push(entry);
            }
        }
        match (others.is_empty(), brought.len()) {
            (true, 1) => why.to_owned(),
            (true, n) => format!("{why} It completes {n} times."),
            (false, _) => format!("{why} The same call brings: {}.", others.join(", ")),
        }
    }

    /// Why this does not complete in the next call. None if the rules do not say.
    fn why_not_complete(&self, entry: &Entry, step: &Step) -> Option<String> {
        let asks = step.wrote.iter().any(|e| e.op == Op::Send && e.of == entry.of);
        Some(match (entry.op, entry.of) {
            (Op::Accept, _) => "Nobody is in the accept queue.".into(),
            (Op::Poll, _) => "No signal has come.".into(),
            (Op::Timeout, _) => "No deadline is near.".into(),
            (Op::Recv, Owner::Waited(Who::Store)) => match self.store {
                _ if asks => "The store gets the question in this call. A reply takes its \
                              time."
                    .into(),
                Store::Read => "The store was asked nothing since its reply.".into(),
                _ => "The store has not replied yet.".into(),
            },
            (Op::Recv, of) => format!("Nothing new has arrived from {of}."),
            _ => return None,
        })
    }
}

/// What the loop does before a step, or what the step is: all of it.
fn all_deeds(step: &Step) -> impl Iterator<Item = String> {
    let places = (0..step.wrote.len().max(1)).map(|place| deed(step, place));
    places.collect::<Vec<_>>().into_iter()
}

/// What the loop does, in the form in which it is offered.
pub fn deed(step: &Step, place: usize) -> String {
    match (step.is_wait(), step.wrote.get(place)) {
        (false, _) => format!("call {}(store)", step.call),
        (true, None) => NOTHING.to_owned(),
        (true, Some(entry)) => {
            format!("submit {}", entry.guess())
        }
    }
}

/// Why a loop that has this to do does not only wait.
fn why_not_nothing(next: &Step) -> String {
    let Some(entry) = next.wrote.first() else {
        return "Not yet: a page needs the store, and there is no socket to it.".to_owned();
    };
    let of = entry.of;
    match (entry.op, of) {
        (Op::Accept, _) => {
            "Not yet: no accept is in flight, so nobody would ever be accepted.".into()
        }
        (Op::Recv, Owner::Waited(Who::Store)) => {
            "Not yet: the connection to the store stands, and nothing was said on it."
                .into()
        }
        (Op::Recv, _) => format!(
            "Not yet: for {of} no receive is in flight, so no completion would ever tell of \
             its bytes."
        ),
        (Op::Connect, _) => "Not yet: the socket to the store is not connected.".into(),
        (Op::Openat2, _) => "Not yet: a request for a file is complete.".into(),
        (Op::Statx, _) => "Not yet: an answer can be sent, and a file is open.".into(),
        (Op::Read, _) => "Not yet: all is known that the answer needs.".into(),
        (Op::Close, Owner::Own(_)) => "Not yet: a file is open that nobody needs.".into(),
        _ => "Not yet: something is left to do.".into(),
    }
}

fn completes(entry: &Entry) -> String {
    format!("{} completes", entry.guess())
}

/// The right one among the best of the others, in an order that says nothing: that of their
/// names, turned.
fn among(mut others: Vec<(usize, Choice)>, right: Choice, turn: usize) -> Vec<Choice> {
    others.sort_by(|(a, one), (b, other)| (a, &one.call).cmp(&(b, &other.call)));
    others.dedup_by(|(_, one), (_, other)| one.call == other.call);
    others.truncate(CHOICES - 1);
    let mut choices: Vec<Choice> = others.into_iter().map(|(_, choice)| choice).collect();
    choices.push(right);
    choices.sort_by(|one, other| one.call.cmp(&other.call));
    let turn = turn % choices.len();
    choices.rotate_left(turn);
    choices
}
