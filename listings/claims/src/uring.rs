//! io_uring: a server on it.

use crate::Claim;
use crate::Kernels::{All, Since};
#[cfg(target_os = "linux")]
use {
    crate::kit::*,
    crate::raw_ring::{Flags, Ring},
    crate::raw_uring::{accept, receive},
    io_uring::IoUring,
};

/// The claims of this file.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "multishot-accept-goes-on",
        sentence: "One multishot accept completes for each client that comes.",
        chapter: "uring-loop.md",
        kernels: Since { version: (5, 19), before: "it is refused, with EINVAL" },
        source: "io_uring_prep_multishot_accept(3)",
        counter: "a plain accept: it completes once",
        check: linux!(|case| {
            let listener = listener(8)?;
            let mut ring = Ring::new(8)?;
            accept(&mut ring, &listener, !case.is_counter(), 1);
            ring.enter(0)?;
            let _clients = [knock(&listener)?, knock(&listener)?, knock(&listener)?];
            let mut done = ring.take_all(1)?;
            thread::sleep(ms(MOMENT));
            ring.enter(0)?;
            done.extend(ring.take());
            let accepted = done.iter().filter(|(_, result)| result.is_ok()).count();
            seen(accepted == 3, format!("3 clients, {accepted} accepted"))
        }),
    },
    Claim {
        id: "no-shared-buffer-is-enobufs",
        sentence: "A receive that is to take a buffer from a group completes with ENOBUFS \
            when bytes come and the group has none.",
        chapter: "uring-loop.md",
        kernels: All,
        source: "io_uring_enter(2), IOSQE_BUFFER_SELECT",
        counter: "it has a buffer of its own",
        check: linux!(|case| {
            let (ours, peer) = UnixStream::pair()?;
            write(&peer, b"hello")?;
            let mut ring = Ring::new(4)?;
            receive(&mut ring, &ours, case.pick(Some(7), None), 1);
            let done = ring.take_all(1)?;
            seen(done == [(1, Err(Errno::ENOBUFS))], format!("{done:?}"))
        }),
    },
    Claim {
        id: "receive-in-flight-keeps-a-connection-open",
        sentence: "While a receive is in flight on a socket, closing its only descriptor \
            ends nothing: the other side sees no end.",
        chapter: "uring-loop.md",
        kernels: All,
        source: "close(2); the kernel's io_assign_file, which holds the file",
        counter: "the receive is cancelled as well",
        check: linux!(|case| {
            let (ours, peer) = UnixStream::pair()?;
            let mut ring = Ring::new(4)?;
            receive(&mut ring, &ours, None, 1);
            ring.enter(0)?;
            drop(ours);
            if case.is_counter() {
                ring.cancel(1, 2);
                ring.take_all(2)?;
            }
            let told = readable(&peer, case.pick(MOMENT, LONG));
            either(!told, "the other side sees no end", "the other side sees the end")
        }),
    },
    Claim {
        id: "cancellation-misses-what-was-put-aside",
        sentence: "With IORING_SETUP_DEFER_TASKRUN, a cancellation does not find the second \
            of two linked operations when the first is over and nobody has waited since: it \
            completes with ENOENT, and the operation goes on.",
        chapter: "uring-loop.md",
        kernels: Since { version: (6, 1), before: "the flag is refused, with EINVAL" },
        source: "the kernel's io_req_task_queue and io_try_cancel",
        counter: "somebody has waited since",
        check: linux!(|case| {
            let file = file(b"hello")?;
            let (reader, writer) = pipe()?;
            let mut builder = IoUring::builder();
            builder.setup_single_issuer().setup_defer_taskrun();
            let mut ring = Ring::built(&builder, 8)?;
            ring.read(&file, 5, Flags::IO_LINK, 1);
            ring.read(&reader, 5, Flags::empty(), 2);
            ring.enter(0)?;
            if case.is_counter() {
                ring.enter(1)?;
            }
            ring.cancel(2, 3);
            ring.enter(2)?;
            let cancelled = ring.take();
            write(&writer, b"hello")?;
            ring.enter(usize::from(!case.is_counter()))?;
            let after = ring.take();
            seen(
                cancelled.contains(&(3, Err(Errno::ENOENT))) && after == [(2, Ok(5))],
                format!("{cancelled:?}, then {after:?}"),
            )
        }),
    },
    Claim {
        id: "deferred-work-is-done-in-portions",
        sentence: "With IORING_SETUP_DEFER_TASKRUN, a call does the work of some events, about \
            twenty, and leaves that of the others for later.",
        chapter: "uring-loop.md",
        kernels: Since {
            version: (6, 13),
            before: "it does all of it, or refuses the flag",
        },
        source: "the kernel's IO_LOCAL_TW_DEFAULT_MAX and __io_run_local_work",
        counter: "a ring without the flag",
        check: linux!(|case| {
            const MANY: usize = 100;
            let mut builder = IoUring::builder();
            if !case.is_counter() {
                builder.setup_single_issuer().setup_defer_taskrun();
            }
            let mut ring = Ring::built(&builder, 128)?;
            let mut pairs = Vec::new();
            for mark in 0..MANY {
                let (ours, peer) = UnixStream::pair()?;
                receive(&mut ring, &ours, None, mark as u64);
                pairs.push((ours, peer));
            }
            ring.enter(0)?;
            for (_, peer) in &pairs {
                write(peer, b"hello")?;
            }
            ring.enter(1)?;
            let done = ring.take().len();
            seen(done < MANY / 2, format!("{done} of {MANY} in the first call"))
        }),
    },
];
