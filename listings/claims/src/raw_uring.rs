//! Entries for sockets, for the checks of io_uring(7). The memory that they name was leaked.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd};

use io_uring::squeue::Flags;
use io_uring::types::Fd;
use io_uring::{opcode, squeue};

use crate::raw_ring::Ring;

fn number(descriptor: impl AsFd) -> Fd {
    Fd(descriptor.as_fd().as_raw_fd())
}

/// Puts in an accept: for one client, or for one after another.
pub fn accept(ring: &mut Ring, listener: impl AsFd, many: bool, mark: u64) {
    let (listener, nobody) = (number(listener), std::ptr::null_mut());
    let entry = match many {
        true => opcode::AcceptMulti::new(listener).build(),
        false => opcode::Accept::new(listener, nobody, nobody.cast()).build(),
    };
    push(ring, &entry.user_data(mark));
}

/// Puts in a receive: into a buffer of this group, or into one of its own.
pub fn receive(ring: &mut Ring, socket: impl AsFd, group: Option<u16>, mark: u64) {
    let into = Box::leak(Box::new([0_u8; 16]));
    let receive = opcode::Recv::new(number(socket), into.as_mut_ptr(), 16);
    let entry = match group {
        Some(group) => receive.buf_group(group).build().flags(Flags::BUFFER_SELECT),
        None => receive.build(),
    };
    push(ring, &entry.user_data(mark));
}

/// Puts in a send of 16 bytes.
pub fn send(ring: &mut Ring, socket: impl AsFd, mark: u64) {
    let bytes = Box::leak(Box::new([0_u8; 16]));
    let entry = opcode::Send::new(number(socket), bytes.as_ptr(), 16).build();
    push(ring, &entry.user_data(mark));
}

fn push(ring: &mut Ring, entry: &squeue::Entry) {
    // SAFETY: whatever memory the entry names was leaked, and is valid for ever.
    unsafe { ring.0.submission().push(entry) }.expect("the checks leave room");
}
