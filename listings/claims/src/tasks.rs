//! Operations whose completion nobody collects.

use crate::Claim;
use crate::Kernels::All;
#[cfg(target_os = "linux")]
use {
    crate::kit::*,
    crate::raw_ring::Ring,
    crate::raw_uring::{self, accept, receive},
};

/// The claims of this file.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "completed-receive-has-the-bytes",
        sentence: "Bytes that a receive of io_uring has taken are not in the socket any more, \
            whether or not anybody looks at its completion.",
        chapter: "executor.md",
        kernels: All,
        source: "io_uring_prep_recv(3), and recv(2)",
        counter: "the receive is cancelled before the bytes come",
        check: linux!(|case| {
            let (ours, peer) = UnixStream::pair()?;
            let mut ring = Ring::new(4)?;
            receive(&mut ring, &ours, None, 1);
            ring.enter(0)?;
            if case.is_counter() {
                ring.cancel(1, 2);
                ring.take_all(2)?;
            }
            write(&peer, b"hello")?;
            ring.enter(usize::from(!case.is_counter()))?; // and nobody takes what completes
            let there = readable(&ours, case.pick(MOMENT, LONG));
            either(!there, "the socket is empty", "the bytes are in the socket")
        }),
    },
    Claim {
        id: "completed-accept-holds-a-descriptor",
        sentence: "An accept of io_uring that has completed has opened a descriptor, whether or \
            not anybody looks at its completion.",
        chapter: "executor.md",
        kernels: All,
        source: "io_uring_prep_accept(3), and accept(2)",
        counter: "the accept is cancelled before a client comes",
        check: linux!(|case| {
            let open = || Ok::<_, io::Error>(fs::read_dir("/proc/self/fd")?.count());
            let listener = listener(8)?;
            let mut ring = Ring::new(4)?;
            accept(&mut ring, &listener, false, 1);
            ring.enter(0)?;
            if case.is_counter() {
                ring.cancel(1, 2);
                ring.take_all(2)?;
            }
            let before = open()?;
            let _client = knock(&listener)?; // has a descriptor of its own
            ring.enter(usize::from(!case.is_counter()))?; // and nobody takes what completes
            let more = open()? - before;
            seen(more == 2, format!("{more} descriptors more"))
        }),
    },
    Claim {
        id: "half-closed-send-needs-a-worker",
        sentence: "A send of io_uring that finds no room is given to a worker, if the other side \
            has shut down its sending.",
        chapter: "executor.md",
        kernels: All,
        source: "the kernel's io_arm_apoll: EPOLLRDHUP is among what it waits for, and is there",
        counter: "the other side has not shut it down",
        check: linux!(|case| {
            let (ours, peer) = connection()?;
            fill(&ours)?;
            thread::sleep(ms(MOMENT)); // until all that fits has gone over
            fill(&ours)?;
            if !case.is_counter() {
                peer.shutdown(Shutdown::Write)?;
            }
            let mut ring = Ring::new(4)?;
            raw_uring::send(&mut ring, &ours, 1);
            ring.enter(0)?;
            thread::sleep(ms(MOMENT));
            ring.enter(0)?;
            let name =
                |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).ok();
            let tasks = fs::read_dir("/proc/self/task")?.flatten().filter_map(name);
            let workers = tasks.filter(|name| name.starts_with("iou-wrk")).count();
            let done = ring.take().len();
            seen(workers == 1 && done == 0, format!("{workers} workers, {done} done"))
        }),
    },
];
