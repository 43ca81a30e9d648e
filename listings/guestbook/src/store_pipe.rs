//! Many callers over one connection to the store.
//!
//! Replies come back in the order of the requests, so a queue of who asked is all that is
//! needed to tell whose they are. Who gives up does not leave it: the reply will come all the
//! same, under the name of a call for which nobody waits any more.

use std::collections::VecDeque;
use std::mem;

use redis_protocol::resp2::{decode::decode, types::OwnedFrame};

use crate::store::{Reply, StoreCall, Value};

/// Most that an element, or all elements of a list together, may measure, in bytes. A store
/// that sends more is not ours.
const MAX_REPLY: usize = 1024 * 1024;
/// Most elements of a list.
const MAX_LIST: usize = 16 * 1024;

/// What arrived is not the protocol: the connection is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusable;

/// One connection to the store, shared. `T` names a call, so that a reply that comes too late
/// is known to be for nobody; `()` where there is one call at a time.
#[derive(Debug)]
pub struct StorePipe<T> {
    /// Whose replies come next, and how many each.
    waiting: VecDeque<(T, usize)>,
    output: Vec<u8>,
    input: Vec<u8>,
    /// Elements of a list that is still arriving, and how many are missing.
    list: Option<(Vec<Vec<u8>>, usize)>,
    /// How much they measure so far.
    list_bytes: usize,
    /// Replies to the caller in front, so far.
    replies: Vec<Value>,
}

impl<T> Default for StorePipe<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            output: Vec::new(),
            input: Vec::new(),
            list: None,
            list_bytes: 0,
            replies: Vec::new(),
        }
    }
}

impl<T: Copy + PartialEq> StorePipe<T> {
    /// A pipe over a fresh connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Queues a call for `who`.
    pub fn submit(&mut self, who: T, call: &StoreCall) {
        self.output.extend_from_slice(&call.request);
        self.waiting.push_back((who, call.replies));
    }

    /// How many replies are outstanding, those of callers who have left included.
    pub fn depth(&self) -> usize {
        self.waiting.len()
    }

    /// Bytes to send. They belong to the driver until [`StorePipe::sent`].
    pub fn take_output(&mut self) -> Option<Vec<u8>> {
        (!self.output.is_empty()).then(|| mem::take(&mut self.output))
    }

    /// The driver gives back bytes of which the kernel took the first `n`.
    pub fn sent(&mut self, mut bytes: Vec<u8>, n: usize) {
        bytes.drain(..n.min(bytes.len()));
        bytes.append(&mut self.output);
        self.output = bytes;
    }

    /// Bytes arrived from the store.
    pub fn received(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next reply that is complete, and whose it is.
    pub fn next_reply(&mut self) -> Result<Option<(T, Reply)>, Unusable> {
        let Some(&(who, replies)) = self.waiting.front() else {
            // A reply that nobody asked for.
            return if self.input.is_empty() { Ok(None) } else { Err(Unusable) };
        };
        while self.replies.len() < replies {
            match self.next_value()? {
                Some(value) => self.replies.push(value),
                None => return Ok(None),
            }
        }
        self.waiting.pop_front();
        Ok(Some((who, Reply(mem::take(&mut self.replies)))))
    }

    /// The connection is gone: returns who waited, and starts afresh. What was sent may or
    /// may not have been done, so only calls that are [`StoreCall::repeatable`] may be
    /// submitted again.
    pub fn broken(&mut self) -> Vec<T> {
        let callers = self.waiting.drain(..).map(|(caller, _)| caller).collect();
        *self = Self::default();
        callers
    }

    /// The next value of the reply in front. Lists are gathered element by element, so that
    /// neither their length nor their nesting is believed before it has arrived.
    fn next_value(&mut self) -> Result<Option<Value>, Unusable> {
        loop {
            if let Some((elements, 0)) = &mut self.list {
                let elements = mem::take(elements);
                self.list = None;
                return Ok(Some(Value::List(elements)));
            }
            if self.input.first() == Some(&b'*') {
                match (self.list_length()?, &self.list) {
                    (Some(length), None) => {
                        self.list = Some((Vec::new(), length));
                        self.list_bytes = 0;
                    }
                    (Some(_), Some(_)) => return Err(Unusable),
                    (None, _) => return Ok(None),
                }
                continue;
            }
            let Some(value) = self.next_scalar()? else { return Ok(None) };
            match (&mut self.list, value) {
                (None, value) => return Ok(Some(value)),
                (Some((elements, missing)), Value::Bytes(Some(bytes))) => {
                    self.list_bytes += bytes.len();
                    if self.list_bytes > MAX_REPLY {
                        return Err(Unusable);
                    }
                    elements.push(bytes);
                    *missing -= 1;
                }
                (Some(_), _) => return Err(Unusable),
            }
        }
    }

    /// Reads `*N` off the input.
    fn list_length(&mut self) -> Result<Option<usize>, Unusable> {
        let line = &self.input[..self.input.len().min(16)];
        let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
            return if line.len() < 16 { Ok(None) } else { Err(Unusable) };
        };
        let digits = std::str::from_utf8(&line[1..end]).map_err(|_| Unusable)?;
        let length =
            digits.parse().ok().filter(|length| *length <= MAX_LIST).ok_or(Unusable)?;
        self.input.drain(..end + 2);
        Ok(Some(length))
    }

    fn next_scalar(&mut self) -> Result<Option<Value>, Unusable> {
        let (frame, used) = match decode(&self.input).map_err(|_| Unusable)? {
            Some((frame, used)) if used <= MAX_REPLY => (frame, used),
            None if self.input.len() <= MAX_REPLY => return Ok(None),
            _ => return Err(Unusable),
        };
        self.input.drain(..used);
        Ok(Some(match frame {
            OwnedFrame::SimpleString(text) => Value::Status(text),
            OwnedFrame::Error(text) => Value::Error(text),
            OwnedFrame::Integer(number) => Value::Integer(number),
            OwnedFrame::BulkString(bytes) => Value::Bytes(Some(bytes)),
            OwnedFrame::Null => Value::Bytes(None),
            OwnedFrame::Array(_) => return Err(Unusable),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLIES: &[u8] = b":7\r\n*2\r\n$3\r\nabc\r\n$0\r\n\r\n:8\r\n*0\r\n";

    fn replies(
        chunks: &[&[u8]],
        pipe: &mut StorePipe<u8>,
    ) -> Result<Vec<(u8, Reply)>, Unusable> {
        let mut all = Vec::new();
        for chunk in chunks {
            pipe.received(chunk);
            while let Some(reply) = pipe.next_reply()? {
                all.push(reply);
            }
        }
        Ok(all)
    }

    fn two_callers() -> StorePipe<u8> {
        let mut pipe = StorePipe::new();
        pipe.submit(1, &StoreCall::visit());
        pipe.submit(2, &StoreCall::visit());
        pipe
    }

    fn page(visitors: i64, remarks: &[&[u8]]) -> Reply {
        Reply(vec![
            Value::Integer(visitors),
            Value::List(remarks.iter().map(|r| r.to_vec()).collect()),
        ])
    }

    #[test]
    fn replies_go_to_those_who_asked_wherever_they_are_cut() {
        let whole = vec![(1, page(7, &[b"abc", b""])), (2, page(8, &[]))];
        for cut in 0..REPLIES.len() {
            let (a, b) = REPLIES.split_at(cut);
            assert_eq!(
                replies(&[a, b], &mut two_callers()),
                Ok(whole.clone()),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn what_is_not_the_protocol_is_refused() {
        let nested = b"*1\r\n".repeat(100_000);
        let element = [b"$100000\r\n".as_slice(), &b"x".repeat(100_000), b"\r\n"].concat();
        let many = [b"*20\r\n".as_slice(), &element.repeat(20)].concat();
        let long = [b"+".as_slice(), &b"x".repeat(MAX_REPLY)].concat();
        for garbage in [
            b"hello\r\n".as_slice(),
            b":x\r\n",
            b"*99999999\r\n",
            b"*-2\r\n",
            b"*1\r\n:1\r\n",
            &nested,
            &many,
            &long,
        ] {
            let text =
                String::from_utf8_lossy(&garbage[..garbage.len().min(20)]).into_owned();
            assert_eq!(
                replies(&[b":1\r\n", garbage], &mut two_callers()),
                Err(Unusable),
                "{text}"
            );
        }
        let unasked = [REPLIES, b":9\r\n"].concat();
        assert_eq!(replies(&[&unasked], &mut two_callers()), Err(Unusable));
    }

    #[test]
    fn an_element_is_as_long_as_it_may_be_wherever_it_is_cut() {
        for (length, fits) in [(MAX_REPLY - 3, true), (MAX_REPLY - 2, false)] {
            let element = [b"+".as_slice(), &b"x".repeat(length), b"\r\n"].concat();
            for cut in [0, 1, element.len() - 2, element.len() - 1, element.len()] {
                let mut pipe = StorePipe::new();
                pipe.submit(1, &StoreCall::visit());
                let (a, b) = element.split_at(cut);
                let found = replies(&[a, b, b":1\r\n"], &mut pipe);
                assert_eq!(found.is_ok(), fits, "{length} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_the_kernel_did_not_take_is_sent_before_what_came_later() {
        let mut pipe = StorePipe::new();
        pipe.submit(1, &StoreCall::add("x"));
        let out = pipe.take_output().expect("a call was submitted");
        let whole = [out.as_slice(), &StoreCall::visit().request].concat();
        pipe.submit(2, &StoreCall::visit());
        pipe.sent(out, 5);
        assert_eq!(pipe.take_output().as_deref(), Some(&whole[5..]));
        assert_eq!(pipe.broken(), [1, 2]);
        assert_eq!((pipe.depth(), pipe.take_output()), (0, None));
    }
}
