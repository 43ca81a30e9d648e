//! The deadlines that are not the framework's own are those of the flags.

#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use conformance::{Model, Server};

/// Without the flag a body may take ten seconds.
const SOONER: Duration = Duration::from_secs(8);

#[test]
fn a_body_may_take_as_long_as_the_flag_says() {
    let program = env!("CARGO_BIN_EXE_framework");
    // Its pool reads files, and a busy machine may make it start another thread for the last.
    let model =
        Model { pool: 16, ..Model::new("framework", program, env!("CARGO_TARGET_TMPDIR")) };
    let server = Server::start(&model, &["--body-timeout", "100"]).expect("it starts");
    let mut client = TcpStream::connect(server.address).expect("it listens");
    client.set_read_timeout(Some(SOONER)).expect("a time");
    let head = "POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\
        Content-Type: application/x-www-form-urlencoded\r\n\r\n";
    client.write_all(head.as_bytes()).expect("it is sent");
    let mut heard = String::new();
    client.read_to_string(&mut heard).expect("the server has enough of it");
    assert!(heard.starts_with("HTTP/1.1 408 "), "{heard}");
    server.finish().expect("it ends");
}
