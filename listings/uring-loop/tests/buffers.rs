//! More clients say something at once than there are shared buffers.
#![cfg(target_os = "linux")]

use std::io::Write;
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use uring_loop::{Fd, Op, Part, Ring, Room, Setup, ToClose, Token, Work};

/// More than the kernel gets at first.
const CLIENTS: usize = 300;

fn receive(ring: &mut Ring, slot: usize, socket: Fd) {
    let op = Op::Receive { socket, into: Room::Shared };
    ring.begin(Token { slot, part: Part::Receive }, op);
}

/// All of them say something, and all of it is received. How often there was no buffer?
fn burst(ring: &mut Ring, peers: &mut [UnixStream], word: &[u8]) -> usize {
    for peer in &mut *peers {
        peer.write_all(word).expect("the other end is open");
    }
    // None is given back before the end: all of a burst are out at the same time.
    let (mut taken, mut without) = (Vec::new(), 0);
    while taken.len() < peers.len() {
        ring.wait(1).expect("it is entered");
        let mut again = Vec::new();
        while let Some(done) = ring.next() {
            match done.result {
                Ok(_) => {
                    assert_eq!(ring.bytes(&done.received), word);
                    taken.push(done.received);
                }
                Err(error) => {
                    assert_eq!(error, Errno::NOBUFS);
                    without += 1;
                    assert!(without < CLIENTS, "there is never one more");
                }
            }
            if let Some(Op::Receive { socket, .. }) = done.op {
                again.push((done.token.slot, socket));
            }
        }
        again.into_iter().for_each(|(slot, socket)| receive(ring, slot, socket));
    }
    taken.into_iter().for_each(|received| ring.give_back(received));
    without
}

#[test]
fn who_found_no_buffer_finds_one_the_next_time_and_a_crowd_does_not_stay() {
    let setup = Setup { entries: 1024, as_of: None, work: Work::WhenWeAsk };
    let Ok(mut ring) = Ring::new(&setup) else {
        return flags::skipped("io_uring is forbidden here");
    };
    if !ring.features().multishot_receive {
        return flags::skipped("there are no shared buffers before Linux 6.0");
    }
    let (to_close, mut peers) = (ToClose::default(), Vec::new());
    for slot in 0..CLIENTS {
        let (ours, peer) = UnixStream::pair().expect("a pair");
        peers.push(peer);
        receive(&mut ring, slot, to_close.hold(ours.into()));
    }
    ring.wait(0).expect("it is entered");
    let first = burst(&mut ring, &mut peers, b"first");
    assert!(first > 0, "there were enough: {CLIENTS} clients are too few for this test");
    // One of 256 that came back was kept.
    let second = burst(&mut ring, &mut peers, b"second");
    assert!(second <= CLIENTS / 256 + 1, "{first} at first, {second} then");
    // Few who say much need no more than there were at first.
    for _ in 0..30 {
        for word in [b"again", b"and again"] as [&[u8]; 2] {
            assert_eq!(burst(&mut ring, &mut peers[..250], word), 0);
        }
    }
    let later = burst(&mut ring, &mut peers, b"later");
    assert!(later >= first, "{first} at first, {later} later: the crowd has stayed");
}
