//! A program that the kernel answers less kindly: a seccomp filter, as a container sets it.
#![expect(unsafe_code, reason = "code between fork and exec, and prctl(2)")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::{c_long, c_ulong, sock_filter};

/// When a system call is refused.
#[derive(Clone, Copy)]
pub enum When {
    Always,
    /// If its third argument has this flag.
    Flag(i32),
}

/// Has the kernel answer this system call of the program with this error.
pub fn refuse(command: &mut Command, call: c_long, when: When, errno: i32) {
    // struct seccomp_data: number, architecture, address, and six arguments of 64 bits.
    let low_half = if cfg!(target_endian = "big") { 4 } else { 0 };
    let third = 4 + 4 + 8 + 2 * 8 + low_half;
    let load = |at| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0);
    let unless = |test, value, skip| step(libc::BPF_JMP | test | libc::BPF_K, value, skip);
    let answer = |what| step(libc::BPF_RET | libc::BPF_K, what, 0);
    let mut filter = vec![load(0)];
    match when {
        When::Always => filter.push(unless(libc::BPF_JEQ, call as u32, 1)),
        When::Flag(flag) => filter.extend([
            unless(libc::BPF_JEQ, call as u32, 3),
            load(third),
            unless(libc::BPF_JSET, flag as u32, 1),
        ]),
    }
    filter.push(answer(libc::SECCOMP_RET_ERRNO | errno as u32));
    filter.push(answer(libc::SECCOMP_RET_ALLOW));
    let install = move || {
        let program = libc::sock_fprog {
            len: filter.len() as u16,
            filter: filter.as_ptr().cast_mut(),
        };
        prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)?;
        let mode = c_ulong::from(libc::SECCOMP_MODE_FILTER);
        prctl(libc::PR_SET_SECCOMP, mode, (&raw const program) as c_ulong)
    };
    // SAFETY: between fork and exec the closure makes two system calls and allocates nothing.
    // The filter is its own, and the kernel copies it.
    unsafe { command.pre_exec(install) };
}

fn step(code: u32, k: u32, jf: u8) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf, k }
}

fn prctl(option: i32, one: c_ulong, two: c_ulong) -> io::Result<()> {
    let none: c_ulong = 0;
    // SAFETY: where an argument is an address, the kernel reads what stands there, and the
    // caller keeps it until the call returns.
    match unsafe { libc::prctl(option, one, two, none, none) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
