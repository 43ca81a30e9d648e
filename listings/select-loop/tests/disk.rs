//! Files that others open and read for a loop, and clients that are gone when they have.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use guestbook::Settings;
use iterative::Files;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use select_loop::{After, Disk, House, Interest, Ready, StoreLink};

const SECOND: Duration = Duration::from_secs(1);

/// A house with one thread for files, which does everything, and the folder that it serves.
fn house(name: &str) -> (House, PathBuf) {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("disk-{name}-{}", std::process::id()));
    fs::create_dir_all(&root).expect("a folder");
    for name in ["first", "second"] {
        fs::write(root.join(name), format!("this is the {name}\n")).expect("a file");
    }
    let files = Files::new(&root, false).expect("the folder");
    let store = StoreLink::new(([127, 0, 0, 1], 1).into(), SECOND);
    let mut house = House::new(files, store, Settings::default(), SECOND);
    house.hand_files_to(Disk::new(1, false).expect("a thread"));
    (house, root)
}

/// A client that asks for a file, whose job is outstanding.
fn asks(house: &mut House, name: &str) -> (usize, UnixStream) {
    let (mut ours, theirs) = UnixStream::pair().expect("a pair");
    theirs.set_nonblocking(true).expect("a flag");
    ours.set_read_timeout(Some(10 * SECOND)).expect("a timeout");
    let request = format!("GET /{name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    ours.write_all(request.as_bytes()).expect("room");
    house.wake();
    let slot = house.admit(theirs.into());
    house.round();
    let after = house.serve(slot, Ready::NOTHING);
    let waits = matches!(after, After::Arm(interest) if !interest.write);
    assert!(waits, "for the disk, and not for room: {after:?}");
    (slot, ours)
}

/// Goes on as a loop does, until this client is over.
fn until_over(house: &mut House, slot: usize) {
    let since = Instant::now();
    while since.elapsed() < 10 * SECOND {
        let told = house.disk().expect("there is one");
        let time = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        let entry = &mut [PollFd::from_borrowed_fd(told, PollFlags::IN)];
        poll(entry, Some(&time)).expect("poll");
        house.wake();
        house.disk_is_ready();
        for next in house.round() {
            if let After::Retire(_) = house.serve(next, Ready::NOTHING)
                && next == slot
            {
                return;
            }
        }
    }
    panic!("it never ends");
}

#[test]
fn a_client_that_waits_for_the_disk_is_served_when_it_is_told() {
    let (mut house, root) = house("told");
    let (slot, mut client) = asks(&mut house, "first");
    until_over(&mut house, slot);
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("this is the first\n"), "{answer}");
    fs::remove_dir_all(root).expect("to clean up");
}

#[test]
fn what_was_read_for_one_is_not_for_who_has_its_slot_now() {
    let (mut house, root) = house("slot");
    let (slot, first) = asks(&mut house, "first");
    drop((house.dismiss(slot), first));
    let (same, mut second) = asks(&mut house, "second");
    assert_eq!(same, slot);
    until_over(&mut house, slot);
    let mut answer = String::new();
    second.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("this is the second\n"), "{answer}");
    fs::remove_dir_all(root).expect("to clean up");
}

#[test]
fn a_house_without_a_pool_opens_by_itself() {
    let (house, root) = house("interest");
    assert!(house.disk().is_some());
    let files = Files::new(&root, false).expect("the folder");
    let store = StoreLink::new(([127, 0, 0, 1], 1).into(), SECOND);
    let mut alone = House::new(files, store, Settings::default(), SECOND);
    assert!(alone.disk().is_none());
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    theirs.set_nonblocking(true).expect("a flag");
    let slot = alone.admit(theirs.into());
    alone.round();
    alone.disk_is_ready(); // nobody to hear of, and no harm
    assert!(matches!(
        alone.serve(slot, Ready::NOTHING),
        After::Arm(Interest { read: true, .. })
    ));
    drop(ours);
    fs::remove_dir_all(root).expect("to clean up");
}
