//! A program that the kernel answers less kindly: what a container takes away.
#![allow(dead_code, reason = "no test needs all of it")]
#![expect(unsafe_code, reason = "code between fork and exec, and prctl(2)")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter,
};

/// Lets a system call fail with this error, in the program and all that it starts.
pub fn deny(command: &mut Command, call: libc::c_long, errno: i32) {
    let answer = libc::SECCOMP_RET_ERRNO | errno as u32;
    install(
        command,
        vec![load(0), jump(BPF_JEQ, call as u32, 1), give(answer), give(ALLOW)],
    );
}

/// The same, where the third argument of the call has one of these bits.
pub fn deny_flags(command: &mut Command, call: libc::c_long, bits: u32, errno: i32) {
    let answer = libc::SECCOMP_RET_ERRNO | errno as u32;
    // struct seccomp_data: number, architecture, address, and six arguments of 64 bits.
    let third = 16 + 2 * 8 + if cfg!(target_endian = "big") { 4 } else { 0 };
    install(
        command,
        vec![
            load(0),
            jump(BPF_JEQ, call as u32, 3),
            load(third),
            jump(BPF_JSET, bits, 1),
            give(answer),
            give(ALLOW),
        ],
    );
}

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

fn load(offset: u32) -> sock_filter {
    statement(BPF_LD | BPF_W | BPF_ABS, offset)
}

fn give(answer: u32) -> sock_filter {
    statement(BPF_RET | BPF_K, answer)
}

fn jump(test: u32, k: u32, otherwise: u8) -> sock_filter {
    sock_filter { jf: otherwise, ..statement(BPF_JMP | test | BPF_K, k) }
}

fn install(command: &mut Command, filter: Vec<sock_filter>) {
    let install = move || install_here(&filter);
    // SAFETY: between fork and exec the closure makes two system calls, which neither allocate
    // nor lock.
    unsafe { command.pre_exec(install) };
}

/// Lets a system call fail from here on, in the calling thread.
pub fn deny_here(call: libc::c_long, errno: i32) -> io::Result<()> {
    let answer = libc::SECCOMP_RET_ERRNO | errno as u32;
    install_here(&[load(0), jump(BPF_JEQ, call as u32, 1), give(answer), give(ALLOW)])
}

fn install_here(filter: &[sock_filter]) -> io::Result<()> {
    // The kernel copies the filter during the call.
    let program =
        libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)?;
    let mode = libc::SECCOMP_MODE_FILTER.into();
    prctl(libc::PR_SET_SECCOMP, mode, (&raw const program) as libc::c_ulong)
}

/// Lets the program lock no memory, root's privilege included.
pub fn no_locked_memory(command: &mut Command) {
    locked_memory(command, 0);
}

/// Lets the program lock no more than so many bytes, in the same way.
pub fn locked_memory(command: &mut Command, bytes: u64) {
    const CAP_IPC_LOCK: libc::c_ulong = 14;
    let give_up = move || {
        // Who may not give it up does not have it.
        let _ = prctl(libc::PR_CAPBSET_DROP, CAP_IPC_LOCK, 0);
        let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
        // SAFETY: the kernel reads `limit` during the call.
        match unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec the closure makes two system calls.
    unsafe { command.pre_exec(give_up) };
}

fn prctl(option: i32, second: libc::c_ulong, third: libc::c_ulong) -> io::Result<()> {
    let none: libc::c_ulong = 0;
    // SAFETY: the arguments are numbers, or name a filter that the caller keeps until the call
    // is over.
    match unsafe { libc::prctl(option, second, third, none, none) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
