//! What else can be a descriptor, how many there may be, and how much a pipe holds.

use crate::Claim;
use crate::Kernels::All;
#[cfg(target_os = "linux")]
use crate::kit::*;

/// The claims of this file.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "signalfd-is-readable",
        sentence: "A signalfd is readable while a signal of its set, which must be \
            blocked, is pending.",
        chapter: "poll.md",
        kernels: All,
        source: "signalfd(2)",
        counter: "the signal is not blocked, and its handler takes it",
        check: linux!(|case| {
            use nix::sys::signalfd::SignalFd;
            raw::count(Signal::SIGUSR1, SaFlags::empty());
            let set = SigSet::from(Signal::SIGUSR1);
            if !case.is_counter() {
                set.thread_block()?;
            }
            let signals = SignalFd::new(&set)?;
            kill(getpid(), Signal::SIGUSR1)?;
            let readable = readable(&signals, 50);
            either(readable, "readable", "not readable")
        }),
    },
    Claim {
        id: "eventfd-adds-up",
        sentence: "An eventfd adds up what is written to it, and one read takes the sum.",
        chapter: "poll.md",
        kernels: All,
        source: "eventfd(2)",
        counter: "with EFD_SEMAPHORE a read takes 1",
        check: linux!(|case| {
            use nix::sys::eventfd::{EfdFlags, EventFd};
            let flags = case.pick(EfdFlags::empty(), EfdFlags::EFD_SEMAPHORE);
            let event = EventFd::from_flags(flags | EfdFlags::EFD_NONBLOCK)?;
            event.write(3)?;
            event.write(4)?;
            let (first, second) = (event.read(), event.read());
            seen(
                (first, second) == (Ok(7), Err(Errno::EAGAIN)),
                format!("3 and 4 written; read: {}, {}", word(first), word(second)),
            )
        }),
    },
    Claim {
        id: "timerfd-counts-expirations",
        sentence: "A timerfd counts how often it has expired since it was last read.",
        chapter: "poll.md",
        kernels: All,
        source: "timerfd_create(2)",
        counter: "a timer that expires once",
        check: linux!(|case| {
            use nix::sys::time::TimeSpec;
            use nix::sys::timerfd::{
                ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags,
            };
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)?;
            let ten = TimeSpec::from_duration(ms(10));
            let when = case.pick(Expiration::Interval(ten), Expiration::OneShot(ten));
            timer.set(when, TimerSetTimeFlags::empty())?;
            thread::sleep(ms(100));
            let mut bytes = [0; 8];
            read(&timer, &mut bytes)?;
            let number = u64::from_ne_bytes(bytes);
            either(number > 1, "more than one expiration", "one expiration")
        }),
    },
    Claim {
        id: "pipe-holds-16-pages",
        sentence: "A pipe holds 16 pages, 64 KiB where a page has 4 KiB; then a write \
            waits.",
        chapter: "poll.md",
        kernels: All,
        source: "pipe(7), Pipe capacity",
        counter: "F_SETPIPE_SZ was asked for one page",
        check: linux!(|case| {
            let (_reader, writer) = pipe()?;
            let page = rustix::param::page_size();
            if case.is_counter() {
                fcntl(&writer, FcntlArg::F_SETPIPE_SZ(i32::try_from(page)?))?;
            }
            nonblocking(&writer, true)?;
            let mut held = 0;
            while let Ok(n) = write(&writer, &[0; 4096]) {
                held += n;
            }
            let pages = held / page;
            seen(pages == 16, format!("{held} bytes, {pages} pages"))
        }),
    },
    Claim {
        id: "lowered-limit-leaves-descriptors-open",
        sentence: "Lowering RLIMIT_NOFILE leaves open what is open; only new descriptors \
            are refused.",
        chapter: "poll.md",
        kernels: All,
        source: "getrlimit(2), RLIMIT_NOFILE",
        counter: "close_range(2), which closes what is above",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            let high = raw::owned(fcntl(&reader, FcntlArg::F_DUPFD_CLOEXEC(50))?);
            match case {
                Case::Claimed => {
                    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
                    setrlimit(Resource::RLIMIT_NOFILE, 20, hard)?;
                }
                Case::Counter => raw::close_above(20)?,
            }
            write(&writer, b"x")?;
            let old = read(&high, &mut [0; 1]);
            let new = fcntl(&reader, FcntlArg::F_DUPFD_CLOEXEC(50));
            std::mem::forget(high);
            seen(
                old == Ok(1) && new.is_err(),
                format!("read of descriptor 50: {}; a new one: {}", word(old), word(new)),
            )
        }),
    },
];
