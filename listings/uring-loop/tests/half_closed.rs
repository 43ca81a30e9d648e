//! Clients who have ended their side and read nothing: no thread of the kernel waits for them.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use conformance::{Model, Server, get, listen, open_small};
use uring_loop::{Ring, Setup, Work};

const CLIENTS: usize = 48;

#[test]
fn those_who_do_not_read_take_no_threads() {
    let setup = Setup { entries: 8, as_of: None, work: Work::default() };
    if Ring::new(&setup).is_err() {
        return flags::skipped("io_uring is forbidden here");
    }
    let program = env!("CARGO_BIN_EXE_uring-loop");
    let model = Model::new("uring-loop", program, env!("CARGO_TARGET_TMPDIR"));
    let server = Server::start(&model, &["--send-timeout", "60000"]).expect("it starts");
    server.root.write_big().expect("a file of 10 MB");
    let waiting = || {
        let tasks = format!("/proc/{}/task", server.pid());
        let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).ok();
        let tasks = fs::read_dir(tasks).expect("it is there").flatten().filter_map(name);
        tasks.filter(|name| name.starts_with("iou-wrk")).count()
    };
    let mut clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut client = open_small(server.address, 4096).expect("it listens");
            let question = b"GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n";
            client.write_all(question).expect("it is sent");
            client
        })
        .collect();
    // Some end their side at once, and others when a send to them waits for room.
    let end =
        |client: &TcpStream| client.shutdown(Shutdown::Write).expect("it is connected");
    clients[..CLIENTS / 2].iter().for_each(end);
    sleep(Duration::from_millis(300));
    clients[CLIENTS / 2..].iter().for_each(end);
    for _ in 0..3 {
        let response = get(server.address, "/small.txt").expect("others are served");
        assert_eq!(response.status, 200);
    }
    // Some read after all, and get all of it, although the others still read nothing.
    for mut client in clients.drain(CLIENTS / 2 - 2..CLIENTS / 2 + 2) {
        let whole = listen(&mut client).response().expect("a response");
        assert_eq!(whole.body.len(), 10 << 20);
    }
    // One may be left that opens files, and one that has waited for a moment.
    let limit = Instant::now() + Duration::from_secs(12);
    while waiting() > 2 && Instant::now() < limit {
        sleep(Duration::from_millis(50));
    }
    assert!(waiting() <= 2, "{} threads of the kernel for {CLIENTS} clients", waiting());
    drop(clients);
    server.stop().expect("it ends");
}
