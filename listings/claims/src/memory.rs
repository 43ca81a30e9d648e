//! What a fork costs: page tables, and the pages that are written afterwards.

use crate::Claim;
use crate::Kernels::All;
#[cfg(target_os = "linux")]
use crate::kit::*;

/// The claims of this file.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "fork-copies-no-page",
        sentence: "After fork(2) the child reads the parent's pages without a page \
            fault: none was copied, and all are in its tables.",
        chapter: "forking.md",
        kernels: All,
        source: "fork(2), Notes; the kernel's copy_page_range",
        counter: "it writes to them",
        check: linux!(|case| {
            let faults = faults_in_child(|memory| match case {
                Case::Claimed => drop(memory.read(1000)),
                Case::Counter => memory.write(1000, 2),
            })?;
            seen(faults < 100, format!("1000 pages, {faults} page faults"))
        }),
    },
    Claim {
        id: "copy-on-write-faults-once-a-page",
        sentence: "After fork(2) the first write to each page is a page fault, and the \
            second is none.",
        chapter: "forking.md",
        kernels: All,
        source: "fork(2), Notes; the kernel's do_wp_page",
        counter: "there was no fork",
        check: linux!(|case| {
            let twice = |memory: &Memory| {
                let before = counts();
                memory.write(1000, 2);
                let between = counts();
                memory.write(1000, 3);
                let second = counts().faults - between.faults;
                assert!(second < 100, "{second} faults the second time");
                between.faults - before.faults
            };
            let faults = match case {
                Case::Claimed => faults_in_child(|memory| {
                    twice(memory);
                })?,
                Case::Counter => i32::try_from(twice(&resident(4 << 20, Kind::Private)?))?,
            };
            seen(
                (1000..1100).contains(&faults),
                format!("1000 pages written twice: {faults} page faults"),
            )
        }),
    },
    Claim {
        id: "parents-writes-fault-too",
        sentence: "After fork(2) the parent's first write to each page is a page fault \
            as well, though its child has ended.",
        chapter: "forking.md",
        kernels: All,
        source: "the kernel's copy_present_ptes, which protects both",
        counter: "there was no fork",
        check: linux!(|case| {
            let memory = resident(4 << 20, Kind::Private)?;
            if !case.is_counter() {
                child(|| 0)?.code()?;
            }
            let before = counts();
            memory.write(1000, 2);
            let faults = counts().faults - before.faults;
            seen(
                (1000..1100).contains(&faults),
                format!("1000 pages, {faults} page faults"),
            )
        }),
    },
    Claim {
        id: "fork-grows-with-resident-pages",
        sentence: "fork(2) takes longer the more private memory is resident.",
        chapter: "forking.md",
        kernels: All,
        source: "the kernel's copy_page_range",
        counter: "the memory is mapped, and was never touched",
        check: linux!(|case| {
            let none = shortest(9, fork_time)?;
            let memory = Memory::new(LARGE, Kind::Private)?;
            memory.write(case.pick(memory.pages(), 0), 1);
            let much = shortest(9, fork_time)?;
            seen(much > none * 2, format!("{none:.0?}; with 96 MiB resident {much:.0?}"))
        }),
    },
    Claim {
        id: "fork-does-not-copy-shared-tables",
        sentence: "Shared memory makes fork(2) hardly longer: its tables are not copied.",
        chapter: "clone-cost.md",
        kernels: All,
        source: "the kernel's vma_needs_copy",
        counter: "the memory is private",
        check: linux!(|case| {
            little_growth(case.pick(Kind::Shared, Kind::Private), fork_time)
        }),
    },
    Claim {
        id: "huge-pages-make-fork-cheaper",
        sentence: "In huge pages, resident memory makes fork(2) hardly longer: they have \
            fewer entries to copy.",
        chapter: "clone-cost.md",
        kernels: All,
        source: "the kernel's copy_huge_pmd; Transparent Hugepage Support",
        counter: "the pages are of 4 KiB",
        check: linux!(|case| {
            let setting = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
            if setting.is_ok_and(|words| words.contains("[never]")) {
                return cannot("transparent_hugepage/enabled says never");
            }
            let outcome = little_growth(case.pick(Kind::Huge, Kind::Private), fork_time);
            let smaps = fs::read_to_string("/proc/self/smaps_rollup")?;
            let line = smaps.lines().find(|line| line.starts_with("AnonHugePages"));
            let huge = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            if !case.is_counter() && huge.is_none_or(|kib: usize| kib < LARGE / 1024 / 2) {
                return cannot("the kernel gave no huge pages");
            }
            outcome
        }),
    },
    Claim {
        id: "thread-does-not-grow-with-memory",
        sentence: "Creating a thread takes hardly longer with more resident memory.",
        chapter: "clone-cost.md",
        kernels: All,
        source: "clone(2), CLONE_VM",
        counter: "creating a process, by fork(2)",
        check: linux!(|case| {
            let create = || match case {
                Case::Claimed => {
                    let before = cpu_time()?;
                    let thread = thread::spawn(|| ());
                    let took = cpu_time()?.saturating_sub(before);
                    let _ = thread.join();
                    Ok(took)
                }
                Case::Counter => fork_time(),
            };
            little_growth(Kind::Private, create)
        }),
    },
    Claim {
        id: "spawn-does-not-grow-with-memory",
        sentence: "posix_spawn(3), which the standard library's Command uses, takes \
            hardly longer with more resident memory.",
        chapter: "clone-cost.md",
        kernels: All,
        source: "posix_spawn(3), Notes; clone(2), CLONE_VM and CLONE_VFORK",
        counter: "fork(2) without a new program",
        check: linux!(|case| {
            let create = || match case {
                Case::Claimed => {
                    let before = cpu_time()?;
                    let mut child = std::process::Command::new("/proc/self/exe")
                        .arg(crate::judge::CHECK) // nothing: it ends at once
                        .spawn()?;
                    let took = cpu_time()?.saturating_sub(before);
                    child.wait()?;
                    Ok(took)
                }
                Case::Counter => fork_time(),
            };
            little_growth(Kind::Private, create)
        }),
    },
];

/// Enough for its tables to cost more than the rest of a fork, and little enough for a
/// small machine.
#[cfg(target_os = "linux")]
const LARGE: usize = 96 << 20;

/// Memory of which every page is there.
#[cfg(target_os = "linux")]
fn resident(bytes: usize, kind: Kind) -> Result<Memory, Cannot> {
    let memory = Memory::new(bytes, kind)?;
    memory.write(memory.pages(), 1);
    Ok(memory)
}

/// The processor time of this thread so far. getrusage(2) would tell it at the last tick.
#[cfg(target_os = "linux")]
fn cpu_time() -> nix::Result<Duration> {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map(Duration::from)
}

/// The processor time that fork(2) takes in the parent. Time on the clock would have that of
/// neighbours in it.
#[cfg(target_os = "linux")]
fn fork_time() -> Result<Duration, Cannot> {
    let before = cpu_time()?;
    let child = raw::fork(|| 0)?;
    let took = cpu_time()?.saturating_sub(before);
    waitpid(child, None)?;
    Ok(took)
}

/// Whether something takes hardly longer with more memory of this kind: by less than a fifth
/// of what as much private memory adds to a fork(2).
#[cfg(target_os = "linux")]
fn little_growth(kind: Kind, create: impl Fn() -> Result<Duration, Cannot>) -> Outcome {
    let (without, fork_without) = (shortest(9, &create)?, shortest(9, fork_time)?);
    let _memory = resident(LARGE, kind)?;
    let with = shortest(9, &create)?;
    let other = kind != Kind::Private;
    let _private = other.then(|| resident(LARGE, Kind::Private)).transpose()?;
    let fork_adds = shortest(9, fork_time)?.saturating_sub(fork_without);
    seen(
        with.saturating_sub(without) * 5 < fork_adds,
        format!(
            "{without:.0?}, with 96 MiB resident {with:.0?}; a fork: {fork_adds:.0?} more"
        ),
    )
}

/// How many page faults a child has while it does something to memory of its parent's.
#[cfg(target_os = "linux")]
fn faults_in_child(then: impl FnOnce(&Memory)) -> Result<i32, Cannot> {
    let memory = resident(4 << 20, Kind::Private)?;
    let (reader, writer) = pipe()?;
    child(|| {
        let before = counts();
        then(&memory);
        let faults = counts().faults - before.faults;
        i32::from(write(&writer, &faults.to_ne_bytes()).is_err())
    })?
    .code()?;
    let mut bytes = [0; 8];
    read(&reader, &mut bytes)?;
    Ok(i32::try_from(i64::from_ne_bytes(bytes))?)
}
