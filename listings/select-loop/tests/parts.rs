//! The parts that the loops share, each by itself, with real sockets.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use guestbook::{Guest, Now, Settings, StoreCall, StoreError, Value};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionbio;
use select_loop::{Client, Clients, Door, Name, Ready, StoreLink};

const TIMEOUT: Duration = Duration::from_secs(5);

/// Names of three calls.
fn names() -> [Name; 3] {
    let mut clients = Clients::default();
    [(); 3].map(|()| {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        let guest = Guest::new(Settings::default(), TIMEOUT, Now::read());
        let slot = clients.insert(Client::new(socket.into(), guest));
        clients.new_call(slot)
    })
}

/// Waits for what the link waits for, and tells it. Returns the time that it told.
fn go_on(link: &mut StoreLink) -> Instant {
    let (socket, interest) = link.waits_for().expect("a connection");
    let read = if interest.read { PollFlags::IN } else { PollFlags::empty() };
    let write = if interest.write { PollFlags::OUT } else { PollFlags::empty() };
    let mut entry = [PollFd::new(&socket, read | write)];
    let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
    assert_eq!(poll(&mut entry, Some(&limit)), Ok(1), "nothing happened in ten seconds");
    let said = entry[0].revents();
    let ready = Ready {
        read: said.contains(PollFlags::IN),
        write: said.contains(PollFlags::OUT),
        gone: said.intersects(PollFlags::HUP | PollFlags::ERR),
    };
    let now = Instant::now();
    link.is_ready(ready, now);
    now
}

/// A store whose other end is the test, and a link to it over which `calls` were sent.
fn connected(calls: &[(Name, StoreCall)]) -> (StoreLink, TcpStream) {
    let store = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let mut link = StoreLink::new(store.local_addr().expect("an address"), TIMEOUT);
    for (who, call) in calls {
        assert_eq!(link.submit(*who, call, Instant::now()), Ok(()));
    }
    go_on(&mut link);
    let (mut stream, _) = store.accept().expect("the link connects");
    let sent: Vec<u8> = calls.iter().flat_map(|(_, call)| call.request.clone()).collect();
    let mut received = vec![0; sent.len()];
    stream.read_exact(&mut received).expect("the calls");
    assert_eq!(received, sent, "one behind the other");
    (link, stream)
}

#[test]
fn replies_find_their_callers() {
    let [a, b, c] = names();
    let visit = StoreCall::visit;
    let (mut link, mut store) = connected(&[(a, visit()), (b, visit()), (c, visit())]);
    store.write_all(b":1\r\n*0\r\n:2\r\n*0\r\n:3\r\n*1\r\n$2\r\nhi\r\n").expect("to reply");
    while link.deadline().is_some() {
        go_on(&mut link);
    }
    let mut visits = Vec::new();
    while let Some((who, reply)) = link.next_done() {
        visits.push((who, reply.expect("a reply").0));
    }
    let page = |visitor, remarks| vec![Value::Integer(visitor), Value::List(remarks)];
    assert_eq!(
        visits,
        [(a, page(1, vec![])), (b, page(2, vec![])), (c, page(3, vec![b"hi".to_vec()]))]
    );
}

#[test]
fn a_store_that_is_behind_gets_no_more_calls() {
    let [a, b, c] = names();
    let (mut link, _store) = connected(&[(a, StoreCall::visit())]);
    let begun = link.deadline().expect("it owes a reply") - TIMEOUT;
    let visit = StoreCall::visit();
    assert_eq!(link.submit(b, &visit, begun + TIMEOUT / 2), Ok(()));
    assert_eq!(link.submit(c, &visit, begun + TIMEOUT), Err(StoreError::Late));
    // Now nobody waits for what it may still say.
    let first = link.connection();
    assert_eq!(link.submit(c, &visit, begun + TIMEOUT * 3 / 2), Ok(()));
    assert_eq!(link.connection(), first + 1);
}

#[test]
fn a_store_that_leaves_tells_everybody_and_the_next_call_connects_again() {
    let [a, b, c] = names();
    let (mut link, mut store) =
        connected(&[(a, StoreCall::visit()), (b, StoreCall::add("x"))]);
    let first = link.connection();
    store.write_all(b":1\r\n*0\r\n").expect("to reply once");
    go_on(&mut link);
    assert!(matches!(link.next_done(), Some((who, Ok(_))) if who == a));
    drop(store);
    go_on(&mut link);
    assert_eq!(link.next_done(), Some((b, Err(StoreError::Gone))));
    assert!(link.waits_for().is_none() && link.deadline().is_none());
    assert_eq!(link.submit(c, &StoreCall::visit(), Instant::now()), Ok(()));
    assert_eq!(link.connection(), first + 1);
}

#[test]
fn a_store_that_leaves_without_a_word_is_left_alone_for_a_while() {
    let [a, b, _] = names();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let mut link = StoreLink::new(listener.local_addr().expect("an address"), TIMEOUT);
    let next = || {
        let (mut store, _) = listener.accept().expect("the link connects");
        store.read_exact(&mut [0; 16]).expect("the call");
        store
    };
    assert_eq!(link.submit(a, &StoreCall::visit(), Instant::now()), Ok(()));
    go_on(&mut link);
    let mut store = next();
    store.write_all(b":1\r\n*0\r\n").expect("to reply");
    go_on(&mut link);
    assert!(matches!(link.next_done(), Some((who, Ok(_))) if who == a));
    drop(store);
    let lost = go_on(&mut link);
    assert_eq!(link.submit(b, &StoreCall::visit(), lost), Ok(()), "it was good");

    // What the one before was good for does not count for the next.
    go_on(&mut link);
    let store = next();
    drop(store);
    let lost = go_on(&mut link);
    assert_eq!(link.next_done(), Some((b, Err(StoreError::Gone))));
    let early = lost + Duration::from_millis(49);
    assert_eq!(link.submit(a, &StoreCall::visit(), early), Err(StoreError::Gone));
    let later = lost + Duration::from_millis(50);
    assert_eq!(link.submit(a, &StoreCall::visit(), later), Ok(()));
}

#[test]
fn while_nobody_listens_a_call_fails_at_once_and_few_are_tried() {
    let [a, ..] = names();
    let address = {
        let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        gone.local_addr().expect("an address")
    };
    let mut link = StoreLink::new(address, TIMEOUT);
    let start = Instant::now();
    // Ten seconds of a call every ten milliseconds; the link is told what time it is.
    for step in 0..1000 {
        let now = start + Duration::from_millis(10) * step;
        if link.submit(a, &StoreCall::visit(), now).is_ok() {
            let (socket, _) = link.waits_for().expect("a connection that has begun");
            let mut entry = [PollFd::new(&socket, PollFlags::OUT)];
            poll(&mut entry, None).expect("to see that it is refused");
            link.is_ready(Ready { write: true, ..Ready::NOTHING }, now);
            assert_eq!(link.next_done(), Some((a, Err(StoreError::Gone))));
        }
    }
    // 50, 100, 200, … 2000, 2000 milliseconds.
    assert!((8..=12).contains(&link.connection()), "{} tries", link.connection());
}

#[test]
fn a_store_that_says_nothing_is_given_up() {
    let [a, b, _] = names();
    let (mut link, mut store) = connected(&[(a, StoreCall::visit())]);
    let begun = link.deadline().expect("it owes a reply") - TIMEOUT;
    store.write_all(b":1\r\n").expect("half a reply");
    go_on(&mut link);
    assert_eq!(link.deadline(), Some(begun + TIMEOUT), "half a reply is none");
    assert_eq!(link.submit(b, &StoreCall::visit(), begun + TIMEOUT / 2), Ok(()));
    link.expired(begun + TIMEOUT - Duration::from_millis(1));
    assert_eq!(link.next_done(), None);
    link.expired(begun + TIMEOUT);
    let gone = Err(StoreError::Gone);
    assert_eq!(link.next_done(), Some((a, gone.clone())));
    assert_eq!(link.next_done(), Some((b, gone)));
}

fn door(room: usize) -> (Door, std::net::SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let address = listener.local_addr().expect("an address");
    ioctl_fionbio(&listener, true).expect("to make it non-blocking");
    (Door::new(listener.into(), room), address)
}

#[test]
fn a_full_house_does_not_look_at_its_door() {
    let (mut door, address) = door(2);
    let _clients: Vec<TcpStream> =
        (0..3).map(|_| TcpStream::connect(address).expect("to connect")).collect();
    let mut inside = door.accept(Instant::now());
    assert_eq!(inside.len(), 2);
    assert!(door.listener().is_none(), "it would be ready all the time");
    inside.pop();
    door.somebody_left();
    assert!(door.listener().is_some());
    assert_eq!(door.accept(Instant::now()).len(), 1);
}

#[test]
fn the_last_round_is_for_those_who_wait_and_then_the_door_is_closed() {
    for at_once in [1, 100] {
        let (door, address) = door(100);
        let mut door = door.at_once(at_once);
        let connect = || TcpStream::connect(address).expect("to connect");
        let _waiting = [connect(), connect()];
        door.last_round();
        let _late = connect();
        let mut inside = Vec::new();
        while !door.is_closed() {
            inside.extend(door.accept(Instant::now()));
            door.close_if_last();
        }
        assert_eq!(inside.len(), 2, "two waited when the round began");
        assert!(TcpStream::connect(address).is_err(), "whoever comes now is refused");
    }
}
