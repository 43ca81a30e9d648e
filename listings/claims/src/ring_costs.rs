//! io_uring: what it costs, and who forbids it.

use crate::Claim;
use crate::Kernels::{All, Since};
#[cfg(target_os = "linux")]
use {
    crate::kit::*,
    crate::raw_costs::*,
    crate::raw_ring::{Flags, Ring},
    io_uring::{IoUring, cqueue, opcode},
};

/// The claims of this file.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "waiting-call-occupies-a-worker",
        sentence: "An operation that waits inside a call, such as a splice from an empty \
            pipe, occupies a worker thread: four of them, four.",
        chapter: "ring-costs.md",
        kernels: All,
        source: "the kernel's io_splice, which answers EAGAIN to whoever may not wait, and \
            io_wq_enqueue",
        counter: "four reads of it",
        check: linux!(|case| {
            let (empty, _writer) = pipe()?;
            let (_reader, into) = pipe()?;
            let mut ring = Ring::new(8)?;
            for mark in 0..4 {
                if case.is_counter() {
                    ring.read(&empty, 5, Flags::empty(), mark);
                } else {
                    splice(&mut ring, &empty, &into, mark);
                }
            }
            ring.enter(0)?;
            let number = workers_after(4, case.pick(LONG, MOMENT))?;
            seen(number == 4, format!("{number} workers for 4 operations"))
        }),
    },
    Claim {
        id: "workers-can-be-limited",
        sentence: "IORING_REGISTER_IOWQ_MAX_WORKERS limits the number of workers; operations \
            beyond it wait for one.",
        chapter: "ring-costs.md",
        kernels: All,
        source: "io_uring_register(2), IORING_REGISTER_IOWQ_MAX_WORKERS: 5.15, and the \
            stable 5.10 since io_uring was taken over from 5.15",
        counter: "the limit is four",
        check: linux!(|case| {
            let (empty, _writer) = pipe()?;
            let (_reader, into) = pipe()?;
            let mut ring = Ring::new(8)?;
            let most = case.pick(2, 4);
            ring.0.submitter().register_iowq_max_workers(&mut [most, most])?;
            (0..4).for_each(|mark| splice(&mut ring, &empty, &into, mark));
            ring.enter(0)?;
            workers_after(2, LONG)?;
            let number = workers_after(4, case.pick(MOMENT, LONG))?;
            seen(number == 2, format!("{number} workers for 4 operations"))
        }),
    },
    Claim {
        id: "zero-copy-send-over-loopback-copies",
        sentence: "A zero-copy send over loopback copies all the same. Its notification says \
            so, if that was asked for: IORING_NOTIF_USAGE_ZC_COPIED.",
        chapter: "ring-costs.md",
        kernels: Since { version: (6, 1), before: "nobody can ask" },
        source: "io_uring_enter(2), IORING_SEND_ZC_REPORT_USAGE (6.2, and in 6.1's stable \
            releases); the kernel's skb_orphan_frags_rx",
        counter: "nobody has asked",
        check: linux!(|case| {
            let (ours, mut theirs) = connection()?;
            let mut ring = Ring::new(4)?;
            send_without_copy(&mut ring, &ours, case.pick(REPORT_USAGE, 0), 1);
            ring.enter(1)?;
            theirs.read_exact(&mut [0; 5])?;
            let begun = Instant::now();
            let notified = loop {
                ring.enter(0)?;
                let found = ring.0.completion().find(|done| cqueue::notif(done.flags()));
                if found.is_some() || begun.elapsed() > ms(LONG) {
                    break found;
                }
                thread::sleep(ms(2));
            };
            let Some(done) = notified else { return cannot("no notification comes") };
            let says = done.result() as u32;
            seen(says == COPIED, format!("the notification says {says:#x}"))
        }),
    },
    Claim {
        id: "filter-does-not-see-operations",
        sentence: "A seccomp filter that refuses openat2(2) does not refuse \
            IORING_OP_OPENAT2.",
        chapter: "ring-costs.md",
        kernels: All,
        source: "seccomp(2), which is asked when a system call is entered",
        counter: "openat2 by a call",
        check: linux!(|case| {
            let mut ring = Ring::new(4)?;
            refuse(&[libc::SYS_openat2], Errno::EPERM)?;
            let result = if case.is_counter() {
                open_by_call("/", libc::O_PATH)
            } else {
                open(&mut ring, "/", libc::O_PATH, 1);
                ring.take_all(1)?.first().map_or(Err(Errno::ETIME), |done| done.1.map(drop))
            };
            seen(result.is_ok(), word(result))
        }),
    },
    Claim {
        id: "refused-setup-needs-no-other-filter",
        sentence: "Where a filter refuses io_uring_setup(2), there is no ring to be had; one \
            that was set up before still works.",
        chapter: "ring-costs.md",
        kernels: All,
        source: "seccomp(2)",
        counter: "io_uring_enter(2) is refused as well",
        check: linux!(|case| {
            let mut before = Ring::new(4)?;
            let calls = [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter];
            refuse(&calls[..case.pick(1, 2)], Errno::EPERM)?;
            let new = word(IoUring::new(4).map(drop).map_err(|error| errno(&error)));
            before.nop(Flags::empty(), 1);
            let old = word(before.enter(1).map(drop).map_err(|error| errno(&error)));
            seen(
                new == "EPERM" && old == "no error",
                format!("a new ring: {new}; the old one: {old}"),
            )
        }),
    },
    Claim {
        id: "restricted-ring-refuses-operations",
        sentence: "A ring with restrictions completes an operation that is not on its list \
            with EACCES.",
        chapter: "ring-costs.md",
        kernels: All,
        source: "io_uring_register(2), IORING_REGISTER_RESTRICTIONS",
        counter: "the operation is on the list",
        check: linux!(|case| {
            let mut builder = IoUring::builder();
            let mut ring = Ring::built(builder.setup_r_disabled(), 4)?;
            let allowed = case.pick(opcode::Nop::CODE, opcode::OpenAt2::CODE);
            let submitter = ring.0.submitter();
            let mut list = [io_uring::register::Restriction::sqe_op(allowed)];
            submitter.register_restrictions(&mut list)?;
            submitter.register_enable_rings()?;
            open(&mut ring, "/", libc::O_PATH, 1);
            let done = ring.take_all(1)?;
            seen(done == [(1, Err(Errno::EACCES))], format!("{done:?}"))
        }),
    },
    Claim {
        id: "restrictions-are-for-good",
        sentence: "Restrictions can be set while a ring is disabled (IORING_SETUP_R_DISABLED) \
            and not afterwards: EBADFD.",
        chapter: "ring-costs.md",
        kernels: All,
        source: "io_uring_register(2), IORING_REGISTER_RESTRICTIONS",
        counter: "the ring is still disabled",
        check: linux!(|case| {
            let mut builder = IoUring::builder();
            let ring = Ring::built(builder.setup_r_disabled(), 4)?;
            let submitter = ring.0.submitter();
            if !case.is_counter() {
                submitter.register_enable_rings()?;
            }
            let code = opcode::OpenAt2::CODE;
            let mut list = [io_uring::register::Restriction::sqe_op(code)];
            let result = submitter.register_restrictions(&mut list);
            let word = word(result.map_err(|error| errno(&error)));
            seen(word == "EBADFD", word)
        }),
    },
    Claim {
        id: "disabled-for-all-is-eperm",
        sentence: "With kernel.io_uring_disabled = 2 io_uring_setup(2) answers EPERM, to root \
            as well.",
        chapter: "ring-costs.md",
        kernels: Since { version: (6, 6), before: "there is no such setting" },
        source: "the kernel's admin-guide/sysctl/kernel.rst; io_uring_setup(2)",
        counter: "the setting is 0",
        check: linux!(|case| {
            if !own_machine() {
                return cannot("not here: the setting is the whole machine's");
            }
            set("/proc/sys/kernel/io_uring_disabled", case.pick("2", "0"))?;
            let word = word(IoUring::new(4).map(drop).map_err(|error| errno(&error)));
            set("/proc/sys/kernel/io_uring_disabled", "0")?;
            seen(word == "EPERM", word)
        }),
    },
    Claim {
        id: "fdinfo-lists-what-waits",
        sentence: "/proc/PID/fdinfo of a ring lists the operations that wait on a wait queue, \
            by the numbers of their codes.",
        chapter: "ring-costs.md",
        kernels: All,
        source: "the kernel's io_uring_show_fdinfo",
        counter: "nothing is in flight",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            let mut ring = Ring::new(4)?;
            if !case.is_counter() {
                ring.read(&reader, 5, Flags::empty(), 1);
            }
            ring.enter(0)?;
            let path = format!("/proc/self/fdinfo/{}", ring.0.as_raw_fd());
            let info = fs::read_to_string(path)?;
            let read = format!("op={},", opcode::Read::CODE);
            let line = info.lines().find(|line| line.contains(&read));
            seen(
                line.is_some(),
                line.map_or("no read".to_owned(), |line| line.trim().into()),
            )
        }),
    },
];

/// How many workers there are, once there are so many, or after so many milliseconds.
#[cfg(target_os = "linux")]
fn workers_after(enough: usize, milliseconds: u64) -> io::Result<usize> {
    let begun = Instant::now();
    while workers()? < enough && begun.elapsed() < ms(milliseconds) {
        thread::sleep(ms(5));
    }
    workers()
}
