//! Takes something away from a program before it starts: what a container does.
#![expect(unsafe_code, reason = "code between fork and exec, and prctl(2)")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter,
};

/// Answers the system call with `errno`.
pub fn deny(command: &mut Command, call: libc::c_long, errno: i32) {
    filter(command, call, None, errno);
}

/// Answers the system call with `errno` where its third argument has one of the `flags`.
pub fn deny_flags(command: &mut Command, call: libc::c_long, flags: u32, errno: i32) {
    filter(command, call, Some(flags), errno);
}

fn filter(command: &mut Command, call: libc::c_long, flags: Option<u32>, errno: i32) {
    let statement = |code: u32, k: u32| sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let jump = |test: u32, k: u32, jf: u8| sock_filter {
        jf,
        ..statement(BPF_JMP | test | BPF_K, k)
    };
    // struct seccomp_data: the number, the architecture, the address, six arguments of 64 bits.
    let number = 0;
    let third = 16 + 2 * 8 + if cfg!(target_endian = "big") { 4 } else { 0 };
    let refuse = statement(BPF_RET | BPF_K, libc::SECCOMP_RET_ERRNO | errno as u32);
    let allow = statement(BPF_RET | BPF_K, libc::SECCOMP_RET_ALLOW);
    let load = |offset| statement(BPF_LD | BPF_W | BPF_ABS, offset);
    let program = match flags {
        None => vec![load(number), jump(BPF_JEQ, call as u32, 1), refuse, allow],
        Some(flags) => vec![
            load(number),
            jump(BPF_JEQ, call as u32, 3),
            load(third),
            jump(BPF_JSET, flags, 1),
            refuse,
            allow,
        ],
    };
    let install = move || {
        let program = libc::sock_fprog {
            len: program.len() as u16,
            filter: program.as_ptr().cast_mut(),
        };
        prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)?;
        prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER.into(),
            (&raw const program) as libc::c_ulong,
        )
    };
    // SAFETY: between fork and exec the closure makes two system calls, and neither allocates
    // nor takes a lock. The program that it names is its own, and is copied by the kernel.
    unsafe { command.pre_exec(install) };
}

/// Sets both limits of a resource.
pub fn limit(command: &mut Command, resource: rustix::process::Resource, limit: u64) {
    use rustix::process::{Rlimit, setrlimit};
    let set = move || {
        let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
        Ok(setrlimit(resource, limit)?)
    };
    // SAFETY: between fork and exec the closure makes one system call on a value of its own.
    unsafe { command.pre_exec(set) };
}

/// Makes root one who may not lock memory beyond the limit; nobody else may anyway.
pub fn without_lock_privilege(command: &mut Command) {
    const CAP_IPC_LOCK: libc::c_ulong = 14;
    let give_up = || {
        // Whoever may not even give it up does not have it.
        let _ = prctl(libc::PR_CAPBSET_DROP, CAP_IPC_LOCK, 0);
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes one system call.
    unsafe { command.pre_exec(give_up) };
}

/// Puts the program into a user namespace of its own, where that is allowed.
pub fn in_own_user_namespace(command: &mut Command) {
    let leave = || {
        // SAFETY: a number in, a number out.
        match unsafe { libc::unshare(libc::CLONE_NEWUSER) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec the closure makes one system call.
    unsafe { command.pre_exec(leave) };
}

/// Leaves the program one processor, the first of ours.
pub fn on_one_processor(command: &mut Command) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let pin = || {
        let ours = sched_getaffinity(None)?;
        let mut one = CpuSet::new();
        if let Some(first) = (0..CpuSet::MAX_CPU).find(|&cpu| ours.is_set(cpu)) {
            one.set(first);
        }
        Ok(sched_setaffinity(None, &one)?)
    };
    // SAFETY: between fork and exec the closure makes two system calls on values of its own.
    unsafe { command.pre_exec(pin) };
}

fn prctl(option: i32, first: libc::c_ulong, second: libc::c_ulong) -> io::Result<()> {
    // SAFETY: where an argument is an address, the caller's value lives until the call
    // returns, and the kernel only reads it.
    match unsafe {
        libc::prctl(option, first, second, 0 as libc::c_ulong, 0 as libc::c_ulong)
    } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
