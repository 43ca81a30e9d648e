//! What was recorded of a loop over io_uring: its calls, what stood in the two queues before
//! each, and what came from outside.
//!
//! A trace of system calls does not say what is submitted and what completes: that lies in
//! memory which the server shares with the kernel. `record-steps` reads it there, through
//! `/proc/PID/mem`, each time strace holds the loop before a call. Those are the fields `wrote`,
//! `queues` and `brought`. What is in flight, and what has arrived and was not taken, is
//! derived by the rules of [`kernel`], which must lead to what was read.

pub mod kernel;
pub mod page;
pub mod predict;
pub mod trace;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::recording::{Arrival, Who};

/// The call in which the loop waits.
pub const WAIT: &str = "io_uring_enter";
/// The mark of an entry for whose completion nobody waits, as the listing calls it.
pub const NOBODY: &str = "NOBODY";

/// Whose an operation is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(untagged)]
pub enum Owner {
    /// That of a descriptor which the other loops have as well.
    Waited(Who),
    /// The loop's, and no descriptor's.
    Own(Own),
}

/// What only this loop has among its operations.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Own {
    /// The timer for all deadlines.
    Timer,
    /// An open file that nobody needs any more.
    File,
}

impl Owner {
    /// Those that have operations in flight, in the order in which they are shown.
    pub const ALL: [Owner; 7] = [
        Owner::Waited(Who::Listener),
        Owner::Waited(Who::Signals),
        Owner::Own(Own::Timer),
        Owner::Waited(Who::Store),
        Owner::Waited(Who::A),
        Owner::Waited(Who::B),
        Owner::Waited(Who::C),
    ];

    /// The descriptor's.
    pub fn who(self) -> Option<Who> {
        match self {
            Owner::Waited(who) => Some(who),
            Owner::Own(_) => None,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Waited(who) => who.fmt(f),
            Owner::Own(Own::Timer) => f.write_str("timer"),
            Owner::Own(Own::File) => f.write_str("file"),
        }
    }
}

/// What an entry asks for: `IORING_OP_…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Accept.
    Accept,
    /// Wait until a descriptor can be read.
    Poll,
    /// Receive.
    Recv,
    /// Send.
    Send,
    /// Connect.
    Connect,
    /// Wait for a time.
    Timeout,
    /// End another operation.
    Cancel,
    /// Open a file.
    Openat2,
    /// Ask what a file is.
    Statx,
    /// Read a part of a file.
    Read,
    /// Close a descriptor.
    Close,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Op::Accept => "accept",
            Op::Poll => "poll",
            Op::Recv => "recv",
            Op::Send => "send",
            Op::Connect => "connect",
            Op::Timeout => "timeout",
            Op::Cancel => "cancel",
            Op::Openat2 => "openat2",
            Op::Statx => "statx",
            Op::Read => "read",
            Op::Close => "close",
        })
    }
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// An entry of the submission queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What is asked for.
    pub op: Op,
    /// Whose it is: by the slot in its `user_data`, or by its descriptor.
    pub of: Owner,
    /// Its `user_data`: a number, [`NOBODY`], or `CANCEL|number`.
    pub mark: String,
    /// It completes again and again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub multishot: bool,
    /// How much is to be sent or read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The file that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl Entry {
    /// As it is guessed: without what cannot be known before it, `send(A)`.
    pub fn guess(&self) -> String {
        match (self.op, &self.file) {
            (Op::Timeout, _) => "timeout".to_owned(),
            (Op::Cancel, _) if self.of == Owner::Own(Own::Timer) => {
                "cancel(timeout)".to_owned()
            }
            (op, Some(file)) => format!("{op}({file})"),
            (op, None) => format!("{op}({})", self.of),
        }
    }

    /// As it is shown: `recv(A), multishot`.
    pub fn shown(&self) -> String {
        let mut text = self.guess();
        if let Some(bytes) = self.bytes {
            text.push_str(&format!(", {bytes} bytes"));
        }
        if self.multishot {
            text.push_str(", multishot");
        }
        text
    }
}

/// An entry of the completion queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// Its `user_data`.
    pub mark: String,
    /// The result: a number, an error's name, or whom or what a new descriptor is.
    pub result: String,
    /// The operation goes on (`IORING_CQE_F_MORE`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub more: bool,
    /// The shared buffer that the kernel took (`IORING_CQE_F_BUFFER`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffer: Option<u16>,
}

impl Completion {
    /// As it is shown, with the entry that its mark names: `recv(A) = 25, MORE`.
    pub fn shown(&self, entry: &Entry) -> String {
        let more = if self.more { ", MORE" } else { "" };
        let buffer = self.buffer.map_or(String::new(), |n| format!(", buffer {n}"));
        format!("{} = {}{more}{buffer}", entry.guess(), self.result)
    }
}

/// The numbers of the two queues before a call: head and tail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queues {
    /// Of the submission queue: the kernel moves the head, the loop the tail.
    pub submission: [u32; 2],
    /// Of the completion queue: the loop moves the head, the kernel the tail.
    pub completion: [u32; 2],
}

/// What the kernel has after a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// The marks of what is in flight, in the order of submission.
    pub flying: Vec<String>,
    /// What has arrived and was not taken.
    pub unread: BTreeMap<Who, String>,
}

/// One system call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What stood in the submission queue before it: the entries from head to tail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wrote: Vec<Entry>,
    /// What arrived after that, while the loop did not wait.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrived: Vec<Arrival>,
    /// The call's name.
    pub call: String,
    /// Its arguments, shortened.
    pub arguments: String,
    /// Other calls that belong to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
    /// What arrived while the loop slept in the call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meanwhile: Vec<Arrival>,
    /// What it returned.
    pub answer: String,
    /// The queues before the call; none: it is not about the ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queues: Option<Queues>,
    /// What stands in the completion queue after it; none: it sleeps still, or is not about
    /// the ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brought: Option<Vec<Completion>>,
    /// What the kernel has then, by the rules of [`kernel`].
    pub after: After,
}

impl Step {
    /// The call as it is shown.
    pub fn shown(&self) -> String {
        format!("{}({})", self.call, self.arguments)
    }

    /// Whether it is the one in which the loop submits and waits.
    pub fn is_wait(&self) -> bool {
        self.call == WAIT
    }

    /// Whether the recording ends in it.
    pub fn is_last(&self) -> bool {
        self.is_wait() && self.brought.is_none()
    }
}

/// What was recorded of a server with rings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// How to record it again.
    pub how: String,
    /// The command that was recorded.
    pub command: String,
    /// How many entries the submission and the completion queue have room for.
    pub rings: [u32; 2],
    /// Which fields were read, and where.
    pub seen: String,
    /// Which are derived.
    pub derived: String,
    /// Its calls, from the first that concerns the ring.
    pub steps: Vec<Step>,
}

impl Recording {
    /// A recording of these steps.
    pub fn new(how: String, command: String, rings: [u32; 2], steps: Vec<Step>) -> Self {
        let seen = "call, arguments, answer: by strace; wrote, queues, brought: in the memory \
                    that server and kernel share, read while strace held the loop before the \
                    call; arrived, meanwhile: done by the recorder";
        let derived = "after: by the rules of ci/aids/src/steps/rings/kernel.rs, which must \
                       lead to what was read";
        Self {
            how,
            command,
            rings,
            seen: seen.to_owned(),
            derived: derived.to_owned(),
            steps,
        }
    }

    /// The same, with what a worker of the kernel has done behind all else that a call brought:
    /// when it is done differs from run to run.
    pub fn settled(&self) -> Self {
        let mut settled = self.clone();
        for step in &mut settled.steps {
            let entries = step.wrote.iter().filter(|entry| kernel::is_worked(entry));
            let worked: Vec<&str> = entries.map(|entry| &*entry.mark).collect();
            if let Some(brought) = &mut step.brought {
                brought.sort_by_key(|completion| worked.contains(&&*completion.mark));
            }
        }
        settled
    }

    /// The recording as a file: a step to a paragraph, a field to a line.
    pub fn to_file(&self) -> serde_json::Result<String> {
        let line = |name: &str, value: &serde_json::Value, indent: &str| {
            format!("{indent}\"{name}\": {value}")
        };
        // In the order of the struct: a map would have sorted them.
        let fields = [
            "wrote",
            "arrived",
            "call",
            "arguments",
            "with",
            "meanwhile",
            "answer",
            "queues",
            "brought",
            "after",
        ];
        let mut steps = Vec::new();
        for step in &self.steps {
            let value = serde_json::to_value(step)?;
            let lines: Vec<String> = fields
                .iter()
                .filter_map(|name| Some(line(name, value.get(name)?, "      ")))
                .collect();
            steps.push(format!("    {{\n{}\n    }}", lines.join(",\n")));
        }
        let head = [
            line("how", &self.how.as_str().into(), "  "),
            line("command", &self.command.as_str().into(), "  "),
            line("rings", &serde_json::to_value(self.rings)?, "  "),
            line("seen", &self.seen.as_str().into(), "  "),
            line("derived", &self.derived.as_str().into(), "  "),
        ];
        Ok(format!(
            "{{\n{},\n  \"steps\": [\n{}\n  ]\n}}\n",
            head.join(",\n"),
            steps.join(",\n")
        ))
    }
}
