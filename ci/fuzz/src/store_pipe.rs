//! Callers of the store, and its replies.

use std::collections::VecDeque;

use guestbook::{Reply, StoreCall, StorePipe, Unusable};

use crate::script::{self, Step};

/// Most bytes that arrive in one script: more than one reply may measure.
const STREAM: usize = 5 << 18;
const SHORT: usize = 1024;

/// Checks one script; `false` if it is too long to be of interest.
///
/// Letters: `v` a caller asks for the page, `w` one adds a remark; `o` five bytes are sent; `B`
/// the connection breaks. Who gets which reply does not depend on the cuts, nor whether the
/// bytes are the protocol.
pub fn store_pipe(input: &[u8]) -> bool {
    let Some(steps) = script::read(input, STREAM) else { return false };
    let whole = run(&script::uncut(&steps));
    assert_eq!(run(&steps), whole, "as the script cuts it");
    if script::bytes(&steps).len() <= SHORT {
        assert_eq!(run(&script::byte_by_byte(&steps)), whole, "byte by byte");
    }
    true
}

#[derive(Debug, PartialEq)]
enum Seen {
    Reply(usize, Reply),
    Lost(Vec<usize>),
    Unusable,
}

/// The pipe, and what is known of it without looking inside.
#[derive(Default)]
struct Run {
    pipe: StorePipe<usize>,
    /// Who asked, in order.
    callers: VecDeque<usize>,
    next: usize,
    /// What is to be sent, in order.
    to_send: VecDeque<u8>,
    received: usize,
    /// Bytes of all calls.
    submitted: usize,
    memory_before: usize,
    seen: Vec<Seen>,
}

fn run(steps: &[Step]) -> Vec<Seen> {
    let mut run = Run { memory_before: crate::allocated(), ..Run::default() };
    for step in steps {
        if run.step(step).is_err() {
            // What every driver does with a connection that is of no further use.
            run.seen.push(Seen::Unusable);
            run.breaks();
            return run.seen;
        }
    }
    run.send(usize::MAX);
    assert!(run.to_send.is_empty(), "{} bytes were never sent", run.to_send.len());
    run.seen
}

impl Run {
    fn step(&mut self, step: &Step) -> Result<(), Unusable> {
        match step {
            Step::Bytes(piece) => {
                self.pipe.received(piece);
                self.received += piece.len();
            }
            Step::Do(b'v') => self.submit(&StoreCall::visit()),
            Step::Do(b'w') => self.submit(&StoreCall::add("a remark")),
            Step::Do(b'o') => self.send(5),
            Step::Do(b'B') => self.breaks(),
            Step::Do(_) => {}
        }
        let replies = self.replies();
        // Nothing that is announced is believed before it has arrived. An empty element of a
        // list is 6 bytes on its way, and up to 48 as an empty vector in a growing one. A call
        // is kept until it is sent, here as well, and who made it until it has its reply.
        let seen = self.seen.capacity() * size_of::<Seen>() + self.received;
        let holds = crate::allocated().saturating_sub(self.memory_before + seen);
        assert!(
            holds <= 16 * self.received + 8 * self.submitted + 64 * 1024,
            "{holds} bytes are held of {} that came, and {} that were asked",
            self.received,
            self.submitted
        );
        replies
    }

    fn submit(&mut self, call: &StoreCall) {
        self.pipe.submit(self.next, call);
        self.callers.push_back(self.next);
        self.next += 1;
        self.submitted += call.request.len();
        self.to_send.extend(&call.request);
    }

    /// The kernel takes `n` bytes: those that were submitted, in order.
    fn send(&mut self, n: usize) {
        if let Some(bytes) = self.pipe.take_output() {
            let n = n.min(bytes.len());
            let expected: Vec<u8> = self.to_send.drain(..n).collect();
            assert_eq!(bytes[..n], expected, "what is sent is not what was asked");
            self.pipe.sent(bytes, n);
        }
    }

    fn replies(&mut self) -> Result<(), Unusable> {
        while let Some((caller, reply)) = self.pipe.next_reply()? {
            self.seen.push(Seen::Reply(caller, reply));
            let front = self.callers.pop_front();
            assert_eq!(front, Some(caller), "a reply is not its caller's");
        }
        assert_eq!(self.callers.len(), self.pipe.depth());
        Ok(())
    }

    fn breaks(&mut self) {
        let lost = self.pipe.broken();
        let waited: Vec<usize> = self.callers.drain(..).collect();
        assert_eq!(lost, waited, "not all who wait are told");
        assert!(self.pipe.depth() == 0 && self.pipe.take_output().is_none());
        self.to_send.clear();
        self.seen.push(Seen::Lost(lost));
    }
}
