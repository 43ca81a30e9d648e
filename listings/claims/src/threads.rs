//! What threads share, and who is meant when the process is.

use crate::Claim;
use crate::Kernels::All;
#[cfg(target_os = "linux")]
use crate::kit::*;

/// The claims of this file.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "threads-share-descriptors",
        sentence: "A descriptor that one thread closes is closed for all threads.",
        chapter: "threaded.md",
        kernels: All,
        source: "pthreads(7); clone(2), CLONE_FILES",
        counter: "a child process closes it",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            let number = reader.as_raw_fd();
            let close = move || i32::from(nix::unistd::close(number).is_err());
            let failed = match case {
                Case::Claimed => thread::spawn(close).join().unwrap_or(1),
                Case::Counter => child(close)?.code()?,
            };
            if failed != 0 {
                return cannot("it could not be closed");
            }
            let flags = fcntl(&reader, FcntlArg::F_GETFD);
            std::mem::forget(reader);
            seen(flags == Err(Errno::EBADF), format!("fcntl(F_GETFD): {}", word(flags)))
        }),
    },
    Claim {
        id: "threads-share-memory",
        sentence: "What one thread writes to memory, the others see.",
        chapter: "threaded.md",
        kernels: All,
        source: "pthreads(7); clone(2), CLONE_VM",
        counter: "a child process writes it",
        check: linux!(|case| {
            let memory = Memory::new(4096, Kind::Private)?;
            memory.write(1, 1);
            match case {
                Case::Claimed => {
                    thread::scope(|scope| drop(scope.spawn(|| memory.write(1, 42)).join()))
                }
                Case::Counter => {
                    child(|| {
                        memory.write(1, 42);
                        0
                    })?
                    .code()?;
                }
            }
            let number = memory.read(1);
            seen(number == 42, format!("it was 1, 42 was written, and we read {number}"))
        }),
    },
    Claim {
        id: "one-wait-leaves-the-others",
        sentence: "While one thread waits in the kernel, the others go on.",
        chapter: "threaded.md",
        kernels: All,
        source: "pthreads(7)",
        counter: "the process is stopped by SIGSTOP, which is for all of its threads",
        check: linux!(|case| {
            let memory = Memory::new(4096, Kind::Shared)?;
            let process = child(|| {
                let Ok((reader, _writer)) = pipe() else { return 1 };
                let Ok(_sleeper) = asleep(move || read(&reader, &mut [0; 1])) else {
                    return 1;
                };
                loop {
                    memory.write(1, memory.read(1) as u8 % 200 + 1);
                    thread::sleep(ms(1));
                }
            })?;
            let begun = Instant::now();
            while memory.read(1) == 0 && begun.elapsed() < ms(LONG) {
                thread::sleep(ms(1));
            }
            if case.is_counter() {
                kill(process.0, Signal::SIGSTOP)?;
                until_in('T', process.0);
            }
            let before = memory.read(1);
            thread::sleep(ms(MOMENT));
            let after = memory.read(1);
            either(
                before != after,
                "the other thread counts",
                "the other thread stands still",
            )
        }),
    },
    Claim {
        id: "close-wakes-nobody",
        sentence: "close(2) does not wake another thread that sleeps in recv(2) on the \
            same descriptor; shutdown(2) does.",
        chapter: "threaded.md",
        kernels: All,
        source: "close(2), Multithreaded processes and close()",
        counter: "shutdown(2)",
        check: linux!(|case| {
            let (_client, server) = connection()?;
            let number = server.as_raw_fd();
            let sleeper =
                asleep(move || socket::recv(number, &mut [0; 64], MsgFlags::empty()))?;
            match case {
                Case::Claimed => drop(server),
                Case::Counter => server.shutdown(Shutdown::Both)?,
            }
            let result = sleeper.wakes(case.pick(MOMENT, LONG));
            seen(result.is_none(), result.map_or("it sleeps on".to_owned(), word))
        }),
    },
    Claim {
        id: "one-crash-ends-all-threads",
        sentence: "A signal that ends a thread, as a bad memory access does, ends the \
            whole process.",
        chapter: "threaded.md",
        kernels: All,
        source: "signal(7): the default action is performed for the process",
        counter: "a panic, which ends a thread of Rust only",
        check: linux!(|case| {
            let end = child(|| {
                std::panic::set_hook(Box::new(|_| {}));
                let thread = thread::spawn(move || match case {
                    Case::Claimed => raw::crash(),
                    Case::Counter => panic!("as asked"),
                });
                i32::from(thread.join().is_ok())
            })?
            .end()?;
            let killed = matches!(end, WaitStatus::Signaled(_, Signal::SIGSEGV, _));
            either(killed, "the process was killed by SIGSEGV", "the process went on")
        }),
    },
    Claim {
        id: "exit-ends-all-threads",
        sentence: "When a program's main function returns, the process ends with all \
            threads, whatever they wait for.",
        chapter: "threaded.md",
        kernels: All,
        source: "exit_group(2)",
        counter: "the main thread alone ends, by _exit(2) of that thread",
        check: linux!(|case| {
            let ((reader, writer), (begun, begins)) = (pipe()?, pipe()?);
            let process = child(|| {
                let sleeper = asleep(move || {
                    thread::sleep(ms(LONG));
                    drop(writer);
                });
                send(&begins, if sleeper.is_ok() { b"!" } else { b"?" });
                if case.is_counter() {
                    raw::end_this_thread();
                }
                0 // as main would: exit_group
            })?;
            let mut said = [0];
            read(&begun, &mut said)?;
            if said != *b"!" {
                return cannot("its thread does not sleep");
            }
            let ended = readable(&reader, case.pick(LONG / 2, MOMENT));
            drop(process);
            either(ended, "all have ended", "a thread lives on")
        }),
    },
    Claim {
        id: "process-signal-reaches-one-thread",
        sentence: "A signal that is sent to a process is handled once, by one of its \
            threads.",
        chapter: "threaded.md",
        kernels: All,
        source: "signal(7), Signal mask and pending signals; kill(2)",
        counter: "it is sent to each thread, by tgkill(2)",
        check: linux!(|case| {
            raw::count(Signal::SIGUSR1, SaFlags::SA_RESTART);
            let sleep = || asleep(|| thread::sleep(ms(LONG)));
            let sleepers = [sleep()?, sleep()?, sleep()?];
            match case {
                Case::Claimed => kill(getpid(), Signal::SIGUSR1)?,
                Case::Counter => {
                    for sleeper in &sleepers {
                        raw::signal_thread(sleeper.id, Signal::SIGUSR1)?;
                    }
                }
            }
            until(|| raw::HANDLED.load(SeqCst) > 0);
            thread::sleep(ms(MOMENT));
            let handled = raw::HANDLED.load(SeqCst);
            seen(handled == 1, format!("4 threads, handled {}", times(handled)))
        }),
    },
    Claim {
        id: "signal-goes-to-who-has-not-blocked-it",
        sentence: "A signal that is sent to a process goes to a thread that has not \
            blocked it.",
        chapter: "threaded.md",
        kernels: All,
        source: "signal(7), Signal mask and pending signals",
        counter: "all threads have blocked it: it stays pending",
        check: linux!(|case| {
            raw::count(Signal::SIGUSR1, SaFlags::empty());
            let set = SigSet::from(Signal::SIGUSR1);
            set.thread_block()?; // and so have those who are made now
            let sleep = |open: bool| {
                asleep(move || {
                    if open {
                        let _ = set.thread_unblock();
                    }
                    thread::sleep(ms(LONG));
                })
            };
            let sleepers = [sleep(false)?, sleep(!case.is_counter())?, sleep(false)?];
            kill(getpid(), Signal::SIGUSR1)?;
            until(|| case.is_counter() || raw::HANDLED.load(SeqCst) > 0);
            thread::sleep(ms(MOMENT));
            let by = raw::HANDLED_BY.load(SeqCst);
            let words = match by {
                0 => "handled by none",
                id if id == sleepers[1].id.as_raw() => "handled by the one",
                _ => "handled by another",
            };
            seen(by == sleepers[1].id.as_raw(), words)
        }),
    },
    Claim {
        id: "new-thread-inherits-the-mask",
        sentence: "A new thread has the signal mask of the thread that made it.",
        chapter: "prethreaded.md",
        kernels: All,
        source: "pthread_sigmask(3); pthread_create(3)",
        counter: "it was made before the signal was blocked",
        check: linux!(|case| {
            let sleep = || asleep(|| thread::sleep(ms(LONG)));
            let before = sleep()?;
            SigSet::from(Signal::SIGUSR1).thread_block()?;
            let after = sleep()?;
            let id = case.pick(after.id, before.id);
            let status = fs::read_to_string(format!("/proc/self/task/{id}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
            let mask = u64::from_str_radix(line.unwrap_or_default().trim(), 16)?;
            let blocked = mask & 1 << (Signal::SIGUSR1 as i32 - 1) != 0;
            either(blocked, "it has blocked it", "it has not blocked it")
        }),
    },
    Claim {
        id: "stacks-are-resident-as-far-as-touched",
        sentence: "The stack of a thread takes memory as far as it was touched, whatever \
            its size.",
        chapter: "threaded.md",
        kernels: All,
        source: "mmap(2); proc_pid_status(5), VmRSS; std::thread: 2 MiB",
        counter: "each thread writes to half a MiB of it",
        check: linux!(|case| {
            // Before kernel commit c4608d1bf7c6 a stack that lies so may be one huge page.
            nix::sys::prctl::set_thp_disable(true)?;
            let before = resident_kib()?;
            let sleep = || {
                asleep(move || {
                    if case.is_counter() {
                        touch_stack();
                    }
                    thread::sleep(ms(LONG));
                })
            };
            let sleepers = (0..16).map(|_| sleep()).collect::<Result<Vec<_>, _>>()?;
            let each = resident_kib()?.saturating_sub(before) / sleepers.len() as u64;
            seen(each < 200, format!("{each} KiB resident for each thread"))
        }),
    },
    Claim {
        id: "threads-count-as-processes",
        sentence: "Threads count against RLIMIT_NPROC: one too many, and clone(2) fails \
            with EAGAIN.",
        chapter: "threaded.md",
        kernels: All,
        source: "pthread_create(3), EAGAIN; getrlimit(2), RLIMIT_NPROC",
        counter: "the limit is out of reach",
        check: linux!(|case| {
            no_longer_root()?;
            let (_, hard) = getrlimit(Resource::RLIMIT_NPROC)?;
            setrlimit(Resource::RLIMIT_NPROC, case.pick(1.min(hard), hard), hard)?;
            let result = thread::Builder::new().spawn(|| ()).map(drop);
            let error = result.map_err(|error| errno(&error));
            seen(error == Err(Errno::EAGAIN), word(error))
        }),
    },
    Claim {
        id: "thread-usage-is-its-own",
        sentence: "getrusage(2) with RUSAGE_THREAD counts what the calling thread did, \
            and no other.",
        chapter: "clone-cost.md",
        kernels: All,
        source: "getrusage(2), RUSAGE_THREAD",
        counter: "with RUSAGE_SELF, which is for the process",
        check: linux!(|case| {
            let who = case.pick(UsageWho::RUSAGE_THREAD, UsageWho::RUSAGE_SELF);
            let before = counts_of(who);
            let busy = thread::spawn(|| {
                let before = counts();
                while counts().cpu - before.cpu < ms(400) {
                    std::hint::spin_loop();
                }
            });
            let _ = busy.join();
            let cpu = counts_of(who).cpu - before.cpu;
            let own = cpu < ms(200);
            either(
                own,
                "another thread's work is not counted",
                "another thread's work is counted",
            )
        }),
    },
    Claim {
        id: "contended-lock-is-a-futex-wait",
        sentence: "A thread that waits for a lock that another holds sleeps, in futex(2).",
        chapter: "threaded.md",
        kernels: All,
        source: "futex(2); proc_pid_syscall(5)",
        counter: "the lock is a loop around an atomic",
        check: linux!(|case| {
            use std::sync::{Arc, Mutex, mpsc};
            let lock = Arc::new(Mutex::new(()));
            let _held = lock.lock();
            let other = Arc::clone(&lock);
            let (say, said) = mpsc::channel();
            thread::spawn(move || {
                let _ = say.send(nix::unistd::gettid());
                while case.is_counter() && other.try_lock().is_err() {}
                drop(other.lock());
            });
            let id = said.recv()?;
            until_in(case.pick('S', 'R'), id);
            let call = fs::read_to_string(format!("/proc/self/task/{id}/syscall"))?;
            let number = call.split_whitespace().next().unwrap_or_default();
            let in_futex = number.parse() == Ok(libc::SYS_futex);
            seen(in_futex, format!("/proc/PID/syscall begins with {number}"))
        }),
    },
];

/// How much memory of this process is resident, in KiB.
#[cfg(target_os = "linux")]
fn resident_kib() -> Result<u64, Cannot> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let words = line.unwrap_or_default().split_whitespace().next();
    Ok(words.unwrap_or_default().parse()?)
}

/// Writes to half a MiB of the stack, which stays resident.
#[cfg(target_os = "linux")]
#[inline(never)]
fn touch_stack() {
    std::hint::black_box([1_u8; 512 << 10]);
}
