//! The store's replies are those of Redis, byte for byte.
//!
//! The table is checked against the store always, and against a real Redis where
//! WHO_WAITS_REDIS=host:port names one; so are random requests. Only keys that begin with
//! `who-waits-test-` are touched there, and deleted at the end.
#![cfg(target_os = "linux")]

mod support;

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use store::Store;
use support::{Client, line, request};

/// Requests in words and the replies they get, one connection after the other. `K` and `L`
/// are keys.
const TABLE: &[(&str, &str)] = &[
    ("PING", "+PONG\r\n"),
    ("ping", "+PONG\r\n"),
    ("PING hello", "$5\r\nhello\r\n"),
    ("PING a b", "-ERR wrong number of arguments for 'ping' command\r\n"),
    ("GET K", "$-1\r\n"),
    ("INCR K", ":1\r\n"),
    ("incr K", ":2\r\n"),
    ("GET K", "$1\r\n2\r\n"),
    ("INCR", "-ERR wrong number of arguments for 'incr' command\r\n"),
    ("InCr K 1", "-ERR wrong number of arguments for 'incr' command\r\n"),
    ("GET", "-ERR wrong number of arguments for 'get' command\r\n"),
    ("LPUSH K a", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
    (
        "LRANGE K 0 1",
        "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
    ),
    (
        "LTRIM K 0 1",
        "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
    ),
    ("LRANGE K 0 x", "-ERR value is not an integer or out of range\r\n"),
    ("LRANGE L 0 -1", "*0\r\n"),
    ("LTRIM L 0 -1", "+OK\r\n"),
    ("LPUSH L", "-ERR wrong number of arguments for 'lpush' command\r\n"),
    ("LPUSH L a", ":1\r\n"),
    ("LPUSH L b c d", ":4\r\n"),
    ("INCR L", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
    ("GET L", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
    ("LRANGE L 0 -1", "*4\r\n$1\r\nd\r\n$1\r\nc\r\n$1\r\nb\r\n$1\r\na\r\n"),
    ("LRANGE L -2 9", "*2\r\n$1\r\nb\r\n$1\r\na\r\n"),
    ("LRANGE L 2 1", "*0\r\n"),
    ("LRANGE L 4 9", "*0\r\n"),
    (
        "LRANGE L -9223372036854775808 9223372036854775807",
        "*4\r\n$1\r\nd\r\n$1\r\nc\r\n$1\r\nb\r\n$1\r\na\r\n",
    ),
    ("LRANGE L 0 9223372036854775808", "-ERR value is not an integer or out of range\r\n"),
    ("LRANGE L +0 1", "-ERR value is not an integer or out of range\r\n"),
    ("LRANGE L 00 1", "-ERR value is not an integer or out of range\r\n"),
    ("LRANGE L 0", "-ERR wrong number of arguments for 'lrange' command\r\n"),
    ("LTRIM L 0", "-ERR wrong number of arguments for 'ltrim' command\r\n"),
    ("LTRIM L x 0", "-ERR value is not an integer or out of range\r\n"),
    ("LTRIM L 1 -2", "+OK\r\n"),
    ("LRANGE L 0 -1", "*2\r\n$1\r\nc\r\n$1\r\nb\r\n"),
    ("LTRIM L 5 9", "+OK\r\n"),
    ("LRANGE L 0 -1", "*0\r\n"),
    ("INCR L", ":1\r\n"),
    ("QUIT", "+OK\r\n"),
];

/// What is no request, and the last words that it gets.
const BROKEN: &[(&str, &str)] = &[
    ("*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n"),
    ("*1\r\n+PING\r\n", "-ERR Protocol error: expected '$', got '+'\r\n"),
    ("*1\r\n$-1\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
    ("*1\r\n$99999999999\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
    ("*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n", "+PONG\r\n+OK\r\n"),
];

fn key(name: &str) -> String {
    format!("who-waits-test-{}-{name}", std::process::id())
}

fn with_keys(words: &str) -> Vec<u8> {
    let (k, l) = (key("k"), key("l"));
    let word = |word| match word {
        "K" => k.clone(),
        "L" => l.clone(),
        other => other.to_owned(),
    };
    line(&words.split(' ').map(word).collect::<Vec<_>>().join(" "))
}

fn follows_the_table(address: SocketAddr) {
    let everything: Vec<u8> =
        TABLE.iter().flat_map(|(words, _)| with_keys(words)).collect();
    let expected: String = TABLE.iter().map(|(_, reply)| *reply).collect();
    let mut client = Client::new(address);
    client.send(&everything);
    assert_eq!(String::from_utf8_lossy(&client.rest()), expected);
    for (bytes, expected) in BROKEN {
        let mut client = Client::new(address);
        client.send(bytes.as_bytes());
        assert_eq!(String::from_utf8_lossy(&client.rest()), *expected, "to {bytes:?}");
    }
}

fn store() -> Store {
    Store::spawn_in_process(Duration::ZERO, None).unwrap()
}

/// The Redis to compare with, if there is one.
fn redis() -> Option<SocketAddr> {
    let Ok(name) = std::env::var("WHO_WAITS_REDIS") else {
        flags::skipped(format_args!(
            "not compared with a real Redis, since WHO_WAITS_REDIS=host:port names none"
        ));
        return None;
    };
    let mut addresses = name
        .to_socket_addrs()
        .unwrap_or_else(|why| panic!("WHO_WAITS_REDIS={name}: {why}"));
    addresses.next()
}

/// Requests chosen at random from few keys, few values and many indexes, all of them in one
/// piece, QUIT last.
fn random_requests(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut below = |n: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut bytes = Vec::new();
    for _ in 0..300 {
        let name = ["PING", "incr", "GET", "LPUSH", "LPUSH", "LRANGE", "LRANGE", "LTRIM"]
            [below(8) as usize];
        let mut words = vec![name.to_owned(), key(["r", "s", "t"][below(3) as usize])];
        for _ in 0..[0, 1, 2, 2, 2, 3][below(6) as usize] {
            words.push(
                ["0", "1", "-1", "-3", "5", "", "a\r\nb", "01", "9223372036854775807"]
                    [below(9) as usize]
                    .into(),
            );
        }
        bytes.extend(request(&words.iter().map(String::as_bytes).collect::<Vec<_>>()));
    }
    bytes.extend(line("QUIT"));
    bytes
}

#[test]
fn the_store_follows_the_table() {
    follows_the_table(store().address());
}

#[test]
fn redis_follows_the_same_table() {
    if let Some(redis) = redis() {
        follows_the_table(redis);
        delete(redis, &["k", "l"]);
    }
}

#[test]
fn random_requests_get_what_redis_answers() {
    let Some(redis) = redis() else { return };
    for seed in 0..100 {
        let store = store();
        let answers = [store.address(), redis].map(|address| {
            let mut client = Client::new(address);
            client.send(&random_requests(seed));
            String::from_utf8_lossy(&client.rest()).into_owned()
        });
        assert_eq!(answers[0], answers[1], "seed {seed}");
        delete(redis, &["r", "s", "t"]);
    }
}

fn delete(redis: SocketAddr, names: &[&str]) {
    let words: Vec<String> = names.iter().map(|name| key(name)).collect();
    Client::new(redis).ask(&format!("DEL {}", words.join(" ")));
}
