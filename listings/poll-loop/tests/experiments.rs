//! What the experiments of the chapter print, and what they claim.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What a program prints, which must not be more than anybody would read.
fn run(program: &str, arguments: &[&str]) -> String {
    const MOST: u64 = 64 * 1024;
    let mut child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut printed = String::new();
    let stdout = child.stdout.take().expect("its standard output is our pipe");
    stdout.take(MOST).read_to_string(&mut printed).expect("text");
    if printed.len() as u64 == MOST {
        child.kill().expect("it is our child");
    }
    let status = child.wait().expect("it is our child");
    assert!(status.success(), "{program}: {status}\n{printed:.1000}");
    printed
}

/// The only line that contains this.
fn line<'a>(printed: &'a str, word: &str) -> &'a str {
    let mut lines = printed.lines().filter(|line| line.contains(word));
    let (line, others) = (lines.next(), lines.count());
    assert!(others == 0, "{word} stands in several lines:\n{printed}");
    line.unwrap_or_else(|| panic!("no line with {word}:\n{printed}"))
}

/// The first number of a text.
fn number(text: &str) -> f64 {
    let word = text.split_whitespace().find(|word| word.starts_with(char::is_numeric));
    let digits = word.unwrap_or_default().trim_end_matches(['%', ',']);
    digits.parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

#[test]
fn poll_takes_longer_with_every_idle_descriptor() {
    let printed = run(env!("CARGO_BIN_EXE_poll-few"), &[]);
    let took = |idle: &str| number(line(&printed, idle).split_once("took").unwrap().1);
    assert!(took("1000:") > 10.0 * took(" 10:"), "{printed}");
}

#[test]
fn one_call_waits_for_two_pipes() {
    let printed = run(env!("CARGO_BIN_EXE_poll-two"), &[]);
    let said: Vec<&str> =
        printed.lines().map(|line| line.split_once(": ").unwrap().1).collect();
    let wanted = ["[-, IN]", "[IN, -]", "[-, HUP]", "[HUP, -]"]
        .map(|bits| format!("poll returned 1: {bits}"));
    assert_eq!(said, wanted);
}

#[test]
fn hangups_errors_and_closed_descriptors_are_reported_unasked() {
    let printed = run(env!("CARGO_BIN_EXE_poll-answers"), &[]);
    let said = |what: &str| {
        let columns = &line(&printed, what)[29..];
        (columns[..8].trim().to_owned(), columns[8..].to_owned())
    };
    for (what, asked, bits) in [
        ("a pipe, empty", "IN", "-"),
        ("its 5 bytes read", "IN", "HUP"),
        ("its last reader gone", "-", "ERR"),
        ("asked differently", "RDHUP", "RDHUP"),
        ("a file, at its end", "IN OUT", "IN OUT"),
        ("the number -1", "IN OUT", "-"),
        ("a number that is closed", "-", "NVAL"),
    ] {
        assert_eq!(said(what), (asked.to_owned(), bits.to_owned()), "{printed}");
    }
}

#[test]
fn joining_wait_queues_costs_more_than_asking() {
    let printed = run(env!("CARGO_BIN_EXE_poll-passes"), &[]);
    let took = |what: &str| number(line(&printed, what).rsplit_once("  ").unwrap().1);
    assert!(took("the last is ready") > took("the first is ready"), "{printed}");
    assert!(printed.contains("it sleeps as well"), "{printed}");
}

#[test]
fn an_ignored_count_loses_bytes_and_a_heeded_one_does_not() {
    let printed = run(env!("CARGO_BIN_EXE_lost-write"), &[]);
    assert!(line(&printed, "sent at once").ends_with("the beginning"), "{printed}");
    assert!(line(&printed, "sent in pieces").contains("wrong from byte"), "{printed}");
    assert!(
        line(&printed, "where it stopped").ends_with("16777216  the page"),
        "{printed}"
    );
}

#[test]
fn two_unread_bytes_cost_the_client_its_page() {
    let printed = run(env!("CARGO_BIN_EXE_unread"), &[]);
    let whole = "1048576 bytes arrive";
    assert!(line(&printed, "all was read").ends_with(whole), "{printed}");
    let lost = line(&printed, "2 bytes unread, close");
    assert!(lost.ends_with("then: connection reset"), "{printed}");
    assert!(number(lost.split_once("close").unwrap().1) < 1_048_576.0, "{printed}");
    assert!(line(&printed, "2 bytes unread, linger").ends_with(whole), "{printed}");
    assert!(line(&printed, "16 MiB unread, close").contains("write fails"), "{printed}");
    assert!(line(&printed, "16 MiB unread, linger").ends_with("34 bytes arrive"));
}

/// A child that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn one_thread_serves_whoever_asks_while_others_say_nothing() {
    let mut server = Server(
        Command::new(env!("CARGO_BIN_EXE_one-thread"))
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts"),
    );
    let mut first = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let address = first.trim().strip_prefix("listening on http://").expect("its address");

    let connect = || {
        let client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client
    };
    let _silent: Vec<TcpStream> = (0..50).map(|_| connect()).collect();
    let mut client = connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).expect("an answer, while 50 are silent");
    assert!(response.ends_with("hello\n"), "{response}");
}

fn book(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../src").join(path)
}

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/idle-cost.json");

#[test]
fn the_figure_and_the_table_are_those_of_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let (figure, table) = (folder.path().join("figure"), folder.path().join("table"));
    let arguments = [
        "--from",
        DATA,
        "--figure",
        figure.to_str().unwrap(),
        "--table",
        table.to_str().unwrap(),
    ];
    let printed = run(env!("CARGO_BIN_EXE_idle-cost"), &arguments);
    let again = "; cargo run --release -p poll-loop --bin idle-cost -- --from listings/poll-loop/idle-cost.json --figure src/figures/idle-cost.svg --table src/figures/idle-cost.txt";
    for (made, committed) in
        [(figure, "figures/idle-cost.svg"), (table, "figures/idle-cost.txt")]
    {
        let (made, committed_text) = (
            fs::read_to_string(made).unwrap(),
            fs::read_to_string(book(committed)).unwrap(),
        );
        assert!(
            made == committed_text,
            "src/{committed} is not what the data gives{again}"
        );
    }
    assert_eq!(printed, fs::read_to_string(book("figures/idle-cost.txt")).unwrap());
}

#[test]
fn the_ratios_in_the_text_are_those_of_the_table() {
    let table = fs::read_to_string(book("figures/idle-cost.txt")).unwrap();
    let (tcp, eventfd) = table.split_once("eventfds").unwrap();
    let ratio = |of: &str, idle: &str| {
        let mut rows = of.lines().filter(|row| row.split_whitespace().next() == Some(idle));
        let row = rows.next().unwrap_or_else(|| panic!("no row for {idle}:\n{of}"));
        row.split_whitespace().next_back().unwrap().to_owned()
    };
    let text = fs::read_to_string(book("poll.md")).unwrap().replace('\n', " ");
    for (before, ratio, after) in [
        ("At 15,000 poll takes ", ratio(tcp, "15,000"), " times as long as `epoll_wait`"),
        ("At 1000 it is ", ratio(tcp, "1000"), " times"),
        ("at 10 it is ", ratio(tcp, "10"), " times"),
        (
            "15,000 eventfds instead of connections cost poll ",
            ratio(eventfd, "15,000"),
            " times what",
        ),
    ] {
        let wanted = format!("{before}{ratio}{after}");
        assert!(text.contains(&wanted), "src/poll.md does not say: {wanted}");
    }
}

#[test]
fn a_short_measurement_measures_all_three_calls() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data.json");
    let arguments = ["--up-to", "100", "--rounds", "1", "--data", file.to_str().unwrap()];
    run(env!("CARGO_BIN_EXE_idle-cost"), &arguments);
    let data: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    for call in ["select", "poll", "epoll"] {
        let idle: Vec<u64> = data["cells"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|cell| cell["kind"] == "tcp" && cell["call"] == call)
            .map(|cell| cell["idle"].as_u64().unwrap())
            .collect();
        assert_eq!(idle, [10, 30, 100], "{call}");
    }
}
