//! Two who take turns, and what a turn costs: between processes, between threads, and in one
//! thread.

use std::collections::VecDeque;
use std::fmt;
use std::hint::black_box;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Instant;

use forking::{ForkResult, fork, leave, wait_for};
use serde::{Deserialize, Serialize};

use crate::counts::{Switches, processors, stay_on};

/// Who takes turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Between {
    /// Two processes, over two pipes
    Processes,
    /// Two threads, over two pipes
    Threads,
    /// Two threads, with a condition variable
    Condvar,
    /// One thread, which has both ends of the two pipes
    Alone,
    /// One thread, and two state machines in its queue
    Machines,
    /// One thread, and a function that it calls
    Call,
}

impl Between {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Processes,
        Self::Threads,
        Self::Condvar,
        Self::Alone,
        Self::Machines,
        Self::Call,
    ];

    /// Whether there are two that could run on two processors.
    pub fn are_two(self) -> bool {
        matches!(self, Self::Processes | Self::Threads | Self::Condvar)
    }
}

impl fmt::Display for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Processes => "two processes, pipes",
            Self::Threads => "two threads, pipes",
            Self::Condvar => "two threads, condition variable",
            Self::Alone => "one thread, the same pipes",
            Self::Machines => "one thread, two state machines",
            Self::Call => "one thread, a function call",
        })
    }
}

/// What a turn of one of them, and then of the other, costs.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Turn {
    /// Nanoseconds.
    pub ns: f64,
    /// Context switches of both, because they had to wait.
    pub voluntary: f64,
    /// Context switches of both, because the other one was to run.
    pub involuntary: f64,
}

/// Lets them take turns, both on one processor or each on its own.
///
/// # Errors
/// `Unsupported`: fewer processors are allowed to us than were asked for. (Whoever runs on
/// one takes two for the same one twice.)
pub fn switch(between: Between, cores: usize) -> io::Result<Turn> {
    let allowed = processors()?;
    let Some(&other) = allowed.get(cores - 1) else {
        let why = format!("only {} of {cores} processors may be used", allowed.len());
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    };
    stay_on(&allowed[..1])?;
    match between {
        Between::Processes => processes(10_000, other),
        Between::Threads => threads(10_000, other),
        Between::Condvar => condvar(10_000, other),
        Between::Alone => alone(100_000),
        Between::Machines => machines(1_000_000),
        Between::Call => call(1_000_000),
    }
}

/// The clock and the counts of one who asks.
struct Meter {
    start: Instant,
    before: Switches,
}

impl Meter {
    fn start() -> io::Result<Self> {
        Ok(Self { before: Switches::mine()?, start: Instant::now() })
    }

    /// The cost of each of `turns`; `others` are the switches of the other one.
    fn stop(
        self,
        turns: u32,
        others: impl FnOnce() -> io::Result<Switches>,
    ) -> io::Result<Turn> {
        let ns = self.start.elapsed().as_secs_f64() * 1e9;
        let switches = Switches::mine()?.since(self.before).and(others()?);
        let turns = f64::from(turns);
        Ok(Turn {
            ns: ns / turns,
            voluntary: switches.voluntary as f64 / turns,
            involuntary: switches.involuntary as f64 / turns,
        })
    }
}

fn nobody() -> io::Result<Switches> {
    Ok(Switches::default())
}

// ANCHOR: ask
/// Writes a byte and waits for one, again and again.
fn ask(turns: u32, to: &mut PipeWriter, from: &mut PipeReader) -> io::Result<()> {
    for _ in 0..turns {
        to.write_all(b"?")?;
        from.read_exact(&mut [0])?;
    }
    Ok(())
}

/// Waits for a byte and writes one.
fn answer(turns: u32, from: &mut PipeReader, to: &mut PipeWriter) -> io::Result<()> {
    for _ in 0..turns {
        from.read_exact(&mut [0])?;
        to.write_all(b"!")?;
    }
    Ok(())
}
// ANCHOR_END: ask

fn processes(turns: u32, other: usize) -> io::Result<Turn> {
    let (mut questions, mut question) = io::pipe()?;
    let (mut answers, mut reply) = io::pipe()?;
    match fork()? {
        ForkResult::Child => {
            // Or we would wait for a parent that has failed.
            drop((question, answers));
            let served =
                stay_on(&[other]).and_then(|()| answer(turns, &mut questions, &mut reply));
            leave(i32::from(served.is_err()))
        }
        ForkResult::Parent { child } => {
            drop((questions, reply));
            let meter = Meter::start()?;
            ask(turns, &mut question, &mut answers)?;
            meter.stop(turns, || {
                let before = Switches::of_children()?;
                wait_for(child)?;
                Ok(Switches::of_children()?.since(before))
            })
        }
    }
}

fn threads(turns: u32, other: usize) -> io::Result<Turn> {
    let (mut questions, mut question) = io::pipe()?;
    let (mut answers, mut reply) = io::pipe()?;
    let serve = move || {
        stay_on(&[other])?;
        answer(turns, &mut questions, &mut reply)?;
        Switches::mine()
    };
    let thread = thread::spawn(serve);
    let meter = Meter::start()?;
    ask(turns, &mut question, &mut answers)?;
    meter.stop(turns, || thread.join().expect("it does not panic"))
}

/// Whose turn it is.
struct Turns {
    whose: Mutex<bool>,
    changed: Condvar,
}

impl Turns {
    // ANCHOR: condvar
    /// Waits until it is the turn of the one called `me`, and hands it to the other.
    fn take(&self, me: bool) {
        let turn = self.whose.lock().expect("nobody panics");
        let mut turn =
            self.changed.wait_while(turn, |whose| *whose != me).expect("nobody panics");
        *turn = !me;
        drop(turn); // before the other is woken, or it would run into the lock
        self.changed.notify_one();
    }
    // ANCHOR_END: condvar
}

fn condvar(turns: u32, other: usize) -> io::Result<Turn> {
    let table = Turns { whose: Mutex::new(true), changed: Condvar::new() };
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            stay_on(&[other])?;
            (0..turns).for_each(|_| table.take(false));
            Switches::mine()
        });
        let meter = Meter::start()?;
        (0..turns).for_each(|_| table.take(true));
        meter.stop(turns, || thread.join().expect("it does not panic"))
    })
}

// ANCHOR: alone
/// The same four calls for each turn, and nobody else to do two of them.
fn alone(turns: u32) -> io::Result<Turn> {
    let (mut questions, mut question) = io::pipe()?;
    let (mut answers, mut reply) = io::pipe()?;
    let meter = Meter::start()?;
    for _ in 0..turns {
        question.write_all(b"?")?;
        answer(1, &mut questions, &mut reply)?;
        answers.read_exact(&mut [0])?;
    }
    meter.stop(turns, nobody)
}
// ANCHOR_END: alone

// ANCHOR: client
/// What has become of a client, as an event loop remembers it.
#[derive(Clone, Copy)]
enum Client {
    Asks { served: u64 },
    IsAnswered { served: u64 },
}

impl Client {
    /// Goes on where it had stopped, as far as it can without waiting.
    #[inline(never)]
    fn step(&mut self) {
        *self = match *self {
            Self::Asks { served } => Self::IsAnswered { served },
            Self::IsAnswered { served } => Self::Asks { served: served + 1 },
        };
    }
}
// ANCHOR_END: client

// ANCHOR: machines
fn machines(turns: u32) -> io::Result<Turn> {
    let mut clients = [Client::Asks { served: 0 }; 2];
    let mut ready = VecDeque::from([0, 1]);
    let meter = Meter::start()?;
    for _ in 0..2 * turns {
        let who = ready.pop_front().expect("somebody is always ready");
        black_box(&mut clients)[who].step();
        ready.push_back(who);
    }
    meter.stop(turns, nobody)
}
// ANCHOR_END: machines

#[inline(never)]
fn one_more(number: u64) -> u64 {
    black_box(number) + 1
}

fn call(turns: u32) -> io::Result<Turn> {
    let mut number = 0;
    let meter = Meter::start()?;
    for _ in 0..2 * turns {
        number = one_more(number);
    }
    black_box(number);
    meter.stop(turns, nobody)
}
