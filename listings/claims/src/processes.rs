//! What a fork copies and shares, and how processes end.

use crate::Claim;
use crate::Kernels::All;
#[cfg(target_os = "linux")]
use crate::kit::*;

/// The claims of this file.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "child-of-fork-has-one-thread",
        sentence: "The child of a fork(2) has one thread, however many its parent has.",
        chapter: "the-application.md",
        kernels: All,
        source: "fork(2)",
        counter: "the parent is asked",
        check: linux!(|case| {
            let sleepers =
                [asleep(|| thread::sleep(ms(LONG)))?, asleep(|| thread::sleep(ms(LONG)))?];
            let threads = || fs::read_dir("/proc/self/task").map_or(99, Iterator::count);
            let number = match case {
                Case::Claimed => {
                    child(|| i32::try_from(threads()).unwrap_or(99))?.code()?
                }
                Case::Counter => i32::try_from(threads())?,
            };
            let of = 1 + sleepers.len();
            seen(number == 1, format!("{number}; the parent has {of}"))
        }),
    },
    Claim {
        id: "fork-copies-memory",
        sentence: "What a child writes to its memory after fork(2), the parent does not \
            see.",
        chapter: "forking.md",
        kernels: All,
        source: "fork(2)",
        counter: "the memory was mapped with MAP_SHARED",
        check: linux!(|case| {
            let memory = Memory::new(4096, case.pick(Kind::Private, Kind::Shared))?;
            memory.write(1, 1);
            child(|| {
                memory.write(1, 42);
                0
            })?
            .code()?;
            let number = memory.read(1);
            seen(
                number == 1,
                format!("it was 1, the child wrote 42, the parent reads {number}"),
            )
        }),
    },
    Claim {
        id: "zombie-until-asked",
        sentence: "A child that has ended is a zombie until its parent has asked how it \
            ended; SIGKILL does not remove it.",
        chapter: "forking.md",
        kernels: All,
        source: "wait(2), Notes",
        counter: "the parent ignores SIGCHLD",
        check: linux!(|case| {
            if case.is_counter() {
                raw::ignore(Signal::SIGCHLD);
            }
            let id = raw::fork(|| 0)?;
            until_in('Z', id);
            let _ = kill(id, Signal::SIGKILL);
            let before = state(id);
            let _ = waitpid(id, None);
            let after = state(id);
            seen(
                before == Some('Z') && after.is_none(),
                format!("state before: {before:?}; after: {after:?}"),
            )
        }),
    },
    Claim {
        id: "orphans-go-to-the-subreaper",
        sentence: "A child whose parent has ended goes to the nearest ancestor that \
            asked for it with PR_SET_CHILD_SUBREAPER.",
        chapter: "forking.md",
        kernels: All,
        source: "PR_SET_CHILD_SUBREAPER(2const), since Linux 3.4",
        counter: "nobody has asked: it goes to process 1, or to another that has",
        check: linux!(|case| {
            nix::sys::prctl::set_child_subreaper(!case.is_counter())?;
            let (reader, writer) = pipe()?;
            child(|| {
                let parent = getpid();
                let orphan = || {
                    let begun = Instant::now();
                    while getppid() == parent && begun.elapsed() < ms(LONG) {
                        thread::sleep(ms(2));
                    }
                    let _ = write(&writer, &getppid().as_raw().to_ne_bytes());
                    0
                };
                i32::from(raw::fork(orphan).is_err())
            })?
            .code()?;
            let mut bytes = [0; 4];
            read(&reader, &mut bytes)?;
            let (parent, ours) = (i32::from_ne_bytes(bytes), getpid().as_raw());
            either(
                parent == ours,
                "it has gone to its grandparent",
                "it has gone to another",
            )
        }),
    },
    Claim {
        id: "alarm-is-not-inherited",
        sentence: "The child of a fork(2) does not inherit a pending alarm.",
        chapter: "forking.md",
        kernels: All,
        source: "fork(2); alarm(2)",
        counter: "the parent is asked",
        check: linux!(|case| {
            use nix::unistd::alarm;
            alarm::set(100);
            let left = || i32::try_from(alarm::cancel().unwrap_or(0)).unwrap_or(0);
            let left = match case {
                Case::Claimed => child(left)?.code()?,
                Case::Counter => left(),
            };
            seen(left == 0, format!("{left} s are left of 100"))
        }),
    },
    Claim {
        id: "pending-signals-are-not-inherited",
        sentence: "The child of a fork(2) does not inherit pending signals.",
        chapter: "forking.md",
        kernels: All,
        source: "fork(2); signal(7)",
        counter: "the parent is asked",
        check: linux!(|case| {
            SigSet::from(Signal::SIGUSR1).thread_block()?;
            kill(getpid(), Signal::SIGUSR1)?;
            let pending = || i32::from(is_pending(Signal::SIGUSR1, getpid()));
            let number = match case {
                Case::Claimed => child(pending)?.code()?,
                Case::Counter => pending(),
            };
            seen(number == 0, format!("{number} pending"))
        }),
    },
    Claim {
        id: "record-locks-are-not-inherited",
        sentence: "The child of a fork(2) does not inherit the record locks of fcntl(2).",
        chapter: "forking.md",
        kernels: All,
        source: "fork(2); F_SETLK(2const)",
        counter: "a lock of flock(2), which belongs to the open file description",
        check: linux!(|case| {
            use std::os::unix::fs::OpenOptionsExt;
            let folder = Folder::new()?;
            let path = folder.path.join("locked");
            let file = File::options()
                .read(true)
                .write(true)
                .mode(0o600)
                .create_new(true)
                .open(&path)?;
            let lock = libc::flock {
                l_type: libc::F_WRLCK as libc::c_short,
                l_whence: libc::SEEK_SET as libc::c_short,
                l_start: 0,
                l_len: 0,
                l_pid: 0,
            };
            match case {
                Case::Claimed => drop(fcntl(&file, FcntlArg::F_SETLK(&lock))?),
                Case::Counter => file.lock()?,
            }
            let child = child(|| match case {
                Case::Claimed => i32::from(fcntl(&file, FcntlArg::F_SETLK(&lock)).is_err()),
                Case::Counter => i32::from(file.try_lock().is_err()),
            })?;
            let refused = child.code()? == 1;
            either(refused, "the child is refused it", "the child has it, too")
        }),
    },
    Claim {
        id: "wnohang-does-not-wait",
        sentence: "waitpid(2) with WNOHANG returns at once when no child has ended.",
        chapter: "forking.md",
        kernels: All,
        source: "waitpid(2), WNOHANG",
        counter: "without WNOHANG",
        check: linux!(|case| {
            let child = child(|| {
                thread::sleep(ms(MOMENT));
                0
            })?;
            let flags = case.pick(Some(WaitPidFlag::WNOHANG), None);
            let status = waitpid(child.0, flags)?;
            seen(status == WaitStatus::StillAlive, format!("{status:?}"))
        }),
    },
    Claim {
        id: "fork-at-the-limit-is-eagain",
        sentence: "fork(2) fails with EAGAIN when the user has as many processes as \
            RLIMIT_NPROC allows.",
        chapter: "forking.md",
        kernels: All,
        source: "fork(2), EAGAIN; getrlimit(2), RLIMIT_NPROC, which is not enforced for \
            root",
        counter: "the limit is out of reach",
        check: linux!(|case| {
            no_longer_root()?;
            let (_, hard) = getrlimit(Resource::RLIMIT_NPROC)?;
            let soft = case.pick(1.min(hard), hard);
            setrlimit(Resource::RLIMIT_NPROC, soft, hard)?;
            let result = child(|| 0).map(drop);
            seen(result == Err(Errno::EAGAIN), word(result))
        }),
    },
    Claim {
        id: "parent-death-signal",
        sentence: "With PR_SET_PDEATHSIG a child is sent a signal when its parent ends, \
            however that ends.",
        chapter: "preforked.md",
        kernels: All,
        source: "PR_SET_PDEATHSIG(2const)",
        counter: "without it",
        check: linux!(|case| {
            nix::sys::prctl::set_child_subreaper(true)?;
            let (reader, writer) = pipe()?;
            let parent = child(|| {
                let grandchild = || {
                    let signal = case.pick(Some(Signal::SIGKILL), None);
                    let _ = nix::sys::prctl::set_pdeathsig(signal);
                    let _ = write(&writer, b"!");
                    loop {
                        nix::unistd::pause();
                    }
                };
                let _ = raw::fork(grandchild);
                loop {
                    nix::unistd::pause();
                }
            })?;
            drop(writer);
            read(&reader, &mut [0; 1])?;
            drop(parent); // SIGKILL
            let ended = readable(&reader, case.pick(LONG, MOMENT));
            end_everybody();
            either(ended, "the child has ended, too", "the child lives")
        }),
    },
    Claim {
        id: "parent-death-signal-comes-once",
        sentence: "When the parent has ended before PR_SET_PDEATHSIG was said, no signal \
            comes.",
        chapter: "preforked.md",
        kernels: All,
        source: "PR_SET_PDEATHSIG(2const)",
        counter: "the parent ends afterwards",
        check: linux!(|case| {
            nix::sys::prctl::set_child_subreaper(true)?;
            let (reader, writer) = pipe()?;
            let parent = child(|| {
                let parent = getpid();
                let grandchild = || {
                    while !case.is_counter() && getppid() == parent {
                        thread::sleep(ms(2));
                    }
                    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
                    let _ = write(&writer, b"!");
                    loop {
                        nix::unistd::pause();
                    }
                };
                let _ = raw::fork(grandchild);
                thread::sleep(ms(case.pick(0, LONG)));
                0
            })?;
            drop(writer);
            read(&reader, &mut [0; 1])?;
            drop(parent);
            let ended = readable(&reader, MOMENT);
            end_everybody();
            either(!ended, "the child lives", "the child has ended, too")
        }),
    },
];

/// Kills all children that this process has inherited.
#[cfg(target_os = "linux")]
fn end_everybody() {
    let path = format!("/proc/self/task/{}/children", getpid());
    for id in fs::read_to_string(path).unwrap_or_default().split_whitespace() {
        if let Ok(id) = id.parse() {
            drop(Child(Pid::from_raw(id)));
        }
    }
}
