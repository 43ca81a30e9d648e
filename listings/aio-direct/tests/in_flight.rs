//! Contexts that end while operations are in flight, and who has the buffers.
#![cfg(target_os = "linux")]

use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use aio_direct::scratch::{Scratch, pattern};
use aio_direct::{Buffer, Context, Operation, Trouble};

const MIB: usize = 1 << 20;

/// A context and a file of its own; None, with a line, where the machine refuses.
fn get_ready(depth: u32, bytes: usize) -> Option<(Context<usize>, Scratch)> {
    let scratch = Scratch::new(Path::new(env!("CARGO_TARGET_TMPDIR")), bytes);
    match (aio_direct::context(depth), scratch) {
        (Ok(context), Ok(scratch)) => Some((context, scratch)),
        (Err(Trouble::Refused(why)), _) | (_, Err(Trouble::Refused(why))) => {
            flags::skipped(format_args!("{why:?}"));
            None
        }
        (Err(trouble), _) | (_, Err(trouble)) => panic!("{trouble}"),
    }
}

fn reads(scratch: &Scratch, number: usize) -> Vec<Operation<'_, usize>> {
    let read = |n| {
        let buffer = Buffer::new(MIB, 65_536);
        Operation::read(n, &scratch.direct, (n * MIB) as u64, buffer)
    };
    (0..number).map(read).collect()
}

/// The mappings of this process that are AIO contexts.
fn contexts() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("[aio]")).count()
}

#[test]
fn a_context_may_be_dropped_with_reads_in_flight() {
    for round in 0..8 {
        let Some((mut context, scratch)) = get_ready(32, 32 * MIB) else { return };
        context.submit(reads(&scratch, 32)).unwrap_or_else(|refused| panic!("{refused:?}"));
        assert_eq!((context.in_flight(), context.room()), (32, 0));
        let out: Result<(), _> = catch_unwind(AssertUnwindSafe(|| match round % 4 {
            0 => drop(context), // all in flight
            1 => {
                context.wait(1, None).unwrap();
                drop(context); // some in flight
            }
            2 => {
                let _context = context;
                std::panic::resume_unwind(Box::new("a panic while the kernel writes"));
            }
            _ => {
                let early =
                    |_: Context<usize>| Err::<(), std::io::Error>(ErrorKind::Other.into());
                early(context).unwrap_err();
            }
        }));
        assert_eq!(out.is_err(), round % 4 == 2);
        // If the kernel still wrote to the buffers, it would be into these now.
        let others: Vec<Vec<u8>> = (0..32).map(|n| vec![n; MIB]).collect();
        std::thread::sleep(Duration::from_millis(10));
        for (n, other) in (0..).zip(&others) {
            assert!(
                other.iter().all(|byte| *byte == n),
                "memory that was freed was written"
            );
        }
    }
}

#[test]
fn every_buffer_comes_back_once_with_what_was_asked_for() {
    let Some((mut context, scratch)) = get_ready(8, 32 * MIB) else { return };
    let mut seen = [false; 32];
    let mut rest: Vec<_> = reads(&scratch, 32);
    while !rest.is_empty() || context.in_flight() > 0 {
        // More than there is room for: those come back, as they were.
        rest = match context.submit(rest) {
            Ok(()) => Vec::new(),
            Err(refused) => {
                assert_eq!(refused.error.kind(), ErrorKind::WouldBlock);
                assert_eq!(context.room(), 0);
                refused.operations
            }
        };
        for done in context.wait(1, None).unwrap() {
            assert_eq!(done.result.unwrap(), MIB);
            assert!(*done.buffer == *pattern((done.tag * MIB) as u64, MIB), "{}", done.tag);
            assert!(!std::mem::replace(&mut seen[done.tag], true), "{} twice", done.tag);
        }
    }
    assert!(seen.iter().all(|seen| *seen));
    assert!(context.wait(1, None).unwrap().is_empty(), "nobody waits for nothing");
}

#[test]
fn those_before_the_refused_one_are_in_flight_and_the_others_come_back() {
    let Some((mut context, scratch)) = get_ready(8, 4 * MIB) else { return };
    let (_reader, writer) = std::io::pipe().unwrap();
    let mut operations = reads(&scratch, 4);
    let wrong = Operation::read(99, &writer, 0, Buffer::new(16, 1));
    operations.insert(2, wrong);
    let refused = context.submit(operations).unwrap_err();
    assert_eq!(refused.error.raw_os_error(), Some(libc::EBADF));
    assert_eq!((context.in_flight(), context.room()), (2, 6));
    let back = refused.operations.into_iter().map(Operation::into_parts);
    let back: Vec<(usize, usize)> = back.map(|(tag, buffer)| (tag, buffer.len())).collect();
    assert_eq!(back, [(99, 16), (2, MIB), (3, MIB)]);
    let mut tags: Vec<usize> =
        context.wait(2, None).unwrap().iter().map(|done| done.tag).collect();
    tags.sort_unstable();
    assert_eq!(tags, [0, 1]);
}

#[test]
fn a_poll_can_be_given_up_and_a_read_of_a_file_cannot() {
    let Some((mut context, scratch)) = get_ready(4, 4 * MIB) else { return };
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let polls = [10, 11].map(|tag| Operation::poll(tag, &ours, libc::POLLIN));
    context.submit(polls.into()).unwrap_or_else(|refused| panic!("{refused:?}"));
    context.cancel(|tag| *tag == 10).unwrap();
    let done = context.wait(1, None).unwrap().pop().unwrap();
    assert_eq!((done.tag, done.result.unwrap()), (10, 0), "the event comes nevertheless");
    let twice = context.cancel(|tag| *tag == 10).unwrap_err();
    assert_eq!(twice.raw_os_error(), Some(libc::EINVAL));

    context.submit(reads(&scratch, 1)).unwrap_or_else(|refused| panic!("{refused:?}"));
    let read = context.cancel(|tag| *tag == 0).unwrap_err();
    assert_eq!(read.raw_os_error(), Some(libc::EINVAL));
    theirs.write_all(b"x").unwrap();
    let mut tags = Vec::new();
    while context.in_flight() > 0 {
        tags.extend(context.wait(1, None).unwrap().iter().map(|done| done.tag));
    }
    tags.sort_unstable();
    assert_eq!(tags, [0, 11]);
}

#[test]
fn a_context_with_a_poll_in_flight_ends_at_once() {
    let Some((mut context, _)) = get_ready(2, 0) else { return };
    let (ours, _theirs) = UnixStream::pair().unwrap();
    context
        .submit(vec![Operation::poll(0, &ours, libc::POLLIN)])
        .unwrap_or_else(|r| panic!("{r:?}"));
    drop(context); // would not come back if nobody gave the poll up
}

#[test]
fn a_wait_with_a_time_limit_comes_back_empty() {
    let Some((mut context, _)) = get_ready(1, 0) else { return };
    let (ours, _theirs) = UnixStream::pair().unwrap();
    context
        .submit(vec![Operation::poll(0, &ours, libc::POLLIN)])
        .unwrap_or_else(|r| panic!("{r:?}"));
    for time in [Duration::ZERO, Duration::from_millis(20)] {
        assert!(context.wait(1, Some(time)).unwrap().is_empty());
        assert_eq!(context.in_flight(), 1);
    }
}

#[test]
fn the_kernel_takes_the_context_back() {
    if contexts() == 0 {
        let Some((context, _)) = get_ready(4, 0) else { return };
        if contexts() == 0 {
            return flags::skipped(format_args!("/proc/self/maps does not show contexts"));
        }
        drop(context);
    }
    // Other tests have theirs, but not so many.
    for _ in 0..60 {
        drop(Context::<()>::new(4).unwrap());
    }
    assert!(contexts() < 30, "{} contexts are left", contexts());
}
