//! The crew against drivers that are made up.

use super::*;

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const SECOND: Duration = Duration::from_secs(1);

fn crew(clients: usize, pace: Pace, end: End, now: Instant) -> Crew {
    let (timeout, ramp) = (5 * SECOND, 3 * SECOND);
    let expected = Expected { body: Some(b"ok".to_vec()) };
    let rules = Rules { clients, pace, end, close: false, timeout, ramp, expected };
    Crew::new(rules, || 0.0, now)
}

fn orders(crew: &mut Crew, now: Instant) -> Vec<Order> {
    std::iter::from_fn(|| crew.next_order(now)).collect()
}

/// Everybody connects, asks and is answered, once.
fn arrive(crew: &mut Crew, clients: usize, now: Instant) {
    for slot in 0..clients {
        assert_eq!(crew.next_order(now), Some(Order::Connect(slot)));
        crew.connected(slot);
        assert_eq!(crew.next_order(now), Some(Order::Ask(slot)));
        crew.received(slot, RESPONSE, now);
    }
}

#[test]
fn nothing_is_measured_before_the_last_has_had_its_first_response() {
    let now = Instant::now();
    let mut crew = crew(250, Pace::Closed, End::Requests(1), now);
    // No more than so many at the same time.
    let first = orders(&mut crew, now);
    assert_eq!(first, (0..AT_ONCE).map(Order::Connect).collect::<Vec<_>>());
    first.iter().enumerate().for_each(|(slot, _)| crew.connected(slot));
    assert_eq!(orders(&mut crew, now).len(), AT_ONCE);
    for slot in 0..250 {
        crew.received(slot, RESPONSE, now);
        for order in orders(&mut crew, now) {
            match order {
                Order::Connect(slot) => crew.connected(slot),
                Order::Ask(_) | Order::HangUp(_) => {}
            }
        }
    }
    assert_eq!((crew.ramp.clients, crew.counts.answered), (250, 0));
    assert!(!crew.is_over(now));
}

#[test]
fn whoever_does_not_come_is_not_waited_for_for_ever() {
    let now = Instant::now();
    let mut crew = crew(2, Pace::Closed, End::After(SECOND), now);
    assert_eq!(orders(&mut crew, now).len(), 2);
    crew.connected(0);
    crew.failed(1, Failure::Connect, now);
    assert_eq!(orders(&mut crew, now), [Order::Ask(0), Order::HangUp(1)]);
    crew.received(0, RESPONSE, now);
    crew.look(now + SECOND);
    assert_eq!(orders(&mut crew, now + SECOND), [Order::Connect(1)], "once more");
    crew.look(now + 3 * SECOND);
    assert_eq!((crew.ramp.clients, crew.ramp.errors.connect), (1, 1));
    assert_eq!(orders(&mut crew, now + 3 * SECOND), [Order::Ask(0)]);
    assert!(!crew.is_over(now + 3 * SECOND));
    assert!(crew.is_over(now + 4 * SECOND));
}

#[test]
fn latency_counts_from_when_a_request_was_due() {
    let now = Instant::now();
    let mut crew = crew(1, Pace::Open(10.0), End::Requests(3), now);
    arrive(&mut crew, 1, now);
    assert_eq!(orders(&mut crew, now), [Order::Ask(0)]);
    assert_eq!(crew.due(now), now + LOOK, "the only client is under way");
    // The first response takes a second. Meanwhile two more were due.
    let after = now + SECOND;
    for _ in 0..3 {
        crew.received(0, RESPONSE, after);
        orders(&mut crew, after);
    }
    assert!(crew.is_over(after));
    let mut waited: Vec<u64> =
        crew.counts.latency.0.iter_recorded().map(|it| it.value_iterated_to()).collect();
    waited.iter_mut().for_each(|nanos| *nanos /= 1_000_000);
    assert_eq!(waited, [800, 900, 1000]);
}

#[test]
fn a_connection_that_ends_at_the_same_moment_is_no_error() {
    let now = Instant::now();
    let mut crew = crew(1, Pace::Closed, End::Requests(1), now);
    arrive(&mut crew, 1, now);
    assert_eq!(orders(&mut crew, now), [Order::Ask(0)]);
    crew.failed(0, Failure::Ended, now);
    assert_eq!(orders(&mut crew, now), [Order::HangUp(0), Order::Connect(0)]);
    crew.connected(0);
    assert_eq!(orders(&mut crew, now), [Order::Ask(0)]);
    // On a new connection it is one.
    crew.failed(0, Failure::Ended, now);
    assert_eq!((crew.counts.retried, crew.counts.errors.ended), (1, 1));
    assert!(crew.is_over(now));
}

#[test]
fn half_a_response_and_the_end_is_an_error_on_any_connection() {
    let now = Instant::now();
    let mut crew = crew(1, Pace::Closed, End::Requests(1), now);
    arrive(&mut crew, 1, now);
    assert_eq!(orders(&mut crew, now), [Order::Ask(0)]);
    crew.received(0, &RESPONSE[..20], now);
    crew.failed(0, Failure::Ended, now);
    assert_eq!((crew.counts.retried, crew.counts.errors.ended), (0, 1));
}

#[test]
fn what_is_overdue_is_given_up_once() {
    let now = Instant::now();
    let mut crew = crew(1, Pace::Closed, End::Requests(1), now);
    arrive(&mut crew, 1, now);
    assert_eq!(orders(&mut crew, now), [Order::Ask(0)]);
    crew.look(now + 4 * SECOND);
    assert_eq!(crew.counts.errors.timeout, 0);
    crew.look(now + 6 * SECOND);
    crew.look(now + 7 * SECOND);
    assert_eq!(crew.counts.errors.timeout, 1);
    assert_eq!(orders(&mut crew, now + 7 * SECOND), [Order::HangUp(0)]);
    // What its old connection says afterwards is for nobody.
    crew.failed(0, Failure::Ended, now + 7 * SECOND);
    assert_eq!(crew.counts.errors.total(), 1);
}

#[test]
fn an_answer_that_nobody_asked_for_is_wrong() {
    let now = Instant::now();
    let mut crew = crew(1, Pace::Closed, End::Requests(5), now);
    arrive(&mut crew, 1, now);
    crew.received(0, RESPONSE, now);
    assert_eq!(crew.counts.answered, 0);
    assert_eq!(orders(&mut crew, now)[0], Order::HangUp(0));
}

#[test]
fn a_server_that_says_goodbye_is_left() {
    let now = Instant::now();
    let mut crew = crew(1, Pace::Closed, End::Requests(5), now);
    arrive(&mut crew, 1, now);
    assert_eq!(orders(&mut crew, now), [Order::Ask(0)]);
    let last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    crew.received(0, last, now);
    assert_eq!((crew.counts.answered, crew.counts.errors.total()), (1, 0));
    let next = orders(&mut crew, now);
    assert!(next.starts_with(&[Order::HangUp(0)]), "{next:?}");
    assert!(!next.contains(&Order::Ask(0)), "{next:?}");
}

#[test]
fn late_requests_are_waited_for_but_not_for_ever() {
    let now = Instant::now();
    let mut crew = crew(1, Pace::Open(1000.0), End::After(SECOND), now);
    arrive(&mut crew, 1, now);
    orders(&mut crew, now);
    assert!(!crew.is_over(now + 2 * SECOND), "999 are still to be sent");
    let last = now + 7 * SECOND;
    assert!(crew.is_over(last));
    assert_eq!(crew.measured(last).1, 999);
}
