use super::*;
use crate::{Operation, Request};

fn call(name: &str, [begin, end]: [f64; 2], request: Option<usize>) -> Call {
    let slept = u64::from(end - begin > 1000.0);
    let (name, result) = (name.to_owned(), Some(1));
    // One that was made from where no listing can be found.
    let found = name != "write";
    let at = found.then(|| "listings/a/src/lib.rs:7".to_owned());
    let within = found.then(|| "a::Shop::serve::{{closure}}".to_owned());
    Call { name, begin, end, request, result, slept, at, within, ..Call::default() }
}

fn trace() -> Trace {
    let lane = |calls| Lane { process: 1, calls, ..Lane::default() };
    let request = |asked, answered| Request { asked, answered, status: 200 };
    Trace {
        program: "a <server>".into(),
        requests: vec![request(0.0, 100_000.0), request(2000.0, 201_000.0)],
        lanes: vec![
            lane(vec![
                call("accept4", [-9000.0, 100.0], None),
                call("read", [200.0, 99_000.0], Some(0)),
                call("write", [99_100.0, 99_200.0], Some(0)),
                call("read", [100_000.0, 200_000.0], Some(1)),
            ]),
            lane(vec![call("futex", [-9000.0, 300_000.0], None)]),
        ],
        ..Trace::default()
    }
}

#[test]
fn a_bar_for_each_call_says_what_it_was_and_for_whom() {
    let svg = svg(&trace(), "t");
    assert_eq!(svg.matches("<rect").count(), 2 + 4, "two clients, and four calls");
    for title in [
        "2 clients and the threads of a &lt;server>: who waits, and when",
        "client 2 waits for 199 ms",
        "read = 1, for client 1: waits for 99 ms; Shop::serve, a/src/lib.rs:7",
        "write = 1, for client 1: does not wait",
        "accept4 = 1: waits for 9 ms; Shop::serve, a/src/lib.rs:7",
    ] {
        assert!(svg.contains(&format!(">{title}</title>")), "{title}\n{svg}");
    }
    assert_eq!(svg.matches("class=\"bar request-1\"").count(), 3);
    assert_eq!(svg.matches("data-line=\"listings/a/src/lib.rs:7\"").count(), 3);
    assert!(svg.contains("one more thread waits in futex all the time"));
    assert!(!svg.contains("NaN"));
}

#[test]
fn the_words_and_the_table_have_the_same_facts() {
    assert_eq!(
        words(&trace()),
        "2 clients ask at about the same time, and wait for 100, 199 ms. One thread \
             makes 1 call without waiting, and waits in `read` \
             for client 1 (99 ms, from 0 on), `read` for client 2 (100 ms, from 100 on). One \
             more thread waits in futex all the time. In the listings: \
             `futex` at a/src/lib.rs:7, `read` at a/src/lib.rs:7.\n"
    );
    assert_eq!(
        table(&trace()),
        "client 1:         0 to  100 ms\n\
             client 2:         2 to  201 ms\n\
             one thread: 4 calls\n  \
             read            0 to   99 ms  client 1  a/src/lib.rs:7\n  \
             read          100 to  200 ms  client 2  a/src/lib.rs:7\n\
             one more thread waits in futex all the time\n"
    );
}

#[test]
fn what_is_in_flight_stands_below_its_thread() {
    let operation = |name: &str, [begin, end]: [f64; 2], seen: &[f64], request| Operation {
        name: name.to_owned(),
        begin,
        end,
        result: seen.is_empty().then_some(8),
        seen: seen.to_vec(),
        request,
    };
    let mut trace = trace();
    let before = svg(&trace, "t");
    trace.lanes[0].operations = vec![
        operation("accept", [-9000.0, 300_000.0], &[100.0, 2100.0], None),
        operation("recv", [300.0, 99_000.0], &[], Some(0)),
        operation("nop", [100_000.0, 100_100.0], &[], None), // in the row of recv
    ];
    let svg = svg(&trace, "t");
    let height = |svg: &str| {
        let (_, rest) = svg.split_once("viewBox=\"0 0 760 ").expect("a size");
        rest.split('"').next().and_then(|height| height.parse::<u32>().ok())
    };
    assert_eq!((height(&before), height(&svg)), (Some(224), Some(292)));
    for title in [
        "accept: still in flight, for 309 ms, with 2 completions",
        "recv = 8, for client 1: in flight for 99 ms",
    ] {
        assert!(svg.contains(&format!(">{title}</title>")), "{title}\n{svg}");
    }
    assert_eq!(svg.matches("class=\"mark\"").count(), 2);
    assert!(svg.contains(">thin: operations of the ring, from submission"));
    let said = words(&trace);
    let rings = " In the ring 1 operation is done almost at once, and in flight are `accept` \
            (205 ms, from 0 on, with 2 completions meanwhile), `recv` for client 1 (99 ms, from 0 on).";
    assert!(said.contains(rings), "{said}");
    assert!(
        table(&trace)
            .contains("in its ring: 3 operations\n  accept          0 to  205 ms\n")
    );

    trace.lanes[0].operations.clear();
    trace.no_operations = Some("it is dark".into());
    assert!(words(&trace).contains(" No operations: it is dark."));
}

#[test]
fn two_drawings_may_show_the_same_time() {
    let mut other = trace();
    let x = |svg: &str| svg.split("<path d=\"").nth(2).map(str::to_owned);
    let alone = x(&svg(&other, "a"));
    other.span = 400.0;
    assert_ne!(alone, x(&svg(&other, "a")), "half as wide");
}
