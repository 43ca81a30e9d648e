//! The calls, prepared, and timed one at a time.

use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr::null_mut;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{
    FdSetElement, PollFd, PollFlags, fd_set_insert, fd_set_num_elements, poll,
};

use crate::data::{Call, Cell, Data, Environment, Kind, Spread};
use crate::idle::{Idle, at_most};

/// The numbers of idle descriptors.
const POINTS: [usize; 8] = [10, 30, 100, 300, 1000, 3000, 10_000, 15_000];
/// For how long a call is repeated, in one round.
const BUDGET: Duration = Duration::from_millis(25);
/// At least, whatever the budget says; and as many before, which do not count.
const FEWEST: usize = 11;

/// Measures everything, `rounds` times over, with up to so many descriptors. What is
/// compared takes turns: a moment in which the machine was busy hurts all of them.
pub fn measure(up_to: usize, rounds: usize) -> io::Result<Data> {
    let possible = at_most()?;
    let points: Vec<usize> =
        POINTS.into_iter().filter(|point| *point <= up_to.min(possible)).collect();
    if points.is_empty() {
        return Err(io::Error::other(format!(
            "at least 10 idle descriptors are needed, and there may be {possible}; raise ulimit -Hn and --up-to"
        )));
    }
    if possible < up_to {
        eprintln!(
            "idle-cost: this process may have {possible} idle descriptors, not {up_to}; ulimit -Hn is the limit"
        );
    }
    let environment = Environment::of_this_machine();
    let mut cells: Vec<(Cell, Vec<f64>)> = Vec::new();
    for round in 0..rounds {
        let mut next = 0;
        for kind in Kind::ALL {
            let idle = Idle::open(kind, &points)?;
            for &number in &points {
                let descriptors = idle.first(number);
                for call in Call::for_these(&descriptors) {
                    let took = repeat(&mut *prepare(call, &descriptors)?, &idle)?;
                    if round == 0 {
                        let cell = Cell { kind, call, idle: number, us: Spread::default() };
                        cells.push((cell, Vec::new()));
                    }
                    cells[next].1.push(took.as_secs_f64() * 1e6);
                    next += 1;
                }
            }
        }
    }
    let cells = cells
        .into_iter()
        .map(|(cell, medians)| Cell { us: Spread::of(medians), ..cell })
        .collect();
    Ok(Data { environment, rounds, cells })
}

// ANCHOR: repeat
/// Makes the call again and again, each time for something that has arrived a moment
/// before, and returns the median of what a call took.
fn repeat(
    call: &mut dyn FnMut() -> io::Result<usize>,
    idle: &Idle,
) -> io::Result<Duration> {
    let mut took = Vec::new();
    let (start, mut calls) = (Instant::now(), 0);
    while calls < 2 * FEWEST || start.elapsed() < BUDGET {
        idle.wake()?;
        let before = Instant::now();
        let ready = call()?;
        let after = Instant::now();
        idle.fetch()?;
        if ready != 1 {
            return Err(io::Error::other(format!(
                "{ready} descriptors were ready, not one"
            )));
        }
        calls += 1;
        if calls > FEWEST {
            took.push(after - before);
        }
    }
    took.sort_unstable();
    Ok(took[took.len() / 2])
}
// ANCHOR_END: repeat

type Prepared<'a> = Box<dyn FnMut() -> io::Result<usize> + 'a>;

// ANCHOR: prepare
/// The call, with everything that can be done before it is made. What has to be done each
/// time anew is a part of it: select's set, which the kernel overwrites.
fn prepare<'a>(call: Call, descriptors: &[BorrowedFd<'a>]) -> io::Result<Prepared<'a>> {
    Ok(match call {
        Call::Select => {
            let (all, end) = set(descriptors);
            Box::new(move || c_select(end, all))
        }
        Call::RawSelect => {
            let (all, end) = long_set(descriptors);
            let mut set = all.clone();
            Box::new(move || {
                set.copy_from_slice(&all);
                raw_select(end, &mut set)
            })
        }
        Call::Poll => {
            let mut array: Vec<PollFd<'a>> = descriptors
                .iter()
                .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
                .collect();
            Box::new(move || Ok(poll(&mut array, None)?))
        }
        Call::Epoll => {
            let interest = epoll::create(epoll::CreateFlags::CLOEXEC)?;
            for (n, fd) in (0..).zip(descriptors) {
                epoll::add(&interest, fd, EventData::new_u64(n), EventFlags::IN)?;
            }
            let mut events = [MaybeUninit::uninit(); 64];
            Box::new(move || Ok(epoll::wait(&interest, &mut events[..], None)?.0.len()))
        }
    })
}
// ANCHOR_END: prepare

impl Call {
    /// The calls that can be asked about these descriptors. A thousand are given to both forms
    /// of select, which shows that they cost the same.
    fn for_these(descriptors: &[BorrowedFd<'_>]) -> impl Iterator<Item = Self> {
        let fits = end(descriptors) <= libc::FD_SETSIZE as RawFd;
        let is_long = descriptors.len() > 1000;
        [Self::Select, Self::RawSelect, Self::Poll, Self::Epoll].into_iter().filter(
            move |call| match call {
                Self::Select => fits,
                Self::RawSelect => is_long,
                Self::Poll | Self::Epoll => true,
            },
        )
    }
}

/// One more than the highest number among these.
fn end(descriptors: &[BorrowedFd<'_>]) -> RawFd {
    1 + descriptors.iter().map(AsRawFd::as_raw_fd).max().unwrap_or(-1)
}

/// A set of the C library, which ends at descriptor 1023.
#[expect(unsafe_code, reason = "fd_set has no safe constructor")]
fn set(descriptors: &[BorrowedFd<'_>]) -> (libc::fd_set, RawFd) {
    assert!(end(descriptors) <= libc::FD_SETSIZE as RawFd, "more than a set takes");
    // SAFETY: an fd_set is an array of integers, for which all zeroes is the empty set.
    let mut set: libc::fd_set = unsafe { zeroed() };
    for fd in descriptors {
        // SAFETY: the number is below FD_SETSIZE, as was asserted.
        unsafe { libc::FD_SET(fd.as_raw_fd(), &raw mut set) };
    }
    (set, end(descriptors))
}

#[expect(unsafe_code, reason = "a call of the C library")]
fn c_select(end: RawFd, mut set: libc::fd_set) -> io::Result<usize> {
    // SAFETY: the set is ours, and null stands for the sets and the time limit that are not
    // given.
    let ready =
        unsafe { libc::select(end, &raw mut set, null_mut(), null_mut(), null_mut()) };
    usize::try_from(ready).map_err(|_| io::Error::last_os_error())
}

/// A set as the kernel takes it: as many bits as are needed.
fn long_set(descriptors: &[BorrowedFd<'_>]) -> (Vec<FdSetElement>, RawFd) {
    let end = end(descriptors);
    let mut set =
        vec![FdSetElement::default(); fd_set_num_elements(descriptors.len(), end)];
    for fd in descriptors {
        fd_set_insert(&mut set, fd.as_raw_fd());
    }
    (set, end)
}

#[expect(unsafe_code, reason = "the numbers in a set are not known to be open")]
fn raw_select(end: RawFd, set: &mut [FdSetElement]) -> io::Result<usize> {
    // SAFETY: the set was made of descriptors that are borrowed for as long as this closure
    // lives.
    let ready = unsafe { rustix::event::select(end, Some(set), None, None, None) }?;
    Ok(usize::try_from(ready).expect("select counts upwards"))
}
