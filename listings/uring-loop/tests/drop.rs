//! A ring that goes away with operations in flight takes nothing from under the kernel, and
//! keeps nothing.
#![cfg(target_os = "linux")]

#[path = "../../uring-read/tests/confined/mod.rs"]
mod confined;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use uring_loop::{Fd, Op, Part, Ring, Room, SendFlags, Setup, ToClose, Token, Work};

const PLAIN: Setup = Setup { entries: 64, as_of: None, work: Work::AtOnce };

fn setups() -> [Setup; 5] {
    [
        PLAIN,
        Setup { work: Work::WhenWeEnter, ..PLAIN },
        Setup { work: Work::WhenWeAsk, ..PLAIN },
        Setup { entries: 4, ..PLAIN },
        Setup { as_of: Some((5, 10)), ..PLAIN },
    ]
}

/// Runs it in a thread of its own, and waits no longer than half a minute for it.
fn ends(what: &str, run: impl FnOnce() + Send + 'static) {
    let (over, is_over) = mpsc::channel();
    let thread = thread::spawn(move || {
        run();
        over.send(()).expect("somebody waits");
    });
    match is_over.recv_timeout(Duration::from_secs(30)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what}: it does not come back"),
        _ => thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)),
    }
}

/// With a ring of each kind.
fn with_each_ring(run: fn(Ring)) {
    for setup in setups() {
        ends(&format!("{setup:?}"), move || match Ring::new(&setup) {
            Ok(ring) => run(ring),
            Err(_) => flags::skipped("io_uring is forbidden here"),
        });
    }
}

/// A socket of which the other end is ours.
fn socket(to_close: &ToClose, peers: &mut Vec<UnixStream>) -> Fd {
    let (ours, peer) = UnixStream::pair().expect("a pair");
    peers.push(peer);
    to_close.hold(ours.into())
}

/// One that takes no more bytes.
fn full_socket(to_close: &ToClose, peers: &mut Vec<UnixStream>) -> Fd {
    let (mut ours, peer) = UnixStream::pair().expect("a pair");
    ours.set_nonblocking(true).expect("a socket");
    let full = loop {
        if let Err(error) = ours.write(&[0; 4096]) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    ours.set_nonblocking(false).expect("a socket");
    peers.push(peer);
    to_close.hold(ours.into())
}

fn receive(ring: &mut Ring, slot: usize, socket: Fd, into: Room) {
    ring.begin(Token { slot, part: Part::Receive }, Op::Receive { socket, into });
}

/// Begins five operations, none of which ends by itself, and says how many descriptors they
/// hold.
fn begin_all(ring: &mut Ring, to_close: &ToClose, peers: &mut Vec<UnixStream>) -> usize {
    receive(ring, 0, socket(to_close, peers), Room::Own(Vec::with_capacity(100)));
    if ring.features().multishot_receive {
        receive(ring, 1, socket(to_close, peers), Room::Shared);
    } else {
        receive(ring, 1, socket(to_close, peers), Room::Own(Vec::with_capacity(1)));
    }
    let (socket, bytes) = (full_socket(to_close, peers), vec![0; 12]);
    ring.begin(
        Token { slot: 2, part: Part::Send },
        Op::Send { socket, bytes, flags: SendFlags::empty() },
    );
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let listener = to_close.hold(listener.into());
    let many = ring.features().multishot_accept;
    ring.begin(Token { slot: 3, part: Part::Receive }, Op::Accept { listener, many });
    let time = Box::new(Duration::from_secs(3600).into());
    ring.begin(Token { slot: 4, part: Part::Work }, Op::Sleep { time });
    4
}

/// The descriptors that came back, all closed; their other ends notice.
fn are_back(to_close: &ToClose, peers: &mut [UnixStream]) -> usize {
    let mut number = 0;
    while let Some(descriptor) = to_close.take() {
        drop(descriptor);
        number += 1;
    }
    for peer in peers {
        peer.set_nonblocking(true).expect("a socket");
        let end = loop {
            match peer.read(&mut [0; 4096]) {
                Ok(1..) => {}
                end => break end.map_err(|error| error.kind()),
            }
        };
        assert_ne!(end, Err(ErrorKind::WouldBlock), "the kernel still has it open");
    }
    number
}

#[test]
fn what_is_in_flight_comes_back() {
    with_each_ring(|mut ring| {
        let (to_close, mut peers) = (ToClose::default(), Vec::new());
        let held = begin_all(&mut ring, &to_close, &mut peers);
        ring.wait(0).expect("it is entered");
        assert_eq!(ring.in_flight(), 5);
        assert!(ring.next().is_none_or(|done| done.op.is_none()), "none is over");
        assert!(to_close.take().is_none(), "a descriptor was let go of too early");
        drop(ring);
        assert_eq!(are_back(&to_close, &mut peers), held);
    });
}

/// The cancellation follows in the same call.
#[test]
fn what_is_recalled_at_once_comes_back() {
    with_each_ring(|mut ring| {
        let (to_close, mut peers) = (ToClose::default(), Vec::new());
        let held = begin_all(&mut ring, &to_close, &mut peers);
        drop(ring);
        assert_eq!(are_back(&to_close, &mut peers), held);
    });
}

/// The other side has ended its own: the kernel tries to send, finds no room and a reason to try
/// again, and has the operation in its hands when the cancellation looks for it.
#[test]
fn a_send_that_the_kernel_tries_again_comes_back() {
    with_each_ring(|mut ring| {
        let (to_close, mut peers) = (ToClose::default(), Vec::new());
        for slot in 0..20 {
            let (socket, bytes) = (full_socket(&to_close, &mut peers), vec![0; 12]);
            let token = Token { slot, part: Part::Send };
            ring.begin(token, Op::Send { socket, bytes, flags: SendFlags::empty() });
        }
        ring.wait(0).expect("it is entered");
        for peer in &peers {
            peer.shutdown(Shutdown::Write).expect("it is connected");
        }
        ring.wait(0).expect("it is entered"); // it has tried once, and has to again
        drop(ring);
        assert_eq!(are_back(&to_close, &mut peers), 20);
    });
}

#[test]
fn what_was_never_submitted_comes_back() {
    with_each_ring(|mut ring| {
        let (to_close, mut peers) = (ToClose::default(), Vec::new());
        let mut held = begin_all(&mut ring, &to_close, &mut peers);
        for slot in 5..105 {
            let socket = socket(&to_close, &mut peers);
            receive(&mut ring, slot, socket, Room::Own(Vec::with_capacity(1)));
            held += 1;
        }
        drop(ring);
        assert_eq!(are_back(&to_close, &mut peers), held);
    });
}

/// More operations than either queue has room for, completed all at once: none is lost, and
/// none comes twice.
#[test]
fn full_queues_lose_nothing() {
    const MANY: usize = 200;
    for setup in setups() {
        ends(&format!("{setup:?}"), move || {
            let Ok(mut ring) = Ring::new(&Setup { entries: 4, ..setup }) else {
                return flags::skipped("io_uring is forbidden here");
            };
            let (to_close, mut peers) = (ToClose::default(), Vec::new());
            for slot in 0..MANY {
                let socket = socket(&to_close, &mut peers);
                receive(&mut ring, slot, socket, Room::Own(Vec::with_capacity(1)));
            }
            ring.wait(0).expect("it is entered");
            for peer in &mut peers {
                peer.write_all(b"!").expect("the other end is open");
            }
            let mut seen = vec![0; MANY];
            while ring.in_flight() > 0 {
                ring.wait(1).expect("it is entered");
                while let Some(done) = ring.next() {
                    assert_eq!(
                        (done.result, ring.bytes(&done.received)),
                        (Ok(1), &b"!"[..])
                    );
                    seen[done.token.slot] += 1;
                }
            }
            assert_eq!(seen, vec![1; MANY]);
        });
    }
}

#[test]
fn a_recalled_operation_gives_back_what_it_was_lent() {
    ends("recall", || {
        let Ok(mut ring) = Ring::new(&PLAIN) else {
            return flags::skipped("io_uring is forbidden here");
        };
        let (to_close, mut peers) = (ToClose::default(), Vec::new());
        let socket = full_socket(&to_close, &mut peers);
        let token = Token { slot: 0, part: Part::Send };
        let bytes = b"lent".to_vec();
        ring.begin(token, Op::Send { socket, bytes, flags: SendFlags::empty() });
        ring.wait(0).expect("it is entered");
        assert!(ring.next().is_none(), "there was room");
        ring.cancel(token);
        let done = loop {
            ring.wait(1).expect("it is entered");
            if let Some(done) = ring.next() {
                break done;
            }
        };
        assert_eq!(done.result, Err(rustix::io::Errno::CANCELED));
        let Some(Op::Send { bytes, .. }) = done.op else { panic!("it does not come back") };
        assert_eq!(bytes, b"lent");
        assert_eq!(ring.in_flight(), 0);
    });
}

#[test]
#[should_panic(expected = "} is in flight")]
fn a_token_is_not_used_twice() {
    let Ok(mut ring) = Ring::new(&PLAIN) else {
        flags::skipped("io_uring is forbidden here");
        panic!("{{}} is in flight: nothing to test");
    };
    let (to_close, mut peers) = (ToClose::default(), Vec::new());
    for _ in 0..2 {
        let socket = socket(&to_close, &mut peers);
        receive(&mut ring, 0, socket, Room::Own(Vec::with_capacity(1)));
    }
}

/// The ring cannot be drained: its memory stays the kernel's, and the drop comes to an end.
#[test]
fn a_ring_that_cannot_be_drained_is_leaked() {
    ends("leak", || {
        let Ok(mut ring) = Ring::new(&PLAIN) else {
            return flags::skipped("io_uring is forbidden here");
        };
        let (to_close, mut peers) = (ToClose::default(), Vec::new());
        begin_all(&mut ring, &to_close, &mut peers);
        ring.wait(0).expect("it is entered");
        // In this thread only, which ends with the test.
        if let Err(error) = confined::deny_here(libc::SYS_io_uring_enter, libc::EPERM) {
            return flags::skipped(format!("no seccomp: {error}"));
        }
        drop(ring);
        assert!(to_close.take().is_none(), "the kernel may still use it");
        peers[0].write_all(b"hello").expect("the kernel still reads, into nobody's memory");
    });
}
