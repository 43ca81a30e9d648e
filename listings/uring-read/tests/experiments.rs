//! What the programs of the chapter print, and what the text says about it.
#![cfg(target_os = "linux")]

mod confined;

use std::process::Command;

use uring_read::{Ring, Trouble};

/// What a program prints; `None`, and a line that says why, where there is no ring.
fn printed(program: &str, arguments: &[&str]) -> Option<String> {
    if let Err(trouble @ Trouble::Setup(_)) = Ring::new(1) {
        flags::skipped(trouble);
        return None;
    }
    let output = Command::new(program)
        .args(arguments)
        .env("TMPDIR", env!("CARGO_TARGET_TMPDIR"))
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {}: {said}", output.status);
    Some(String::from_utf8(output.stdout).expect("text"))
}

/// The words of the only line that begins so, behind that.
fn words<'a>(printed: &'a str, begins: &str) -> Vec<&'a str> {
    let mut lines =
        printed.lines().filter_map(|line| line.trim_start().strip_prefix(begins));
    let (line, others) = (lines.next(), lines.count());
    assert!(line.is_some() && others == 0, "not one line with {begins}:\n{printed}");
    line.unwrap_or_default().split_whitespace().collect()
}

#[test]
fn by_hand_the_heads_follow_the_tails() {
    let Some(printed) = printed(env!("CARGO_BIN_EXE_rings-by-hand"), &[]) else { return };
    assert_eq!(words(&printed, "both rings empty"), ["0", "0", "0", "0"]);
    assert_eq!(words(&printed, "an entry, and the tail"), ["0", "1", "0", "0"]);
    assert_eq!(words(&printed, "io_uring_enter took 1")[..2], ["1", "1"]);
    assert_eq!(words(&printed, "the completion is taken"), ["1", "1", "1", "1"]);
    assert!(printed.ends_with("user_data 42, result 4096: 4096 bytes\n"), "{printed}");
    assert!(
        printed.starts_with("asked for 3 entries: 4 for submissions, 8 for completions")
    );
}

#[test]
fn by_hand_the_rings_go_round() {
    use uring_read::by_hand::Rings;
    use uring_read::scratch::{Scratch, pattern};

    let mut rings = match Rings::new(2) {
        Ok(rings) => rings,
        Err(error) => return flags::skipped(Trouble::Setup(error)),
    };
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = Scratch::new(folder, 64 * 1024).expect("a file").buffered;
    // More reads than either ring has entries.
    for n in 0..10 {
        let at = n * 5000;
        rings.queue_read(file.try_clone().expect("a descriptor"), 700, at).expect("room");
        rings.enter(1, 1).expect("it is taken");
        let (cqe, bytes) = rings.take().expect("one is complete");
        assert_eq!((cqe.user_data, cqe.result), (42, 700));
        assert_eq!(bytes, pattern(at as usize, 700), "read {n}");
        assert!(rings.take().is_none(), "it was the only one");
    }
}

#[test]
fn by_hand_one_read_is_in_flight_and_no_other() {
    use uring_read::by_hand::Rings;
    use uring_read::scratch::Scratch;

    let mut rings = match Rings::new(2) {
        Ok(rings) => rings,
        Err(error) => return flags::skipped(Trouble::Setup(error)),
    };
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = Scratch::new(folder, 4096).expect("a file").buffered;
    let another = || file.try_clone().expect("a descriptor");
    rings.queue_read(another(), 10, 0).expect("room");
    let refused = rings.queue_read(another(), 10, 0).expect_err("its buffer is lent");
    assert_eq!(refused.kind(), std::io::ErrorKind::ResourceBusy);
    rings.enter(1, 1).expect("it is taken");
    assert!(rings.take().is_some_and(|(_, bytes)| bytes.len() == 10));
    rings.queue_read(another(), 10, 0).expect("it has its buffer back");
    rings.enter(1, 1).expect("it is taken");
    assert!(rings.take().is_some(), "whatever is lent is given back before the end");
}

#[test]
fn the_crate_reads_the_same() {
    let Some(printed) = printed(env!("CARGO_BIN_EXE_with-the-crate"), &[]) else { return };
    assert_eq!(printed, "user_data 42, result 4096\n");
}

#[test]
fn sixty_four_reads_need_one_call() {
    let Some(printed) = printed(env!("CARGO_BIN_EXE_sixty-four"), &[]) else { return };
    let words = words(&printed, "");
    assert_eq!(words[0], "64", "{printed}");
    // On a busy machine a page may have been taken back.
    assert!(words[3].parse::<u32>().expect("a number") < 16, "{printed}");
}

#[test]
fn a_chain_breaks_at_the_first_that_is_short() {
    let Some(printed) = printed(env!("CARGO_BIN_EXE_links"), &[]) else { return };
    let said: Vec<&str> = printed.split_whitespace().collect();
    let said = said.join(" ");
    for chain in [
        "4096 bytes of 4096: read 4096 write 7 timeout ETIME",
        "904 bytes, the last: read 904 write ECANCELED timeout ECANCELED",
        "none, behind the end: read 0 write ECANCELED timeout ECANCELED",
    ] {
        assert!(said.contains(chain), "{printed}");
    }
}

#[test]
fn a_read_that_is_given_up_completes_with_ecanceled() {
    let Some(printed) = printed(env!("CARGO_BIN_EXE_give-up"), &[]) else { return };
    let parts: Vec<Vec<&str>> = printed
        .split(':')
        .map(|part| part.lines().map(str::trim).filter(|line| !line.is_empty()).collect())
        .collect();
    // Of two that complete together either may come first.
    let has = |part: usize, line: &str| {
        let squeezed = |line: &&str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(parts[part].iter().map(squeezed).any(|found| found == line), "{printed}");
    };
    has(1, "read ECANCELED");
    has(1, "linked timeout ETIME");
    has(2, "read ECANCELED");
    has(2, "cancel 0");
    has(3, "cancel ENOENT");
    has(4, "timeout ETIME");
    assert!(printed.ends_with("in flight: 1\n"), "{printed}");
}

#[test]
fn a_closed_descriptor_is_still_read() {
    let Some(printed) = printed(env!("CARGO_BIN_EXE_closed"), &[]) else { return };
    assert!(printed.contains("closed:    there is no such descriptor\n"), "{printed}");
    assert!(printed.contains("the writer wrote 5 bytes\n"), "{printed}");
    assert!(printed.contains("the read:  5 bytes, \"hello\"\n"), "{printed}");
    assert!(printed.ends_with("the writer, once more: broken pipe\n"), "{printed}");
}

#[test]
fn completions_without_room_are_kept() {
    let Some(printed) = printed(env!("CARGO_BIN_EXE_overflow"), &[]) else { return };
    let flagged = printed.lines().filter(|line| line.contains("keeps more")).count();
    assert!(flagged >= 1, "{printed}");
    let last = printed.lines().last().unwrap_or_default();
    assert!(last.starts_with(" 0 in flight") && last.contains("20 taken"), "{printed}");
}

#[test]
fn a_cached_read_is_done_in_the_call_and_a_worker_leaves_us_free() {
    let Some(printed) = printed(env!("CARGO_BIN_EXE_who-works"), &[]) else { return };
    let ms = |word: &str| word.parse::<f64>().expect("a number of milliseconds");
    let cached = words(&printed, "cached  ");
    // Took, ms, CPU, ms, complete, workers' CPU.
    assert_eq!(cached[4], "yes", "{printed}");
    assert!(ms(cached[2]) > 0.0, "a copy of 8 MiB takes a processor: {printed}");
    if std::fs::read_to_string("/proc/self/schedstat").is_err() {
        flags::skipped("this kernel does not tell how long a thread has run");
    } else {
        // What a host takes from a virtual processor the kernel takes off what has run there,
        // and may do so later, all of it: then a worker seems not to have worked. A worker that
        // has nothing to do never seems to have.
        let has_worked = |printed: &str| {
            let by_worker = words(printed, "cached, IOSQE_ASYNC");
            ms(by_worker[2]) < ms(by_worker[by_worker.len() - 2])
        };
        let again = || crate::printed(env!("CARGO_BIN_EXE_who-works"), &[]);
        let mut runs =
            std::iter::once(printed.clone()).chain((0..4).filter_map(|_| again()));
        assert!(runs.any(|printed| has_worked(&printed)), "{printed}");
    }
    // Somebody writes 100 ms after the pipe was made. On a machine that is held up for longer, what
    // is to wait is there when the read is submitted.
    let has_waited = |printed: &str| {
        let pipe = words(printed, "an empty pipe");
        pipe[4] == "no" && ms(pipe[5]) > 50.0 && ms(pipe[7]) < 20.0 && pipe[9] == "0.0"
    };
    let again = || crate::printed(env!("CARGO_BIN_EXE_who-works"), &[]);
    let mut runs = std::iter::once(printed.clone()).chain((0..4).filter_map(|_| again()));
    assert!(runs.any(|printed| has_waited(&printed)), "{printed}");
}

#[test]
fn the_program_counts_what_it_reads() {
    let seconds = ["--seconds", "1"];
    for more in [
        &["--depth", "1"][..],
        &["--random", "--depth", "64"],
        &["--fixed"],
        &["--direct", "--block", "65536"],
        &["--buffered"],
    ] {
        let arguments = [&seconds[..], more].concat();
        if more.contains(&"--direct")
            && uring_read::scratch::open_direct(env!("CARGO_BIN_EXE_uring-read").as_ref())
                .is_err()
        {
            flags::skipped("O_DIRECT is refused here");
            continue;
        }
        let Some(printed) = printed(env!("CARGO_BIN_EXE_uring-read"), &arguments) else {
            return;
        };
        let rate = printed.lines().nth(1).and_then(|line| line.split(' ').next());
        let rate: f64 = rate.and_then(|rate| rate.parse().ok()).expect("a rate");
        assert!(rate > 0.0, "{printed}");
        assert!(printed.contains("p50") && printed.contains("calls of io_uring_enter"));
    }
}

/// Runs the other tests of this file again, where io_uring is forbidden.
#[test]
fn without_io_uring_the_tests_skip_and_say_why() {
    const AGAIN: &str = "URING_READ_FORBIDDEN";
    if std::env::var_os(AGAIN).is_some() || printed_nothing_here() {
        return;
    }
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env(AGAIN, "1").arg("--test-threads=1");
    confined::deny(&mut command, libc::SYS_io_uring_setup, libc::EPERM);
    let output = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let why = "skipped: io_uring_setup: EPERM: ";
    let skipped = said.lines().filter(|line| line.starts_with(why)).count();
    let out = String::from_utf8_lossy(&output.stdout);
    let all =
        out.lines().find_map(|line| line.strip_prefix("running ")?.strip_suffix(" tests"));
    let all: usize = all.and_then(|number| number.parse().ok()).expect("a number of tests");
    assert!(all > 9, "{out}");
    assert_eq!(skipped, all - 1, "all but this one: {said}");
}

fn printed_nothing_here() -> bool {
    let refused = matches!(Ring::new(1), Err(Trouble::Setup(_)));
    if refused {
        flags::skipped("io_uring is forbidden here anyway");
    }
    refused
}
