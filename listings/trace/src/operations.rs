//! From what was seen in the two queues of a ring to operations: from submission to
//! completion. It reads no memory, so it can be told anything.

use std::collections::{HashMap, VecDeque};

use crate::Operation;

/// `IOSQE_FIXED_FILE`, and `IOSQE_CQE_SKIP_SUCCESS`: it may complete without saying so.
const FIXED: u8 = 1;
const SILENT: u8 = 1 << 6;
/// `IORING_CQE_F_MORE`: the operation goes on.
const MORE: u32 = 1 << 1;
/// Operations that make a connection, and end one, by their numbers.
const ACCEPT: u8 = 13;
const CLOSE: u8 = 19;

/// By their numbers, as far as a server would go.
const NAMES: [&str; 51] = [
    "nop",
    "readv",
    "writev",
    "fsync",
    "read_fixed",
    "write_fixed",
    "poll_add",
    "poll_remove",
    "sync_file_range",
    "sendmsg",
    "recvmsg",
    "timeout",
    "timeout_remove",
    "accept",
    "async_cancel",
    "link_timeout",
    "connect",
    "fallocate",
    "openat",
    "close",
    "files_update",
    "statx",
    "read",
    "write",
    "fadvise",
    "madvise",
    "send",
    "recv",
    "openat2",
    "epoll_ctl",
    "splice",
    "provide_buffers",
    "remove_buffers",
    "tee",
    "shutdown",
    "renameat",
    "unlinkat",
    "mkdirat",
    "symlinkat",
    "linkat",
    "msg_ring",
    "fsetxattr",
    "setxattr",
    "fgetxattr",
    "getxattr",
    "socket",
    "uring_cmd",
    "send_zc",
    "sendmsg_zc",
    "read_multishot",
    "waitid",
];

/// An entry of the submission queue.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) opcode: u8,
    pub(crate) flags: u8,
    pub(crate) descriptor: i32,
    /// For an accept or a close: 1 more than a number in the ring's own table of files, or the
    /// wish for one of the kernel's choice; 0: an ordinary descriptor.
    pub(crate) slot: u32,
    pub(crate) mark: u64,
}

/// An entry of the completion queue.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Completion {
    pub(crate) mark: u64,
    pub(crate) result: i32,
    pub(crate) flags: u32,
}

/// What is new in the queues, at a stop.
#[derive(Debug, Default)]
pub(crate) struct Look {
    pub(crate) completions: Vec<Completion>,
    pub(crate) entries: Vec<Entry>,
    /// How many of the last entries the kernel has not taken. They will be seen again.
    pub(crate) left: usize,
}

/// A connection: its number, and whether that is one of the ring's own table.
type Socket = (i32, bool);

/// The operations of a ring.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    /// With the lane of the thread that has submitted it.
    all: Vec<(usize, Operation, Entry)>,
    /// In flight, by their marks.
    flying: HashMap<u64, VecDeque<usize>>,
    connections: HashMap<Socket, usize>,
}

impl Operations {
    /// Notes a look, at this time, by the thread of this lane. The next connection gets the
    /// number `accepted`. An error is what we do not understand.
    pub(crate) fn note(
        &mut self,
        look: &Look,
        lane: usize,
        at: f64,
        accepted: &mut usize,
    ) -> Result<(), &'static str> {
        for _ in 0..look.left {
            self.take_back();
        }
        for completion in &look.completions {
            self.completes(completion, at, accepted)?;
        }
        for entry in &look.entries {
            self.begins(*entry, lane, at)?;
        }
        Ok(())
    }

    fn begins(&mut self, entry: Entry, lane: usize, at: f64) -> Result<(), &'static str> {
        if entry.flags & SILENT != 0 {
            return Err("one may complete without a completion");
        }
        let known = NAMES.get(usize::from(entry.opcode)).copied();
        let name = known.map_or_else(|| format!("op {}", entry.opcode), str::to_owned);
        let request = self.connections.get(&socket(&entry)).copied();
        let number = self.all.len();
        let same = self.flying.entry(entry.mark).or_default();
        // Of some that are alike the first may be taken for the second, and nobody sees it.
        if same.front().is_some_and(|first| self.all[*first].2.opcode != entry.opcode) {
            return Err("two that are in flight have one mark");
        }
        same.push_back(number);
        let operation =
            Operation { name, begin: at, end: at, request, ..Operation::default() };
        self.all.push((lane, operation, entry));
        Ok(())
    }

    /// The last one was not submitted.
    fn take_back(&mut self) {
        if let Some((_, _, entry)) = self.all.pop()
            && let Some(same) = self.flying.get_mut(&entry.mark)
        {
            same.pop_back();
        }
    }

    fn completes(
        &mut self,
        completion: &Completion,
        at: f64,
        accepted: &mut usize,
    ) -> Result<(), &'static str> {
        let unknown = "a completion is nobody's";
        let same = self.flying.get_mut(&completion.mark).ok_or(unknown)?;
        let number = *same.front().ok_or(unknown)?;
        let goes_on = completion.flags & MORE != 0;
        if goes_on && same.len() > 1 {
            return Err("two that are in flight have one mark");
        }
        if !goes_on {
            same.pop_front();
        }
        let (_, operation, entry) = &mut self.all[number];
        match goes_on {
            true => operation.seen.push(at),
            false => operation.result = Some(completion.result.into()),
        }
        operation.end = at;
        if entry.opcode == ACCEPT && completion.result >= 0 {
            self.connections.insert((completion.result, entry.slot != 0), *accepted);
            // One that accepts once was for this client; one that goes on is for anybody.
            if !goes_on && operation.seen.is_empty() {
                operation.request = Some(*accepted);
            }
            *accepted += 1;
        } else if entry.opcode == CLOSE && completion.result == 0 {
            self.connections.remove(&socket(entry));
        }
        Ok(())
    }

    /// All of them, with their lanes. Whatever is in flight was so until now.
    pub(crate) fn end(self, at: f64) -> impl Iterator<Item = (usize, Operation)> {
        self.all.into_iter().map(move |(lane, mut operation, _)| {
            if operation.result.is_none() {
                operation.end = at;
            }
            (lane, operation)
        })
    }
}

fn socket(entry: &Entry) -> Socket {
    match (entry.opcode, entry.slot) {
        (CLOSE, slot @ 1..) => ((slot - 1) as i32, true),
        _ => (entry.descriptor, entry.flags & FIXED != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(opcode: u8, descriptor: i32, mark: u64) -> Entry {
        Entry { opcode, descriptor, mark, ..Entry::default() }
    }

    fn done(mark: u64, result: i32, flags: u32) -> Completion {
        Completion { mark, result, flags }
    }

    fn look(completions: &[Completion], entries: &[Entry]) -> Look {
        Look { completions: completions.to_vec(), entries: entries.to_vec(), left: 0 }
    }

    #[test]
    fn an_operation_is_from_its_submission_to_its_completion() {
        let (mut ring, mut accepted) = (Operations::default(), 0);
        let mut at = |n: u32, look: &Look| ring.note(look, 0, f64::from(n), &mut accepted);
        at(1, &look(&[], &[entry(ACCEPT, 3, 1), entry(27, 9, 2)])).unwrap();
        at(2, &look(&[done(1, 7, MORE)], &[])).unwrap();
        at(3, &look(&[done(1, 8, MORE)], &[entry(27, 7, 4), entry(26, 8, 5)])).unwrap();
        at(4, &Look { left: 1, ..look(&[done(4, 60, 0)], &[]) }).unwrap();
        at(5, &look(&[], &[entry(26, 8, 5), entry(CLOSE, 7, 6)])).unwrap();
        at(6, &look(&[done(6, 0, 0), done(5, 9, 0)], &[entry(27, 7, 7)])).unwrap();
        let all: Vec<_> = ring.end(9.0).map(|(_, operation)| operation).collect();
        let of = |o: &Operation| (o.name.clone(), [o.begin, o.end], o.result, o.request);
        let named =
            |name: &str, times, result, request| (name.into(), times, result, request);
        assert_eq!(
            all.iter().map(of).collect::<Vec<_>>(),
            [
                named("accept", [1.0, 9.0], None, None),
                named("recv", [1.0, 9.0], None, None), // the store's
                named("recv", [3.0, 4.0], Some(60), Some(0)),
                named("send", [5.0, 6.0], Some(9), Some(1)), // taken at the second time
                named("close", [5.0, 6.0], Some(0), Some(0)),
                named("recv", [6.0, 9.0], None, None), // the number again, of somebody else
            ]
        );
        assert_eq!((&all[0].seen, accepted), (&vec![2.0, 3.0], 2));
    }

    #[test]
    fn what_cannot_be_told_is_not_guessed() {
        let tell = |looks: &[Look]| {
            let (mut ring, mut accepted) = (Operations::default(), 0);
            looks.iter().try_for_each(|look| ring.note(look, 0, 0.0, &mut accepted))
        };
        assert!(tell(&[look(&[done(1, 0, 0)], &[])]).is_err(), "nobody's");
        assert!(tell(&[look(&[], &[entry(27, 3, 1), entry(26, 3, 1)])]).is_err());
        let twice = [entry(CLOSE, 3, 1), entry(CLOSE, 4, 1)];
        assert!(tell(&[look(&[], &twice), look(&[done(1, 0, 0)], &[])]).is_ok());
        assert!(tell(&[look(&[], &twice), look(&[done(1, 0, MORE)], &[])]).is_err());
        let silent = Entry { flags: SILENT, ..entry(CLOSE, 3, 1) };
        assert!(tell(&[look(&[], &[silent])]).is_err());
    }
}
