//! What is asked of the store, and what it answers.
//!
//! The store speaks the Redis protocol, version 2 (RESP2): a request is an array of byte
//! strings, replies come back in the order of the requests, and several requests may be on
//! their way at once (pipelining). One page of the guestbook needs two commands; they leave
//! together, and cost one round trip.

/// Most remarks that the page shows.
pub const SHOWN: usize = 20;
/// Most remarks that are kept.
pub const KEPT: usize = 10_000;

/// One or more commands that leave together.
// ANCHOR: call
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreCall {
    /// The commands as bytes, ready to be sent.
    pub request: Vec<u8>,
    /// How many replies will come back.
    pub replies: usize,
    /// Whether it may be asked twice. A visitor who is counted twice is a harm that we
    /// accept, a remark that stands there twice is not.
    pub repeatable: bool,
}

impl StoreCall {
    /// Counts a visitor and fetches the newest remarks.
    pub fn visit() -> Self {
        let last = (SHOWN - 1).to_string();
        let commands: [&[&[u8]]; 2] =
            [&[b"INCR", b"visitors"], &[b"LRANGE", b"remarks", b"0", last.as_bytes()]];
        Self { request: encode(&commands), replies: 2, repeatable: true }
    }

    /// Adds a remark in front of the others, and lets the oldest go.
    pub fn add(remark: &str) -> Self {
        let last = (KEPT - 1).to_string();
        let commands: [&[&[u8]]; 2] = [
            &[b"LPUSH", b"remarks", remark.as_bytes()],
            &[b"LTRIM", b"remarks", b"0", last.as_bytes()],
        ];
        Self { request: encode(&commands), replies: 2, repeatable: false }
    }
}
// ANCHOR_END: call

/// Commands as RESP2 arrays of bulk strings.
fn encode(commands: &[&[&[u8]]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    for command in commands {
        out.extend_from_slice(format!("*{}\r\n", command.len()).as_bytes());
        for word in *command {
            out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            out.extend_from_slice(word);
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

/// One reply of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `+OK`
    Status(Vec<u8>),
    /// `-ERR …`: the store refused the command.
    Error(String),
    /// `:1`
    Integer(i64),
    /// `$3 abc`; absent for a null.
    Bytes(Option<Vec<u8>>),
    /// `*2 …`: a list of byte strings. The guestbook asks for nothing that is nested
    /// deeper.
    List(Vec<Vec<u8>>),
}

/// The replies to one [`StoreCall`], in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply(pub Vec<Value>);

impl Reply {
    /// Count and remarks, if this answers [`StoreCall::visit`].
    pub(crate) fn visit(self) -> Option<(i64, Vec<Vec<u8>>)> {
        match <[Value; 2]>::try_from(self.0) {
            Ok([Value::Integer(visitors), Value::List(remarks)]) => {
                Some((visitors, remarks))
            }
            _ => None,
        }
    }

    /// Whether this says that [`StoreCall::add`] was done.
    pub(crate) fn added(&self) -> bool {
        matches!(&self.0[..], [Value::Integer(_), Value::Status(ok)] if ok == b"OK")
    }
}

/// Why the store gave no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// No connection could be made, or it ended before the reply came.
    Gone,
    /// What came back was not the protocol.
    Garbled,
    /// Nothing came in time.
    Late,
}
