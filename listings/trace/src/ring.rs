//! The two queues of one ring, in the memory of a thread that stands still.

use std::io::IoSliceMut;

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use crate::operations::{Completion, Entry, Look, Operations};

/// `IORING_OFF_SQ_RING`, `IORING_OFF_CQ_RING`, `IORING_OFF_SQES`: what is mapped of a ring.
const SUBMISSION: u64 = 0;
const COMPLETION: u64 = 0x800_0000;
const ENTRIES: u64 = 0x1000_0000;
/// `IORING_FEAT_SINGLE_MMAP`: both queues are in one mapping.
const TOGETHER: u32 = 1;
/// `IORING_SETUP_NO_SQARRAY`: entries are taken in the order in which they lie.
const NO_ARRAY: u32 = 1 << 16;
/// The flags of a ring that change nothing of where things are and who takes them: CQSIZE to
/// TASKRUN_FLAG, SINGLE_ISSUER, DEFER_TASKRUN.
const PLAIN: u32 = 0b11_0011_1111_1000 | NO_ARRAY;
/// `IORING_SETUP_SQPOLL`.
const POLLED: u32 = 1 << 1;
/// The words of `struct io_uring_params`.
struct Params([u32; Params::WORDS]);

impl Params {
    const WORDS: usize = 30;
    const FLAGS: usize = 2;
    const FEATURES: usize = 5;
    /// Where in the mapping of the queues something is.
    const SUBMISSION: [usize; 4] = [10, 11, 12, 16]; // head, tail, mask, array
    const COMPLETION: [usize; 4] = [20, 21, 22, 25]; // head, tail, mask, entries
}

/// A ring.
pub(crate) struct Ring {
    params: Params,
    submission: Option<u64>,
    completion: Option<u64>,
    entries: Option<u64>,
    /// Up to where we have seen the two queues.
    seen: [u32; 2],
    pub(crate) operations: Operations,
    /// Why we cannot read it. It may never be used.
    pub(crate) trouble: Option<&'static str>,
}

impl Ring {
    pub(crate) fn new(thread: Pid, params: u64) -> Self {
        let read: Result<[u32; Params::WORDS], _> = words(thread, params);
        let params = Params(read.unwrap_or([0; Params::WORDS]));
        let kind = match params.0[Params::FLAGS] {
            flags if flags & !PLAIN == 0 => None,
            flags if flags & POLLED != 0 => {
                Some("the kernel takes entries when it wants to")
            }
            _ => Some("a ring is of a kind that we do not read"),
        };
        Self {
            params,
            submission: None,
            completion: None,
            entries: None,
            seen: [0; 2],
            operations: Operations::default(),
            trouble: read.err().or(kind),
        }
    }

    pub(crate) fn mapped(&mut self, what: u64, at: u64) {
        match what {
            SUBMISSION => {
                self.submission = Some(at);
                if self.params.0[Params::FEATURES] & TOGETHER != 0 {
                    self.completion = Some(at);
                }
            }
            COMPLETION => self.completion = Some(at),
            ENTRIES => self.entries = Some(at),
            _ => {}
        }
    }

    /// Where the head, the tail, the mask and the entries of a queue are.
    fn places(&self, queue: Option<u64>, at: [usize; 4]) -> Result<[u64; 4], &'static str> {
        let queue = queue.ok_or("a ring is mapped in a way that we do not know")?;
        Ok(at.map(|word| queue + u64::from(self.params.0[word])))
    }

    /// Before the kernel takes what was submitted.
    // ANCHOR: before
    pub(crate) fn before(&mut self, thread: Pid) -> Result<Look, &'static str> {
        let completions = self.completions(thread)?;
        let [_, tail, mask, array] = self.places(self.submission, Params::SUBMISSION)?;
        let entries =
            self.entries.ok_or("a ring is mapped in a way that we do not know")?;
        let ([tail], [mask]) = (words(thread, tail)?, words(thread, mask)?);
        let count = tail.wrapping_sub(self.seen[0]);
        if count > mask.wrapping_add(1) {
            return Err("a queue is not what we take it for");
        }
        let mut submitted = Vec::new();
        for n in 0..count {
            let mut index = self.seen[0].wrapping_add(n) & mask;
            if self.params.0[Params::FLAGS] & NO_ARRAY == 0 {
                [index] = words(thread, array + 4 * u64::from(index))?;
            }
            submitted.push(entry(words(thread, entries + 64 * u64::from(index))?));
        }
        self.seen[0] = tail;
        Ok(Look { completions, entries: submitted, left: 0 })
    }
    // ANCHOR_END: before

    /// When it has.
    pub(crate) fn after(&mut self, thread: Pid) -> Result<Look, &'static str> {
        let [head, ..] = self.places(self.submission, Params::SUBMISSION)?;
        let [head] = words(thread, head)?;
        let left = self.seen[0].wrapping_sub(head) as usize;
        self.seen[0] = head;
        Ok(Look { completions: self.completions(thread)?, entries: Vec::new(), left })
    }

    fn completions(&mut self, thread: Pid) -> Result<Vec<Completion>, &'static str> {
        let [_, tail, mask, entries] = self.places(self.completion, Params::COMPLETION)?;
        let ([tail], [mask]) = (words(thread, tail)?, words(thread, mask)?);
        let count = tail.wrapping_sub(self.seen[1]);
        if count > mask.wrapping_add(1) {
            return Err("completions have come and gone between two calls");
        }
        let mut completions = Vec::new();
        for n in 0..count {
            let index = self.seen[1].wrapping_add(n) & mask;
            let [low, high, result, flags] =
                words(thread, entries + 16 * u64::from(index))?;
            let (mark, result) = (wide(low, high), result as i32);
            completions.push(Completion { mark, result, flags });
        }
        self.seen[1] = tail;
        Ok(completions)
    }
}

/// `struct io_uring_sqe`.
fn entry(words: [u32; 16]) -> Entry {
    let [opcode, flags, ..] = words[0].to_ne_bytes();
    let mark = wide(words[8], words[9]);
    Entry { opcode, flags, descriptor: words[1] as i32, slot: words[11], mark }
}

/// A number of 64 bits from its two words, as they lie in memory.
fn wide(first: u32, second: u32) -> u64 {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&first.to_ne_bytes());
    bytes[4..].copy_from_slice(&second.to_ne_bytes());
    u64::from_ne_bytes(bytes)
}

/// Reads the memory of a thread that stands still.
fn words<const N: usize>(thread: Pid, at: u64) -> Result<[u32; N], &'static str> {
    let unread = "a ring's memory cannot be read";
    let mut bytes = vec![0; 4 * N];
    let base = usize::try_from(at).map_err(|_| unread)?;
    let from = [RemoteIoVec { base, len: bytes.len() }];
    let read = process_vm_readv(thread, &mut [IoSliceMut::new(&mut bytes)], &from);
    if read != Ok(4 * N) {
        return Err(unread);
    }
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_ne_bytes(bytes.try_into().map_err(|_| unread)?);
    }
    Ok(words)
}
