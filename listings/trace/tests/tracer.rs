//! The tracer and a program whose calls are known.
#![cfg(target_os = "linux")]

#[path = "../../uring-read/tests/confined/mod.rs"]
mod confined;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use trace::tracer::{FINDS_LINES, Tracer};
use trace::{Call, Lane};

fn look_on() -> Command {
    Command::new(env!("CARGO_BIN_EXE_look-on"))
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_call_is_counted_in_threads_and_children_and_only_one_has_slept() {
    let Output { status, stdout, stderr } = look_on().output().expect("it starts");
    let printed = said(&stdout);
    if status.code() == Some(2) {
        return flags::skipped(said(&stderr).trim());
    }
    assert!(status.success(), "{}", said(&stderr));
    for lines in [
        "thread 1, of process 1\n  getppid 100 times, slept 0\n  clock_nanosleep  slept 1\n",
        "thread 2, of process 1\n  getppid  20 times, slept 0\n",
        "thread 3, of process 2\n  getppid   5 times, slept 0\n",
    ] {
        assert!(printed.contains(lines), "{printed}");
    }
    // It has asked for 50, and whoever sleeps does not run.
    let waited = printed.split_once("waited ").and_then(|(_, rest)| rest.split_once(" ms"));
    let waited: f64 = waited.and_then(|(number, _)| number.parse().ok()).expect(&printed);
    assert!(waited >= 45.0, "{printed}");
}

/// Of a call that makes a thread or a program, the stops for us are more than one.
#[test]
fn what_is_made_and_what_ends_in_the_middle_of_a_call_is_counted_right() {
    match Tracer::start(look_on().arg("be-ended")) {
        Err(error) => flags::skipped(format_args!("a thread that dies in a call: {error}")),
        Ok(tracer) => {
            let seen = tracer.run().expect("it is traced");
            assert_eq!(seen.status >> 8, 3, "it has ended as it wanted to");
            let [_, thread] = &seen.lanes[..] else { panic!("{:?}", seen.lanes.len()) };
            let last = thread.calls.last().expect("a call");
            assert_eq!((last.name.as_str(), last.result, last.slept), ("read", None, 1));
            assert!(last.waited() > 50_000.0, "{last:?}");
            let calls = || seen.lanes.iter().flat_map(|lane| &lane.calls);
            let made =
                |name: &'static str| calls().filter(move |c| c.name.starts_with(name));
            assert!(made("clone").count() > 0 && made("clone").all(|c| c.slept == 0));
        }
    }
}

/// The line of the known program in which this stands, as a call names it.
fn line_of(what: &str) -> String {
    let source = include_str!("../src/bin/look-on.rs");
    let mut lines = (1..).zip(source.lines()).filter(|(_, line)| line.contains(what));
    let (number, _) = lines.next().expect(what);
    assert_eq!(lines.next(), None, "{what} stands there once");
    format!("listings/trace/src/bin/look-on.rs:{number}")
}

/// Where the calls of this name were made.
fn made<'a>(lanes: &'a [Lane], name: &str) -> BTreeSet<Option<&'a str>> {
    let calls = lanes.iter().flat_map(|lane| &lane.calls);
    let of_name = calls.filter(|call: &&Call| call.name == name);
    of_name.map(|call| call.at.as_deref()).collect()
}

/// By one of its threads, by a program that takes its place, and from within the standard
/// library and the C library, which keeps no frame pointer where there are threads.
#[test]
fn the_line_that_makes_a_call_is_found_exactly() {
    if !FINDS_LINES {
        return flags::skipped("no lines: nobody knows how this machine's calls are made");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a root");
    for (role, calls) in [
        (
            "be-looked-at",
            &[
                ("getppid", "        getppid();"),
                ("clock_nanosleep", "thread::sleep(Duration::from_millis(50))"),
                ("tgkill", "raise(Signal::SIGTERM)"),
                ("wait4", "child.arg(\"be-the-child\").status()"),
            ][..],
        ),
        ("be-ended", &[("read", "read(&reader, &mut [0])"), ("pipe2", "= pipe()")]),
    ] {
        let mut tracer = match Tracer::start(look_on().arg(role)) {
            Err(error) => return flags::skipped(format_args!("lines of calls: {error}")),
            Ok(tracer) => tracer,
        };
        tracer.name_lines(root);
        let seen = tracer.run().expect("it is traced");
        for (name, line) in calls {
            let lines = made(&seen.lanes, name);
            // Before its first line a program reads its libraries.
            let lines: Vec<_> = lines.into_iter().flatten().collect();
            assert_eq!(lines, [line_of(line)], "{name}");
        }
        let all = || seen.lanes.iter().flat_map(|lane| &lane.calls);
        assert_eq!(all().filter(|c| c.name == "getppid" && c.at.is_none()).count(), 0);
        // What is done before main is nobody's.
        assert_eq!(made(&seen.lanes[..1], "set_tid_address"), BTreeSet::from([None]));
        for call in all().filter(|call| call.name == "getppid") {
            assert_eq!(call.within.as_deref(), Some("look_on::looked_at::ask"));
        }
    }
}

#[test]
fn who_has_called_is_named_up_to_main() {
    if !FINDS_LINES {
        return flags::skipped("no lines: nobody knows how this machine's calls are made");
    }
    let program = env!("CARGO_BIN_EXE_who-called");
    let output = Command::new(program).output().expect("it starts");
    if !output.status.success() {
        return flags::skipped(format_args!(
            "who has called: {}",
            said(&output.stderr).trim()
        ));
    }
    let source = include_str!("../src/bin/who-called.rs");
    let line = |what| (1..).zip(source.lines()).find(|(_, line)| line.contains(what));
    let number = |what| line(what).map(|(number, _): (usize, _)| number).expect(what);
    let (mut names, mut biases) = (Vec::new(), BTreeSet::new());
    let printed = said(&output.stdout);
    for frame in printed.lines().filter(|line| line.starts_with("0x")) {
        let words: Vec<&str> = frame.split_whitespace().collect();
        let address = |n: usize| {
            u64::from_str_radix(words[n].trim_start_matches("0x"), 16).expect("hex")
        };
        biases.insert(address(0) - address(1));
        names.push(words[2..].join(" "));
    }
    assert_eq!(
        names,
        [
            format!("inner, who-called.rs:{}", number("io::stdin().read(place)")),
            format!("outer, who-called.rs:{}", number("= inner(&mut place)")),
            format!("main, who-called.rs:{}", number("looked_at::outer();")),
        ],
        "{printed}"
    );
    assert_eq!(biases.len(), 1, "one program, one bias: {printed}");
}

#[test]
fn who_may_not_trace_says_so_in_one_line() {
    let mut command = look_on();
    confined::deny(&mut command, libc::SYS_ptrace, libc::EPERM);
    let output = command.output().expect("it starts");
    let said = said(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.lines().count() == 1 && said.contains("kernel.yama.ptrace_scope"),
        "{said}"
    );
    assert!(output.stdout.is_empty());
}
