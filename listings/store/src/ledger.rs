//! Data and log together: either both change or neither does.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use redis_protocol::resp2::types::BorrowedFrame as Reply;

use crate::command::Command;
use crate::data::{Data, reply};
use crate::log::Log;

/// What all connections share. One command is executed at a time, as in Redis.
#[derive(Debug)]
pub struct Ledger(Mutex<State>);

#[derive(Debug)]
struct State {
    data: Data,
    log: Option<Log>,
}

impl Ledger {
    /// Without a file everything is lost when the store ends. The error is one line.
    pub fn open(file: Option<&Path>) -> Result<Self, String> {
        let Some(path) = file else {
            return Ok(Self(Mutex::new(State { data: Data::default(), log: None })));
        };
        let mut log = Log::open(path)?;
        let data = log.replay()?;
        Ok(Self(Mutex::new(State { data, log: Some(log) })))
    }

    // ANCHOR: execute
    /// Executes one request and appends its reply to `out`. Returns whether more may
    /// follow.
    pub fn execute(&self, request: &[Vec<u8>], out: &mut Vec<u8>) -> bool {
        // Nothing under this lock leaves the state half changed, so the lock of a thread
        // that panicked is taken over.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match Command::parse(request)
            .and_then(|command| state.record(command, request).map(|()| command))
        {
            Ok(command) => {
                state.data.apply(command, out);
                state.tidy();
                command != Command::Quit
            }
            Err(text) => {
                reply(out, &Reply::Error(&text));
                true
            }
        }
    }
    // ANCHOR_END: execute
}

impl State {
    // ANCHOR: record
    /// What changes something is in the log before it happens, and a remark is on the disk
    /// before it is acknowledged. A count is not: a lost count is not a lost remark, and is
    /// not worth waiting for the disk on every page.
    fn record(&mut self, command: Command, request: &[Vec<u8>]) -> Result<(), String> {
        let changes = self.data.check(command)?;
        if let Some(log) = self.log.as_mut().filter(|_| changes) {
            let words: Vec<&[u8]> = request.iter().map(Vec::as_slice).collect();
            let sync = !matches!(command, Command::Incr(_));
            log.append(&words, sync)
                .map_err(|why| format!("ERR nothing was stored: {why}"))?;
        }
        Ok(())
    }
    // ANCHOR_END: record

    fn tidy(&mut self) {
        if let Some(log) = self.log.as_mut().filter(|log| log.is_long()) {
            log.compact(&self.data);
        }
    }
}
