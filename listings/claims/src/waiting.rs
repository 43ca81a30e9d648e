//! Reads that wait, what the kernel counts meanwhile, and signals, which end a wait.

use crate::Claim;
use crate::Kernels::{All, Since};
#[cfg(target_os = "linux")]
use crate::kit::*;

/// The claims of this file.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "blocked-read-uses-no-processor",
        sentence: "A process that waits in read(2) uses next to no processor time.",
        chapter: "a-read-that-blocks.md",
        kernels: All,
        source: "read(2); getrusage(2), ru_utime and ru_stime",
        counter: "the pipe does not block, and the program asks again and again",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            nonblocking(&reader, case.is_counter())?;
            after(500, move || send(&writer, b"hello"));
            let (begun, before) = (Instant::now(), counts());
            while read(&reader, &mut [0; 64]) == Err(Errno::EAGAIN) {}
            let (waited, cpu) = (begun.elapsed(), counts().cpu - before.cpu);
            seen(cpu * 20 < waited, format!("{cpu:.1?} of processor time in {waited:.0?}"))
        }),
    },
    Claim {
        id: "waiting-is-a-voluntary-switch",
        sentence: "A read(2) that has to wait is counted as a voluntary context switch.",
        chapter: "a-read-that-blocks.md",
        kernels: All,
        source: "getrusage(2), ru_nvcsw",
        counter: "the bytes are there already",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            if case.is_counter() {
                write(&writer, b"hello")?;
            } else {
                after(MOMENT, move || send(&writer, b"hello"));
            }
            let before = counts();
            read(&reader, &mut [0; 64])?;
            let switches = counts().voluntary - before.voluntary;
            seen(switches > 0, format!("{switches} voluntary switches"))
        }),
    },
    Claim {
        id: "read-takes-what-is-there",
        sentence: "A read(2) of a pipe or a socket returns what is there, and does not \
            wait for its buffer to fill.",
        chapter: "a-read-that-blocks.md",
        kernels: All,
        source: "read(2), return value",
        counter: "recv(2) with MSG_WAITALL",
        check: linux!(|case| {
            let (ours, mut theirs) = UnixStream::pair()?;
            theirs.write_all(b"hello")?;
            after(MOMENT, move || send(&theirs, &[0; 59]));
            let flags = case.pick(MsgFlags::empty(), MsgFlags::MSG_WAITALL);
            let n = socket::recv(ours.as_raw_fd(), &mut [0; 64], flags)?;
            seen(n == 5, format!("{n} bytes of 64 asked for; 5 were there"))
        }),
    },
    Claim {
        id: "pipes-keep-no-boundaries",
        sentence: "What was written in two calls may be read in one: a stream has no \
            messages.",
        chapter: "a-read-that-blocks.md",
        kernels: All,
        source: "pipe(7)",
        counter: "a socket of type SOCK_SEQPACKET, which has",
        check: linux!(|case| {
            let kind = case.pick(SockType::Stream, SockType::SeqPacket);
            let flags = SockFlag::empty();
            let (reader, writer) =
                socket::socketpair(AddressFamily::Unix, kind, None, flags)?;
            write(&writer, b"hel")?;
            write(&writer, b"lo")?;
            let n = read(&reader, &mut [0; 64])?;
            seen(n == 5, format!("the first read returned {n} of 3 + 2 bytes"))
        }),
    },
    Claim {
        id: "end-of-pipe-is-zero",
        sentence: "read(2) of a pipe returns 0 when the last descriptor to write to it \
            is closed, and not before.",
        chapter: "a-read-that-blocks.md",
        kernels: All,
        source: "pipe(7), I/O on pipes and FIFOs",
        counter: "a duplicate is still open",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            let _other = case.is_counter().then(|| dup(&writer)).transpose()?;
            drop(writer);
            nonblocking(&reader, true)?;
            let result = read(&reader, &mut [0; 64]);
            seen(result == Ok(0), word(result))
        }),
    },
    Claim {
        id: "empty-and-nonblocking-is-eagain",
        sentence: "A non-blocking read of a pipe that is empty fails at once, with EAGAIN.",
        chapter: "a-read-that-blocks.md",
        kernels: All,
        source: "read(2), EAGAIN; fcntl(2), F_SETFL",
        counter: "the pipe is not empty",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            nonblocking(&reader, true)?;
            if case.is_counter() {
                write(&writer, b"hello")?;
            }
            let result = read(&reader, &mut [0; 64]);
            seen(result == Err(Errno::EAGAIN), word(result))
        }),
    },
    Claim {
        id: "sleeping-reader-is-in-state-s",
        sentence: "A process that waits in read(2) on a pipe is in state S, and \
            /proc/PID/syscall names the call.",
        chapter: "a-read-that-blocks.md",
        kernels: All,
        source: "proc_pid_stat(5); proc_pid_syscall(5)",
        counter: "it asks again and again",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            nonblocking(&reader, case.is_counter())?;
            let child = child(|| {
                while read(&reader, &mut [0; 64]) == Err(Errno::EAGAIN) {}
                0
            })?;
            let slept = until_in(case.pick('S', 'R'), child.0);
            let state = state(child.0).unwrap_or('?');
            let call = fs::read_to_string(format!("/proc/{}/syscall", child.0))?;
            let number = call.split_whitespace().next().unwrap_or_default();
            let is_read = number.parse() == Ok(libc::SYS_read);
            seen(slept && state == 'S' && is_read, format!("{state}, system call {number}"))
        }),
    },
    Claim {
        id: "pipe-readers-sleep-in-anon-pipe-read",
        sentence: "The kernel's function in which the reader of a pipe sleeps is \
            anon_pipe_read.",
        chapter: "a-read-that-blocks.md",
        kernels: Since { version: (6, 15), before: "it is pipe_read" },
        source: "proc_pid_wchan(5); fs/pipe.c",
        counter: "a socket in place of the pipe",
        check: linux!(|case| {
            let (pipe_end, _writer) = pipe()?;
            let (socket_end, _other) = UnixStream::pair()?;
            let reader = case.pick(pipe_end.as_fd(), socket_end.as_fd());
            let child = child(|| read(reader, &mut [0; 64]).map_or(1, |_| 0))?;
            if !until_in('S', child.0) {
                return cannot("the reader does not sleep");
            }
            let Some(place) = sleeps_in(child.0) else {
                return cannot("/proc/PID/wchan names no function here");
            };
            seen(place == "anon_pipe_read", place)
        }),
    },
    Claim {
        id: "signal-interrupts-a-wait",
        sentence: "A signal with a handler ends a wait in read(2) with EINTR, if the \
            handler was installed without SA_RESTART.",
        chapter: "a-read-that-blocks.md",
        kernels: All,
        source: "signal(7), Interruption of system calls by signal handlers",
        counter: "with SA_RESTART",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            raw::count(Signal::SIGALRM, case.pick(SaFlags::empty(), SaFlags::SA_RESTART));
            raw::alarm_after(100);
            let _end = child(|| {
                thread::sleep(ms(600));
                write(&writer, b"late").map_or(1, |_| 0)
            })?;
            let result = read(&reader, &mut [0; 64]);
            seen(result == Err(Errno::EINTR), word(result))
        }),
    },
    Claim {
        id: "state-d-ignores-signals",
        sentence: "To a process in uninterruptible sleep (state D) a signal that does \
            not kill does not get through.",
        chapter: "a-read-that-blocks.md",
        kernels: All,
        source: "proc_pid_stat(5), state; the kernel's wait_for_vfork_done. Tested on a \
            parent that waits in vfork(2), not on a disk",
        counter: "the parent waits in read(2), state S",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            raw::count(Signal::SIGUSR1, SaFlags::empty());
            let parent = getpid();
            let then = || {
                let slept = until_in(case.pick('D', 'S'), parent);
                let sent = kill(parent, Signal::SIGUSR1);
                thread::sleep(ms(100));
                let told = [slept && sent.is_ok(), is_pending(Signal::SIGUSR1, parent)];
                let _ = write(&writer, &told.map(u8::from));
                0
            };
            let child = match case {
                Case::Claimed => raw::fork_and_wait(then)?,
                Case::Counter => raw::fork(then)?,
            };
            let mut said = [0; 2];
            let first = read(&reader, &mut said);
            let n =
                if first == Err(Errno::EINTR) { read(&reader, &mut said) } else { first };
            waitpid(child, None)?;
            if n != Ok(2) || said[0] == 0 {
                return cannot("the parent was not seen asleep");
            }
            either(
                said[1] == 1,
                "100 ms later it is still pending",
                "it is delivered at once",
            )
        }),
    },
    Claim {
        id: "preemption-is-an-involuntary-switch",
        sentence: "A thread that a busy neighbour pushes aside is counted involuntary \
            switches, and no voluntary ones.",
        chapter: "a-read-that-blocks.md",
        kernels: All,
        source: "getrusage(2), ru_nivcsw; sched(7)",
        counter: "the neighbour lets the processor be, and the thread sleeps now and then",
        check: linux!(|case| {
            use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
            let mut one = CpuSet::new();
            one.set(sched_getcpu()?)?;
            sched_setaffinity(Pid::from_raw(0), &one)?;
            let _neighbour = child(|| {
                while !case.is_counter() {
                    std::hint::spin_loop();
                }
                0
            })?;
            let before = counts();
            while counts().cpu - before.cpu < ms(150) {
                if case.is_counter() {
                    thread::sleep(ms(1));
                }
                (0..100_000).for_each(|_| std::hint::spin_loop());
            }
            let now = counts();
            let involuntary = now.involuntary - before.involuntary;
            let voluntary = now.voluntary - before.voluntary;
            seen(
                involuntary > 0 && voluntary == 0,
                format!("{involuntary} involuntary, {voluntary} voluntary switches"),
            )
        }),
    },
    Claim {
        id: "early-signal-is-missed",
        sentence: "A signal that was handled before a wait begins does not end that wait.",
        chapter: "iterative.md",
        kernels: All,
        source: "signal(7); select(2), The problem that pselect solves",
        counter: "the signal comes during the wait",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            raw::count(Signal::SIGALRM, SaFlags::empty());
            if case.is_counter() {
                raw::alarm_after(100);
            } else {
                raise(Signal::SIGALRM)?;
            }
            let time = PollTimeout::from(300_u16);
            let result = poll(&mut [PollFd::new(reader.as_fd(), PollFlags::POLLIN)], time);
            let handled = raw::HANDLED.load(SeqCst);
            seen(
                result == Ok(0) && handled == 1,
                format!("handled {}; the wait ended with {}", times(handled), word(result)),
            )
        }),
    },
    Claim {
        id: "ppoll-closes-the-gap",
        sentence: "ppoll(2) lets blocked signals in only while it waits: one that came \
            before ends it, with EINTR.",
        chapter: "iterative.md",
        kernels: All,
        source: "ppoll(2)",
        counter: "poll(2), with the signal blocked",
        check: linux!(|case| {
            use nix::sys::time::TimeSpec;
            let (reader, _writer) = pipe()?;
            raw::count(Signal::SIGUSR1, SaFlags::empty());
            SigSet::from(Signal::SIGUSR1).thread_block()?;
            raise(Signal::SIGUSR1)?;
            let mut asked = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
            let result = match case {
                Case::Claimed => {
                    let time = TimeSpec::from_duration(ms(MOMENT));
                    nix::poll::ppoll(&mut asked, Some(time), Some(SigSet::empty()))
                }
                Case::Counter => poll(&mut asked, PollTimeout::from(200_u16)),
            };
            seen(result == Err(Errno::EINTR), word(result))
        }),
    },
    Claim {
        id: "sigsuspend-takes-what-is-pending",
        sentence: "A blocked signal that came before sigsuspend(2) ends it, as one that comes \
            while it waits.",
        chapter: "prethreaded.md",
        kernels: All,
        source: "sigsuspend(2)",
        counter: "the signal was not blocked, and handled before",
        check: linux!(|case| {
            raw::count(Signal::SIGUSR1, SaFlags::empty());
            raw::count(Signal::SIGALRM, SaFlags::empty());
            if !case.is_counter() {
                SigSet::from(Signal::SIGUSR1).thread_block()?;
            }
            raise(Signal::SIGUSR1)?;
            raw::alarm_after(400); // so that it ends in any case
            let begun = Instant::now();
            let result = SigSet::empty().suspend();
            if let Err(errno) = result {
                return cannot(format!("sigsuspend: {errno}"));
            }
            either(begun.elapsed() < ms(300), "it ends at once", "it waits for another")
        }),
    },
    Claim {
        id: "pending-signals-merge",
        sentence: "While a signal is pending, further ones of its kind are not counted.",
        chapter: "forking.md",
        kernels: All,
        source: "signal(7), Queueing and delivery semantics for standard signals",
        counter: "a real-time signal",
        check: linux!(|case| {
            if case.is_counter() {
                raw::queue_real_time(3);
            } else {
                raw::count(Signal::SIGCHLD, SaFlags::empty());
                SigSet::from(Signal::SIGCHLD).thread_block()?;
                for _ in 0..3 {
                    kill(getpid(), Signal::SIGCHLD)?;
                }
                SigSet::from(Signal::SIGCHLD).thread_unblock()?;
            }
            let handled = raw::HANDLED.load(SeqCst);
            seen(handled == 1, format!("sent 3 times, handled {}", times(handled)))
        }),
    },
];
