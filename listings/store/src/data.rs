//! The keys and their values, in memory.
//!
//! A command is first checked, then applied, because between the two its record is written
//! to the log: what would be refused must not stand there, and what could not be written
//! must not happen.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use redis_protocol::resp2::encode::encode_borrowed;
use redis_protocol::resp2::types::BorrowedFrame as Reply;

use crate::command::Command;

/// What the store holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Data {
    keys: HashMap<Vec<u8>, Value>,
}

/// What a key stands for.
#[derive(Debug, PartialEq, Eq)]
enum Value {
    Count(i64),
    /// The front is what was pushed last.
    List(VecDeque<Vec<u8>>),
}

const WRONG_TYPE: &str =
    "WRONGTYPE Operation against a key holding the wrong kind of value";
const OVERFLOW: &str = "ERR increment or decrement would overflow";

impl Data {
    // ANCHOR: check
    /// Whether the command would change anything, or the text of the error that answers it.
    pub fn check(&self, command: Command) -> Result<bool, &'static str> {
        use Value::{Count, List};
        match (command, self.value(command)) {
            (Command::Incr(_) | Command::Get(_), Some(List(_))) => Err(WRONG_TYPE),
            (
                Command::LPush(..) | Command::LRange(..) | Command::LTrim(..),
                Some(Count(_)),
            ) => Err(WRONG_TYPE),
            (Command::Incr(_), Some(Count(i64::MAX))) => Err(OVERFLOW),
            (Command::LTrim(_, start, stop), Some(List(list))) => {
                Ok(span(list.len(), start, stop).len() < list.len())
            }
            (Command::Incr(_) | Command::LPush(..) | Command::Set(..), _) => Ok(true),
            _ => Ok(false),
        }
    }
    // ANCHOR_END: check

    /// Executes a command that [`Data::check`] let pass, and appends its reply to `out`.
    pub fn apply(&mut self, command: Command, out: &mut Vec<u8>) {
        match command {
            Command::Ping(None) => reply(out, &Reply::SimpleString(b"PONG")),
            Command::Ping(Some(message)) => reply(out, &Reply::BulkString(message)),
            Command::Quit => reply(out, &Reply::SimpleString(b"OK")),
            Command::Incr(key) => reply(out, &Reply::Integer(self.increment(key))),
            Command::Get(_) => match self.value(command) {
                Some(Value::Count(count)) => {
                    reply(out, &Reply::BulkString(count.to_string().as_bytes()))
                }
                _ => reply(out, &Reply::Null),
            },
            Command::LPush(key, values) => {
                reply(out, &Reply::Integer(self.push(key, values)))
            }
            Command::LRange(_, start, stop) => self.range(command, start, stop, out),
            Command::LTrim(key, start, stop) => {
                self.trim(key, start, stop);
                reply(out, &Reply::SimpleString(b"OK"));
            }
            Command::Set(key, count) => {
                self.keys.insert(key.to_vec(), Value::Count(count));
                reply(out, &Reply::SimpleString(b"OK"));
            }
        }
    }

    /// Calls `write` with commands that, executed in this order, give this data again.
    pub fn dump<E>(
        &self,
        mut write: impl FnMut(&[&[u8]]) -> Result<(), E>,
    ) -> Result<(), E> {
        for (key, value) in &self.keys {
            match value {
                Value::Count(count) => write(&[b"SET", key, count.to_string().as_bytes()])?,
                Value::List(list) => {
                    list.iter().rev().try_for_each(|item| write(&[b"LPUSH", key, item]))?
                }
            }
        }
        Ok(())
    }

    fn value(&self, command: Command) -> Option<&Value> {
        match command {
            Command::Ping(_) | Command::Quit => None,
            Command::Incr(key) | Command::Get(key) | Command::Set(key, _) => {
                self.keys.get(key)
            }
            Command::LPush(key, _) | Command::LRange(key, ..) | Command::LTrim(key, ..) => {
                self.keys.get(key)
            }
        }
    }

    fn increment(&mut self, key: &[u8]) -> i64 {
        if let Some(Value::Count(count)) = self.keys.get_mut(key) {
            *count += 1;
            return *count;
        }
        self.keys.insert(key.to_vec(), Value::Count(1));
        1
    }

    /// Returns the list's new length.
    fn push(&mut self, key: &[u8], values: &[Vec<u8>]) -> i64 {
        let value =
            self.keys.entry(key.to_vec()).or_insert_with(|| Value::List(VecDeque::new()));
        let Value::List(list) = value else { return 0 };
        for value in values {
            list.push_front(value.clone());
        }
        list.len() as i64
    }

    fn range(&self, command: Command, start: i64, stop: i64, out: &mut Vec<u8>) {
        let Some(Value::List(list)) = self.value(command) else {
            return reply(out, &Reply::Array(&[]));
        };
        let items = list.range(span(list.len(), start, stop));
        reply(
            out,
            &Reply::Array(&items.map(|item| Reply::BulkString(item)).collect::<Vec<_>>()),
        );
    }

    /// A list without items does not exist.
    fn trim(&mut self, key: &[u8], start: i64, stop: i64) {
        let Some(Value::List(list)) = self.keys.get_mut(key) else { return };
        let keep = span(list.len(), start, stop);
        list.truncate(keep.end);
        list.drain(..keep.start);
        if list.is_empty() {
            self.keys.remove(key);
        }
    }
}

// ANCHOR: reply
/// Appends one reply.
pub fn reply(out: &mut Vec<u8>, reply: &Reply) {
    let start = out.len();
    out.resize(start + reply.encode_len(false), 0);
    encode_borrowed(&mut out[start..], reply, false).expect("encode_len bytes are enough");
}
// ANCHOR_END: reply

// ANCHOR: span
/// The items that `start` and `stop` name: both are counted from 0 and included, negative
/// ones from the list's end.
fn span(length: usize, start: i64, stop: i64) -> Range<usize> {
    let length = length as i64;
    let from_front = |index: i64| if index < 0 { index + length } else { index };
    let first = from_front(start).max(0);
    let end = from_front(stop).saturating_add(1).min(length);
    if first < end { first as usize..end as usize } else { 0..0 }
}
// ANCHOR_END: span

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_what_counting_one_by_one_gives() {
        for length in 0..5_i64 {
            for start in -7..7 {
                for stop in -7..7 {
                    let named = |i: &i64| {
                        let after =
                            if start < 0 { *i >= length + start } else { *i >= start };
                        after && if stop < 0 { *i <= length + stop } else { *i <= stop }
                    };
                    let expected: Vec<usize> =
                        (0..length).filter(named).map(|i| i as usize).collect();
                    let found: Vec<usize> = span(length as usize, start, stop).collect();
                    assert_eq!(found, expected, "{start} to {stop} of {length}");
                }
            }
        }
        assert_eq!(span(3, i64::MIN, i64::MAX), 0..3);
        assert_eq!(span(3, i64::MAX, i64::MIN), 0..0);
    }

    #[test]
    fn a_dump_gives_the_same_data_again() {
        let mut data = Data::default();
        let values: Vec<Vec<u8>> =
            ["", "a\r\nb", "*3\r\n"].map(|text| text.as_bytes().to_vec()).into();
        data.apply(Command::LPush(b"list", &values), &mut Vec::new());
        data.apply(Command::Set(b"n", 41), &mut Vec::new());
        data.apply(Command::Incr(b"n"), &mut Vec::new());
        let mut again = Data::default();
        let Ok(()) = data.dump::<std::convert::Infallible>(|words| {
            let words: Vec<Vec<u8>> = words.iter().map(|word| word.to_vec()).collect();
            again.apply(Command::parse_record(&words).unwrap(), &mut Vec::new());
            Ok(())
        });
        assert_eq!(again, data);
        assert_eq!(again.value(Command::Get(b"n")), Some(&Value::Count(42)));
    }

    #[test]
    fn a_trim_that_removes_nothing_changes_nothing() {
        let mut data = Data::default();
        assert_eq!(data.check(Command::LTrim(b"list", 0, 0)), Ok(false));
        data.apply(
            Command::LPush(b"list", &[b"a".to_vec(), b"b".to_vec()]),
            &mut Vec::new(),
        );
        assert_eq!(data.check(Command::LTrim(b"list", 0, 1)), Ok(false));
        assert_eq!(data.check(Command::LTrim(b"list", 0, 0)), Ok(true));
        assert_eq!(data.check(Command::Incr(b"list")), Err(WRONG_TYPE));
        data.apply(Command::LTrim(b"list", 2, 1), &mut Vec::new());
        assert_eq!(data, Data::default());
        data.apply(Command::Set(b"n", i64::MAX), &mut Vec::new());
        assert_eq!(data.check(Command::Incr(b"n")), Err(OVERFLOW));
    }
}
