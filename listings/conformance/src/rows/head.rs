//! Row 1: conformance of the head. Valid requests are served, invalid ones refused and the
//! connection closed.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::heads::{
    AllowIf405, Also, Answer, Body, Case, Closes, Either, Empty, Field, Refuse, TABLE,
    Without,
};
use crate::client::{self, End, be_refused, exchange, exchange_and_shut};
use crate::model::Model;
use crate::nginx::Nginx;
use crate::random::Random;
use crate::report::{Report, Tally, repeats};
use crate::response::{Response, excerpt};
use crate::root::SMALL;
use crate::server::Server;

/// Follows every malformed request. Who answers it took the malformed one for something
/// else.
const CANARY: &[u8] = b"GET /canary-request HTTP/1.1\r\nHost: a\r\n\r\n";
/// Follows every well-formed request, and shows whether the connection is still in step.
const PROBE: &[u8] = b"GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// Every head of the table, the expectations of `Expect`, and mutations that httparse
/// refuses.
pub fn run(model: &Model) -> Result<Report, String> {
    let server = Server::start(model, &[])?;
    let validators = Validators::of(&server)?;
    let mut tally = Tally::of(model);
    for group in TABLE {
        for case in group.cases {
            let outcome = || try_case(&server, &validators, case);
            tally.case(format!("{} ({})", case.name, group.source), outcome);
        }
    }
    for case in EXPECTATIONS {
        tally.case(format!("{} (RFC 9110 section 10.1.1)", case.name), || {
            try_expectation(&server, case)
        });
    }
    let mutations = repeats(2_000, 100_000);
    let mut refused = 0;
    tally.case("whatever httparse refuses is refused", || {
        against_httparse(&server, mutations).map(|number| refused = number)
    });
    let note =
        format!("and {mutations} mutated heads, of which httparse refuses {refused}");
    server.conclude(tally).map(|report| report.with_note(note))
}

fn try_case(server: &Server, validators: &Validators, case: &Case) -> Result<(), String> {
    let request = validators.fill_in(case.send);
    let to_head = request.starts_with(b"HEAD ");
    match case.want {
        Refuse(statuses) => refused(server, &request, to_head, statuses),
        Answer(statuses) => {
            let response = answered(server, &request, to_head)?;
            expect_status(&response, statuses)?;
            case.also.iter().try_for_each(|also| holds(*also, &response))
        }
        Either(status) => match answered(server, &request, to_head) {
            Ok(response) if response.status == status => Ok(()),
            _ => refused(server, &request, to_head, &[400, 505]),
        },
    }
}

fn expect_status(response: &Response, statuses: &[u16]) -> Result<(), String> {
    if statuses.contains(&response.status) {
        return Ok(());
    }
    Err(format!("status {} instead of {statuses:?}", response.status))
}

/// A malformed request, with another behind it: one response, and the server closes.
fn refused(
    server: &Server,
    request: &[u8],
    to_head: bool,
    statuses: &[u16],
) -> Result<(), String> {
    let response = be_refused(server.address, &[request, CANARY].concat(), to_head)?;
    expect_status(&response, statuses)
}

/// A well-formed request, with a probe behind it: one response, and if it does not close,
/// the probe's.
fn answered(server: &Server, request: &[u8], to_head: bool) -> Result<Response, String> {
    let heard = exchange(server.address, &[request, PROBE].concat())?;
    let mut all = heard.responses(&[to_head])?;
    if all.is_empty() {
        return Err(format!("no response, connection {:?}", heard.end));
    }
    let response = all.remove(0);
    match (&all[..], response.closes()) {
        _ if !response.whole => Err("half a response".into()),
        _ if heard.end == End::Open => Err("the connection stays open".into()),
        ([], true) => Ok(response),
        ([probe], false) if probe.status == 200 && probe.body == SMALL.as_bytes() => {
            Ok(response)
        }
        ([], false) => {
            Err("it announced no close, but the next request got no response".into())
        }
        (_, true) => Err("it announced a close, but answered the next request".into()),
        ([probe, ..], false) => {
            Err(format!("the next request is answered {}: out of step", probe.status))
        }
    }
}

fn holds(also: Also, response: &Response) -> Result<(), String> {
    match also {
        Body(content) if response.body == content.as_bytes() => Ok(()),
        Body(content) => {
            Err(format!("content {} instead of {content:?}", excerpt(&response.body)))
        }
        Empty if response.body.is_empty() => Ok(()),
        Empty => Err(format!("content {} where none belongs", excerpt(&response.body))),
        Field(name, part) => match response.field(name) {
            Some(value) if value.contains(part) => Ok(()),
            found => Err(format!("{name}: {found:?} instead of something with {part:?}")),
        },
        Without(name) if response.field(name).is_none() => Ok(()),
        Without(name) => Err(format!("{name} does not belong here")),
        AllowIf405 if response.status != 405 || response.field("Allow").is_some() => Ok(()),
        AllowIf405 => Err("405 without Allow".into()),
        Closes if response.closes() => Ok(()),
        Closes => Err("the connection stays open".into()),
    }
}

/// A request that asks before it sends its content.
struct Expectation {
    name: &'static str,
    head: &'static str,
    content: &'static str,
    /// Whether `100 Continue` must, must not, or may come first.
    interim: Option<bool>,
    statuses: &'static [u16],
}

static EXPECTATIONS: &[Expectation] = &[
    Expectation {
        name: "100-continue is answered before the content is sent",
        head: "POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
               Content-Length: 8\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        content: "remark=x",
        interim: Some(true),
        statuses: &[303],
    },
    Expectation {
        name: "100-Continue in another case",
        head: "POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
               Content-Length: 8\r\nExpect: 100-Continue\r\nConnection: close\r\n\r\n",
        content: "remark=x",
        interim: Some(true),
        statuses: &[303],
    },
    Expectation {
        name: "100-continue before chunks",
        head: "POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
               Transfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        content: "8\r\nremark=x\r\n0\r\n\r\n",
        interim: Some(true),
        statuses: &[303],
    },
    Expectation {
        name: "too much content is refused before it is sent",
        head: "POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\nExpect: 100-continue\r\n\r\n",
        content: "",
        interim: Some(false),
        statuses: &[413],
    },
    Expectation {
        name: "1.0 knows no interim response",
        head: "POST /guestbook HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\n\
               Content-Length: 8\r\nExpect: 100-continue\r\n\r\n",
        content: "remark=x",
        interim: Some(false),
        statuses: &[303],
    },
    Expectation {
        name: "without content there is nothing to continue",
        head: "GET /small.txt HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        content: "",
        interim: None,
        statuses: &[200],
    },
    Expectation {
        name: "another expectation",
        head: "GET /small.txt HTTP/1.1\r\nHost: a\r\nExpect: coffee\r\nConnection: close\r\n\r\n",
        content: "",
        interim: Some(false),
        statuses: &[200, 417],
    },
];

fn try_expectation(server: &Server, case: &Expectation) -> Result<(), String> {
    let mut stream = client::open(server.address)?;
    client::send(&mut stream, case.head.as_bytes())?;
    let mut bytes = Vec::new();
    if case.interim == Some(true) {
        bytes =
            client::listen_until(&mut stream, |bytes| bytes.ends_with(b"\r\n\r\n")).bytes;
    }
    client::send(&mut stream, case.content.as_bytes())?;
    let rest = client::listen(&mut stream);
    bytes.extend_from_slice(&rest.bytes);
    let all = crate::response::responses(&bytes, &[])?;
    let interim = all.iter().any(Response::interim);
    match (case.interim, all.last()) {
        (Some(wanted), _) if wanted != interim => {
            Err(format!("100 Continue: {interim} instead of {wanted}"))
        }
        (_, Some(response)) if !response.interim() => {
            expect_status(response, case.statuses)
        }
        _ => Err(format!("no final response, connection {:?}", rest.end)),
    }
}

/// The validators of `/small.txt`, which conditional requests repeat.
struct Validators(HashMap<&'static str, String>);

impl Validators {
    fn of(server: &Server) -> Result<Self, String> {
        Self::at(server.address)
    }

    fn at(address: SocketAddr) -> Result<Self, String> {
        let response = client::get(address, "/small.txt")?;
        let etag = response.field("ETag").ok_or("GET /small.txt: no ETag")?;
        let date =
            response.field("Last-Modified").ok_or("GET /small.txt: no Last-Modified")?;
        let (rfc850, asctime) =
            old_forms(date).ok_or_else(|| format!("not a date: Last-Modified: {date}"))?;
        Ok(Self(HashMap::from([
            ("{etag}", etag.to_owned()),
            ("{date}", date.to_owned()),
            ("{rfc850}", rfc850),
            ("{asctime}", asctime),
        ])))
    }

    fn fill_in(&self, request: &[u8]) -> Vec<u8> {
        let mut request = request.to_vec();
        for (name, value) in &self.0 {
            while let Some(at) =
                request.windows(name.len()).position(|window| window == name.as_bytes())
            {
                request.splice(at..at + name.len(), value.bytes());
            }
        }
        request
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` as `Sunday, 06-Nov-94 08:49:37 GMT` and as `Sun Nov  6
/// 08:49:37 1994`, which a recipient must accept too (RFC 9110 section 5.6.7).
fn old_forms(date: &str) -> Option<(String, String)> {
    let words: Vec<&str> = date.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let [weekday, day, month, year, time, "GMT"] = words[..] else { return None };
    let long =
        ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
            .into_iter()
            .find(|long| long.starts_with(weekday))?;
    let rfc850 = format!("{long}, {day}-{month}-{} {time} GMT", year.get(2..)?);
    let asctime =
        format!("{weekday} {month} {:>2} {time} {year}", day.trim_start_matches('0'));
    Some((rfc850, asctime))
}

/// Mutates the heads of the table, and sends those that httparse refuses: so must the
/// server. Returns how many those were.
fn against_httparse(server: &Server, mutations: usize) -> Result<usize, String> {
    // The validators stay out: they differ from server to server, and the mutations are to
    // be the same for all.
    let heads: Vec<Vec<u8>> =
        TABLE.iter().flat_map(|group| group.cases).map(|case| case.send.to_vec()).collect();
    let mut random = Random::new(9112);
    let mutated = (0..mutations).map(|_| {
        let mut head = random.one_of(&heads).clone();
        mutate(&mut random, &mut head);
        head
    });
    let mut refused = 0;
    for head in heads.iter().cloned().chain(mutated) {
        let mut fields = [httparse::EMPTY_HEADER; 256];
        if httparse::Request::new(&mut fields).parse(&head).is_ok() {
            continue;
        }
        refused += 1;
        let sent = excerpt(&head);
        // Whether such a thing is a HEAD is anybody's guess, so its response is read as one
        // with content.
        let all = exchange_and_shut(server.address, &head)
            .and_then(|heard| heard.responses(&[]))
            .map_err(|why| format!("{why} after {sent}"))?;
        match &all[..] {
            [] => {}
            [response] if response.status >= 400 => {}
            [response] => return Err(format!("answered {}: {sent}", response.status)),
            more => return Err(format!("{} responses to {sent}", more.len())),
        }
    }
    Ok(refused)
}

fn mutate(random: &mut Random, head: &mut Vec<u8>) {
    const NASTY: &[u8] = b"\0\r\n\t\x0b \x7f\xff:,;\"/@(){}%HTP01+-";
    for _ in 0..=random.below(3) {
        let at = random.below(head.len());
        match random.below(4) {
            0 => head[at] = *random.one_of(NASTY),
            1 => head.insert(at, *random.one_of(NASTY)),
            2 if head.len() > 1 => drop(head.remove(at)),
            _ => {
                let end = (at + 1 + random.below(8)).min(head.len());
                let repeated = head[at..end].to_vec();
                head.splice(at..at, repeated);
            }
        }
    }
}

/// Where nginx 1.22 serves what we refuse, or refuses what we serve, and why we do not
/// follow it.
static DISAGREEMENTS: &[(&str, &str)] = &[
    ("no version", "nginx answers HTTP/0.9"),
    (
        "two spaces after the method",
        "nginx skips them, as RFC 9112 section 3 allows; another reader may not",
    ),
    ("two spaces after the target", "as above"),
    ("a space after the version", "as above"),
    (
        "a bare LF after the request line",
        "nginx takes it for a line end, as RFC 9112 section 2.2 allows",
    ),
    ("a bare LF after a field", "as above"),
    ("a fragment is no part of a target", "nginx cuts it off"),
    (
        "1.2 is 1.1, or refused",
        "nginx takes it for 1.1, as RFC 9110 section 2.5 asks; httparse knows no 1.2",
    ),
    (
        "two digits",
        "nginx reads 1.10 as a version after 1.1; RFC 9112 section 2.3 has one digit",
    ),
    ("an empty Host", "nginx refuses it; RFC 9112 section 3.2 has a use for it"),
    (
        "Host with a user",
        "nginx takes any character; RFC 9110 section 7.2 has no user there",
    ),
    ("no colon", "nginx drops the line (ignore_invalid_headers)"),
    ("a name with a parenthesis", "as above"),
    ("a name with an at sign", "as above"),
    ("a name with a byte above ASCII", "as above"),
    (
        "much white space around the value",
        "nginx refuses a tab around Host; RFC 9112 section 5.1 allows it",
    ),
    ("another control character", "nginx keeps it, as RFC 9110 section 5.5 allows"),
    ("a DEL", "as above"),
    (
        "If-None-Match in two lines",
        "nginx 1.22 refuses a second line; RFC 9110 section 5.3 makes them one list",
    ),
    (
        "of an empty file",
        "nginx ignores the range; RFC 9110 section 14.1.2 makes it unsatisfiable",
    ),
    ("backwards", "nginx says 416; RFC 9110 section 14.2 allows to ignore it as well"),
    ("not a range", "as above"),
];

/// The second tier: the heads of the table against nginx on the same files. `program` is
/// the path of nginx.
pub fn against_nginx(model: &Model, program: &str) -> Result<Report, String> {
    let server = Server::start(model, &[])?;
    let nginx = Nginx::start(program, &server.root)?;
    let (ours, theirs) = (Validators::of(&server)?, Validators::at(nginx.address)?);
    let mut tally = Tally::of(model);
    for case in TABLE.iter().flat_map(|group| group.cases) {
        // The guestbook is not nginx's.
        if case.send.windows(10).any(|window| window == b"/guestbook") {
            continue;
        }
        let serves = |address, validators: &Validators| -> Result<bool, String> {
            let heard = exchange_and_shut(address, &validators.fill_in(case.send))?;
            if !heard.bytes.starts_with(b"HTTP/") && !heard.bytes.is_empty() {
                return Ok(true); // HTTP/0.9: nothing but the content.
            }
            let first =
                heard.responses(&[case.send.starts_with(b"HEAD ")])?.into_iter().next();
            Ok(first.is_some_and(|response| response.status < 400))
        };
        tally.case(case.name, || {
            match (serves(server.address, &ours), serves(nginx.address, &theirs)) {
                (Ok(us), Ok(them)) if us == them => Ok(()),
                (Ok(us), Ok(_)) => {
                    match DISAGREEMENTS.iter().find(|(name, _)| *name == case.name) {
                        Some((name, why)) => {
                            eprintln!(
                                "{name}: {} by us, and not by nginx: {why}",
                                if us { "served" } else { "refused" }
                            );
                            Ok(())
                        }
                        None => Err(format!(
                            "{}, nginx does not agree",
                            if us { "served" } else { "refused" }
                        )),
                    }
                }
                (us, them) => us.and(them).map(|_| ()),
            }
        });
    }
    drop(nginx);
    server.conclude(tally).map(|report| {
        report.with_note(format!("{} explained disagreements", DISAGREEMENTS.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_disagreement_is_about_one_case() {
        for (name, _) in DISAGREEMENTS {
            let cases = TABLE
                .iter()
                .flat_map(|group| group.cases)
                .filter(|case| case.name == *name);
            assert_eq!(cases.count(), 1, "{name}");
        }
    }

    #[test]
    fn a_date_has_three_forms() {
        let (rfc850, asctime) = old_forms("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(rfc850, "Sunday, 06-Nov-94 08:49:37 GMT");
        assert_eq!(asctime, "Sun Nov  6 08:49:37 1994");
    }
}
