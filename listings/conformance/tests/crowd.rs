//! The crowd tells the truth: about a server that serves everybody, and about one that
//! closes connections that it was asked to keep.
#![cfg(target_os = "linux")]

use std::process::{Command, Output};

use conformance::{Model, Server};

fn crowd(by: &'static [&'static str], flags: &[&str]) -> (Output, String) {
    let program = env!("CARGO_BIN_EXE_wrong");
    let model = Model::new("wrong", program, env!("CARGO_TARGET_TMPDIR"));
    let server = Server::start(&Model { args: by, ..model }, &[]).expect("it starts");
    let output = Command::new(env!("CARGO_BIN_EXE_crowd"))
        .arg(server.address.to_string())
        .args(["--hold", "200"])
        .args(flags)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, said)
}

#[test]
fn everybody_is_answered_twice_and_held_in_between() {
    let (output, said) =
        crowd(&["--by", "loop"], &["--path", "/small.txt", "--clients", "300"]);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for line in [
        "300 of 300 clients answered and checked in ",
        "with 300 idle connections: ",
        "300 of 300 clients answered and checked a second time, on the same connection",
        "no error",
    ] {
        assert!(said.contains(line), "{line:?} is missing in\n{said}");
    }
}

#[test]
fn who_is_to_be_closed_is_no_error() {
    let flags = ["--path", "/small.txt", "--clients", "100", "--close"];
    let (output, said) = crowd(&["--by", "pool"], &flags);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("100 of 100 clients answered"), "{said}");
}

#[test]
fn who_is_closed_is_an_error_and_counted() {
    // Four workers, and an idle client has to go when others wait.
    let (output, said) =
        crowd(&["--by", "pool"], &["--path", "/small.txt", "--clients", "100"]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: closed "), "{said}");
}

#[test]
fn a_page_that_is_not_there_is_nothing_to_compare_with() {
    let (output, said) =
        crowd(&["--by", "loop"], &["--clients", "5", "--path", "/missing"]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(why.contains("GET /missing is answered 404; choose another --path"), "{why}");
}

#[test]
fn content_that_differs_is_an_error() {
    // The page says which visitor one is.
    let (output, said) =
        crowd(&["--by", "loop"], &["--clients", "5", "--path", "/guestbook"]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: not the content: 5"), "{said}");
}

#[test]
fn more_clients_than_descriptors_are_refused() {
    let (output, _) = crowd(&["--by", "loop"], &["--clients", "100000"]);
    if output.status.code() == Some(0) {
        flags::skipped("there are descriptors for 100,000 clients here");
        return;
    }
    assert_eq!(output.status.code(), Some(2));
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(why.contains("descriptors, and the limit is "), "{why}");
}
