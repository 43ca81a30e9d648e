//! What was acknowledged is in the file, once and whole, whatever ends the store; data and
//! log agree, whatever the disk says.
#![cfg(target_os = "linux")]

mod support;

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use redis_protocol::resp2::types::OwnedFrame;
use store::Store;
use store::requests::Requests;
use support::{Client, Process, Scratch, answers, command, line, output, request};

fn open(file: &Path) -> Result<Store, String> {
    Store::spawn_in_process(Duration::ZERO, Some(file))
}

fn run_to_its_end(args: &[&str]) -> Output {
    output(&mut command(args))
}

fn store_at(listen: &str, file: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_store"));
    output(command.args(["--listen", listen, "--file"]).arg(file))
}

/// One line on standard error, exit code 1, nothing on standard output.
fn assert_refused(output: &Output, says: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains(says) && said.lines().count() == 1,
        "{said:?} does not say {says:?} in one line"
    );
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
}

fn words_in(file: &Path) -> Vec<String> {
    let mut requests = Requests::default();
    requests.push(&fs::read(file).unwrap());
    let mut found = Vec::new();
    while let Some(words) = requests.next_request().unwrap() {
        found.push(
            words
                .iter()
                .map(|word| String::from_utf8_lossy(word))
                .collect::<Vec<_>>()
                .join(" "),
        );
    }
    assert_eq!(requests.unfinished(), b"", "a torn record");
    found
}

#[test]
fn a_restart_forgets_nothing_and_shortens_the_log() {
    let scratch = Scratch::new();
    let file = scratch.join("log");
    for round in 1..4_i64 {
        let store = open(&file).unwrap();
        let mut client = Client::new(store.address());
        assert_eq!(client.ask("INCR n"), OwnedFrame::Integer(2 * round - 1));
        assert_eq!(client.ask("INCR n"), OwnedFrame::Integer(2 * round));
        assert_eq!(
            client.ask(&format!("LPUSH list a{round} b{round} c{round}")),
            OwnedFrame::Integer(if round == 1 { 3 } else { 5 })
        );
        assert_eq!(client.ask("LTRIM list 0 1"), OwnedFrame::SimpleString("OK".into()));
        assert_eq!(client.list("list"), [format!("b{round}"), format!("c{round}")]);
        drop(store);
        assert_eq!(words_in(&file).last().unwrap(), "LTRIM list 0 1");
    }
    drop(open(&file).unwrap());
    let mut words = words_in(&file);
    words.sort();
    assert_eq!(words, ["LPUSH list b3", "LPUSH list c3", "SET n 6"]);
    assert_eq!(
        fs::read_dir(&*scratch).unwrap().count(),
        1,
        "something was left beside the log"
    );
}

#[test]
fn only_what_changes_something_is_logged() {
    let scratch = Scratch::new();
    let file = scratch.join("log");
    let store = open(&file).unwrap();
    let mut client = Client::new(store.address());
    for words in [
        "INCR n",
        "INCR",
        "GET n",
        "LPUSH n a",
        "LTRIM list 0 9",
        "LPUSH list a",
        "LTRIM list 0 9",
        "INCR list",
    ] {
        client.ask(words);
    }
    assert_eq!(words_in(&file), ["INCR n", "LPUSH list a"]);
}

#[test]
fn a_torn_record_is_cut_off_wherever_it_is_torn() {
    let scratch = Scratch::new();
    let whole = [line("LPUSH list a"), line("LPUSH list b")].concat();
    let last = request(&[b"LPUSH", b"list", b"*3\r\nc"]);
    for torn in 1..last.len() {
        let file = scratch.join(torn.to_string());
        fs::write(&file, [&whole, &last[..torn]].concat()).unwrap();
        let store = open(&file).unwrap();
        assert_eq!(Client::new(store.address()).list("list"), ["a", "b"]);
        assert_eq!(fs::read(&file).unwrap(), whole);
    }
    let file = scratch.join("said");
    fs::write(&file, [&whole, &last[..9]].concat()).unwrap();
    let other = Process::start(&[]);
    let output = store_at(&other.address.to_string(), &file); // A port in use: it reads its file, then it ends.
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains(&format!(
            "at byte {}, was torn: its 9 bytes were cut off",
            whole.len()
        )),
        "{said}"
    );
}

#[test]
fn a_broken_record_is_not_passed_over() {
    let scratch = Scratch::new();
    let good = line("LPUSH list a");
    for (n, broken) in [
        line("GET list"),
        line("INCR list"),
        line("SET n x"),
        line("LTRIM list 0"),
        b"*2\r\n$4\r\nINCR\r\n$7\r\nn\r\n".to_vec(),
        b"*2\r\n$4\r\nINCR\r\n$1\r\nnn\r\n".to_vec(),
        b"*3\r\n$4\r\nINCR\r\n$1\r\nn\r\n".to_vec(),
        b"*2\r\n$4\r\nINCR\r\n$900\r\nn\r\n".to_vec(),
        b"\0\0\0\0".to_vec(),
        b"what is this".to_vec(),
    ]
    .iter()
    .enumerate()
    {
        let file = scratch.join(n.to_string());
        let bytes = [&good[..], broken, &good, &good].concat();
        fs::write(&file, &bytes).unwrap();
        let output = run_to_its_end(&["--file", file.to_str().unwrap()]);
        assert_refused(&output, &format!("broken record at byte {}:", good.len()));
        assert_eq!(fs::read(&file).unwrap(), bytes, "a log that was refused was changed");
    }
}

#[test]
fn a_file_belongs_to_one_store() {
    let scratch = Scratch::new();
    let (file, other) = (scratch.join("log"), scratch.join("link"));
    symlink(&file, &other).unwrap();
    let first = Process::start(&["--file", file.to_str().unwrap()]);
    assert_eq!(first.client().ask("LPUSH list a"), OwnedFrame::Integer(1));
    for name in [&file, &other] {
        assert_refused(
            &run_to_its_end(&["--file", name.to_str().unwrap()]),
            "in use by another store",
        );
    }
    assert_eq!(first.client().list("list"), ["a"]);
    drop(first);
    let second = Process::start(&["--file", other.to_str().unwrap()]);
    assert_eq!(second.client().list("list"), ["a"]);
    assert!(other.is_symlink(), "the link was replaced by the log");
}

#[test]
fn a_log_keeps_its_permissions_and_is_compacted_while_the_store_runs() {
    let scratch = Scratch::new();
    let file = scratch.join("log");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    fs::write(scratch.join("log.compacting"), "left by a kill").unwrap();
    let store = open(&file).unwrap();
    let mut client = Client::new(store.address());
    let key = vec![b'k'; 1 << 19];
    for n in 1..=40 {
        client.send(&request(&[b"INCR", &key]));
        assert_eq!(client.reply(), Some(OwnedFrame::Integer(n)));
    }
    let size = fs::metadata(&file).unwrap().len();
    assert!(size < 12 << 20, "{size} bytes for one number");
    drop(store);
    drop(open(&file).unwrap());
    assert_eq!(words_in(&file), [format!("SET {} 40", String::from_utf8(key).unwrap())]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn without_room_for_a_shorter_log_the_old_one_serves() {
    let scratch = Scratch::new();
    let file = scratch.join("log");
    fs::create_dir(scratch.join("log.compacting")).unwrap();
    let torn = request(&[b"LPUSH", b"list", &[b'x'; 500]]);
    fs::write(&file, [line("LPUSH list a"), torn[..400].to_vec()].concat()).unwrap();
    for round in 2..4 {
        let store = open(&file).unwrap();
        assert_eq!(
            Client::new(store.address()).ask("LPUSH list a"),
            OwnedFrame::Integer(round)
        );
    }
    assert_eq!(words_in(&file), ["LPUSH list a"; 3]);
}

fn refused(reply: &OwnedFrame) -> bool {
    matches!(reply, OwnedFrame::Error(text) if text.starts_with("ERR nothing was stored: "))
}

/// Row 18 of the fault table: a full disk, as RLIMIT_FSIZE shows it, in the middle of a
/// record.
#[test]
fn what_does_not_fit_did_not_happen() {
    let scratch = Scratch::new();
    let file = scratch.join("log");
    let process = Process::start_limited(8, &file);
    let mut client = process.client();
    let mut acknowledged = Vec::new();
    let mut refusals = 0;
    for length in [700, 90, 1] {
        for n in 0..300 {
            let remark = format!("{length}-{n}-{}", "x".repeat(length));
            let reply = client.ask(&format!("LPUSH list {remark}"));
            if refused(&reply) {
                refusals += 1;
                break;
            }
            acknowledged.push(remark);
            assert_eq!(reply, OwnedFrame::Integer(acknowledged.len() as i64));
        }
        assert_eq!(client.list("list"), acknowledged);
        assert_eq!(words_in(&file).len(), acknowledged.len());
    }
    assert_eq!(refusals, 3);
    assert!(refused(&client.ask(&format!("INCR {}", "k".repeat(100)))));
    assert!(answers(process.address));
    drop(process);
    let again = Process::start_limited(8, &file);
    assert_eq!(again.client().list("list"), acknowledged);
    assert!(refused(&again.client().ask(&format!("LPUSH list {}", "x".repeat(9000)))));
    drop(again);
    let store = open(&file).unwrap();
    assert_eq!(Client::new(store.address()).list("list"), acknowledged);
}

#[test]
fn a_device_that_is_full_is_left_alone() {
    let full = Path::new("/dev/full");
    let Some(device) = OpenOptions::new()
        .write(true)
        .open(full)
        .ok()
        .filter(|mut file| file.write(b"x").is_err())
    else {
        return flags::skipped(format_args!(
            "there is no /dev/full here that refuses writes"
        ));
    };
    let _ = device.try_lock(); // Ours or another test's: either way it is no store's to take.
    let process = Process::start(&["--file", "/dev/full"]);
    let mut client = process.client();
    for _ in 0..3 {
        assert!(refused(&client.ask("LPUSH list a")));
        assert!(refused(&client.ask("INCR n")));
    }
    assert_eq!(client.ask("GET n"), OwnedFrame::Null);
    assert_eq!(client.list("list"), [""; 0]);
    assert!(fs::metadata(full).unwrap().file_type().is_char_device());
}

#[test]
fn a_wrong_start_is_one_line() {
    let scratch = Scratch::new();
    let path = |name: &str| scratch.join(name).to_str().unwrap().to_owned();
    assert_refused(&run_to_its_end(&["--file", &path("no/such/folder")]), "No such file");
    assert_refused(&run_to_its_end(&["--file", &path(".")]), "Is a directory");
    let other = Process::start(&[]);
    assert_refused(&store_at(&other.address.to_string(), &scratch.join("log")), "in use");
    let usage = run_to_its_end(&["--delay", "soon"]);
    assert_eq!(
        (usage.status.code(), usage.stderr.iter().filter(|byte| **byte == b'\n').count()),
        (Some(2), 1)
    );
}
