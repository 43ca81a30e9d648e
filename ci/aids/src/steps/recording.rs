//! What was recorded of a loop: its calls in order, and what came from outside.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A descriptor of the loop, and who is behind it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Who {
    /// The socket that listens.
    #[serde(rename = "listener")]
    Listener,
    /// The descriptor that is readable when a signal has come.
    #[serde(rename = "signals")]
    Signals,
    /// The connection to the store.
    #[serde(rename = "store")]
    Store,
    /// The first client.
    A,
    /// The second.
    B,
    /// The third.
    C,
}

impl Who {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Who; 6] =
        [Who::Listener, Who::Signals, Who::Store, Who::A, Who::B, Who::C];
    /// The clients, in the order in which they connect.
    pub const CLIENTS: [Who; 3] = [Who::A, Who::B, Who::C];

    /// Whether it is one of the clients.
    pub fn is_client(self) -> bool {
        Self::CLIENTS.contains(&self)
    }

    /// As the subject or object of a sentence.
    pub fn in_words(self) -> &'static str {
        match self {
            Who::Listener => "the listener",
            Who::Signals => "the signal descriptor",
            Who::Store => "the store",
            Who::A => "A",
            Who::B => "B",
            Who::C => "C",
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Who::Listener => "listener",
            Who::Signals => "signals",
            Who::Store => "store",
            Who::A => "A",
            Who::B => "B",
            Who::C => "C",
        })
    }
}

/// The steps of every loop in this book.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// Take a connection from the queue.
    Accept,
    /// Tell the kernel what is waited for.
    Arm,
    /// Wait.
    Wait,
    /// Do what can be done without waiting.
    Drain,
    /// Close.
    Retire,
}

impl Label {
    /// All of them, in the order of the chapters.
    pub const ALL: [Label; 5] =
        [Label::Accept, Label::Arm, Label::Wait, Label::Drain, Label::Retire];
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Label::Accept => "accept",
            Label::Arm => "arm",
            Label::Wait => "wait",
            Label::Drain => "drain",
            Label::Retire => "retire",
        })
    }
}

/// What a complete request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// A file.
    File,
    /// The store's reply.
    Store,
}

/// Something that comes from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// From whom.
    pub who: Who,
    /// What.
    #[serde(flatten)]
    pub does: Does,
}

/// What somebody outside does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "does", rename_all = "lowercase")]
pub enum Does {
    /// The handshake is done; the connection is in the accept queue.
    Connects,
    /// Bytes arrive.
    Sends {
        /// How many.
        bytes: u64,
        /// What they are, in words.
        what: String,
        /// What the request needs that is complete with them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asks: Option<Need>,
    },
    /// It closes its side.
    Leaves,
}

impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = self.who.in_words();
        match &self.does {
            Does::Connects => write!(f, "{who} connects"),
            Does::Sends { bytes, what, .. } => {
                let s = if *bytes == 1 { "" } else { "s" };
                write!(f, "{who} sends {bytes} byte{s}: {what}")
            }
            Does::Leaves => write!(f, "{who} leaves"),
        }
    }
}

/// A descriptor, and bits of poll or epoll without their prefix: `IN`, `IN|RDHUP`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(Who, String)", into = "(Who, String)")]
pub struct Bits {
    /// Of which descriptor.
    pub who: Who,
    /// The bits.
    pub events: String,
}

impl Bits {
    /// Whether one of the bits has this name.
    pub fn has(&self, name: &str) -> bool {
        self.events.split('|').any(|event| event == name)
    }
}

impl From<(Who, String)> for Bits {
    fn from((who, events): (Who, String)) -> Self {
        Self { who, events }
    }
}

impl From<Bits> for (Who, String) {
    fn from(bits: Bits) -> Self {
        (bits.who, bits.events)
    }
}

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.who, self.events)
    }
}

/// What a call was about, as far as the kernel's side of it matters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// A connection was taken from the queue; none: there was none.
    Accepted(Option<Who>),
    /// `epoll_ctl` added or changed an interest.
    Armed(Bits),
    /// `epoll_ctl` took one out.
    Disarmed(Who),
    /// Bytes were received; none: EAGAIN. 0 is the end.
    Received(Who, Option<u64>),
    /// The same, and the bytes stay.
    Peeked(Who, Option<u64>),
    /// Bytes were sent.
    Sent(Who, u64),
    /// A file was opened or read.
    File,
    /// A connection was asked for.
    Connected(Who),
    /// A descriptor was closed.
    Closed(Who),
    /// Something was asked of or set on a socket.
    Set(Who),
    /// The loop waited.
    Waited {
        /// What it waited for; none where the kernel has kept that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        array: Option<Vec<Bits>>,
        /// It was told to return at once.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        at_once: bool,
        /// What the kernel reported; none: it waits still.
        reported: Option<Vec<Bits>>,
    },
}

impl Effect {
    /// Whether the call was one in which the loop waits.
    pub fn is_wait(&self) -> bool {
        matches!(self, Effect::Waited { .. })
    }
}

/// What the kernel holds after a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// What is waited for: the interest list, or what was last given to poll.
    pub interest: Vec<Bits>,
    /// epoll's ready list, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ready: Vec<Who>,
    /// What has arrived and was not taken: bytes, `1 to accept`, `the end`.
    pub unread: BTreeMap<Who, String>,
}

/// One system call, or several in a row on one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which part of the loop makes it.
    pub label: Label,
    /// What arrived since the call before, while the loop did not wait.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrived: Vec<Arrival>,
    /// The call's name.
    pub call: String,
    /// Its arguments, shortened.
    pub arguments: String,
    /// Other calls that belong to it: those on the same file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
    /// What arrived while the loop slept in the call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meanwhile: Vec<Arrival>,
    /// What it returned.
    pub answer: String,
    /// What it did.
    pub effect: Effect,
    /// What the kernel holds then, by the rules of [`super::kernel`].
    pub after: After,
}

impl Step {
    /// The call as it is shown: `recvfrom(A, 8192)`.
    pub fn shown(&self) -> String {
        format!("{}({})", self.call, self.arguments)
    }

    /// The call as it is guessed: without what cannot be known before it, `recvfrom(A)`.
    pub fn guess(&self) -> String {
        match &self.effect {
            Effect::Waited { .. } => format!("{}(…)", self.call),
            Effect::File | Effect::Armed(_) | Effect::Disarmed(_) => {
                format!("{}({})", self.call, self.arguments)
            }
            Effect::Accepted(_) => format!("{}(listener)", self.call),
            Effect::Received(who, _)
            | Effect::Peeked(who, _)
            | Effect::Sent(who, _)
            | Effect::Connected(who)
            | Effect::Closed(who)
            | Effect::Set(who) => format!("{}({who})", self.call),
        }
    }
}

/// What was recorded of one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// How to record it again.
    pub how: String,
    /// The command that was recorded.
    pub command: String,
    /// Its calls, from the first that concerns the loop.
    pub steps: Vec<Step>,
}

impl Recording {
    /// The recording as a file: a step to a paragraph, a field to a line.
    pub fn to_file(&self) -> serde_json::Result<String> {
        let line = |name: &str, value: &serde_json::Value, indent: &str| {
            format!("{indent}\"{name}\": {value}")
        };
        let mut steps = Vec::new();
        for step in &self.steps {
            let value = serde_json::to_value(step)?;
            // In the order of the struct: a map would have sorted them.
            let fields = [
                "label",
                "arrived",
                "call",
                "arguments",
                "with",
                "meanwhile",
                "answer",
                "effect",
                "after",
            ];
            let lines: Vec<String> = fields
                .iter()
                .filter_map(|name| Some(line(name, value.get(name)?, "      ")))
                .collect();
            steps.push(format!("    {{\n{}\n    }}", lines.join(",\n")));
        }
        Ok(format!(
            "{{\n{},\n{},\n  \"steps\": [\n{}\n  ]\n}}\n",
            line("how", &self.how.as_str().into(), "  "),
            line("command", &self.command.as_str().into(), "  "),
            steps.join(",\n")
        ))
    }
}
