//! A ring that is left with operations in flight, at each step: nothing of it may be in the
//! kernel afterwards, and nothing may be lost. `ci/asan.sh` runs the same under
//! AddressSanitizer, which also counts what was leaked.
#![cfg(target_os = "linux")]

use std::io::{self, ErrorKind, PipeReader, PipeWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use uring_read::{Buffer, How, Order, Place, Ring, Trouble};

const LINKED: How = How { link: true, worker: false };
const ALONE: How = How { link: false, worker: false };
const LONG: Duration = Duration::from_secs(1000);

fn ring(entries: u32) -> Option<Ring> {
    match Ring::new(entries) {
        Ok(ring) => Some(ring),
        Err(trouble @ Trouble::Setup(_)) => {
            flags::skipped(trouble);
            None
        }
        Err(other) => panic!("{other}"),
    }
}

fn read(from: &Place) -> Order {
    Order::Read { from: from.clone(), into: Buffer::new(64, 1), at: 0 }
}

fn push(ring: &mut Ring, order: Order, how: How) -> uring_read::Token {
    ring.push(order, how).expect("there is room")
}

/// Makes a ring and a pipe into which nobody writes, does something with them, drops the ring,
/// and finds out whether a read is in flight: it would take what is written, into memory
/// that is somebody else's by now.
fn left(entries: u32, leave: impl FnOnce(Ring, Place)) {
    let Some(ring) = ring(entries) else { return };
    let (reader, mut writer): (PipeReader, PipeWriter) = io::pipe().expect("a pipe");
    leave(ring, Place::from(reader));
    match writer.write_all(b"hello") {
        Err(error) => assert_eq!(error.kind(), ErrorKind::BrokenPipe),
        // The kernel closes a file a moment after the last operation that used it.
        Ok(()) => {
            let unread = rustix::io::ioctl_fionread(&writer).expect("it is a pipe");
            assert_eq!(unread, 5, "a read was in flight after the drop");
        }
    }
}

#[test]
fn with_nothing_pushed() {
    left(4, |ring, _pipe| drop(ring));
}

#[test]
fn with_reads_pushed_and_not_submitted() {
    left(4, |mut ring, pipe| {
        for _ in 0..4 {
            push(&mut ring, read(&pipe), ALONE);
        }
        assert_eq!(ring.calls(), 0);
    });
}

#[test]
fn with_reads_submitted() {
    left(4, |mut ring, pipe| {
        for _ in 0..4 {
            push(&mut ring, read(&pipe), ALONE);
        }
        ring.enter(0).expect("they are taken");
        assert_eq!(ring.flying(), 4);
    });
}

#[test]
fn with_some_submitted_and_a_chain_that_is_not_finished() {
    left(4, |mut ring, pipe| {
        push(&mut ring, read(&pipe), ALONE);
        ring.enter(0).expect("it is taken");
        // A cancellation that were linked to this read would wait for it for ever.
        push(&mut ring, read(&pipe), LINKED);
    });
}

#[test]
fn with_more_in_flight_than_completions_have_room() {
    left(4, |mut ring, pipe| {
        for _ in 0..10 {
            for _ in 0..4 {
                push(&mut ring, read(&pipe), ALONE);
            }
            ring.enter(0).expect("they are taken");
        }
        assert_eq!(ring.flying(), 40);
    });
}

#[test]
fn with_timeouts_that_are_far_away() {
    left(8, |mut ring, pipe| {
        push(&mut ring, read(&pipe), LINKED);
        push(&mut ring, Order::LinkedTimeout(LONG), ALONE);
        push(&mut ring, Order::Timeout(LONG), ALONE);
        ring.enter(0).expect("they are taken");
        assert_eq!(ring.flying(), 3);
    });
}

#[test]
fn with_a_cancellation_under_way() {
    left(8, |mut ring, pipe| {
        let token = push(&mut ring, read(&pipe), ALONE);
        push(&mut ring, read(&pipe), ALONE);
        push(&mut ring, Order::Cancel(token), ALONE);
        ring.enter(0).expect("they are taken");
    });
}

#[test]
fn with_a_worker_that_waits() {
    left(4, |mut ring, pipe| {
        push(&mut ring, read(&pipe), How { worker: true, link: false });
        ring.enter(0).expect("it is taken");
    });
}

#[test]
fn with_completions_that_nobody_took() {
    left(4, |mut ring, pipe| {
        push(&mut ring, read(&pipe), ALONE);
        for _ in 0..3 {
            push(&mut ring, Order::Nop, ALONE);
        }
        ring.enter(3).expect("they are taken");
        assert_eq!(ring.waiting().0, 3);
    });
}

#[test]
fn by_a_panic() {
    left(4, |mut ring, pipe| {
        let left = catch_unwind(AssertUnwindSafe(move || {
            push(&mut ring, read(&pipe), ALONE);
            ring.enter(0).expect("it is taken");
            std::panic::resume_unwind(Box::new("something goes wrong"));
        }));
        assert!(left.is_err());
    });
}

#[test]
fn by_a_question_mark() {
    fn fails(mut ring: Ring, pipe: &Place) -> io::Result<()> {
        push(&mut ring, read(pipe), ALONE);
        ring.enter(0)?;
        std::fs::File::open("/no/such/file")?;
        ring.enter(1)?; // would wait for ever
        Ok(())
    }
    left(4, |ring, pipe| {
        fails(ring, &pipe).expect_err("the file is not there");
    });
}

#[test]
fn by_a_process_that_ends() {
    const ENDS: &str = "URING_READ_ENDS";
    if std::env::var_os(ENDS).is_some() {
        let Some(mut ring) = ring(4) else { std::process::exit(7) };
        let (reader, _writer) = io::pipe().expect("a pipe");
        push(&mut ring, read(&reader.into()), ALONE);
        ring.enter(0).expect("it is taken");
        std::process::exit(7); // drops nothing: the kernel takes all of it back
    }
    let this = std::env::current_exe().expect("this program");
    let status = std::process::Command::new(this)
        .args(["--exact", "by_a_process_that_ends"])
        .env(ENDS, "1")
        .stdout(std::process::Stdio::null())
        .status()
        .expect("it starts");
    assert_eq!(status.code(), Some(7));
}

#[test]
fn what_arrives_before_the_end_is_not_lost() {
    let Some(mut ring) = ring(4) else { return };
    let (reader, mut writer) = io::pipe().expect("a pipe");
    let token = push(&mut ring, read(&reader.into()), ALONE);
    ring.enter(0).expect("it is taken");
    assert!(ring.take().is_none(), "nobody has written");
    writer.write_all(b"hello").expect("there is a reader");
    ring.enter(1).expect("it waits");
    let done = ring.take().expect("one was waited for");
    assert_eq!((done.token, done.result), (token, 5));
    let Order::Read { mut into, .. } = done.order else { panic!("it was a read") };
    into.set_filled(5);
    assert_eq!(into.bytes(), b"hello");
}

#[test]
fn a_token_names_one_order_only() {
    let Some(mut ring) = ring(4) else { return };
    let (reader, _writer) = io::pipe().expect("a pipe");
    let pipe = Place::from(reader);
    let first = push(&mut ring, Order::Nop, ALONE);
    ring.enter(1).expect("it is done");
    ring.take().expect("one was waited for");
    let second = push(&mut ring, read(&pipe), ALONE); // in the same slot
    assert_eq!(first.slot(), second.slot());
    push(&mut ring, Order::Cancel(first), ALONE);
    ring.enter(1).expect("it is done");
    let done = ring.take().expect("the cancellation");
    assert_eq!(done.result, -libc::ENOENT, "it has found another order");
    assert_eq!(ring.flying(), 1);
}
