//! Reads the two queues of a server where they lie: in the memory that it shares with the
//! kernel.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use aids::steps::rings::trace::{Look, RawCompletion, RawEntry};
use aids::steps::rings::{Queues, WAIT};

/// Where the entries of the submission queue are mapped: `IORING_OFF_SQES`.
const ENTRIES: u64 = 0x1000_0000;
/// io_uring_enter(2), by its number: it is the same on all processors.
const NUMBER: &str = "426";
/// For how many glances in a row a server must be held for us to call it held. A stop of
/// strace's own, and the hold after a call, are over by then.
const GLANCES: u32 = 8;

/// The rings of a server, and what was read of them.
pub struct Rings {
    process: u32,
    /// strace's lines, which say where in the mapping things are.
    trace: PathBuf,
    memory: Option<Memory>,
    /// The hold that we see: how often the server had given up a processor then, and how
    /// often we have seen it so.
    held: (u64, u32),
    taken: u32,
    pub looks: Vec<Look>,
    /// How many entries the two queues have room for.
    pub room: [u32; 2],
}

/// Where everything is.
struct Memory {
    file: File,
    rings: u64,
    entries: u64,
    submission: [u64; 4],
    completion: [u64; 4],
}

impl Rings {
    pub fn new(process: u32, trace: &Path) -> Self {
        Self {
            process,
            trace: trace.to_owned(),
            memory: None,
            held: (0, 0),
            taken: 0,
            looks: Vec::new(),
            room: [0; 2],
        }
    }

    /// To be called all the time, with what /proc says of the server: reads the queues once
    /// each time it is held before its call.
    pub fn glance(&mut self, state: char, switches: u64) -> Result<(), String> {
        let call = fs::read_to_string(format!("/proc/{}/syscall", self.process));
        let is_in_it = call.is_ok_and(|call| call.split(' ').next() == Some(NUMBER));
        if state != 't' || !is_in_it {
            self.held.1 = 0;
            return Ok(());
        }
        if self.held.0 != switches {
            self.held = (switches, 0);
        }
        self.held.1 += 1;
        if self.held.1 == GLANCES {
            let look = self.look()?;
            self.looks.push(look);
        }
        Ok(())
    }

    /// The server sleeps: by then its entries have been taken, and nothing has completed.
    pub fn sleeps(&mut self) -> Result<(), String> {
        let look = self.look_again()?;
        let Queues { submission: [head, tail], completion: [taken, completed] } =
            look.queues;
        match head == tail && taken == completed && look.completions.is_empty() {
            true => Ok(()),
            false => Err(format!("it sleeps, and the queues are {:?}", look.queues)),
        }
    }

    /// The last look: the server sleeps.
    pub fn last(&mut self) -> Result<(), String> {
        self.sleeps()?;
        self.room = self.memory.as_ref().map_or(Ok([0; 2]), Memory::room)?;
        let look = self.look()?;
        self.looks.push(look);
        Ok(())
    }

    fn look(&mut self) -> Result<Look, String> {
        let look = self.look_again()?;
        self.taken = look.queues.completion[1];
        Ok(look)
    }

    /// What there is that was not there at the last look.
    fn look_again(&mut self) -> Result<Look, String> {
        let memory = match &mut self.memory {
            Some(memory) => memory,
            place => place.insert(Memory::new(self.process, &self.trace)?),
        };
        let [head, tail] = memory.ends(memory.submission)?;
        let [taken, completed] = memory.ends(memory.completion)?;
        let queues = Queues { submission: [head, tail], completion: [taken, completed] };
        let entries = (head..tail).map(|n| memory.entry(n)).collect::<Result<_, _>>()?;
        let completions = (self.taken..completed)
            .map(|n| memory.completion(n))
            .collect::<Result<_, _>>()?;
        Ok(Look { queues, entries, completions })
    }
}

impl Memory {
    fn new(process: u32, trace: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(trace).map_err(|e| format!("no trace: {e}"))?;
        let setup = text
            .lines()
            .rfind(|line| line.contains(" io_uring_setup("))
            .ok_or_else(|| format!("no io_uring_setup before the first {WAIT}"))?;
        let place = |queue: &str, names: [&str; 4]| -> Result<[u64; 4], String> {
            let from = setup.split_once(&format!("{queue}_off={{")).map(|(_, rest)| rest);
            let fields =
                from.and_then(|rest| rest.split_once('}')).map(|(fields, _)| fields);
            let fields = fields.ok_or_else(|| format!("no {queue}_off in {setup}"))?;
            let mut places = [0; 4];
            for (place, name) in places.iter_mut().zip(names) {
                *place = fields
                    .split(", ")
                    .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
                    .and_then(|number| number.parse().ok())
                    .ok_or_else(|| format!("no {queue}_off.{name} in {setup}"))?;
            }
            Ok(places)
        };
        let maps = fs::read_to_string(format!("/proc/{process}/maps"))
            .map_err(|e| format!("no maps: {e}"))?;
        let mapped = |offset: u64| {
            maps.lines().filter(|line| line.contains("anon_inode:[io_uring]")).find_map(
                |line| {
                    let mut fields = line.split_whitespace();
                    let start = fields.next()?.split('-').next()?;
                    let at = u64::from_str_radix(fields.nth(1)?, 16).ok()?;
                    (at == offset).then(|| u64::from_str_radix(start, 16).ok())?
                },
            )
        };
        let file = File::open(format!("/proc/{process}/mem"))
            .map_err(|e| format!("the server's memory cannot be read: {e}"))?;
        Ok(Self {
            file,
            rings: mapped(0).ok_or("no ring is mapped")?,
            entries: mapped(ENTRIES).ok_or("no entries are mapped")?,
            submission: place("sq", ["head", "tail", "ring_mask", "array"])?,
            completion: place("cq", ["head", "tail", "ring_mask", "cqes"])?,
        })
    }

    fn read<const N: usize>(&self, at: u64) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.file
            .read_exact_at(&mut bytes, at)
            .map_err(|e| format!("the server's memory at {at:#x}: {e}"))?;
        Ok(bytes)
    }

    fn number(&self, at: u64) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.read(at)?))
    }

    fn ends(&self, [head, tail, ..]: [u64; 4]) -> Result<[u32; 2], String> {
        Ok([self.number(self.rings + head)?, self.number(self.rings + tail)?])
    }

    fn entry(&self, n: u32) -> Result<RawEntry, String> {
        let [_, _, mask, array] = self.submission;
        let place = u64::from(n & self.number(self.rings + mask)?);
        let index = u64::from(self.number(self.rings + array + 4 * place)?);
        let size = RawEntry::SIZE as u64;
        let mut entry = RawEntry::new(&self.read(self.entries + index * size)?);
        if let Some(at) = entry.path_at() {
            // A path ends with a zero; ours are short.
            let bytes: [u8; 64] = self.read(at)?;
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            entry.path = String::from_utf8_lossy(&bytes[..end]).into_owned();
        }
        Ok(entry)
    }

    fn completion(&self, n: u32) -> Result<RawCompletion, String> {
        let [_, _, mask, entries] = self.completion;
        let place = u64::from(n & self.number(self.rings + mask)?);
        let size = RawCompletion::SIZE as u64;
        Ok(RawCompletion::new(&self.read(self.rings + entries + place * size)?))
    }

    /// How many entries the two queues have room for.
    fn room(&self) -> Result<[u32; 2], String> {
        let [_, _, submission, _] = self.submission;
        let [_, _, completion, _] = self.completion;
        Ok([
            self.number(self.rings + submission)? + 1,
            self.number(self.rings + completion)? + 1,
        ])
    }
}
