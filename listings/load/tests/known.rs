//! Row 24: the generator against servers of which everything is known.
#![cfg(target_os = "linux")]

mod server;

use std::time::Duration;

use load::{End, Errors, Outcome, Over, Pace, Rules, Target};
use server::{Answer, Server};

const STALL: Duration = Duration::from_secs(1);

fn rules(clients: usize, pace: Pace, end: End, target: &Target) -> Rules {
    Rules {
        clients,
        pace,
        end,
        close: false,
        timeout: Duration::from_secs(20),
        ramp: Duration::from_secs(20),
        expected: target.expected(Duration::from_secs(20), None).unwrap(),
    }
}

/// Once over epoll and once over a ring, where there is one.
fn over_both(run: impl Fn(fn() -> Over)) {
    run(|| Over::Epoll);
    match Over::ring() {
        Ok(_) => run(|| Over::ring().unwrap()),
        Err(why) => flags::skipped(format_args!("load over io_uring: {why}")),
    }
}

fn target(server: &Server, close: bool) -> Target {
    Target::new(&[format!("http://{}/", server.address)], 1, close).unwrap()
}

fn run(over: Over, rules: Rules, target: &Target) -> Outcome {
    load::run(over, rules, target).unwrap()
}

#[test]
fn every_request_that_was_answered_is_counted_once() {
    over_both(|over| {
        for (clients, close) in [(1, false), (8, false), (8, true)] {
            let server = Server::start(|_| Answer::Right);
            let target = target(&server, close);
            let rules = rules(clients, Pace::Closed, End::Requests(1000), &target);
            let outcome = run(over(), Rules { close, ..rules }, &target);
            assert_eq!(outcome.answered, 1000);
            assert_eq!(outcome.latency.0.len(), 1000);
            assert_eq!(outcome.errors, Errors::default());
            assert_eq!(outcome.ramp.clients, clients as u64);
            // Two to find out what is right, one of each client's arrival.
            assert_eq!(server.requests(), 1000 + 2 + clients as u64);
            let connections = if close { 1000 } else { 0 };
            assert_eq!((outcome.connected, outcome.unfinished), (connections, 0));
            assert_eq!(outcome.received, 1000 * server::RIGHT.len() as u64);
        }
    });
}

#[test]
fn an_open_loop_asks_as_often_as_it_says() {
    over_both(|over| {
        let server = Server::start(|_| Answer::Right);
        let target = target(&server, false);
        let half = End::After(Duration::from_millis(500));
        let rules = rules(4, Pace::Open(1000.0), half, &target);
        let outcome = run(over(), rules, &target);
        assert_eq!((outcome.answered, outcome.unsent, outcome.unfinished), (500, 0, 0));
        assert_eq!(server.requests(), 500 + 2 + 4);
        assert!(outcome.seconds >= 0.499, "it was sent ahead of time");
    });
}

#[test]
fn what_goes_wrong_is_counted_by_its_kind() {
    over_both(|over| {
        // Of a hundred requests after the three of the beginning; one client, so in this order.
        let server = Server::start(|number| match number {
            0..3 => Answer::Right,
            number if number % 10 == 0 => Answer::Status,
            number if number % 10 == 3 => Answer::Body,
            number if number % 10 == 6 => Answer::Half,
            number if number % 50 == 9 => Answer::Garbled,
            _ => Answer::Right,
        });
        let target = target(&server, false);
        let outcome =
            run(over(), rules(1, Pace::Closed, End::Requests(100), &target), &target);
        let (status, body, ended, garbled) = (10, 10, 10, 2);
        let errors = Errors { status, body, ended, garbled, ..Errors::default() };
        assert_eq!(outcome.errors, errors);
        assert_eq!(outcome.answered, 100 - errors.total());
        assert_eq!(server.requests(), 103);
    });
}

#[test]
fn another_body_than_the_one_that_is_known_is_not_measured() {
    let server = Server::start(|_| Answer::Right);
    let target = target(&server, false);
    let expected =
        |body: &[u8]| target.expected(Duration::from_secs(20), Some(body.to_vec()));
    assert_eq!(
        expected(b"hello").map(|expected| expected.body),
        Ok(Some(b"hello".to_vec()))
    );
    let why = expected(b"hallo!").expect_err("it is another one");
    assert!(
        why.ends_with("answers with 5 bytes that are not the 6 that are expected"),
        "{why}"
    );
}

#[test]
fn an_end_between_two_requests_is_no_error_and_silence_is_one() {
    over_both(|over| {
        let server = Server::start(|number| match number {
            20 => Answer::Never,
            number if number % 10 == 5 => Answer::RightAndEnd,
            _ => Answer::Right,
        });
        let target = target(&server, false);
        let rules = rules(1, Pace::Closed, End::Requests(97), &target);
        let rules = Rules { timeout: Duration::from_millis(300), ..rules };
        let outcome = run(over(), rules, &target);
        assert_eq!(outcome.errors, Errors { timeout: 1, ..Errors::default() });
        assert_eq!((outcome.answered, outcome.unfinished), (96, 0));
    });
}

#[test]
fn a_server_that_is_gone_is_counted_and_left_alone() {
    over_both(|over| {
        let server = Server::start(|_| Answer::Right);
        let target = target(&server, false);
        let rules = rules(2, Pace::Closed, End::Requests(10), &target);
        let address = server.address;
        server.stop();
        let rules = Rules { ramp: Duration::from_millis(250), ..rules };
        let outcome = run(over(), rules, &target);
        assert_eq!((outcome.answered, outcome.errors.connect), (0, 10), "{address}");
        assert_eq!(outcome.ramp.clients, 0);
        // Every 100 ms at most, each of two.
        assert!(outcome.ramp.errors.connect <= 6, "{:?}", outcome.ramp.errors);
    });
}

/// The server stands still for a second, in the middle of two. In an open loop of 1,000 requests
/// a second every one that was due meanwhile has waited, the first of them for the whole second.
/// In a closed loop one of each client has.
#[test]
fn a_stall_of_a_second_stands_in_the_tail_at_its_full_length() {
    over_both(|over| {
        let server = Server::start(|number| match number {
            500 => Answer::After(STALL),
            _ => Answer::Right,
        });
        let target = target(&server, false);
        let open = rules(4, Pace::Open(1000.0), End::Requests(2000), &target);
        let outcome = run(over(), open, &target);
        assert_eq!((outcome.answered, outcome.errors.total()), (2000, 0));
        let (tail, half) = (outcome.latency.at(0.999), STALL / 2);
        assert!(tail >= STALL - STALL / 100, "p99.9 is {tail:?}");
        let late = count(&outcome, half);
        assert!(late >= 450, "{late} requests have waited for half a second or more");

        let server = Server::start(|number| match number {
            500 => Answer::After(STALL),
            _ => Answer::Right,
        });
        let target = self::target(&server, false);
        let outcome =
            run(over(), rules(4, Pace::Closed, End::Requests(2000), &target), &target);
        assert!(outcome.latency.max() >= STALL);
        assert_eq!(count(&outcome, STALL - STALL / 100), 4, "one of each client");
    });
}

/// How many have waited for so long or longer.
fn count(outcome: &Outcome, time: Duration) -> u64 {
    outcome.latency.0.count_between(time.as_nanos() as u64, u64::MAX)
}

#[test]
fn an_outcome_survives_being_written_down() {
    let server = Server::start(|_| Answer::Right);
    let target = target(&server, false);
    let outcome =
        run(Over::Epoll, rules(3, Pace::Closed, End::Requests(300), &target), &target);
    let text = serde_json::to_string(&outcome).unwrap();
    assert!(!text.contains('\n'));
    let read: Outcome = serde_json::from_str(&text).unwrap();
    assert_eq!(read.latency.0, outcome.latency.0);
    assert_eq!(read.answered, 300);
}

#[test]
fn clients_come_from_as_many_addresses_as_they_were_told() {
    over_both(|over| {
        let server = Server::start(|_| Answer::Right);
        let url = format!("http://{}/", server.address);
        let target = Target::new(&[url], 3, false).unwrap();
        let outcome =
            run(over(), rules(6, Pace::Closed, End::Requests(60), &target), &target);
        assert_eq!(outcome.answered, 60);
        let sources: Vec<String> =
            server.sources().into_iter().map(|ip| ip.to_string()).collect();
        assert_eq!(sources, ["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    });
}
