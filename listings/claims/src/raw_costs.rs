//! What the checks about the limits of io_uring ask of the kernel. As in `raw_ring`, memory
//! that it is lent is never freed.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use io_uring::types::{Fd, OpenHow};
use io_uring::{opcode, squeue};
use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter};
use nix::errno::Errno;

use crate::raw_ring::Ring;

/// IORING_SEND_ZC_REPORT_USAGE: the notification is to say whether it was copied.
pub const REPORT_USAGE: u16 = 8;
/// IORING_NOTIF_USAGE_ZC_COPIED: it was.
pub const COPIED: u32 = 1 << 31;

/// From here on this process gets `errno` from these calls: a seccomp filter.
pub fn refuse(calls: &[libc::c_long], errno: Errno) -> nix::Result<()> {
    let code = |code: u32, k: u32| sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let mut filter = vec![code(BPF_LD | BPF_W | BPF_ABS, 0)];
    for call in calls {
        filter.push(sock_filter { jf: 1, ..code(BPF_JMP | BPF_JEQ | BPF_K, *call as u32) });
        filter.push(code(BPF_RET | BPF_K, libc::SECCOMP_RET_ERRNO | errno as u32));
    }
    filter.push(code(BPF_RET | BPF_K, libc::SECCOMP_RET_ALLOW));
    let program =
        libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    nix::sys::prctl::set_no_new_privs()?;
    let mode = libc::SECCOMP_MODE_FILTER as libc::c_ulong;
    // SAFETY: the kernel copies the filter during the call.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
    Errno::result(result).map(drop)
}

/// openat2(2), the call.
pub fn open_by_call(path: &str, flags: i32) -> Result<(), Errno> {
    let (path, how) = lend(path, flags);
    let size = size_of::<OpenHow>();
    // SAFETY: both were leaked; the kernel reads no more than `size` bytes of the second.
    let result =
        unsafe { libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, path, how, size) };
    Errno::result(result).map(drop)
}

/// Puts in the operation of that name.
pub fn open(ring: &mut Ring, path: &str, flags: i32, mark: u64) {
    let (path, how) = lend(path, flags);
    let entry = opcode::OpenAt2::new(Fd(libc::AT_FDCWD), path, how).build();
    push(ring, &entry.user_data(mark));
}

fn lend(path: &str, flags: i32) -> (*const libc::c_char, *const OpenHow) {
    let path = Box::leak(Box::new(CString::new(path).expect("a path")));
    let how = Box::leak(Box::new(OpenHow::new().flags(flags as u64)));
    (path.as_ptr(), how)
}

/// Puts in a splice(2) of five bytes from one pipe to another.
pub fn splice(ring: &mut Ring, from: impl AsFd, to: impl AsFd, mark: u64) {
    let (from, to) = (Fd(from.as_fd().as_raw_fd()), Fd(to.as_fd().as_raw_fd()));
    push(ring, &opcode::Splice::new(from, -1, to, -1, 5).build().user_data(mark));
}

/// Sends five bytes without copying them, if that can be done.
pub fn send_without_copy(ring: &mut Ring, socket: impl AsFd, flags: u16, mark: u64) {
    let socket = Fd(socket.as_fd().as_raw_fd());
    let entry = opcode::SendZc::new(socket, b"hello".as_ptr(), 5).zc_flags(flags).build();
    push(ring, &entry.user_data(mark));
}

fn push(ring: &mut Ring, entry: &squeue::Entry) {
    // SAFETY: whatever memory the entry names was leaked or is a constant.
    unsafe { ring.0.submission().push(entry) }.expect("the checks leave room");
}

/// How many threads of io-wq this process has.
pub fn workers() -> io::Result<usize> {
    let mut number = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let name = fs::read_to_string(task?.path().join("comm")).unwrap_or_default();
        number += usize::from(name.starts_with("iou-wrk"));
    }
    Ok(number)
}
