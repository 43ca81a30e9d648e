//! What a tracer sees of a program, and what the program pays for it.

use crate::Claim;
use crate::Kernels::All;
#[cfg(target_os = "linux")]
use crate::kit::*;
#[cfg(target_os = "linux")]
use nix::sys::ptrace;

/// How often the traced child calls getppid(2).
#[cfg(target_os = "linux")]
const CALLS: usize = 10;

/// The claims of this file.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "traced-call-stops-twice",
        sentence: "A traced thread stops twice for each system call: at its entry, and at \
            its end.",
        chapter: "models.md",
        kernels: All,
        source: "ptrace(2), Syscall-stops",
        counter: "it was told to go on to the next signal (PTRACE_CONT)",
        check: linux!(|case| {
            let (stops, _) = traced(case.pick(to_the_next_call, to_the_next_signal))?;
            seen(stops >= 2 * CALLS, format!("{CALLS} calls, {stops} stops"))
        }),
    },
    Claim {
        id: "stop-for-a-tracer-is-a-sleep",
        sentence: "A stop for a tracer counts as a voluntary context switch.",
        chapter: "models.md",
        kernels: All,
        source: "the kernel's ptrace_stop, which calls schedule()",
        counter: "it does not stop",
        check: linux!(|case| {
            let (_, switches) = traced(case.pick(to_the_next_call, to_the_next_signal))?;
            let many = switches >= 2 * CALLS as u64;
            seen(many, format!("{CALLS} calls, {switches} switches"))
        }),
    },
];

/// Traces a child that makes calls between two stops. How often it has stopped between them,
/// and how often it has given its processor up.
#[cfg(target_os = "linux")]
fn traced(go_on: fn(Pid) -> nix::Result<()>) -> Result<(usize, u64), Cannot> {
    let id = raw::fork(|| {
        if ptrace::traceme().is_err() {
            return 1;
        }
        let stop = || raise(Signal::SIGSTOP).is_err();
        let refused = stop();
        for _ in 0..CALLS {
            getppid();
        }
        i32::from(refused || stop())
    })?;
    if !matches!(waitpid(id, None)?, WaitStatus::Stopped(_, Signal::SIGSTOP)) {
        return cannot("it may not be traced");
    }
    ptrace::setoptions(id, ptrace::Options::PTRACE_O_TRACESYSGOOD)?;
    let before = switches(id)?;
    let mut stops = 0;
    go_on(id)?;
    while let WaitStatus::PtraceSyscall(_) = waitpid(id, None)? {
        stops += 1;
        go_on(id)?;
    }
    let after = switches(id)?;
    ptrace::kill(id)?;
    waitpid(id, None)?;
    Ok((stops, after - before))
}

#[cfg(target_os = "linux")]
fn to_the_next_call(id: Pid) -> nix::Result<()> {
    ptrace::syscall(id, None)
}

#[cfg(target_os = "linux")]
fn to_the_next_signal(id: Pid) -> nix::Result<()> {
    ptrace::cont(id, None)
}

#[cfg(target_os = "linux")]
fn switches(id: Pid) -> Result<u64, Cannot> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let mut lines = status.lines();
    let number = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    match number.and_then(|number| number.trim().parse().ok()) {
        Some(number) => Ok(number),
        None => cannot("the switches are not counted here"),
    }
}
