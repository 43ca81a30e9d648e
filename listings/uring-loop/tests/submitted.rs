//! What a ring was given reaches the kernel.
#![cfg(target_os = "linux")]

use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::unix::net::UnixStream;

use io_uring::types::OpenHow;
use uring_loop::{Errno, Op, Part, Ring, Setup, ToClose, Token, Work};

const OLD: Setup = Setup { entries: 8, as_of: Some((5, 10)), work: Work::AtOnce };
/// More than there are calls in `take_all`, at least.
const REFUSED: usize = 4;

fn with_old_and_new_ring(run: impl Fn(Ring)) {
    for setup in [OLD, Setup { as_of: None, work: Work::WhenWeAsk, ..OLD }] {
        match Ring::new(&setup) {
            Ok(ring) => run(ring),
            Err(_) => flags::skipped("io_uring is forbidden here"),
        }
    }
}

/// The kernel stops at an entry that it cannot even begin, and says how many it has looked at.
#[test]
fn an_entry_that_is_refused_holds_nobody_up() {
    with_old_and_new_ring(|mut ring| {
        let to_close = ToClose::default();
        let root = to_close.hold(File::open("/").expect("it is there").into());
        for slot in 0..REFUSED {
            // Longer than any path may be.
            let path = CString::new("x".repeat(5000)).expect("no NUL");
            let (root, how) = (root.clone(), Box::new(OpenHow::new()));
            ring.begin(Token { slot, part: Part::Work }, Op::Open { root, path, how });
        }
        let (end, other) = UnixStream::pair().expect("a pair");
        drop(other); // so there is something to tell
        let watch = Token { slot: REFUSED, part: Part::Receive };
        ring.begin(watch, Op::Watch { descriptor: to_close.hold(end.into()) });
        ring.wait(0).expect("it is entered");
        ring.take_all().expect("it is entered");
        for _ in 0..REFUSED {
            let done = ring.next().expect("it is refused");
            assert_eq!(done.result, Err(Errno::NAMETOOLONG));
        }
        let last = ring.next().expect("nobody has looked at it");
        assert!(last.token == watch && last.result.is_ok(), "{last:?}");
    });
}

#[test]
fn what_is_to_be_closed_is_closed_when_the_ring_goes() {
    with_old_and_new_ring(|mut ring| {
        let (mut end, other) = UnixStream::pair().expect("a pair");
        ring.close(other.into());
        drop(ring);
        end.set_nonblocking(true).expect("a socket");
        let end = end.read(&mut [0; 1]).expect("its other end is closed");
        assert_eq!(end, 0);
    });
}
