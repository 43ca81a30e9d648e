//! What this machine allows, which chapters of the book that affects, and what to do.
//!
//! Where it is harmless the thing itself is tried, and no version is trusted: a ring is set
//! up, a file is read past the page cache, a child is traced. Nothing is left behind, nothing
//! waits for longer than a second or two, and nobody needs to be root.
//!
//! | module | looks at |
//! | --- | --- |
//! | `system` | kernel, processors, memory |
//! | `confinement` | container, seccomp filter, and who refuses a call |
//! | `uring`, `ring` | io_uring: whether, what of it, and if not, who forbids it |
//! | `aio` | Linux AIO |
//! | `files` | the file system here: `O_DIRECT`, `RWF_NOWAIT`, openat2(2) |
//! | `tracing` | ptrace(2) |
//! | `limits` | processes and descriptors |
//! | `network` | loopback, ports, the queue before accept(2) |
//! | `tools` | programs that some chapters use |
//! | `proc`, `cgroup` | where limits are read |
//! | `numbers` | how they are written |
//!
//! # JSON
//!
//! `doctor --json` prints one object. A key is never removed or given another meaning
//! without a new `version`.
//!
//! | key | value |
//! | --- | --- |
//! | `version` | 1 |
//! | `findings` | a list of objects, the same names in the same order on every machine |
//! | `findings[].name` | what was looked at: `io_uring` |
//! | `findings[].verdict` | `yes`, `limited` or `no`: is it as the book needs it? |
//! | `findings[].found` | a sentence for people, with numbers |
//! | `findings[].chapters` | titles of the chapters that depend on it, whatever the verdict |
//! | `findings[].remedy` | what to do, for people; `null` where the verdict is `yes` |
//! | `affected` | titles of the chapters that some verdict other than `yes` affects |

pub mod chapters;
mod finding;
mod report;

pub use finding::{Finding, Verdict};
pub use report::Report;

#[cfg(target_os = "linux")]
mod aio;
#[cfg(target_os = "linux")]
mod cgroup;
#[cfg(target_os = "linux")]
mod confinement;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod numbers;
#[cfg(target_os = "linux")]
mod proc;
#[cfg(target_os = "linux")]
mod ring;
#[cfg(target_os = "linux")]
mod system;
#[cfg(target_os = "linux")]
mod tools;
#[cfg(target_os = "linux")]
mod tracing;
#[cfg(target_os = "linux")]
mod uring;

/// Looks at everything. Files are tried in `folder`.
///
/// Never fails: what cannot be looked at is a finding too.
#[cfg(target_os = "linux")]
pub fn examine(folder: &std::path::Path) -> Report {
    let me = confinement::Process::this();
    let mut findings = vec![
        system::kernel(),
        system::processors(),
        system::memory(),
        confinement::machine(),
        confinement::system_calls(&me),
    ];
    findings.extend(uring::look(&me));
    findings.push(aio::look(&me));
    findings.extend(files::look(folder, &me));
    findings.push(tracing::look(&me));
    findings.extend([limits::processes(), limits::descriptors()]);
    findings.extend([network::listen_queue(), network::loopback()]);
    findings.extend(tools::look());
    Report(findings)
}
