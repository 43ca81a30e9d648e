//! From an operation to the entries that ask the kernel for it.

use std::os::fd::AsRawFd;

use io_uring::types::Fd as Number;
use io_uring::{opcode, squeue};
use nix::sys::socket::SockaddrLike;
use rustix::net::{RecvFlags, SendFlags};

use super::buffers::GROUP;
use super::{CANCEL, Op, Room};
use crate::op::Fd;

fn number(fd: &Fd) -> Number {
    Number(fd.as_raw_fd())
}

/// The entry for an operation, which is to be kept until it is completed: the entry points into
/// what it owns.
// ANCHOR: of
pub(super) fn of(op: &mut Op) -> squeue::Entry {
    match op {
        Op::Accept { listener, many: true } => {
            opcode::AcceptMulti::new(number(listener)).flags(libc::SOCK_CLOEXEC).build()
        }
        Op::Accept { listener, many: false } => {
            let nobody = std::ptr::null_mut();
            opcode::Accept::new(number(listener), nobody, nobody.cast())
                .flags(libc::SOCK_CLOEXEC)
                .build()
        }
        Op::Receive { socket, into: Room::Shared } => {
            opcode::RecvMulti::new(number(socket), GROUP).build()
        }
        Op::Receive { socket, into: Room::OneOfThem(room) } => {
            let room = u32::try_from(*room).unwrap_or(u32::MAX);
            let receive = opcode::Recv::new(number(socket), std::ptr::null_mut(), room);
            receive.buf_group(GROUP).build().flags(squeue::Flags::BUFFER_SELECT)
        }
        Op::Receive { socket, into: Room::Own(buffer) } => {
            let room = u32::try_from(buffer.capacity()).unwrap_or(u32::MAX);
            opcode::Recv::new(number(socket), buffer.as_mut_ptr(), room).build()
        }
        Op::Peek { socket, byte } => {
            let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
            opcode::Recv::new(number(socket), byte.as_mut_ptr(), 1)
                .flags(flags.bits() as i32)
                .build()
        }
        Op::Send { socket, bytes, flags } => {
            let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            opcode::Send::new(number(socket), bytes.as_ptr(), len)
                .flags((*flags | SendFlags::NOSIGNAL).bits() as i32)
                .build()
        }
        Op::Open { root, path, how } => {
            opcode::OpenAt2::new(number(root), path.as_ptr(), &raw const **how).build()
        }
        Op::Read { file, at, len, into } => {
            let room = into.spare_capacity_mut();
            let len = u32::try_from(room.len().min(*len)).unwrap_or(u32::MAX);
            opcode::Read::new(number(file), room.as_mut_ptr().cast(), len)
                .offset(*at)
                .build()
        }
        Op::Write { file, at, bytes } => {
            let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            opcode::Write::new(number(file), bytes.as_ptr(), len).offset(*at).build()
        }
        Op::Look { file, answer } => {
            opcode::Statx::new(number(file), c"".as_ptr(), (&raw mut *answer.0).cast())
                .flags(libc::AT_EMPTY_PATH)
                .mask(libc::STATX_TYPE | libc::STATX_SIZE | libc::STATX_MTIME)
                .build()
        }
        Op::Connect { socket, address } => {
            opcode::Connect::new(number(socket), address.as_ptr(), address.len()).build()
        }
        Op::Shut { socket } => opcode::Shutdown::new(number(socket), libc::SHUT_WR).build(),
        Op::Watch { descriptor } => {
            opcode::PollAdd::new(number(descriptor), libc::POLLIN as u32).build()
        }
        Op::Sleep { time } => opcode::Timeout::new(&raw const **time).build(),
    }
}
// ANCHOR_END: of

/// The entry that asks for the end of another.
pub(super) fn cancel(user_data: u64) -> squeue::Entry {
    opcode::AsyncCancel::new(user_data).build().user_data(CANCEL | user_data)
}
