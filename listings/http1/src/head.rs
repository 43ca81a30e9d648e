//! One request head: parsed by `httparse`, then held to the rules that keep two readers of
//! the same bytes in agreement.
//!
//! RFC 9112 allows a recipient to be lenient in several places. Each leniency is a place
//! where a proxy in front of this server may see another request than we do (request
//! smuggling), so this parser takes none of them but one, an empty line in front of a
//! request: a line ends in CRLF, a field name is followed by its colon, a length is digits.

use std::mem::MaybeUninit;

use httparse::{Error, Header, Status};

/// Longest head that is read, in bytes, its final empty line included. A longer one is
/// answered 431.
pub const MAX_HEAD: usize = 8192;
/// Most header fields that one head may have. More are answered 431.
const MAX_FIELDS: usize = 100;

/// A request method, as far as this server tells them apart (RFC 9110 section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET: the representation.
    Get,
    /// HEAD: the same fields as GET, without the body.
    Head,
    /// POST: give the body to the resource.
    Post,
    /// Another method that the registry knows: PUT, DELETE, OPTIONS, PATCH, TRACE, CONNECT.
    Other,
    /// A token that is no method we know; methods are case-sensitive.
    Unknown,
}

/// A request, complete with its body, as the application sees it.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is asked.
    pub method: Method,
    /// The path of the target, still percent-encoded, starting with `/`; `*` for a request
    /// about the server itself.
    pub path: String,
    /// What followed the `?`, if one was there.
    pub query: Option<String>,
    /// `Content-Type` of the body.
    pub content_type: Option<String>,
    /// `If-Match` (RFC 9110 section 13.1.1).
    pub if_match: Option<String>,
    /// `If-None-Match` (RFC 9110 section 13.1.2).
    pub if_none_match: Option<String>,
    /// `If-Modified-Since` (RFC 9110 section 13.1.3).
    pub if_modified_since: Option<String>,
    /// `If-Unmodified-Since` (RFC 9110 section 13.1.4).
    pub if_unmodified_since: Option<String>,
    /// `If-Range` (RFC 9110 section 13.1.5).
    pub if_range: Option<String>,
    /// `Range` (RFC 9110 section 14.2).
    pub range: Option<String>,
    /// The body, decoded from its framing; empty if there was none.
    pub body: Vec<u8>,
}

/// How the bytes after a head are to be read (RFC 9112 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// What one head says about its request and its connection.
#[derive(Debug)]
pub(crate) struct Head {
    pub request: Request,
    pub framing: Framing,
    /// The client allows another request on this connection.
    pub keep_alive: bool,
    /// The client speaks 1.0: it must be told `keep-alive`, and never `100 Continue`.
    pub http_10: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

/// Where the head in `input` ends (the index after its empty line), searching from `from`
/// on.
///
/// An LF without its CR is refused with 400 as soon as it is seen: a peer that ends lines
/// so would otherwise wait for an end of head that never comes.
pub(crate) fn end_of_head(input: &[u8], from: usize) -> Result<Option<usize>, u16> {
    let mut at = from;
    while let Some(found) = memchr::memchr(b'\n', &input[at..]) {
        let lf = at + found;
        if lf == 0 || input[lf - 1] != b'\r' {
            return Err(400);
        }
        if lf >= 3 && input[lf - 2] == b'\n' {
            return Ok(Some(lf + 1));
        }
        at = lf + 1;
    }
    Ok(None)
}

/// Parses a complete head. `Err` is the status that refuses it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Head, u16> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(bytes, &mut fields) {
        Ok(Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(400),
        Err(Error::TooManyHeaders) => return Err(431),
        Err(Error::Version) if names_a_version(bytes) => return Err(505),
        Err(_) => return Err(400),
    }
    let http_10 = parsed.version == Some(0);
    let method = match parsed.method.unwrap_or_default() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" | "DELETE" | "OPTIONS" | "PATCH" | "TRACE" | "CONNECT" => Method::Other,
        _ => Method::Unknown,
    };
    let (path, query) =
        target(parsed.path.unwrap_or_default(), parsed.method == Some("OPTIONS"))?;
    let request = Request {
        method,
        path,
        query,
        content_type: None,
        if_match: None,
        if_none_match: None,
        if_modified_since: None,
        if_unmodified_since: None,
        if_range: None,
        range: None,
        body: Vec::new(),
    };
    fields_into(request, http_10, parsed.headers)
}

/// A version that is written as one but that we do not speak (`HTTP/2.0`), told apart from
/// noise.
fn names_a_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|&b| b == b'\r').next().unwrap_or_default();
    let word = line.rsplit(|&b| b == b' ').next().unwrap_or_default();
    let Some([major, b'.', minor]) = word.strip_prefix(b"HTTP/") else { return false };
    major.is_ascii_digit()
        && minor.is_ascii_digit()
        && !matches!((major, minor), (b'1', b'0' | b'1'))
}

/// Path and query of a request target in origin form or absolute form (RFC 9112 section
/// 3.2); `*` for OPTIONS.
fn target(target: &str, options: bool) -> Result<(String, Option<String>), u16> {
    if options && target == "*" {
        return Ok((target.into(), None));
    }
    let scheme = ["http://", "https://"].into_iter().find(|scheme| {
        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let local = match scheme {
        None => target,
        Some(scheme) => {
            let rest = &target[scheme.len()..];
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            if !is_host(&rest.as_bytes()[..end]) || end == 0 || rest.starts_with(':') {
                return Err(400);
            }
            &rest[end..]
        }
    };
    let (path, query) = match local.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (local, None),
    };
    match path {
        "" if scheme.is_some() => Ok(("/".into(), query)),
        _ if path.starts_with('/') && !path.contains('#') => Ok((path.into(), query)),
        _ => Err(400),
    }
}

/// The fields of a head that matter here, each held to its grammar.
fn fields_into(
    mut request: Request,
    http_10: bool,
    fields: &[Header],
) -> Result<Head, u16> {
    let mut hosts = 0;
    let mut length = None;
    let mut chunked = false;
    let mut keep_alive = !http_10;
    let mut closes = false;
    let mut expects_continue = false;
    for field in fields {
        let value = field.value;
        match Known::of(field.name) {
            Known::Host if hosts > 0 || !is_host(value) => return Err(400),
            Known::Host => hosts += 1,
            // A second Content-Length is refused even where it repeats the first (RFC 9112
            // section 6.3, rule 5).
            Known::ContentLength if length.is_some() => return Err(400),
            Known::ContentLength => length = Some(content_length(value)?),
            Known::TransferEncoding if chunked || http_10 => return Err(400),
            Known::TransferEncoding if value.eq_ignore_ascii_case(b"chunked") => {
                chunked = true
            }
            Known::TransferEncoding => return Err(unreadable_coding(value)),
            Known::Connection => {
                for token in value.split(|&b| b == b',').map(<[u8]>::trim_ascii) {
                    closes |= token.eq_ignore_ascii_case(b"close");
                    keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            Known::Expect if value.eq_ignore_ascii_case(b"100-continue") => {
                expects_continue = !http_10
            }
            Known::Expect => return Err(417),
            Known::ContentType => request.content_type = text(value),
            Known::IfMatch => join(&mut request.if_match, value),
            Known::IfNoneMatch => join(&mut request.if_none_match, value),
            Known::IfModifiedSince => request.if_modified_since = text(value),
            Known::IfUnmodifiedSince => request.if_unmodified_since = text(value),
            Known::IfRange => request.if_range = text(value),
            Known::Range => request.range = text(value),
            Known::Unimportant => {}
        }
    }
    // RFC 9112 section 3.2: a 1.1 request without Host is refused; so is one whose length
    // is told in two ways.
    if (hosts == 0 && !http_10) || (chunked && length.is_some()) {
        return Err(400);
    }
    let framing = match length {
        _ if chunked => Framing::Chunked,
        None | Some(0) => Framing::None,
        Some(length) => Framing::Length(length),
    };
    let keep_alive = keep_alive && !closes;
    Ok(Head { request, framing, keep_alive, http_10, expects_continue })
}

enum Known {
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    Expect,
    ContentType,
    IfMatch,
    IfNoneMatch,
    IfModifiedSince,
    IfUnmodifiedSince,
    IfRange,
    Range,
    Unimportant,
}

impl Known {
    fn of(name: &str) -> Known {
        let names = [
            ("Host", Known::Host),
            ("Content-Length", Known::ContentLength),
            ("Transfer-Encoding", Known::TransferEncoding),
            ("Connection", Known::Connection),
            ("Expect", Known::Expect),
            ("Content-Type", Known::ContentType),
            ("If-Match", Known::IfMatch),
            ("If-None-Match", Known::IfNoneMatch),
            ("If-Modified-Since", Known::IfModifiedSince),
            ("If-Unmodified-Since", Known::IfUnmodifiedSince),
            ("If-Range", Known::IfRange),
            ("Range", Known::Range),
        ];
        let found = names.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        found.map_or(Known::Unimportant, |(_, known)| known)
    }
}

/// RFC 9110 section 8.6: `1*DIGIT` and nothing else; no sign, no list, no white space
/// inside.
fn content_length(value: &[u8]) -> Result<u64, u16> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(400);
    }
    text(value).and_then(|digits| digits.parse().ok()).ok_or(400)
}

/// A transfer coding that is not exactly `chunked` is refused. If chunked comes last we could
/// still find the end of the body, and lack only the other coding: 501. If not, nobody can:
/// 400 (RFC 9112 section 6.3, rule 4).
fn unreadable_coding(value: &[u8]) -> u16 {
    let is_chunked = |coding: &&[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
    let codings: Vec<&[u8]> = value.split(|&b| b == b',').collect();
    match codings.iter().filter(|coding| is_chunked(coding)).count() {
        1 if codings.last().is_some_and(is_chunked) => 501,
        _ => 400,
    }
}

/// `host [ ":" port ]` (RFC 3986 section 3.2). An empty host is allowed in the Host field by
/// RFC 9112 section 3.2.
fn is_host(value: &[u8]) -> bool {
    let (host, rest) = match value.strip_prefix(b"[") {
        Some(literal) => match memchr::memchr(b']', literal) {
            Some(end) => (&literal[..end], &literal[end + 1..]),
            None => return false,
        },
        None => value.split_at(memchr::memchr(b':', value).unwrap_or(value.len())),
    };
    let is_literal = value.starts_with(b"[");
    let port_is_digits = match rest.strip_prefix(b":") {
        Some(port) => port.iter().all(u8::is_ascii_digit),
        None => rest.is_empty(),
    };
    let allowed = |&b: &u8| {
        b.is_ascii_alphanumeric()
            || b"-._~!$&'()*+,;=%".contains(&b)
            || (is_literal && b == b':')
    };
    port_is_digits && host.iter().all(allowed) && !(is_literal && host.is_empty())
}

fn text(value: &[u8]) -> Option<String> {
    std::str::from_utf8(value).ok().map(str::to_owned)
}

/// A field that is a list may be sent in several lines (RFC 9110 section 5.3).
fn join(list: &mut Option<String>, value: &[u8]) {
    // A tag may contain bytes that are not UTF-8. It is not one of ours, but it is there.
    let value = String::from_utf8_lossy(value);
    match list {
        Some(list) => {
            list.push(',');
            list.push_str(&value);
        }
        None => *list = Some(value.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(head: &str) -> u16 {
        parse(head.as_bytes()).map_or_else(|status| status, |_| 200)
    }

    #[test]
    fn the_end_of_a_head_is_an_empty_line_and_lines_end_in_crlf() {
        assert_eq!(end_of_head(b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest", 0), Ok(Some(24)));
        assert_eq!(end_of_head(b"GET / HTTP/1.1\r\nA: b\r\n", 0), Ok(None));
        assert_eq!(end_of_head(b"GET / HTTP/1.1\nA: b\r\n\r\n", 0), Err(400));
        assert_eq!(end_of_head(b"\n", 0), Err(400));
    }

    #[test]
    fn framing_that_two_readers_could_read_differently_is_refused() {
        for fields in [
            "Content-Length: 1\r\nContent-Length: 1",
            "Content-Length: 1, 1",
            "Content-Length: +1",
            "Content-Length: 1 1",
            "Content-Length: 99999999999999999999",
            "Content-Length: ",
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: ",
            "Host: b",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: chunked, gzip",
            "Transfer-Encoding: chunked, chunked",
        ] {
            assert_eq!(
                status(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")),
                400,
                "{fields}"
            );
        }
        for fields in
            ["Transfer-Encoding: gzip, chunked", "Transfer-Encoding: gzip,Chunked "]
        {
            assert_eq!(
                status(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")),
                501,
                "{fields}"
            );
        }
        assert_eq!(status("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
    }

    #[test]
    fn targets_come_in_three_forms() {
        let path = |line: &str| {
            parse(format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
                .map(|h| h.request.path)
        };
        assert_eq!(path("GET /a?b"), Ok("/a".into()));
        assert_eq!(path("GET HTTP://example.org:80/a?b"), Ok("/a".into()));
        assert_eq!(path("GET http://example.org?b"), Ok("/".into()));
        assert_eq!(path("OPTIONS *"), Ok("*".into()));
        for wrong in [
            "GET *",
            "GET a",
            "GET http:///a",
            "GET http://a b/",
            "GET ftp://a/",
            "CONNECT a:1",
        ] {
            assert_eq!(path(wrong), Err(400), "{wrong}");
        }
    }

    #[test]
    fn a_version_that_we_do_not_speak_is_not_noise() {
        assert_eq!(status("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
        assert_eq!(status("GET / HTTP/1.2x\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(status("GET /\r\nHost: a\r\n\r\n"), 400);
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for host in ["", "a", "a.example:80", "127.0.0.1:8080", "[::1]", "[::1]:80", "a:"] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in
            ["]][[:::", "a:b", "a b", "a/b", "[::1", "[]", "[::1]x", "a:80:80", "a@b"]
        {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
