//! The index against the kernel: every system call that some of the listings are seen to
//! make must be in it, found in the source of that listing or of one that it uses.
//!
//! Needs `WHO_WAITS_STRACE`, the path of strace.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use runs::{Kind, Outcome};

/// What is traced: programs and servers, all blocking models among them.
const RUNS: [&str; 12] = [
    "backlog/admits",
    "backlog/beyond",
    "blocking-read/file",
    "blocking-read/neighbour",
    "blocking-read/watch",
    "doctor/doctor",
    "forking/serve",
    "forking/twice",
    "iterative/in-line",
    "iterative/serve",
    "preforked/serve",
    "store/round-trips",
];

/// What a server is asked.
const ASK: [&[&str]; 3] = [
    &["curl", "-s", "{url}/SUMMARY.md"],
    &["curl", "-s", "{url}/guestbook"],
    &["curl", "-s", "-d", "remark=hello", "{url}/guestbook"],
];

/// What the C library and Rust's runtime do for any program: its memory, its threads, the
/// signals around the start of a child, the descriptors that close with their owners (which
/// a debug build asks `fcntl` about first), the names of its threads.
const RUNTIME: [&str; 25] = [
    "brk",
    "clock_getres",
    "close",
    "exit",
    "exit_group",
    "fcntl",
    "futex",
    "getrandom",
    "gettid",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "prctl",
    "prlimit64",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_getaffinity",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
];

#[test]
fn every_call_that_the_listings_make_is_in_the_index() {
    let Some(strace) = std::env::var("WHO_WAITS_STRACE").ok() else {
        return flags::skipped("WHO_WAITS_STRACE does not name strace");
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the root");
    let runs = runs::load(root).expect("the runs");
    let makers = aids::calls::makers(root).expect("the index");
    let folder = tempfile::tempdir().expect("a folder");
    let trace = folder.path().join("trace");
    let mut missing = Vec::new();
    for name in RUNS {
        let mut run = runs.get(name).unwrap_or_else(|| panic!("no run {name}")).clone();
        run.via =
            [&strace, "-f", "-qq", "-e", "signal=none", "-o"].map(String::from).into();
        run.via.push(trace.display().to_string());
        if run.kind == Kind::Server {
            run.ask =
                ASK.map(|words| words.iter().map(|&word| word.into()).collect()).into();
        }
        run.seconds = 120;
        match runs::perform(root, &run).expect(name) {
            Outcome::Skipped(why) => return flags::skipped(why),
            Outcome::Text(_) => {}
        }
        let made = made(&fs::read_to_string(&trace).expect("a trace"));
        assert!(made.contains("write"), "{name} wrote nothing: {made:?}");
        let mut crates = BTreeSet::new();
        used(root, &run.package, &mut crates);
        missing.extend(
            made.into_iter().filter(|call| !RUNTIME.contains(&&**call)).filter_map(
                |call| {
                    let known =
                        makers.get(&call).is_some_and(|by| !by.is_disjoint(&crates));
                    (!known).then(|| format!("{name} makes {call}"))
                },
            ),
        );
    }
    assert!(missing.is_empty(), "ci/aids/calls.toml misses\n{}", missing.join("\n"));
}

/// The listing and all that it depends on in this workspace.
fn used(root: &Path, listing: &str, crates: &mut BTreeSet<String>) {
    let manifest = root.join("listings").join(listing).join("Cargo.toml");
    // What does not lie there is no listing.
    let Ok(text) = fs::read_to_string(manifest) else { return };
    if !crates.insert(listing.to_owned()) {
        return;
    }
    let manifest: toml::Table = text.parse().expect("a manifest");
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let tables = targets.into_iter().flat_map(|targets| targets.values());
    for table in tables
        .filter_map(|target| target.get("dependencies"))
        .chain(manifest.get("dependencies"))
    {
        for name in table.as_table().expect("a table").keys() {
            used(root, name, crates);
        }
    }
}

/// The calls that our own programs made in a trace, from the end of their start on.
fn made(trace: &str) -> BTreeSet<String> {
    let lines: Vec<(&str, &str)> = trace
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(pid, call)| (pid, call.trim_start()))
        .collect();
    // Where a process or thread came from is told when its maker's call returns, which may
    // be after its own first call.
    let mut parents = HashMap::new();
    for (pid, call) in &lines {
        let is_maker = ["clone", "fork", "vfork"]
            .iter()
            .any(|name| call.trim_start_matches("<... ").starts_with(name));
        if let (true, Some((_, child))) = (is_maker, call.rsplit_once("= ")) {
            parents.insert(child, *pid);
        }
    }
    /// Whether it is a program of ours, and whether its main function runs.
    type State = (bool, bool);
    let mut states: HashMap<&str, State> = HashMap::new();
    let mut made = BTreeSet::new();
    for (pid, call) in lines {
        // `<... read resumed>` ends a call that was seen to begin.
        let Some((name, arguments)) = call.split_once('(').filter(|(name, _)| {
            name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        }) else {
            continue;
        };
        let from_parent = parents.get(pid).and_then(|parent| states.get(parent)).copied();
        let state = states.entry(pid).or_insert(from_parent.unwrap_or_default());
        if *state == (true, true) {
            made.insert(name.to_owned());
        }
        match name {
            "execve" if !call.contains(" = -1 ") => {
                let program = arguments.split('"').nth(1).unwrap_or_default();
                let ours = program == "/proc/self/exe" || program.contains("/debug/");
                *state = (ours, false);
            }
            // The last thing that Rust does before main.
            "sigaltstack" => state.1 = true,
            _ => {}
        }
    }
    made
}
