//! A process for each connection, and a pool of processes.

use std::io;
use std::process::exit;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};
use rustix::process::set_parent_process_death_signal;

use crate::fault::Fault;
use crate::serve::{House, Next, TICK};

/// How many processes for one connection each there may be at a time.
const AT_MOST: usize = 64;
/// How many there are in the pool.
const WORKERS: usize = 4;
/// How soon after its start a worker may be replaced.
const PAUSE: Duration = Duration::from_millis(100);

/// Starts a process for each connection.
pub fn one_each(house: &House) -> io::Result<()> {
    let mut children: Vec<Pid> = Vec::new();
    loop {
        if house.fault != Some(Fault::LeavesZombies) {
            children.retain(|child| lives(*child));
            if children.len() >= AT_MOST {
                thread::sleep(TICK);
                continue;
            }
        }
        match house.next()? {
            Next::Client(stream) => loop {
                match fork() {
                    Ok(ForkResult::Child) => {
                        tie(house);
                        house.serve(stream);
                        exit(0);
                    }
                    Ok(ForkResult::Parent { child }) => children.push(child),
                    Err(error) if house.fault == Some(Fault::DiesOfFork) => {
                        return Err(error.into());
                    }
                    Err(error) if house.fault == Some(Fault::ForksAgain) => {
                        eprintln!("fork: {error}");
                        continue;
                    }
                    Err(_) => {}
                }
                break;
            },
            Next::Nobody => {}
            Next::End => break,
        }
    }
    finish(house, children);
    Ok(())
}

/// Keeps a pool of processes, each of which serves one connection after another.
pub fn pool(house: &House) -> io::Result<()> {
    let mut places: [Option<(Pid, Instant)>; WORKERS] = [None; WORKERS];
    let mut seen = 0;
    while !house.stop.came() {
        for place in &mut places {
            let (there, lately) = match place {
                Some((pid, start)) => (lives(*pid), start.elapsed() < PAUSE),
                None => (false, false),
            };
            let replace = match house.fault {
                Some(Fault::NeverReplaces) => seen < WORKERS,
                Some(Fault::ReplacesAtOnce) => true,
                _ => !lately,
            };
            if there || !replace {
                continue;
            }
            match fork() {
                Ok(ForkResult::Child) => {
                    tie(house);
                    exit(i32::from(work(house).is_err()));
                }
                Ok(ForkResult::Parent { child }) => {
                    *place = Some((child, Instant::now()));
                    seen += 1;
                }
                Err(_) => thread::sleep(PAUSE),
            }
        }
        thread::sleep(TICK);
    }
    finish(house, places.iter().flatten().map(|(pid, _)| *pid).collect());
    Ok(())
}

/// One worker.
fn work(house: &House) -> io::Result<()> {
    loop {
        match house.next()? {
            Next::Client(stream) if house.fault == Some(Fault::TakesAhead) => {
                let (mut taken, until) = (vec![stream], Instant::now() + PAUSE);
                while taken.len() < 3 && Instant::now() < until {
                    if let Next::Client(stream) = house.next()? {
                        taken.push(stream);
                    }
                }
                taken.into_iter().for_each(|stream| house.serve(stream));
            }
            Next::Client(stream) => house.serve(stream),
            Next::Nobody => {}
            Next::End => return Ok(()),
        }
    }
}

/// Tells the children to end, and waits until they have, or the grace has passed.
fn finish(house: &House, mut children: Vec<Pid>) {
    let until = Instant::now() + house.grace;
    for child in &children {
        // It may have ended.
        let _ = kill(*child, Signal::SIGTERM);
    }
    while !children.is_empty() && Instant::now() < until {
        children.retain(|child| lives(*child));
        thread::sleep(TICK);
    }
    for child in children {
        let _ = kill(child, Signal::SIGKILL).and_then(|()| waitpid(child, None));
    }
}

/// The child ends when the first process does.
fn tie(house: &House) {
    if house.fault != Some(Fault::Orphans) {
        // A child that is not tied is caught by row 17.
        let _ = set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    }
}

/// Whether a child is there still; if not, it has been waited for.
fn lives(child: Pid) -> bool {
    matches!(waitpid(child, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive))
}

#[expect(unsafe_code, reason = "only the caller can know that it has one thread")]
fn fork() -> Result<ForkResult, Errno> {
    // SAFETY: fork copies the calling thread and no other. With processes there is none: the
    // copy of all memory is whole, and the child's own.
    unsafe { nix::unistd::fork() }
}
