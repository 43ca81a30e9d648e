//! From stops to calls, and from calls to requests. It makes no calls itself, so it can be
//! told anything.

use std::collections::HashMap;

use crate::stack::Stack;
use crate::{Call, Lane};

/// What the kernel has counted for a thread since it began: nanoseconds, and times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// How long it has had a processor.
    pub ran: u64,
    /// How long it could have run, and had none.
    pub queued: u64,
    /// How often it has given its processor up by itself.
    pub slept: u64,
}

/// Why a thread stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It enters a system call.
    Enters {
        /// Its name.
        name: String,
        /// What it is about.
        about: About,
    },
    /// The call has ended, with this result.
    Leaves(i64),
}

/// What a call is about.
// ANCHOR: about
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// This descriptor.
    One(i32),
    /// Anybody who may come or go on: what follows may be for somebody else.
    Anybody,
    /// Neither.
    Nothing,
}
// ANCHOR_END: about

/// What a thread is in the middle of.
#[derive(Debug, Default)]
struct Thread {
    lane: usize,
    process: usize,
    /// The call that it is in, what it is about, and what the counters said at its entry.
    entered: Option<(Call, About, Counters)>,
    /// How its stack was then.
    stack: Option<Stack>,
    /// How often it has stood still for us since then.
    stops: u64,
    /// The request that it works for.
    serves: Option<usize>,
}

/// The calls of all threads.
#[derive(Debug, Default)]
pub struct Recorder {
    threads: HashMap<i32, Thread>,
    /// By process: which descriptors are connections, and whose.
    connections: Vec<HashMap<i32, usize>>,
    /// The numbers of processes, from 0 on, by their first threads.
    processes: HashMap<i32, usize>,
    lanes: Vec<Lane>,
    accepted: usize,
    /// Whence a call was made: of a lane, by their numbers.
    stacks: Vec<(usize, usize, Stack)>,
}

impl Recorder {
    /// A thread begins, made by the thread `parent`, in this process, which was copied from
    /// that thread's if it is new.
    // ANCHOR: begins
    pub fn begins(&mut self, thread: i32, process: i32, parent: Option<i32>, name: &str) {
        if self.threads.contains_key(&thread) {
            return;
        }
        let known = self.processes.len();
        let number = *self.processes.entry(process).or_insert(known);
        if number == known {
            // What was open in the one is open in the other.
            let from = parent.and_then(|parent| Some(self.threads.get(&parent)?.process));
            let copy = from.map(|from| self.connections[from].clone());
            self.connections.push(copy.unwrap_or_default());
        }
        let lane = self.lanes.len();
        let name = name.to_owned();
        self.lanes.push(Lane { process: number + 1, name, ..Lane::default() });
        let serves = parent.and_then(|parent| self.threads.get(&parent)?.serves);
        let known = Thread { lane, process: number, serves, ..Thread::default() };
        self.threads.insert(thread, known);
    }
    // ANCHOR_END: begins

    /// A thread stands still: at this time, in microseconds, with these counters.
    // ANCHOR: stopped
    pub fn stopped(&mut self, thread: i32, stop: Stop, at: f64, counters: Counters) {
        let Some(known) = self.threads.get_mut(&thread) else { return };
        match stop {
            Stop::Enters { name, about } => {
                let call = Call { name, begin: at, end: at, ..Call::default() };
                (known.entered, known.stops) = (Some((call, about, counters)), 0);
            }
            Stop::Leaves(result) => {
                let Some((mut call, about, before)) = known.entered.take() else {
                    return;
                };
                call.result = Some(result);
                // To stand still for us is to give up a processor, too.
                finish(&mut call, at, before, counters, known.stops + 1);
                self.belongs(thread, &mut call, about);
                self.over(thread, call);
            }
        }
    }
    // ANCHOR_END: stopped

    /// The numbers of a thread's lane and process.
    pub(crate) fn place(&self, thread: i32) -> (usize, usize) {
        self.threads.get(&thread).map_or((0, 0), |known| (known.lane, known.process))
    }

    /// The call that a thread is in was made from there.
    pub(crate) fn came_from(&mut self, thread: i32, stack: Option<Stack>) {
        if let Some(known) = self.threads.get_mut(&thread) {
            known.stack = stack;
        }
    }

    /// What is known of the call that a thread is in, and of what it answers.
    pub(crate) fn says(&mut self, thread: i32, text: &str) {
        let known = self.threads.get_mut(&thread).and_then(|known| known.entered.as_mut());
        if let Some((call, _, _)) = known {
            let details = call.details.get_or_insert_default();
            let between = if details.is_empty() { "" } else { "; " };
            details.push_str(between);
            details.push_str(text);
        }
    }

    fn over(&mut self, thread: i32, call: Call) {
        let Some(known) = self.threads.get_mut(&thread) else { return };
        let calls = &mut self.lanes[known.lane].calls;
        let stack = known.stack.take().map(|stack| (known.lane, calls.len(), stack));
        self.stacks.extend(stack);
        calls.push(call);
    }

    /// Finds out for which request a call was made. What is done with a connection is done for
    /// its request; what a thread does between two such calls is for the same one, until it
    /// waits for anybody.
    // ANCHOR: belongs
    fn belongs(&mut self, thread: i32, call: &mut Call, about: About) {
        let Some(known) = self.threads.get_mut(&thread) else { return };
        let connections = &mut self.connections[known.process];
        if about == About::Anybody {
            known.serves = None;
            let connection = call.result.filter(|result| *result >= 0);
            if let Some(connection) = connection.filter(|_| call.name.starts_with("accept"))
            {
                connections.insert(connection as i32, self.accepted);
                known.serves = Some(self.accepted);
                self.accepted += 1;
            }
            // Whoever has slept in it has slept before anybody was there.
            call.request = known.serves.filter(|_| call.slept == 0);
            return;
        } else if let About::One(descriptor) = about
            && let Some(request) = connections.get(&descriptor).copied()
        {
            known.serves = Some(request);
            if call.name == "close" {
                connections.remove(&descriptor);
                call.request = known.serves.take();
                return;
            }
        }
        call.request = known.serves;
    }
    // ANCHOR_END: belongs

    /// A thread stands still within a call.
    pub fn has_stopped_once_more(&mut self, thread: i32) {
        if let Some(known) = self.threads.get_mut(&thread) {
            known.stops += 1;
        }
    }

    /// A thread goes by the number of another one, which is gone (execve(2)).
    pub fn goes_by(&mut self, thread: i32, number: i32, at: f64) {
        self.gone(number, at, None);
        if let Some(known) = self.threads.remove(&thread) {
            self.threads.insert(number, known);
        }
    }

    /// A thread is gone: the call that it was in, its last, ends without a result. `counters`
    /// were read when it stood still for the last time, if it did.
    pub fn gone(&mut self, thread: i32, at: f64, counters: Option<Counters>) {
        let Some(known) = self.threads.get_mut(&thread) else { return };
        if let Some((mut call, _, before)) = known.entered.take() {
            finish(&mut call, at, before, counters.unwrap_or(before), known.stops);
            self.over(thread, call);
        }
        self.threads.remove(&thread);
    }

    /// Whence the calls were made: each of a lane, by their numbers.
    pub(crate) fn take_stacks(&mut self) -> Vec<(usize, usize, Stack)> {
        std::mem::take(&mut self.stacks)
    }

    /// All calls, and how many connections were accepted.
    pub fn end(self) -> (Vec<Lane>, usize) {
        (self.lanes, self.accepted)
    }
}

/// A call is over. Of the times that its thread has gone to sleep, `ours` were for us.
fn finish(call: &mut Call, at: f64, before: Counters, after: Counters, ours: u64) {
    call.end = at;
    call.ran = after.ran.saturating_sub(before.ran) as f64 / 1e3;
    call.queued = after.queued.saturating_sub(before.queued) as f64 / 1e3;
    call.slept = after.slept.saturating_sub(before.slept).saturating_sub(ours);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls in turn, each a millisecond long, made by the threads that are named.
    fn recorded(calls: &[(i32, &str, About, i64)]) -> (Vec<Lane>, usize) {
        let mut recorder = Recorder::default();
        recorder.begins(10, 10, None, "first");
        for (n, (thread, name, about, result)) in calls.iter().enumerate() {
            if *thread != 10 {
                // The last thread is a process of its own.
                let process = if *thread == 30 { 30 } else { 10 };
                recorder.begins(*thread, process, Some(10), "another");
            }
            let at = n as f64 * 2000.0;
            let enters = Stop::Enters { name: (*name).to_owned(), about: *about };
            let slept = |slept| Counters { slept, ..Counters::default() };
            recorder.stopped(*thread, enters, at, slept(5));
            recorder.stopped(*thread, Stop::Leaves(*result), at + 1000.0, slept(6));
        }
        recorder.end()
    }

    fn whose(lane: &Lane) -> Vec<Option<usize>> {
        lane.calls.iter().map(|call| call.request).collect()
    }

    #[test]
    fn between_two_calls_for_a_connection_a_thread_works_for_it() {
        use About::{Anybody, Nothing, One};
        let (lanes, accepted) = recorded(&[
            (10, "accept4", Anybody, 7),
            (10, "read", One(7), 60),
            (10, "openat", Nothing, 9),
            (10, "read", One(4), 20), // the store's connection
            (10, "close", One(7), 0),
            (10, "close", One(9), 0),
            (10, "accept4", Anybody, 7), // the number again, and another client
            (10, "epoll_wait", Anybody, 1),
            (10, "read", One(4), 20),
            (10, "write", One(7), 600),
        ]);
        assert_eq!(accepted, 2);
        let first = Some(0);
        let then = [None, Some(1), None, None, Some(1)];
        let all = [[first; 5].as_slice(), &then].concat();
        assert_eq!(whose(&lanes[0]), all);
    }

    #[test]
    fn a_child_serves_whom_its_parent_has_accepted_and_closes_for_itself() {
        use About::{Anybody, Nothing, One};
        let (lanes, _) = recorded(&[
            (10, "accept4", Anybody, 7),
            (30, "openat", Nothing, 9), // for whom its maker works
            (30, "epoll_wait", Anybody, 1), // whom its maker served is forgotten
            (30, "read", One(7), 60),
            (10, "close", One(7), 0),
            (30, "epoll_wait", Anybody, 1),
            (30, "write", One(7), 600), // its own is still open
            (10, "write", One(7), -9),
            (20, "write", One(7), -9),
        ]);
        assert_eq!(lanes.iter().map(|lane| lane.process).collect::<Vec<_>>(), [1, 2, 1]);
        assert_eq!(whose(&lanes[1]), [Some(0), None, Some(0), None, Some(0)]);
        assert_eq!(whose(&lanes[0]), [Some(0), Some(0), None]);
        assert_eq!(whose(&lanes[2]), [None]);
    }

    #[test]
    fn whoever_is_made_works_for_whom_its_maker_works_and_a_copy_is_of_its_makers() {
        let mut recorder = Recorder::default();
        recorder.begins(1, 1, None, "first");
        let slept = |slept| Counters { slept, ..Counters::default() };
        let mut at = 0.0;
        let mut call =
            |recorder: &mut Recorder, thread, name: &str, about, result, sleeps: u64| {
                at += 10.0;
                let enters = Stop::Enters { name: name.into(), about };
                recorder.stopped(thread, enters, at, slept(5));
                recorder.stopped(thread, Stop::Leaves(result), at + 5.0, slept(6 + sleeps));
            };
        // It sleeps until somebody comes: that was before there was a request.
        call(&mut recorder, 1, "accept4", About::Anybody, 7, 1);
        call(&mut recorder, 1, "read", About::One(7), 60, 0);
        recorder.begins(2, 1, Some(1), "second");
        call(&mut recorder, 2, "openat", About::Nothing, 9, 0);
        // A child that the second thread makes.
        recorder.begins(3, 3, Some(2), "child");
        call(&mut recorder, 3, "epoll_wait", About::Anybody, 1, 0);
        call(&mut recorder, 3, "write", About::One(7), 9, 0);
        // Nobody was there.
        call(&mut recorder, 1, "accept4", About::Anybody, -11, 0);
        let (lanes, accepted) = recorder.end();
        assert_eq!(accepted, 1);
        assert_eq!(whose(&lanes[0]), [None, Some(0), None]);
        assert_eq!(whose(&lanes[1]), [Some(0)]);
        assert_eq!(whose(&lanes[2]), [None, Some(0)]);
    }

    #[test]
    fn our_stops_are_no_sleep() {
        let (lanes, _) = recorded(&[(10, "read", About::One(3), 1)]);
        let call = &lanes[0].calls[0];
        assert_eq!((call.slept, call.waited()), (0, 0.0));

        // One that has made a thread has stopped for that as well, and another one has slept.
        let mut recorder = Recorder::default();
        recorder.begins(1, 1, None, "one");
        let slept = |slept| Counters { slept, ..Counters::default() };
        for (at, extra) in [(0.0, 0), (10.0, 1)] {
            let clone = Stop::Enters { name: "clone3".into(), about: About::Nothing };
            recorder.stopped(1, clone, at, slept(5));
            recorder.has_stopped_once_more(1);
            recorder.stopped(1, Stop::Leaves(2), at + 5.0, slept(7 + extra));
        }
        recorder.stopped(2, Stop::Leaves(0), 100.0, slept(0)); // nobody knows it
        let (lanes, _) = recorder.end();
        assert_eq!(lanes[0].calls.iter().map(|c| c.slept).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn the_last_call_of_a_thread_ends_with_the_thread() {
        let mut recorder = Recorder::default();
        recorder.begins(1, 1, None, "one");
        let of = |ran, queued, slept| Counters { ran, queued, slept };
        let read = Stop::Enters { name: "read".into(), about: About::One(3) };
        recorder.stopped(1, read, 100.0, of(5_000, 0, 1));
        recorder.has_stopped_once_more(1);
        recorder.gone(1, 400.0, Some(of(25_000, 10_000, 3)));
        recorder.gone(1, 500.0, None);
        let (lanes, _) = recorder.end();
        let call = &lanes[0].calls[0];
        assert_eq!((lanes[0].calls.len(), call.result, call.slept), (1, None, 1));
        assert_eq!((call.ran, call.queued, call.waited()), (20.0, 10.0, 270.0));
    }

    #[test]
    fn who_becomes_another_program_goes_by_the_first_number() {
        let mut recorder = Recorder::default();
        recorder.begins(1, 1, None, "first");
        recorder.begins(2, 1, Some(1), "second");
        let enters = |name: &str| Stop::Enters { name: name.into(), about: About::Nothing };
        recorder.stopped(1, enters("pause"), 0.0, Counters::default());
        recorder.stopped(2, enters("execve"), 10.0, Counters::default());
        recorder.goes_by(2, 1, 20.0);
        recorder.stopped(1, Stop::Leaves(0), 30.0, Counters::default());
        let (lanes, _) = recorder.end();
        let calls = |lane: &Lane| (lane.calls[0].name.clone(), lane.calls[0].result);
        assert_eq!(calls(&lanes[0]), ("pause".to_owned(), None));
        assert_eq!(calls(&lanes[1]), ("execve".to_owned(), Some(0)));
    }
}
