//! The rings of a traced program, read where they lie: in the memory that it shares with the
//! kernel. A thread that stands still at io_uring_enter(2) is the time to look: what it has
//! submitted is in the one queue, and what has completed since the last look is in the other.

use std::collections::HashMap;

use nix::unistd::Pid;

use crate::Operation;
use crate::operations::Look;
use crate::ring::Ring;

/// `IORING_ENTER_REGISTERED_RING`.
const REGISTERED: u64 = 1 << 4;

/// A call that is about a ring.
#[derive(Clone, Copy)]
enum About {
    Setup { params: u64 },
    Map { descriptor: i32, what: u64 },
    Enter { descriptor: i32 },
}

/// A ring, and what is new there.
pub(crate) struct Seen(usize, Look);

/// All rings.
#[derive(Default)]
pub(crate) struct Rings {
    all: Vec<Ring>,
    /// By process and descriptor.
    known: HashMap<(usize, i32), usize>,
    /// What a thread is in the middle of.
    entered: HashMap<Pid, About>,
    accepted: usize,
    /// What we have not understood: then nothing is told of any ring.
    why: Option<&'static str>,
}

impl std::fmt::Debug for Rings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rings").field("why", &self.why).finish_non_exhaustive()
    }
}

impl Rings {
    /// A thread enters a call.
    pub(crate) fn enters(
        &mut self,
        (thread, process): (Pid, usize),
        name: &str,
        args: &[u64; 6],
    ) -> Option<Seen> {
        let descriptor = |n: usize| args[n] as i32;
        let about = match name {
            "io_uring_setup" => About::Setup { params: args[1] },
            "mmap" => About::Map { descriptor: descriptor(4), what: args[5] },
            // Its unit is a page of 4096 bytes.
            "mmap2" => About::Map { descriptor: descriptor(4), what: args[5] << 12 },
            "io_uring_enter" => About::Enter { descriptor: descriptor(0) },
            _ => return None,
        };
        self.entered.insert(thread, about);
        let About::Enter { descriptor } = about else { return None };
        if args[3] & REGISTERED != 0 {
            self.why = Some("a ring goes by another number");
        }
        self.look(thread, (process, descriptor), Ring::before)
    }

    /// The call has ended.
    pub(crate) fn leaves(
        &mut self,
        (thread, process): (Pid, usize),
        result: i64,
    ) -> Option<Seen> {
        match self.entered.remove(&thread)? {
            About::Setup { params } if result >= 0 => {
                self.known.insert((process, result as i32), self.all.len());
                self.all.push(Ring::new(thread, params));
            }
            About::Map { descriptor, what } if result > 0 => {
                let ring = self.known.get(&(process, descriptor)).copied();
                if let Some(ring) = ring.and_then(|ring| self.all.get_mut(ring)) {
                    ring.mapped(what, result as u64);
                }
            }
            About::Enter { descriptor } => {
                return self.look(thread, (process, descriptor), Ring::after);
            }
            _ => {}
        }
        None
    }

    fn look(
        &mut self,
        thread: Pid,
        whose: (usize, i32),
        look: fn(&mut Ring, Pid) -> Result<Look, &'static str>,
    ) -> Option<Seen> {
        if self.why.is_some() {
            return None;
        }
        let number = self.known.get(&whose).copied();
        let looked = match number.and_then(|number| self.all.get_mut(number)) {
            Some(ring) => ring.trouble.map_or_else(|| look(ring, thread), Err),
            None => Err("a ring's beginning was not seen"),
        };
        looked
            .map_err(|why| self.why = Some(why))
            .ok()
            .map(|look| Seen(number.unwrap_or(0), look))
    }

    /// Notes what was seen: at this time, at a stop of the thread of this lane.
    pub(crate) fn note(&mut self, seen: Option<Seen>, lane: usize, at: f64) {
        let Some(Seen(ring, look)) = seen else { return };
        let noted = self.all[ring].operations.note(&look, lane, at, &mut self.accepted);
        self.why = self.why.or(noted.err());
    }

    /// All operations with the lanes of their threads, how many connections they have accepted,
    /// and, instead, why we cannot tell.
    pub(crate) fn end(
        self,
        at: f64,
    ) -> (Vec<(usize, Operation)>, usize, Option<&'static str>) {
        match self.why {
            Some(why) => (Vec::new(), 0, Some(why)),
            None => {
                let all = self.all.into_iter().flat_map(|ring| ring.operations.end(at));
                (all.collect(), self.accepted, None)
            }
        }
    }
}
