//! From what was read in the two queues, and strace's lines, to steps.

use std::collections::HashMap;

use super::{Completion, Entry, NOBODY, Op, Own, Owner, Queues, Step, WAIT};
use crate::steps::recording::{Arrival, Who};
use crate::steps::trace::{Line, SILENT, Timed, line};

/// Stands in an entry that cancels, as the listing has it.
const CANCEL: u64 = 1 << 63;
/// `IORING_CQE_F_BUFFER` and `IORING_CQE_F_MORE`.
const BUFFER: u32 = 1;
const MORE: u32 = 1 << 1;

/// An entry of the submission queue as it lies in memory: `struct io_uring_sqe`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawEntry {
    /// `IORING_OP_…`.
    pub opcode: u8,
    /// `IOSQE_…`.
    pub flags: u8,
    /// Of an accept or a receive, its flags.
    pub ioprio: u16,
    /// The descriptor.
    pub fd: i32,
    /// A pointer, or what is to be cancelled.
    pub addr: u64,
    /// How much.
    pub len: u32,
    /// The mark.
    pub user_data: u64,
    /// Of an open, the path to which `addr` points.
    pub path: String,
}

impl RawEntry {
    /// Its size, in bytes.
    pub const SIZE: usize = 64;
    const OPENAT2: u8 = 28;

    /// An entry from its bytes.
    pub fn new(bytes: &[u8; Self::SIZE]) -> Self {
        let four = |at: usize| u32::from_le_bytes(part(bytes, at));
        let eight = |at: usize| u64::from_le_bytes(part(bytes, at));
        Self {
            opcode: bytes[0],
            flags: bytes[1],
            ioprio: u16::from_le_bytes(part(bytes, 2)),
            fd: i32::from_le_bytes(part(bytes, 4)),
            addr: eight(16),
            len: four(24),
            user_data: eight(32),
            path: String::new(),
        }
    }

    /// Where the path of an open is.
    pub fn path_at(&self) -> Option<u64> {
        (self.opcode == Self::OPENAT2).then_some(self.addr)
    }
}

/// An entry of the completion queue as it lies in memory: `struct io_uring_cqe`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawCompletion {
    /// The mark.
    pub user_data: u64,
    /// The result.
    pub res: i32,
    /// `IORING_CQE_F_…`, and the buffer above them.
    pub flags: u32,
}

impl RawCompletion {
    /// Its size, in bytes.
    pub const SIZE: usize = 16;

    /// A completion from its bytes.
    pub fn new(bytes: &[u8; Self::SIZE]) -> Self {
        Self {
            user_data: u64::from_le_bytes(part(bytes, 0)),
            res: i32::from_le_bytes(part(bytes, 8)),
            flags: u32::from_le_bytes(part(bytes, 12)),
        }
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[at..at + N]);
    part
}

/// What was read while the loop was held before a call, or slept in it.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Heads and tails.
    pub queues: Queues,
    /// The entries of the submission queue from its head to its tail.
    pub entries: Vec<RawEntry>,
    /// The completions up to the tail that were not there at the look before.
    pub completions: Vec<RawCompletion>,
}

/// Reads looks and lines.
struct Reader {
    descriptors: HashMap<i32, Owner>,
    files: HashMap<i32, String>,
    /// Whose a slot is: the mark without the number of its part.
    slots: HashMap<u64, Owner>,
    /// What is in flight: of which kind, and which file it opens.
    flying: HashMap<u64, (Op, Option<String>)>,
    clients: Vec<Who>,
    steps: Vec<Step>,
}

/// The steps of a loop over a ring, from a trace of its process (`strace -ttt`), the looks at
/// its queues, one before each call and one at the end, and what came from outside.
///
/// # Errors
/// A call, an operation or an error that is not known here, and looks that are missing.
pub fn steps(
    trace: &str,
    looks: &[Look],
    arrivals: &[Timed],
    end: f64,
) -> Result<Vec<Step>, String> {
    let mut reader = Reader {
        descriptors: HashMap::new(),
        files: HashMap::new(),
        slots: HashMap::new(),
        flying: HashMap::new(),
        clients: Who::CLIENTS.to_vec(),
        steps: Vec::new(),
    };
    let lines: Vec<Line<'_>> =
        trace.lines().filter_map(line).filter(|line| line.at <= end).collect();
    let calls = lines.iter().filter(|line| line.name == WAIT).count();
    if calls + 1 != looks.len() {
        let seen = looks.len().saturating_sub(1);
        return Err(format!(
            "{calls} calls were made, and before {seen} the loop was held"
        ));
    }
    let mut pairs = looks.windows(2);
    for (n, call) in lines.iter().enumerate() {
        let next = lines.get(n + 1).map_or(f64::MAX, |line| line.at);
        let during: Vec<&Timed> =
            arrivals.iter().filter(|timed| (call.at..next).contains(&timed.at)).collect();
        let done = match (call.name, pairs.len()) {
            (WAIT, _) => match pairs.next() {
                Some([before, after]) => {
                    reader.wait(call, before, after, &during, pairs.len() == 0)
                }
                _ => Ok(()),
            },
            _ if !during.is_empty() => Err(format!("during it, {}", during[0].arrival)),
            _ => reader.call(call),
        };
        done.map_err(|why| format!("{}({}): {why}", call.name, call.arguments.join(", ")))?;
    }
    Ok(reader.steps)
}

impl Reader {
    /// A call that is not about the ring.
    fn call(&mut self, call: &Line<'_>) -> Result<(), String> {
        let argument = |n: usize| call.arguments.get(n).copied().unwrap_or_default();
        let number = |text: &str| text.parse::<i32>().ok();
        let (fd, new) = (number(argument(0)), number(call.result));
        let is = fd.and_then(|fd| self.descriptors.get(&fd)).copied();
        match (call.name, fd, new) {
            ("listen", Some(fd), _) => {
                self.descriptors.insert(fd, Owner::Waited(Who::Listener));
            }
            ("signalfd4", _, Some(new)) => {
                self.descriptors.insert(new, Owner::Waited(Who::Signals));
            }
            ("fcntl", _, Some(new)) if argument(1).starts_with("F_DUPFD") => {
                is.and_then(|is| self.descriptors.insert(new, is));
            }
            ("close", Some(fd), _) => {
                self.descriptors.remove(&fd);
            }
            _ => {}
        }
        if self.steps.is_empty() || SILENT.contains(&call.name) {
            return Ok(());
        }
        // It makes one socket, for the store.
        let store = Owner::Waited(Who::Store);
        match (call.name, is, self.steps.last_mut()) {
            ("socket", ..) if new.is_some() => {
                new.and_then(|new| self.descriptors.insert(new, store));
                self.steps.push(Step {
                    wrote: Vec::new(),
                    arrived: Vec::new(),
                    call: call.name.to_owned(),
                    arguments: format!("{store}, {}", argument(1)),
                    with: Vec::new(),
                    meanwhile: Vec::new(),
                    answer: store.to_string(),
                    queues: None,
                    brought: None,
                    after: Default::default(),
                });
            }
            ("setsockopt", Some(is), Some(last)) if is == store && !last.is_wait() => {
                last.with.push(call.name.to_owned());
            }
            _ => {
                return Err(format!(
                    "= {}: ci/aids/src/steps/rings/trace.rs does not know it",
                    call.result
                ));
            }
        }
        Ok(())
    }

    /// The loop submits and waits.
    fn wait(
        &mut self,
        call: &Line<'_>,
        before: &Look,
        after: &Look,
        during: &[&Timed],
        is_last: bool,
    ) -> Result<(), String> {
        let argument = |n: usize| call.arguments.get(n).copied().unwrap_or_default();
        let submits = before.entries.len().to_string();
        if argument(1) != submits {
            return Err(format!("{submits} entries were read in the queue"));
        }
        let mut wrote: Vec<Entry> = Vec::new();
        for raw in &before.entries {
            wrote.push(self.entry(raw)?);
        }
        let mut brought = Vec::new();
        for raw in &after.completions {
            brought.push(self.completion(raw)?);
        }
        let of = |asleep: bool| -> Vec<Arrival> {
            let timed = during.iter().filter(move |timed| timed.asleep == asleep);
            timed.map(|timed| timed.arrival.clone()).collect()
        };
        let flags = argument(3).replace("IORING_ENTER_", "");
        self.steps.push(Step {
            wrote,
            arrived: of(false),
            call: call.name.to_owned(),
            arguments: format!("ring, {}, {}, {flags}", argument(1), argument(2)),
            with: Vec::new(),
            meanwhile: of(true),
            answer: if is_last { String::new() } else { result(call) },
            queues: Some(before.queues),
            brought: (!is_last).then_some(brought),
            after: Default::default(),
        });
        Ok(())
    }

    fn entry(&mut self, raw: &RawEntry) -> Result<Entry, String> {
        // The numbers are those of the kernel's interface and do not change.
        let op = match raw.opcode {
            6 => Op::Poll,
            11 => Op::Timeout,
            13 => Op::Accept,
            14 => Op::Cancel,
            16 => Op::Connect,
            19 => Op::Close,
            21 => Op::Statx,
            22 => Op::Read,
            26 => Op::Send,
            27 => Op::Recv,
            RawEntry::OPENAT2 => Op::Openat2,
            other => return Err(format!("operation {other} is not known here")),
        };
        let fd = self.descriptors.get(&raw.fd).copied();
        let mut file = self.files.get(&raw.fd).cloned();
        let slot = raw.user_data >> 2;
        // By the descriptor if it has one of its own, or by the slot, which is known by then.
        let of = match (op, fd) {
            (Op::Timeout, _) => Some(Owner::Own(Own::Timer)),
            (Op::Cancel, _) => self.slots.get(&(raw.addr >> 2)).copied(),
            (Op::Close, None) if file.is_some() => Some(Owner::Own(Own::File)),
            (Op::Openat2 | Op::Statx | Op::Read, _) => self.slots.get(&slot).copied(),
            (_, fd) => fd,
        };
        let of = of.ok_or_else(|| format!("nobody is known for {raw:?}"))?;
        match op {
            Op::Openat2 => file = Some(raw.path.clone()),
            Op::Close => {
                self.descriptors.remove(&raw.fd);
                self.files.remove(&raw.fd);
            }
            Op::Cancel => {}
            _ => {
                self.slots.insert(slot, of);
            }
        }
        if mark(raw.user_data) != NOBODY {
            self.flying.insert(raw.user_data, (op, file.clone()));
        }
        Ok(Entry {
            op,
            of,
            mark: mark(raw.user_data),
            // IORING_ACCEPT_MULTISHOT, IORING_RECV_MULTISHOT.
            multishot: match op {
                Op::Accept => raw.ioprio & 1 != 0,
                Op::Recv => raw.ioprio & 2 != 0,
                _ => false,
            },
            bytes: matches!(op, Op::Send | Op::Read).then_some(u64::from(raw.len)),
            file,
        })
    }

    fn completion(&mut self, raw: &RawCompletion) -> Result<Completion, String> {
        let (op, file) = self.flying.get(&raw.user_data).cloned().unzip();
        let result = match (op, raw.res) {
            (Some(Op::Accept), fd @ 0..) => {
                if self.clients.is_empty() {
                    return Err("somebody was accepted whom nobody has sent".to_owned());
                }
                let who = self.clients.remove(0);
                self.descriptors.insert(fd, Owner::Waited(who));
                who.to_string()
            }
            (Some(Op::Openat2), fd @ 0..) => {
                let name = file.flatten().unwrap_or_default();
                self.files.insert(fd, name.clone());
                name
            }
            (_, n @ 0..) => n.to_string(),
            (_, -2) => "ENOENT".to_owned(),
            (_, -125) => "ECANCELED".to_owned(),
            (_, error) => return Err(format!("the error {} is not known here", -error)),
        };
        Ok(Completion {
            mark: mark(raw.user_data),
            result,
            more: raw.flags & MORE != 0,
            buffer: (raw.flags & BUFFER != 0).then_some((raw.flags >> 16) as u16),
        })
    }
}

/// A mark, with the listing's names for those that are no number of a place.
fn mark(user_data: u64) -> String {
    match user_data {
        u64::MAX => NOBODY.to_owned(),
        _ if user_data & CANCEL != 0 => format!("CANCEL|{}", user_data & !CANCEL),
        _ => user_data.to_string(),
    }
}

/// What a call returned, as a number.
fn result(call: &Line<'_>) -> String {
    call.result.split_whitespace().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_and_a_completion_are_read_as_they_lie_in_memory() {
        let mut bytes = [0; RawEntry::SIZE];
        bytes[0] = 22;
        bytes[1] = 4;
        bytes[4..8].copy_from_slice(&12_i32.to_le_bytes());
        bytes[16..24].copy_from_slice(&0x7000_u64.to_le_bytes());
        bytes[24..28].copy_from_slice(&19_u32.to_le_bytes());
        bytes[32..40].copy_from_slice(&35_u64.to_le_bytes());
        let entry = RawEntry::new(&bytes);
        let (addr, user_data) = (0x7000, 35);
        let wanted = RawEntry {
            opcode: 22,
            flags: 4,
            fd: 12,
            addr,
            len: 19,
            user_data,
            ..RawEntry::default()
        };
        assert_eq!((entry.path_at(), entry), (None, wanted));
        bytes[0] = RawEntry::OPENAT2;
        assert_eq!(RawEntry::new(&bytes).path_at(), Some(0x7000));

        let mut bytes = [0; RawCompletion::SIZE];
        bytes[0] = 35;
        bytes[8..12].copy_from_slice(&(-125_i32).to_le_bytes());
        bytes[12..16].copy_from_slice(&0x20003_u32.to_le_bytes());
        let completion = RawCompletion { user_data: 35, res: -125, flags: 0x20003 };
        assert_eq!(RawCompletion::new(&bytes), completion);
    }

    #[test]
    fn a_mark_is_named_as_the_listing_names_it() {
        assert_eq!(mark(20), "20");
        assert_eq!(mark(CANCEL | 20), "CANCEL|20");
        assert_eq!(mark(u64::MAX), NOBODY);
    }

    const START: &str = "1.0 socket(AF_INET, SOCK_STREAM, 0) = 5\n1.1 listen(5, 9) = 0\n";

    fn accept() -> RawEntry {
        RawEntry { opcode: 13, ioprio: 1, fd: 5, ..RawEntry::default() }
    }

    fn looks(entries: &[RawEntry], completions: &[RawCompletion]) -> [Look; 2] {
        let before = Look { entries: entries.to_vec(), ..Look::default() };
        [before, Look { completions: completions.to_vec(), ..Look::default() }]
    }

    #[test]
    fn an_entry_is_whose_its_descriptor_is() {
        let enters = "1.2 io_uring_enter(3, 1, 1, IORING_ENTER_GETEVENTS, NULL, 128) = ?\n";
        let trace = format!("{START}{enters}");
        let steps = steps(&trace, &looks(&[accept()], &[]), &[], 9.0).expect("known calls");
        assert_eq!(steps[0].wrote[0].shown(), "accept(listener), multishot");
        assert_eq!(steps[0].shown(), "io_uring_enter(ring, 1, 1, GETEVENTS)");
        assert!(steps[0].is_last());
    }

    #[test]
    fn what_nobody_knows_is_an_error() {
        let enters = "1.2 io_uring_enter(3, 1, 1, IORING_ENTER_GETEVENTS, NULL, 128) = 1\n";
        let trace = format!("{START}{enters}");
        let refused = |trace: &str, looks: &[Look]| {
            steps(trace, looks, &[], 9.0).expect_err("it is refused")
        };
        let why = refused(&trace, &[]);
        assert!(why.contains("1 calls were made, and before 0"), "{why}");
        let why = refused(&trace, &looks(&[], &[]));
        assert!(why.contains("0 entries were read"), "{why}");
        let splice = RawEntry { opcode: 30, ..accept() };
        let why = refused(&trace, &looks(&[splice], &[]));
        assert!(why.contains("operation 30 is not known"), "{why}");
        let of_nobody = RawEntry { fd: 77, ..accept() };
        let why = refused(&trace, &looks(&[of_nobody], &[]));
        assert!(why.contains("nobody is known for"), "{why}");

        let again = format!("{trace}1.3 io_uring_enter(3, 0, 1, 0, NULL, 128) = 0\n");
        let [before, after] =
            looks(&[accept()], &[RawCompletion { res: -71, ..Default::default() }]);
        let why = refused(&again, &[before.clone(), after, Look::default()]);
        assert!(why.contains("the error 71 is not known"), "{why}");
        let splices = format!("{trace}1.3 splice(3, 4) = 0\n");
        let why = refused(&splices, &[before, Look::default()]);
        assert!(
            why.starts_with("splice(3, 4): ") && why.contains("does not know"),
            "{why}"
        );
    }
}
