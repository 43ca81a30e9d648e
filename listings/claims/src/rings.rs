//! io_uring: the two rings, and what becomes of a read.

use crate::Claim;
use crate::Kernels::{All, Between};
#[cfg(target_os = "linux")]
use {
    crate::kit::*,
    crate::raw_ring::{Done, Flags, Ring},
    io_uring::IoUring,
};

/// The claims of this file.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "ring-entries-are-rounded-up",
        sentence: "The number of entries that io_uring_setup(2) is asked for is rounded up \
            to a power of two.",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring_setup(2); the kernel's io_uring_fill_params",
        counter: "it is one",
        check: linux!(|case| {
            let asked = case.pick(5, 8);
            let got = Ring::new(asked)?.0.params().sq_entries();
            seen(got == 8 && got > asked, format!("{asked} asked for, {got} given"))
        }),
    },
    Claim {
        id: "completion-ring-is-twice-as-long",
        sentence: "The completion ring has room for twice as many as the submission ring.",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring_setup(2)",
        counter: "IORING_SETUP_CQSIZE asks for another number",
        check: linux!(|case| {
            let mut builder = IoUring::builder();
            if case.is_counter() {
                builder.setup_cqsize(64);
            }
            let ring = Ring::built(&builder, 8)?;
            let (sq, cq) = (ring.0.params().sq_entries(), ring.0.params().cq_entries());
            seen(cq == 2 * sq, format!("{sq} submissions, {cq} completions"))
        }),
    },
    Claim {
        id: "too-short-completion-ring-is-refused",
        sentence: "A completion ring that is shorter than the submission ring is refused, \
            with EINVAL.",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring_setup(2), IORING_SETUP_CQSIZE",
        counter: "it is as long",
        check: linux!(|case| {
            Ring::new(8)?; // whether there is io_uring at all
            let mut builder = IoUring::builder();
            let result: io::Result<IoUring> =
                builder.setup_cqsize(case.pick(4, 8)).build(8);
            let word = word(result.as_ref().map(|_| ()).map_err(errno));
            seen(word == "EINVAL", word)
        }),
    },
    Claim {
        id: "one-call-submits-many",
        sentence: "One io_uring_enter(2) submits all that stand in the ring.",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring_enter(2), to_submit",
        counter: "a call for each",
        check: linux!(|case| {
            let mut ring = Ring::new(64)?;
            let mut calls = 0;
            for mark in 0..64 {
                ring.nop(Flags::empty(), mark);
                if case.is_counter() || mark == 63 {
                    ring.enter(0)?;
                    calls += 1;
                }
            }
            let done = ring.take().len();
            seen(
                (done, calls) == (64, 1),
                format!("{done} operations done, submitted {}", times(calls)),
            )
        }),
    },
    Claim {
        id: "cached-read-is-done-in-the-call",
        sentence: "A read of cached pages of a file on a disk is complete when \
            io_uring_enter(2) returns, which has not been asked to wait.",
        chapter: "two-rings.md",
        kernels: All,
        source: "the kernel's io_read, first attempt with IOCB_NOWAIT",
        counter: "a read of an empty pipe",
        check: linux!(|case| {
            let file = disk_file(&[7; 65_536])?;
            let (reader, _writer) = pipe()?;
            let mut ring = Ring::new(4)?;
            ring.read(case.pick(file.as_fd(), reader.as_fd()), 65_536, Flags::empty(), 1);
            ring.enter(0)?;
            let done = ring.take();
            seen(done == [(1, Ok(65_536))], words(&done))
        }),
    },
    Claim {
        id: "cold-read-is-in-flight-at-return",
        sentence: "A read of pages that are not cached is in flight when io_uring_enter(2) \
            returns.",
        chapter: "two-rings.md",
        kernels: All,
        source: "the kernel's io_read: IOCB_WAITQ and a callback, or a worker",
        counter: "the pages are cached",
        check: linux!(|case| {
            disk_takes_time()?;
            let file = disk_file(&vec![7; 4 << 20])?;
            let mut in_flight = 0;
            for _ in 0..5 {
                if !case.is_counter() {
                    file.sync_all()?;
                    let advice = nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED;
                    nix::fcntl::posix_fadvise(&file, 0, 0, advice)?;
                }
                let mut ring = Ring::new(4)?;
                ring.read(&file, 4 << 20, Flags::empty(), 1);
                ring.enter(0)?;
                if ring.take().is_empty() {
                    in_flight += 1;
                    ring.enter(1)?;
                }
            }
            seen(in_flight > 0, format!("{in_flight} of 5 are in flight"))
        }),
    },
    Claim {
        id: "cached-read-is-copied-by-the-caller",
        sentence: "The thread that submits a read of cached pages copies them itself.",
        chapter: "two-rings.md",
        kernels: All,
        source: "the kernel's io_read, called by io_submit_sqes",
        counter: "IOSQE_ASYNC: a worker copies them",
        check: linux!(|case| {
            const BYTES: usize = 32 << 20;
            let file = file(&vec![7; BYTES])?;
            let mut into = vec![1; BYTES];
            let plain = shortest(3, || {
                let before = our_time()?;
                file.read_exact_at(&mut into, 0)?;
                Ok(our_time()? - before)
            })?;
            let ours = shortest(3, || {
                let mut ring = Ring::new(4)?;
                ring.read(&file, BYTES, case.pick(Flags::empty(), Flags::ASYNC), 1);
                let before = our_time()?;
                ring.enter(1)?;
                Ok(our_time()? - before)
            })?;
            // It makes the same copy, or hardly anything.
            seen(ours > plain / 6, format!("{ours:?} of our time; pread takes {plain:?}"))
        }),
    },
    Claim {
        id: "empty-pipe-needs-no-worker",
        sentence: "A read that waits for a pipe is no thread's: no worker is started for it.",
        chapter: "two-rings.md",
        kernels: All,
        source: "the kernel's io_arm_poll_handler (IORING_FEAT_FAST_POLL)",
        counter: "IOSQE_ASYNC",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            let mut ring = Ring::new(4)?;
            ring.read(&reader, 5, case.pick(Flags::empty(), Flags::ASYNC), 1);
            ring.enter(0)?;
            thread::sleep(ms(MOMENT));
            let workers = workers()?;
            seen(workers == 0, format!("{workers} workers"))
        }),
    },
    Claim {
        id: "iosqe-async-starts-a-worker",
        sentence: "With IOSQE_ASYNC an operation is done by a worker, a thread of our process \
            whose name begins with iou-wrk.",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring_enter(2), IOSQE_ASYNC; the kernel's create_io_worker",
        counter: "without the flag",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            let mut ring = Ring::new(4)?;
            ring.read(&reader, 5, case.pick(Flags::ASYNC, Flags::empty()), 1);
            ring.enter(0)?;
            let begun = Instant::now();
            while workers()? == 0 && begun.elapsed() < ms(case.pick(LONG, MOMENT)) {
                thread::sleep(ms(2));
            }
            let workers = workers()?;
            seen(workers > 0, format!("{workers} workers"))
        }),
    },
    Claim {
        id: "completions-come-in-any-order",
        sentence: "Of two submissions the second may be complete first.",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring(7), on the order of completions",
        counter: "the first is linked to the second",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            let mut ring = Ring::new(4)?;
            ring.read(&reader, 5, case.pick(Flags::empty(), Flags::IO_LINK), 1);
            ring.nop(Flags::empty(), 2);
            ring.enter(0)?;
            write(&writer, b"hello")?;
            let done = ring.take_all(2)?;
            let order: Vec<u64> = done.iter().map(|(mark, _)| *mark).collect();
            seen(order == [2, 1], words(&done))
        }),
    },
    Claim {
        id: "failure-breaks-a-chain",
        sentence: "When a linked operation fails, those behind it complete with ECANCELED.",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring_enter(2), IOSQE_IO_LINK",
        counter: "it succeeds",
        check: linux!(|case| {
            let folder = File::open("/")?;
            let file = file(b"hello")?;
            let mut ring = Ring::new(4)?;
            ring.read(case.pick(&folder, &file), 5, Flags::IO_LINK, 1);
            ring.nop(Flags::empty(), 2);
            let done = ring.take_all(2)?;
            seen(done.contains(&(2, Err(Errno::ECANCELED))), words(&done))
        }),
    },
    Claim {
        id: "short-read-breaks-a-chain",
        sentence: "A linked read that is short breaks its chain, as a failure does.",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring_enter(2), IOSQE_IO_LINK and IOSQE_IO_HARDLINK",
        counter: "IOSQE_IO_HARDLINK",
        check: linux!(|case| {
            let file = file(b"hello")?;
            let mut ring = Ring::new(4)?;
            ring.read(&file, 64, case.pick(Flags::IO_LINK, Flags::IO_HARDLINK), 1);
            ring.nop(Flags::empty(), 2);
            let done = ring.take_all(2)?;
            seen(
                done.contains(&(1, Ok(5))) && done.contains(&(2, Err(Errno::ECANCELED))),
                words(&done),
            )
        }),
    },
    Claim {
        id: "chain-ends-with-its-submission",
        sentence: "A chain ends with the call that submits it: what is submitted by the next \
            is not linked to it.",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring_enter(2), IOSQE_IO_LINK",
        counter: "both are submitted by one call",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            let mut ring = Ring::new(4)?;
            ring.read(&reader, 5, Flags::IO_LINK, 1);
            if !case.is_counter() {
                ring.enter(0)?;
            }
            ring.nop(Flags::empty(), 2);
            ring.enter(0)?;
            let done = ring.take();
            seen(done == [(2, Ok(0))], words(&done))
        }),
    },
    Claim {
        id: "linked-timeout-gives-a-read-up",
        sentence: "A linked timeout that runs out completes with ETIME, and the read before \
            it with ECANCELED.",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring_enter(2), IORING_OP_LINK_TIMEOUT",
        counter: "there is something to read",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            write(&writer, case.pick(b"", b"hello"))?;
            let mut ring = Ring::new(4)?;
            ring.read(&reader, 5, Flags::IO_LINK, 1);
            ring.linked_timeout(ms(50), 2);
            let mut done = ring.take_all(2)?;
            done.sort_unstable_by_key(|(mark, _)| *mark);
            seen(done == [(1, Err(Errno::ECANCELED)), (2, Err(Errno::ETIME))], words(&done))
        }),
    },
    Claim {
        id: "timeout-completes-with-etime",
        sentence: "A timeout that runs out completes with ETIME.",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring_enter(2), IORING_OP_TIMEOUT",
        counter: "as many completions as it was to wait for came before",
        check: linux!(|case| {
            let mut ring = Ring::new(4)?;
            ring.timeout(case.pick(ms(20), ms(60_000)), 1, 1);
            ring.enter(0)?;
            if case.is_counter() {
                ring.nop(Flags::empty(), 2);
            }
            let done = ring.take_all(case.pick(1, 2))?;
            seen(done.contains(&(1, Err(Errno::ETIME))), words(&done))
        }),
    },
    Claim {
        id: "cancellation-finds-a-waiting-read",
        sentence: "A read of an empty pipe can be cancelled: it completes with ECANCELED, and \
            the cancellation with 0.",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring_enter(2), IORING_OP_ASYNC_CANCEL",
        counter: "another mark",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            let mut ring = Ring::new(4)?;
            ring.read(&reader, 5, Flags::empty(), 1);
            ring.cancel(case.pick(1, 3), 2);
            let mut done = ring.take_all(case.pick(2, 1))?;
            done.sort_unstable_by_key(|(mark, _)| *mark);
            seen(done == [(1, Err(Errno::ECANCELED)), (2, Ok(0))], words(&done))
        }),
    },
    Claim {
        id: "late-cancellation-is-enoent",
        sentence: "A cancellation of what is complete completes with ENOENT.",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring_enter(2), IORING_OP_ASYNC_CANCEL",
        counter: "it is not complete",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            write(&writer, case.pick(b"hello", b""))?;
            let mut ring = Ring::new(4)?;
            ring.read(&reader, 5, Flags::empty(), 1);
            // On 5.10 and 6.1 a worker reads a pipe, also one that has bytes: we wait for it.
            ring.enter(case.pick(1, 0))?;
            ring.cancel(1, 2);
            let done = ring.take_all(2)?;
            seen(done.contains(&(2, Err(Errno::ENOENT))), words(&done))
        }),
    },
    Claim {
        id: "read-from-a-device-cannot-be-cancelled",
        sentence: "A read that a device is at work on cannot be cancelled: the cancellation \
            completes with ENOENT, and the read later with its bytes.",
        chapter: "two-rings.md",
        kernels: All,
        source: "the kernel's io_try_cancel: workers, polls and timeouts are looked through",
        counter: "a read of an empty pipe",
        check: linux!(|case| {
            disk_takes_time()?;
            let file = disk_file(&vec![7; 4 << 20])?;
            let (reader, _writer) = pipe()?;
            let mut done = Vec::new();
            for _ in 0..5 {
                file.sync_all()?;
                let advice = nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED;
                nix::fcntl::posix_fadvise(&file, 0, 0, advice)?;
                let mut ring = Ring::new(4)?;
                let from = case.pick(file.as_fd(), reader.as_fd());
                ring.read(from, 4 << 20, Flags::empty(), 1);
                ring.enter(0)?;
                if ring.take().is_empty() {
                    ring.cancel(1, 2);
                    done = ring.take_all(2)?;
                    if done.first() == Some(&(2, Err(Errno::ENOENT))) {
                        break; // it was told before the read was complete
                    }
                }
            }
            if done.is_empty() {
                return cannot("no read was in flight when its submission returned");
            }
            seen(done == [(2, Err(Errno::ENOENT)), (1, Ok(4 << 20))], words(&done))
        }),
    },
    Claim {
        id: "closing-does-not-cancel-a-read",
        sentence: "A read in flight goes on when its descriptor is closed, and the kernel \
            still writes into its buffer.",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring_cancel(3); the kernel's io_assign_file, which holds the file",
        counter: "the read is cancelled as well",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            let mut ring = Ring::new(4)?;
            let place = ring.read(&reader, 5, Flags::empty(), 1);
            ring.enter(0)?;
            drop(reader);
            if case.is_counter() {
                ring.cancel(1, 2);
                ring.take_all(2)?;
            }
            let written = write(&writer, b"hello");
            let done = ring.take_all(case.pick(1, 0))?;
            seen(
                done == [(1, Ok(5))] && place.bytes() == b"hello",
                format!("write: {}; {}", word(written), words(&done)),
            )
        }),
    },
    Claim {
        id: "full-completion-ring-loses-nothing",
        sentence: "Completions that have no room in the ring are kept, and come with a later \
            io_uring_enter(2).",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring_setup(2), IORING_FEAT_NODROP",
        counter: "there is no later call",
        check: linux!(|case| {
            let mut ring = overfull(8)?;
            let mut done = ring.take();
            if !case.is_counter() {
                done.extend(ring.take_all(4)?);
            }
            seen(done.len() == 8, format!("{} of 8 come", done.len()))
        }),
    },
    Claim {
        id: "overflow-is-flagged",
        sentence: "While completions are kept elsewhere, IORING_SQ_CQ_OVERFLOW is set in the \
            submission ring's flags.",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring_cq_has_overflow(3), liburing",
        counter: "all of them have room",
        check: linux!(|case| {
            let mut ring = overfull(case.pick(8, 4))?;
            let flagged = ring.overflown();
            either(flagged, "flagged", "not flagged")
        }),
    },
    Claim {
        id: "empty-nonblocking-socket-is-no-eagain",
        sentence: "A read of a non-blocking socket that is empty does not answer EAGAIN, but \
            waits.",
        chapter: "two-rings.md",
        kernels: All,
        source: "kernel commit 5d329e1286b0 (5.15, and the stable 5.10 since io_uring \
            was taken over from 5.15); before, it answered EAGAIN",
        counter: "RWF_NOWAIT",
        check: linux!(|case| {
            let (ours, theirs) = UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            let mut ring = Ring::new(4)?;
            let nowait = case.pick(0, libc::RWF_NOWAIT);
            ring.read_nowait(&ours, 5, Flags::empty(), 1, nowait);
            ring.enter(0)?;
            let early = ring.take();
            send(&theirs, b"hello");
            let done = ring.take_all(case.pick(1, 0))?;
            seen(
                early.is_empty() && done == [(1, Ok(5))],
                format!("before the write {}, after it {}", words(&early), words(&done)),
            )
        }),
    },
    Claim {
        id: "sqpoll-thread-goes-to-sleep",
        sentence: "The thread of IORING_SETUP_SQPOLL sleeps when it has had nothing to do for \
            sq_thread_idle milliseconds.",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring_setup(2), IORING_SETUP_SQPOLL",
        counter: "sq_thread_idle is a minute",
        check: linux!(|case| {
            let mut ring = polled(case.pick(20, 60_000))?;
            let begun = Instant::now();
            let limit = ms(case.pick(LONG, 3 * MOMENT));
            while !ring.poller_sleeps() && begun.elapsed() < limit {
                thread::sleep(ms(5));
            }
            let sleeps = ring.poller_sleeps();
            either(sleeps, "it sleeps", "it does not sleep")
        }),
    },
    Claim {
        id: "sqpoll-idle-zero-is-a-second",
        sentence: "An sq_thread_idle of 0 means one second.",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring_setup(2); the kernel's io_sq_offload_create: HZ",
        counter: "20 milliseconds",
        check: linux!(|case| {
            if own_machine() {
                return cannot("not in the guest: its times mean nothing");
            }
            let mut ring = polled(case.pick(0, 20))?;
            thread::sleep(ms(500));
            let early = ring.poller_sleeps();
            let late = until(|| ring.poller_sleeps());
            seen(
                !early && late,
                format!("asleep after half a second: {early}, later: {late}"),
            )
        }),
    },
    Claim {
        id: "registered-buffers-are-locked-memory",
        sentence: "Registered buffers count as locked memory: beyond RLIMIT_MEMLOCK they are \
            refused, with ENOMEM.",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring_register(2), IORING_REGISTER_BUFFERS",
        counter: "the limit is as it was",
        check: linux!(|case| {
            no_longer_root()?; // whose memory is not counted
            let mut ring = Ring::new(4)?;
            lockable(case)?;
            let word = word(ring.register(1 << 14).as_ref().copied().map_err(errno));
            seen(word == "ENOMEM", word)
        }),
    },
    Claim {
        id: "rings-are-locked-memory",
        sentence: "The rings themselves count as locked memory: where none may be locked, \
            io_uring_setup(2) is refused with ENOMEM.",
        chapter: "two-rings.md",
        kernels: Between {
            version: (6, 14),
            until: (7, 3),
            otherwise: "they do not count, which the manuals say of 5.12 and later",
        },
        source: "the kernel's io_create_region, __io_account_mem; liburing issue 1408 (6.14); \
            seen up to 7.0, and no longer on 7.3",
        counter: "the limit is as it was",
        check: linux!(|case| {
            no_longer_root()?;
            Ring::new(8)?; // whether there is io_uring at all
            lockable(case)?;
            let result = IoUring::new(8);
            let word = word(result.as_ref().map(|_| ()).map_err(errno));
            seen(word == "ENOMEM", word)
        }),
    },
    Claim {
        id: "operations-can-be-probed",
        sentence: "IORING_REGISTER_PROBE says which operations the kernel knows.",
        chapter: "two-rings.md",
        kernels: All,
        source: "io_uring_register(2), IORING_REGISTER_PROBE",
        counter: "the number of an operation that there is not",
        check: linux!(|case| {
            let ring = Ring::new(4)?;
            let mut probe = io_uring::Probe::new();
            ring.0.submitter().register_probe(&mut probe)?;
            let number = (0..=u8::MAX).filter(|code| probe.is_supported(*code)).count();
            let known = probe.is_supported(case.pick(io_uring::opcode::Read::CODE, 250));
            seen(known, format!("{}known; {number} are", case.pick("", "not ")))
        }),
    },
];

/// Completions in words: `1: 5, 2: ECANCELED`.
#[cfg(target_os = "linux")]
fn words(done: &[Done]) -> String {
    let words: Vec<String> =
        done.iter().map(|(mark, result)| format!("{mark}: {}", word(*result))).collect();
    if words.is_empty() { "nothing complete".to_owned() } else { words.join(", ") }
}

/// How many workers of io_uring this process has.
#[cfg(target_os = "linux")]
fn workers() -> io::Result<usize> {
    let mut number = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let name = fs::read_to_string(task?.path().join("comm")).unwrap_or_default();
        number += usize::from(name.starts_with("iou-wrk"));
    }
    Ok(number)
}

/// A ring with room for four completions, in which so many operations were done.
#[cfg(target_os = "linux")]
fn overfull(operations: u64) -> Result<Ring, Cannot> {
    let mut builder = IoUring::builder();
    let mut ring = Ring::built(builder.setup_cqsize(4), 4)?;
    for mark in 1..=operations {
        ring.nop(Flags::empty(), mark);
        if mark % 4 == 0 {
            ring.enter(0)?;
        }
    }
    Ok(ring)
}

/// A ring whose submissions a thread of the kernel looks for, and where one was found.
#[cfg(target_os = "linux")]
fn polled(idle: u32) -> Result<Ring, Cannot> {
    let mut builder = IoUring::builder();
    let mut ring = Ring::built(builder.setup_sqpoll(idle), 4)?;
    ring.nop(Flags::empty(), 1);
    ring.enter(1)?;
    Ok(ring)
}

/// Lets this process lock no memory, or as much as it was allowed.
#[cfg(target_os = "linux")]
fn lockable(case: Case) -> nix::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    setrlimit(Resource::RLIMIT_MEMLOCK, case.pick(0, soft), hard)
}

/// The time for which a processor has run this thread, to the nanosecond.
#[cfg(target_os = "linux")]
fn our_time() -> nix::Result<Duration> {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from)
}
