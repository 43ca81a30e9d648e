//! What was seen, as data. All times are microseconds since the first request was sent.

use serde::{Deserialize, Serialize};

/// A program, traced while it was asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// The program and its flags.
    pub program: String,
    /// How it was asked: for a reader.
    pub asked: String,
    /// The kernel's release (uname(2)).
    pub kernel: String,
    /// How much time the drawing shows, in milliseconds; 0: as much as it took.
    pub span: f64,
    /// In the order in which they came.
    pub requests: Vec<Request>,
    /// The threads, of all processes, in the order of their beginning.
    pub lanes: Vec<Lane>,
    /// Why nothing is known of the operations in its rings, if it has rings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_operations: Option<String>,
}

/// One client's question, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// When the client began to connect.
    pub asked: f64,
    /// When it had the whole response.
    pub answered: f64,
    /// The response's status.
    pub status: u16,
}

/// One thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// Which process it belongs to: 1 for the first, 2 for its first child.
    pub process: usize,
    /// What it calls itself (`/proc/PID/task/TID/comm`).
    pub name: String,
    /// Its calls, one after another.
    pub calls: Vec<Call>,
    /// What it has submitted in rings, in that order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<Operation>,
}

/// An operation that was submitted in a ring (io_uring).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Its name, without `IORING_OP_`.
    pub name: String,
    /// When the call began that has handed it over.
    pub begin: f64,
    /// When its last completion was seen: at the end of a call, or before the next. It may have
    /// completed earlier.
    pub end: f64,
    /// What its last completion says. None: it is still in flight.
    pub result: Option<i64>,
    /// When its other completions were seen, of one that goes on after a completion (multishot).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<f64>,
    /// The request that it was made for, if one can be told.
    pub request: Option<usize>,
}

/// One system call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// What it returned; an error as its negative number. None: it has not.
    pub result: Option<i64>,
    /// When it was entered.
    pub begin: f64,
    /// When it ended; or when we looked last.
    pub end: f64,
    /// For how long of that the thread had a processor (schedstat).
    pub ran: f64,
    /// For how long it could have run, and had none (schedstat).
    pub queued: f64,
    /// How often it has gone to sleep in the call (voluntary context switches).
    pub slept: u64,
    /// The request that it was made for, from 0 on, if one can be told.
    pub request: Option<usize>,
    /// The line of a listing that has made it, as `listings/NAME/src/FILE.rs:LINE`, if one is
    /// known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The function in which that line is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// What it was told, and what it has answered, in words; of some calls, where it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}

impl Trace {
    /// Counts all times from the first request on, and forgets what was over before it, or
    /// began after the last response. Of more connections than there are requests these are the
    /// last ones. What is left is rounded to a tenth of a microsecond.
    pub fn of_the_last_requests(&mut self) {
        let calls = self.lanes.iter().flat_map(|lane| &lane.calls);
        let operations = self.lanes.iter().flat_map(|lane| &lane.operations);
        let requests = calls.map(|c| c.request).chain(operations.map(|o| o.request));
        let all = requests.flatten().max().map_or(0, |last| last + 1);
        let before = all.saturating_sub(self.requests.len());
        let first = self.requests.iter().map(|r| r.asked).fold(f64::INFINITY, f64::min);
        let last = self.requests.iter().map(|r| r.answered).fold(first, f64::max);
        let tenth = |time: f64| (time * 10.0).round() / 10.0;
        for lane in &mut self.lanes {
            lane.calls.retain(|call| call.end > first && call.begin < last);
            for call in &mut lane.calls {
                call.begin = tenth(call.begin - first);
                call.end = tenth(call.end - first);
                (call.ran, call.queued) = (tenth(call.ran), tenth(call.queued));
                call.request = call.request.and_then(|request| request.checked_sub(before));
            }
            lane.operations.retain(|one| one.end > first && one.begin < last);
            for one in &mut lane.operations {
                (one.begin, one.end) = (tenth(one.begin - first), tenth(one.end - first));
                one.seen.retain(|at| *at > first);
                one.seen.iter_mut().for_each(|at| *at = tenth(*at - first));
                one.request = one.request.and_then(|request| request.checked_sub(before));
            }
        }
        self.lanes.retain(|lane| !lane.calls.is_empty());
        for request in &mut self.requests {
            request.asked = tenth(request.asked - first);
            request.answered = tenth(request.answered - first);
        }
    }

    /// As JSON.
    ///
    /// # Errors
    /// None that is known.
    pub fn to_json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string(self)?.replace("},{", "},\n{") + "\n")
    }
}

impl Call {
    /// For how long the thread waited for something other than a processor. A call that has
    /// not slept has not waited, whatever the clock says: then it was our turn to be slow.
    // ANCHOR: waited
    pub fn waited(&self) -> f64 {
        match self.slept {
            0 => 0.0,
            _ => (self.end - self.begin - self.ran - self.queued).max(0.0),
        }
    }
    // ANCHOR_END: waited
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, begin: f64, end: f64, request: Option<usize>) -> Call {
        let name = name.to_owned();
        Call { name, begin, end, request, result: Some(0), ..Call::default() }
    }

    #[test]
    fn to_wait_is_neither_to_run_nor_to_queue_nor_to_be_stopped_by_us() {
        let call =
            Call { ran: 20.0, queued: 30.0, slept: 1, ..call("read", 0.0, 100.0, None) };
        assert_eq!(call.waited(), 50.0);
        let awake = Call { slept: 0, ..call.clone() };
        assert_eq!(awake.waited(), 0.0, "it was our turn to be slow");
        // The counters are read one after another, while the clock goes on.
        let early = Call { ran: 80.0, ..call };
        assert_eq!(early.waited(), 0.0, "no time is below zero");
    }

    #[test]
    fn what_was_before_the_first_request_is_forgotten() {
        let lane = |calls| Lane { calls, ..Lane::default() };
        let mut trace = Trace {
            requests: vec![Request { asked: 1000.0, answered: 3000.0, status: 200 }],
            lanes: vec![
                lane(vec![
                    call("write", 500.0, 900.0, Some(0)),
                    call("accept4", 950.0, 1100.04, None),
                    call("read", 1200.0, 1300.0, Some(1)),
                    call("futex", 3100.0, 3200.0, None),
                ]),
                lane(vec![call("mmap", 1.0, 2.0, None)]),
            ],
            ..Trace::default()
        };
        trace.of_the_last_requests();
        assert_eq!((trace.requests[0].asked, trace.requests[0].answered), (0.0, 2000.0));
        assert_eq!(trace.lanes.len(), 1, "one has done nothing since");
        let calls = &trace.lanes[0].calls;
        assert_eq!([calls[0].begin, calls[0].end], [-50.0, 100.0]);
        assert_eq!((calls[1].request, calls.len()), (Some(0), 2));
        let read: Trace = serde_json::from_str(&trace.to_json().unwrap()).unwrap();
        assert_eq!(read, trace);
    }
}
