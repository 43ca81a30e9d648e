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
            let seen_of = traced(case.pick(to_the_next_call, to_the_next_signal))?;
            let stops = seen_of.of_getppid;
            seen(stops == 2 * CALLS, format!("{CALLS} calls, {stops} stops"))
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
            let Traced { stops, switches, .. } =
                traced(case.pick(to_the_next_call, to_the_next_signal))?;
            let all = switches == stops as u64 && stops > 1;
            seen(all, format!("{stops} stops, {switches} switches"))
        }),
    },
];

/// What was seen of a child that makes calls between two stops of its own, the second of which
/// counts.
#[cfg(target_os = "linux")]
struct Traced {
    /// How often it has stopped.
    stops: usize,
    /// How often for getppid(2).
    of_getppid: usize,
    /// How often it has given its processor up by itself.
    switches: u64,
}

#[cfg(target_os = "linux")]
fn traced(go_on: fn(Pid) -> nix::Result<()>) -> Result<Traced, Cannot> {
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
    let (mut stops, mut of_getppid) = (1, 0);
    go_on(id)?;
    let our_id = i64::from(getpid().as_raw());
    while let WaitStatus::PtraceSyscall(_) = waitpid(id, None)? {
        stops += 1;
        of_getppid += usize::from(raw::is_about(id, libc::SYS_getppid, our_id)?);
        go_on(id)?;
    }
    let switches = switches(id)? - before;
    ptrace::kill(id)?;
    waitpid(id, None)?;
    Ok(Traced { stops, of_getppid, switches })
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
